"""What is kept by the hour says the same as the readings do; what was stripped is gone for every raw view."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from waystation.kernel.clock import micros
from waystation.kernel.db import Database
from waystation.telemetry import hours, query, seal, store
from waystation.telemetry.codec import DamagedChunk, Run
from waystation.telemetry.hours import HOUR
from waystation.telemetry.last import last_values
from waystation.telemetry.model import EARLIEST, LATEST, Kind, Stamped, own

NOW = datetime(2026, 3, 1, tzinfo=UTC)
START = micros(NOW)

TIMES = st.lists(st.integers(-3 * HOUR, 5 * HOUR) | st.integers(-(2**54), 2**54), min_size=1, max_size=80, unique=True)
SENSOR = st.integers(-400, 900).map(lambda n: n / 10)
ANY = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    at = sorted(draw(TIMES))
    values = draw(st.lists(draw(st.sampled_from([SENSOR, ANY])), min_size=len(at), max_size=len(at)))
    return Run(np.array(at, np.int64) << 8, np.array(values, np.float64))


@given(runs())
def test_an_hour_says_what_its_readings_say(run: Run) -> None:
    found = hours.of_run(run)
    by_hour: dict[int, list[tuple[int, float]]] = {}
    for stamp, value in zip(run.stamps.tolist(), run.values.tolist(), strict=True):
        by_hour.setdefault((stamp >> 8) // HOUR, []).append((stamp >> 8, value))
    assert len(found) == len(by_hour)
    for place, (_, readings) in enumerate(sorted(by_hour.items())):
        values = [value for _, value in readings]
        assert (found.starts[place], found.ends[place]) == (readings[0][0], readings[-1][0])
        assert (found.firsts[place], found.lasts[place]) == (values[0], values[-1])
        assert (found.least[place], found.greatest[place]) == (min(values), max(values))
        assert found.least_at[place] == min(at for at, value in readings if value == min(values))
        assert found.greatest_at[place] == min(at for at, value in readings if value == max(values))
        assert found.counts[place] == len(values)


def test_areas_and_rises_stay_within_the_hour() -> None:
    at = np.array([0, 600, 1800, 3600, 7199]) * 10**6
    found = hours.of_run(Run(at << 8, np.array([10.0, 20.0, 5.0, 7.0, 8.0])))
    assert found.areas.tolist() == [10 * 600 + 20 * 1200, 7 * 3599]
    assert found.rises.tolist() == [10 + 5, 1]
    assert found.sums.tolist() == [35, 15]


@given(st.lists(runs(), min_size=1, max_size=5))
def test_hours_survive_being_packed(some: list[Run]) -> None:
    before = [hours.of_run(run) for run in some]
    after, owners = hours.unpack_all([hours.pack(one) for one in before])
    assert owners.tolist() == [place for place, one in enumerate(before) for _ in range(len(one))]
    for name in hours.COLUMNS:
        wanted = getattr(hours.joined(before), name)
        if name in {"sums", "rises"}:
            assert getattr(after, name) == pytest.approx(wanted, rel=1e-9, abs=1e-9)
        else:
            assert np.array_equal(getattr(after, name), wanted)


def test_damaged_hours_are_not_believed() -> None:
    packed = hours.pack(hours.of_run(Run(np.array([1, 2]), np.array([1.0, 2.0]))))
    for wrong in (b"", packed[:5], packed[:-1], packed[:-1] + bytes([packed[-1] ^ 1])):
        with pytest.raises(DamagedChunk):
            hours.unpack(wrong)


def put(database: Database, values: dict[int, float], metric: str = "m") -> int:
    with database.write() as tx:
        rows = [(metric, int(Kind.NUMBER), own(at), value) for at, value in values.items()]
        store.append(tx, store.SeriesIds(), [Stamped(1, rows)])
    with database.read() as tx:
        [series] = store.series_of(tx, [1], [metric])
    return series.id


def strip(database: Database, series_id: int) -> None:
    """As retention does: the data go, the hours stay."""
    with database.write() as tx:
        for sealed in store.chunks_between(tx, [series_id], EARLIEST, LATEST):
            [run] = query.read(tx, [series_id], sealed.first, sealed.last).values()
            kept = hours.pack(hours.of_run(run))
            mine = sa.update(store.chunk).where(store.chunk.c.id == sealed.id)
            tx.execute(mine.values(data=b"", hours=kept))


def test_a_dense_run_is_sealed_with_its_hours_and_a_sparse_one_without(database: Database) -> None:
    dense = put(database, {START + n * 10_000_000: float(n % 7) for n in range(2000)}, "dense")
    sparse = put(database, {START + n * 60_000_000: float(n % 7) for n in range(2000)}, "sparse")
    seal.seal(database, NOW)
    with database.read() as tx:
        [kept] = store.chunks_between(tx, [dense], EARLIEST, LATEST)
        [bare] = store.chunks_between(tx, [sparse], EARLIEST, LATEST)
        packed = store.hours_of(tx, [kept.id, bare.id])
        run = query.read(tx, [dense], EARLIEST, LATEST)[dense]
    assert (kept.has_hours, bare.has_hours) == (True, False)
    assert (kept.is_stripped, bare.is_stripped) == (False, False)
    assert packed == {kept.id: hours.pack(hours.of_run(run))}


def test_raw_views_pass_over_what_was_stripped_and_what_comes_late_for_it(database: Database) -> None:
    series_id = put(database, {START + n: float(n) for n in range(10)})
    seal.seal(database, NOW)
    strip(database, series_id)
    late = {START + 3: 99.0, START + 20: 20.0, START - 5: -5.0}
    put(database, late)
    for now in (NOW, NOW + timedelta(hours=1)):
        seal.seal(database, now) if now > NOW else None
        with database.read() as tx:
            page = query.raw(tx, [series_id], EARLIEST, LATEST, limit=100)
            [run] = query.read(tx, [series_id], EARLIEST, LATEST).values()
            [newest] = query.newest(tx, [series_id], EARLIEST, LATEST, limit=5).values()
            assert query.read(tx, [series_id], own(START + 2), own(START + 4)) == {}
            assert query.newest(tx, [series_id], own(START + 2), own(START + 4), limit=1) == {}
            [last] = last_values(tx, [1])
            [stripped] = [one for one in store.chunks_between(tx, [series_id], EARLIEST, LATEST) if one.is_stripped]
        for found in (page.runs[series_id], run, newest):
            assert found.values.tolist() == [-5.0, 20.0]
        assert last.value == 20.0
        assert stripped.count == 10


def test_sums_keep_the_digits_that_the_ends_of_the_hour_do_not_have() -> None:
    values = np.array([0.0, 0.1, 5.0] * 40)
    run = Run(np.arange(len(values)) * 60_000_000 << 8, values)
    [first, _] = hours.unpack(hours.pack(hours.of_run(run))).sums.tolist()
    assert first == pytest.approx(102.0)
    assert hours.unpack(hours.pack(hours.of_run(run.part(slice(0, 59))))).sums.tolist() == [pytest.approx(97.0)]
    assert hours.unpack(hours.pack(hours.of_run(run.part(slice(0, 50))))).sums.tolist() == [pytest.approx(81.7)]
