"""Streams of stored values: each value once, whatever is sealed meanwhile, and from any cursor on."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from waystation.kernel.db import Database, metadata, sqlite_url
from waystation.telemetry import seal, store
from waystation.telemetry.follow.store import follower
from waystation.telemetry.keeping.store import kept_from
from waystation.telemetry.model import EARLIEST, LATEST, Kind, Series, Stamped, Value, kind_of, own
from waystation.telemetry.transfer import reader
from waystation.telemetry.transfer.reader import Block, Window

NOW = datetime(2026, 3, 1, tzinfo=UTC)
Values = dict[tuple[str, int], Value]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "CHUNKS_AT_ONCE", 2)
    monkeypatch.setattr(seal, "ENOUGH_ROWS", 1)


def put(database: Database, device: int, values: Values) -> None:
    rows = [
        (metric, int(kind_of(value)), own(at), value if isinstance(value, str) else float(value))
        for (metric, at), value in values.items()
    ]
    with database.write() as tx:
        store.append(tx, store.SeriesIds(), [Stamped(device, rows)])


def series(database: Database, *devices: int) -> list[Series]:
    with database.read() as tx:
        return store.series_of(tx, devices)


def blocks(database: Database, *devices: int) -> list[Block]:
    return [Block(one.id, (one,)) for one in series(database, *devices)]


def given_values(stream: Iterator[Window]) -> list[tuple[str, int, object]]:
    return [
        (one.metric, stamp >> 8, value)
        for window in stream
        for one in window.block.series
        for stamp, value in zip(window.runs[one.id].stamps.tolist(), window.runs[one.id].values.tolist(), strict=True)
    ]


def sealed_bit_by_bit(database: Database, values: Values, pieces: int) -> None:
    """In many chunks of a few values, the last ones left in the tail."""
    items = list(values.items())
    for piece in range(pieces):
        put(database, 1, dict(items[piece::pieces]))
        if piece < pieces - 1:
            seal.seal(database, NOW + timedelta(hours=piece))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ats=st.sets(st.integers(0, 400), min_size=1, max_size=60),
    pieces=st.integers(1, 5),
    stop=st.integers(0, 6),
    width=st.integers(1, 4),
)
def test_every_value_comes_once_though_sealing_goes_on_and_the_stream_begins_anew(
    tmp_path_factory: pytest.TempPathFactory, ats: set[int], pieces: int, stop: int, width: int
) -> None:
    database = fresh(tmp_path_factory)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(seal.codec, "MOST_VALUES", 4)
        patched.setattr(reader, "CHUNKS_AT_ONCE", width)
        both = [(metric, at) for at in sorted(ats) for metric in ("a", "b")]
        values: Values = {(metric, at): float(at) for metric, at in both if at % 3 or metric == "a"}
        sealed_bit_by_bit(database, values, pieces)
        got: list[Window] = []
        for window in reader.windows(database, blocks(database, 1), EARLIEST, LATEST):
            if len(got) == stop:
                break
            got.append(window)
            seal.seal(database, NOW + timedelta(days=1))
        seal.seal(database, NOW + timedelta(days=2))
        after = got[-1].cursor if got else None
        got += reader.windows(database, blocks(database, 1), EARLIEST, LATEST, after=after)
        assert given_values(iter(got)) == sorted((metric, at, value) for (metric, at), value in values.items())
    database.close()


def fresh(folders: pytest.TempPathFactory) -> Database:
    database = Database(sqlite_url(folders.mktemp("stream") / "waystation.db"))
    tables = [store.series, store.tail, store.chunk, store.last_value, store.seal_turn, kept_from, follower]
    metadata.create_all(database.engine, tables)
    return database


def test_a_range_is_cut_exactly_on_both_kinds_of_database(database: Database) -> None:
    sealed_bit_by_bit(database, {("a", at): float(at) for at in range(50)}, 3)
    found = given_values(reader.windows(database, blocks(database, 1), own(7), own(12)))
    assert [at for _, at, _ in found] == [7, 8, 9, 10, 11, 12]


def test_moments_hold_all_metrics_of_a_device(database: Database) -> None:
    put(database, 1, {("t", 5): 1.5, ("on", 5): True, ("mode", 7): "heat"})
    seal.seal(database, NOW)
    put(database, 1, {("t", 6): 2.5})
    found = list(reader.rows_between(database, series(database, 1), EARLIEST, LATEST))
    assert found == [(own(5), {"on": True, "t": 1.5}), (own(6), {"t": 2.5}), (own(7), {"mode": "heat"})]
    assert {one.kind for one in series(database, 1)} == set(Kind)


def test_values_that_retention_took_are_left_out(database: Database) -> None:
    put(database, 1, {("t", 5): 1.5})
    seal.seal(database, NOW)
    put(database, 1, {("t", 6): 2.5})
    with database.write() as tx:
        tx.execute(store.chunk.update().values(data=b""))
    assert given_values(reader.windows(database, blocks(database, 1), EARLIEST, LATEST)) == [("t", 6, 2.5)]


def test_a_device_deleted_meanwhile_ends_its_part_only(database: Database) -> None:
    put(database, 1, {("a", 1): 1.0})
    put(database, 2, {("a", 1): 2.0})
    wanted = blocks(database, 1, 2)
    with database.write() as tx:
        store.forget_device(tx, 1)
    assert given_values(reader.windows(database, wanted[1:], EARLIEST, LATEST)) == [("a", 1, 2.0)]
