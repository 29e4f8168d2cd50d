"""The test can fail: SQLite that does not wait for the disk loses acknowledged rows; set up as ours it loses none."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults.figures import report
from tests.faults.mounting import Disk, lossy_disk

pytestmark = pytest.mark.servers

ROWS = 120

# Another process holds the database, as the hub does: the power cut kills it in the middle of its work.
WRITER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode=WAL")
db.execute(f"PRAGMA synchronous={sys.argv[2]}")
db.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, filler BLOB)")
start = db.execute("SELECT coalesce(max(n), -1) + 1 FROM t").fetchone()[0]
for n in range(start, start + 1_000_000):
    db.execute("INSERT INTO t VALUES (?, randomblob(900))", (n,))
    print(n, flush=True)
"""


def acknowledged_until_the_cut(disk: Disk, synchronous: str) -> int:
    """The last row that the writer was told is committed, when the power went in the middle of its work."""
    database = disk.folder / "t.db"
    command = [sys.executable, "-c", WRITER, database, synchronous]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert writer.stdout
    last = -1
    for line in writer.stdout:
        last = int(line)
        if last % ROWS == ROWS - 1:
            break
    disk.cut()
    writer.kill()
    last = max([last, *(int(line) for line in writer.stdout.read().split("\n")[:-1] if line)])
    writer.wait()
    writer.stdout.close()
    disk.mount()
    return last


def survivors(database: Path) -> tuple[set[int], str]:
    try:
        found = sqlite3.connect(database)
        with found:
            rows = {n for (n,) in found.execute("SELECT n FROM t")}
            verdict = found.execute("PRAGMA integrity_check").fetchone()[0]
        found.close()
    except sqlite3.DatabaseError as broken:
        return set(), str(broken)
    return rows, verdict


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_sqlite_that_does_not_wait_for_the_disk_loses_acknowledged_rows(synchronous: str, tmp_path: Path) -> None:
    with lossy_disk(tmp_path, seed=1) as disk:
        last = acknowledged_until_the_cut(disk, synchronous)
        rows, _ = survivors(disk.folder / "t.db")
        lost = last + 1 - len(rows)
        report(f"power cut sqlite {synchronous}", acknowledged=last + 1, lost=lost)
        assert lost > 0


@pytest.mark.parametrize("seed", [10, 20, 30])
def test_sqlite_that_waits_for_the_disk_loses_nothing(seed: int, tmp_path: Path) -> None:
    with lossy_disk(tmp_path, seed=seed) as disk:
        for _ in range(3):
            last = acknowledged_until_the_cut(disk, "FULL")
            rows, verdict = survivors(disk.folder / "t.db")
            assert verdict == "ok"
            assert set(range(last + 1)) <= rows
        report(f"power cut sqlite FULL seed {seed}", rounds=3, acknowledged=last + 1, lost=0)
