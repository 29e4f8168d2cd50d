"""Sealing: when it is due, what it rewrites, and that no second sealer, deletion or slow writer makes it lose any."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation.kernel.db import Database, Tx
from waystation.telemetry import query, seal, store
from waystation.telemetry.keeping.sweeps import orphans
from waystation.telemetry.last import last_values
from waystation.telemetry.model import EARLIEST, LATEST, Kind, Stamped, Value, kind_of, own
from waystation.telemetry.store import Sealed

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def put(database: Database, device: int, values: dict[int, Value]) -> None:
    rows = [("m", int(kind_of(value)), own(at), value) for at, value in values.items()]
    with database.write() as tx:
        store.append(tx, store.SeriesIds(), [Stamped(device, rows)])  # type: ignore[arg-type]


def all_of(database: Database, device: int) -> dict[int, float | str]:
    with database.read() as tx:
        runs = query.read(tx, [one.id for one in store.series_of(tx, [device])], EARLIEST, LATEST)
    return {
        at >> 8: value
        for run in runs.values()
        for at, value in zip(run.stamps.tolist(), run.values.tolist(), strict=True)
    }


def unsealed(tx: Tx) -> int:
    span = store.tail_span(tx)
    return span.rows if span else 0


def test_a_short_tail_waits_a_quarter_of_an_hour(database: Database) -> None:
    put(database, 1, {1: 1.5})
    assert seal.seal(database, NOW) == 1
    put(database, 1, {2: 2.5})
    assert seal.seal(database, NOW + timedelta(minutes=14)) == 0
    assert seal.seal(database, NOW + timedelta(minutes=15)) == 1


def test_a_clock_that_went_back_does_not_stop_sealing(database: Database) -> None:
    put(database, 1, {1: 1.5})
    seal.seal(database, NOW)
    put(database, 1, {2: 2.5})
    assert seal.seal(database, NOW - timedelta(days=400)) == 1


def test_a_long_tail_is_sealed_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "ENOUGH_ROWS", 10)
    put(database, 1, {1: 1.5})
    seal.seal(database, NOW)
    put(database, 1, {at: float(at) for at in range(2, 12)})
    assert seal.seal(database, NOW) == 10
    assert len(all_of(database, 1)) == 11


def test_much_text_is_sealed_in_parts(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_CHARACTERS", 50)
    monkeypatch.setattr(store, "BLOCK_ROWS", 3)
    texts = {at: f"message number {at:10}" for at in range(20)}
    put(database, 1, dict(texts))
    assert 0 < seal.seal(database, NOW) < 20
    assert all_of(database, 1) == texts


def test_the_slower_of_two_sealers_changes_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    put(database, 1, {1: 1.5, 2: 2.5})
    encoded = seal._encoded

    def overtaken(taken: seal.Slice) -> seal.Written:
        monkeypatch.setattr(seal, "_encoded", encoded)
        assert seal.seal(database, LATER) == 2
        put(database, 1, {3: 3.5, 4: 4.5})  # on SQLite these get the ids of the rows that went
        return encoded(taken)

    monkeypatch.setattr(seal, "_encoded", overtaken)
    assert seal.seal(database, LATER) == 0
    assert all_of(database, 1) == {1: 1.5, 2: 2.5, 3: 3.5, 4: 4.5}


@pytest.mark.parametrize("sealed_before", [False, True])
def test_a_device_deleted_while_its_readings_are_sealed_leaves_nothing(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    sealed_before: bool,  # noqa: FBT001
) -> None:
    put(database, 1, {1: 1.5})
    put(database, 2, {1: 9.5})
    if sealed_before:
        seal.seal(database, NOW)
    put(database, 1, {2: 2.5})
    encoded = seal._encoded

    def deleted_meanwhile(taken: seal.Slice) -> seal.Written:
        with database.write() as tx:
            store.forget_device(tx, 1)
        return encoded(taken)

    monkeypatch.setattr(seal, "_encoded", deleted_meanwhile)
    assert seal.seal(database, LATER) == 0
    monkeypatch.setattr(seal, "_encoded", encoded)
    assert seal.seal(database, LATER) == (1 if sealed_before else 3)
    while orphans.clear(database, LATER):
        pass
    with database.read() as tx:
        assert store.extent(tx) == store.Extent(1, 1, 0, 1, store.extent(tx).chunk_bytes)
        assert [found.value for found in last_values(tx, [1, 2])] == [9.5]


def test_an_id_of_a_deleted_series_is_never_given_again(database: Database) -> None:
    put(database, 1, {1: 1.5})
    with database.write() as tx:
        store.forget_device(tx, 1)
    put(database, 2, {2: 2.5})
    assert all_of(database, 2) == {2: 2.5}


@pytest.mark.servers
def test_a_row_of_a_slow_writer_on_postgresql_is_not_lost(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(postgres_url)
    store.metadata.create_all(database.engine)
    put(database, 1, {0: 0.5})
    encoded = seal._encoded
    slow = database.write()
    ids = store.SeriesIds()
    tx = slow.__enter__()
    store.append(tx, ids, [Stamped(1, [("m", Kind.NUMBER, own(1), 1.5)])])
    put(database, 1, {2: 2.5})  # a greater id, committed earlier

    def committed_meanwhile(taken: seal.Slice) -> seal.Written:
        slow.__exit__(None, None, None)
        return encoded(taken)

    monkeypatch.setattr(seal, "_encoded", committed_meanwhile)
    assert seal.seal(database, LATER) == 0
    monkeypatch.setattr(seal, "_encoded", encoded)
    assert seal.seal(database, LATER) == 3
    assert all_of(database, 1) == {0: 0.5, 1: 1.5, 2: 2.5}
    database.close()


def test_readers_see_every_value_while_sealing_goes_on(database: Database) -> None:
    """A reader never finds a value twice or not at all, whenever it looks."""
    rounds, values = 12, 60
    ended = threading.Event()
    wrong: list[str] = []

    def look() -> None:
        seen = 0
        while not ended.is_set():
            found = all_of(database, 1)
            if sorted(found) != list(range(len(found))) or len(found) < seen:
                wrong.append(f"{len(found)} after {seen}")
            seen = len(found)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(rounds):
        for at in range(values // 10):
            first = number * values + at * 10
            put(database, 1, {first + n: float(n) for n in range(10)})
        seal.seal(database, NOW + timedelta(hours=number))
    ended.set()
    reader.join()
    assert wrong == []
    assert len(all_of(database, 1)) == rounds * values


RANGES = st.lists(st.integers(0, 400), unique=True, max_size=24).map(sorted)
COUNTS = st.lists(st.integers(1, 100), min_size=12, max_size=12)


@given(RANGES, COUNTS, st.lists(st.integers(0, 400), unique=True, min_size=1, max_size=120).map(sorted))
def test_a_plan_places_every_new_value_once_and_in_order(ends: list[int], counts: list[int], stamps: list[int]) -> None:
    pairs = zip(ends[::2], ends[1::2], counts, strict=False)
    chunks = [Sealed(n, 1, *pair, None, None, None) for n, pair in enumerate(pairs)]
    pieces = seal.plan(chunks, np.array(stamps, np.int64), 100)
    placed = [stamp for piece in pieces for which in piece.new for stamp in stamps[which]]
    assert placed == stamps
    rewritten = [sealed.id for piece in pieces for sealed in piece.chunks]
    assert rewritten == sorted(set(rewritten))
    spans = [
        (min([sealed.first for sealed in piece.chunks] + new), max([sealed.last for sealed in piece.chunks] + new))
        for piece in pieces
        for new in ([stamp for which in piece.new for stamp in stamps[which]],)
    ]
    spans += [(sealed.first, sealed.last) for sealed in chunks if sealed.id not in rewritten]
    spans.sort()
    assert all(one[1] < following[0] for one, following in pairwise(spans))


def test_a_series_that_grows_has_few_chunks_and_is_rewritten_few_times() -> None:
    chunks: list[Sealed] = []
    written = 0
    for number in range(2000):
        pieces = seal.plan(chunks, np.array([number * 10 + n for n in range(10)], np.int64), 4096)
        for piece in pieces:
            chunks = [sealed for sealed in chunks if sealed not in piece.chunks]
            first = min([sealed.first for sealed in piece.chunks] + [number * 10])
            chunks.append(Sealed(number, 1, first, number * 10 + 9, piece.count, None, None, None))
            written += piece.count
    assert len(chunks) <= 20_000 // 4096 + 8
    assert written <= 20_000 * 14
