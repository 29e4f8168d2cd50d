"""The spool alone: durable, bounded, and never in the way of the next sample."""

import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from agent.tests.conftest import Bench

from waystation_agent.folder import Folder
from waystation_agent.spool import QUARANTINE_LIMIT, Spool, make_sound


def test_a_full_spool_drops_the_oldest_and_counts_them(bench: Bench) -> None:
    bench.limit_bytes = 200_000
    bench.values = {f"metric_{n}": float(n) for n in range(50)}
    bench.restart()
    bench.sample(600)
    kept = bench.spool.oldest(10_000)
    dropped = bench.spool.count("dropped_total")
    assert dropped > 0
    assert len(kept) + dropped == 600
    assert kept[-1].values["spool_dropped_total"] == dropped
    assert bench.folder.spool.stat().st_size < 2 * bench.limit_bytes


def test_what_is_dropped_is_the_oldest_even_while_the_time_is_unknown(bench: Bench) -> None:
    bench.limit_bytes = 100_000
    bench.ticks.wall = 0
    bench.restart()
    bench.sample(2_000)
    bench.ticks.wall = 1_800_000_000_000_000
    bench.sample()
    assert bench.spool.depth() + bench.spool.count("dropped_total") == 2_001
    assert bench.spool.oldest(5_000)[-1].at_us == 1_800_000_000_000_000


def test_every_commit_is_synced(bench: Bench) -> None:
    setting = bench.spool._db.execute("pragma synchronous").fetchone()[0]
    mode = bench.spool._db.execute("pragma journal_mode").fetchone()[0]
    assert (setting, mode) == (2, "wal")


def test_only_the_owner_can_read_the_spool(bench: Bench) -> None:
    assert stat.S_IMODE(bench.folder.spool.stat().st_mode) == 0o600


def test_a_damaged_spool_is_set_aside_and_sampling_goes_on(folder: Folder) -> None:
    folder.spool.write_bytes(b"this was a database once" * 100)
    make_sound(folder.spool)
    with closing(Spool(folder.spool)) as spool:
        assert spool.depth() == 0
    assert len(list(folder.path.glob("spool.db.damaged-*"))) == 1


def test_damage_in_the_middle_of_the_file_is_found_at_the_start(bench: Bench, folder: Folder) -> None:
    bench.sample(500)
    bench.close()
    content = bytearray(folder.spool.read_bytes())
    content[20_000:24_000] = b"\xff" * 4_000
    folder.spool.write_bytes(content)
    make_sound(folder.spool)
    bench.restart()
    assert bench.spool.depth() == 0


def test_a_sound_spool_is_left_as_it_is(bench: Bench, folder: Folder) -> None:
    bench.sample(3)
    make_sound(folder.spool)
    assert bench.spool.depth() == 3


def test_a_full_disk_costs_a_sample_and_nothing_else(bench: Bench) -> None:
    bench.sample(20)
    pages = bench.spool._one("pragma page_count")
    bench.values = {f"metric_{n}": 1.0 for n in range(1_000)}
    bench.spool._db.execute(f"pragma max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        bench.sample()
    bench.spool._db.execute("pragma max_page_count = 100000")
    bench.sample()
    assert bench.spool.depth() == 21


def test_a_failed_write_leaves_nothing_behind(bench: Bench) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        bench.spool.hold({"load_1m": float("nan")}, "boot", 1)
    bench.sample()
    assert bench.spool.depth() == 1


def test_the_quarantine_is_bounded(bench: Bench) -> None:
    bench.sample(QUARANTINE_LIMIT // 2 + 10)
    for sample in bench.spool.oldest(10_000):
        bench.spool.quarantine(sample, {"load_1m": "odd", "uptime_seconds": "odd"}, now_us=0)
    assert len(bench.spool.quarantined()) == QUARANTINE_LIMIT
    assert bench.spool.count("quarantined_total") == QUARANTINE_LIMIT + 20


def test_a_refused_time_does_not_push_later_samples_into_the_future(bench: Bench) -> None:
    bench.ticks.wall *= 2
    bench.sample()
    bench.ticks.wall //= 2
    (from_the_future,) = bench.spool.oldest(1)
    refused = dict.fromkeys(from_the_future.values, "too far in the future")
    bench.spool.quarantine(from_the_future, refused, now_us=0)
    bench.sample()
    assert bench.spool.oldest(1)[0].at_us == bench.ticks.wall - 10_000_000


def test_a_spool_opened_by_many_at_once_is_there_for_all(folder: Folder) -> None:
    def open_often(_: int) -> int:
        total = 0
        for _ in range(10):
            with closing(Spool(folder.spool)) as spool:
                total += spool.depth()
        return total

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(open_often, range(4))) == 0


def test_a_spool_locked_by_someone_else_is_not_taken_for_damaged(folder: Folder) -> None:
    folder.spool.mkdir()
    with pytest.raises(sqlite3.OperationalError):
        Spool(folder.spool)
    with pytest.raises(sqlite3.OperationalError):
        make_sound(folder.spool)


def _locked_ranges(path: Path) -> list[str]:
    """The file locks that this process holds, as the kernel lists them, without their place in the list of all."""
    own, inode = f" {os.getpid()} ", f":{path.stat().st_ino} "
    lines = Path("/proc/locks").read_text().splitlines()
    return [line.partition(": ")[2] for line in lines if own in line and inode in line]


def test_a_second_connection_takes_no_locks_from_the_first(folder: Folder) -> None:
    """A process that closes any descriptor of a file loses its locks: then others delete the log under its feet."""
    with closing(Spool(folder.spool)) as first:
        first.depth()
        held = _locked_ranges(folder.spool)
        with closing(Spool(folder.spool)):
            assert _locked_ranges(folder.spool) == held != []
        assert _locked_ranges(folder.spool) == held
