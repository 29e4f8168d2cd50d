"""Fewer points tell the same story; buckets and pages keep their word."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation.kernel.db import Database
from waystation.kernel.errors import Invalid
from waystation.telemetry import query, store
from waystation.telemetry.codec import Run
from waystation.telemetry.history import service
from waystation.telemetry.history.calendar import Buckets
from waystation.telemetry.history.model import Asked
from waystation.telemetry.last import last_values
from waystation.telemetry.model import EARLIEST, LATEST, Cursor, Kind, Stamped, own

GAPS = st.lists(st.integers(1, 10) | st.integers(1, 2**50), min_size=1, max_size=300)


def run_of(stamps: list[int], values: list[float] | list[str]) -> Run:
    kind = object if isinstance(values[0], str) else np.float64
    return Run(np.array(stamps, np.int64), np.array(values, kind))


@st.composite
def runs(draw: st.DrawFn) -> Run:
    stamps = np.cumsum(np.array(draw(GAPS), np.int64))
    return Run(
        stamps, np.array(draw(st.lists(st.integers(-5, 5), min_size=len(stamps), max_size=len(stamps))), np.float64)
    )


@given(runs(), st.integers(1, 60))
def test_fewer_points_keep_the_ends_the_peaks_and_the_count(run: Run, points: int) -> None:
    fewer = query.downsampled(run, Kind.NUMBER, points)
    assert 1 <= len(fewer) <= points
    assert (np.diff(fewer.stamps) > 0).all()
    assert set(zip(fewer.stamps.tolist(), fewer.values.tolist(), strict=True)) <= set(
        zip(run.stamps.tolist(), run.values.tolist(), strict=True)
    )
    assert fewer.stamps[-1] == run.stamps[-1]
    if points >= 2:
        assert fewer.stamps[0] == run.stamps[0]
    if points >= 4:
        assert fewer.values.max() == run.values.max()
        assert fewer.values.min() == run.values.min()


@given(runs(), st.integers(4, 60))
def test_every_stretch_keeps_its_own_least_and_greatest(run: Run, points: int) -> None:
    kept = set(query.downsampled(run, Kind.NUMBER, points).stamps.tolist())
    stretches = (points - 2) // 2
    inner = list(zip(run.stamps.tolist(), run.values.tolist(), strict=True))[1:-1]
    if len(run) <= points or not inner:
        return
    first, span = inner[0][0], inner[-1][0] - inner[0][0]
    edges = [first + n * (span // stretches) + n * (span % stretches) // stretches for n in range(stretches)]
    for start, end in zip(edges, [*edges[1:], LATEST], strict=True):
        stretch = [(value, -stamp) for stamp, value in inner if start <= stamp < end]
        if stretch:
            assert -max(stretch)[1] in kept
            least = min(value for value, _ in stretch)
            assert min(-stamp for value, stamp in stretch if value == least) in kept


@given(st.lists(st.sampled_from(["off", "heat", "cool"]), min_size=1, max_size=200), st.integers(1, 300))
def test_text_keeps_its_changes(words: list[str], points: int) -> None:
    run = run_of(list(range(len(words))), words)
    fewer = query.downsampled(run, Kind.TEXT, points)
    assert 1 <= len(fewer) <= points
    if len(run) > points:
        changes = [n for n, word in enumerate(words) if n in (0, len(words) - 1) or word != words[n - 1]]
        expected = set(changes) if len(changes) <= points else None
        assert expected is None or set(fewer.stamps.tolist()) == expected


def test_a_mean_of_numbers_whose_sum_no_float_holds(database: Database) -> None:
    huge = 1.7e308
    with database.write() as tx:
        rows = [("m", int(Kind.NUMBER), own(at), huge) for at in range(3)]
        store.append(tx, store.SeriesIds(), [Stamped(1, rows)])
    with database.read() as tx:
        [series] = store.series_of(tx, [1])
        asked = Asked(Buckets("3600"), frozenset({"mean"}), 1)
        page = service.bucketed(tx, [series], service.Range(0, 10, 10), asked, most=5)
    assert page.tables[series.id].columns["mean"].tolist() == pytest.approx([huge])


def test_what_does_not_exist_has_no_values(database: Database) -> None:
    with database.read() as tx:
        assert query.read(tx, [7], EARLIEST, LATEST) == {}
        assert query.newest(tx, [7], EARLIEST, LATEST, limit=5) == {}
        assert query.raw(tx, [], EARLIEST, LATEST, limit=5) == query.Page({}, None)
        assert last_values(tx, [7]) == []
        assert store.extent(tx) == store.Extent(0, 0, 0, 0, 0)


@given(st.integers(EARLIEST, LATEST), st.integers(0, LATEST))
def test_a_cursor_survives_being_text(stamp: int, series_id: int) -> None:
    assert Cursor.parse(Cursor(stamp, series_id).text()) == Cursor(stamp, series_id)


@pytest.mark.parametrize("text", ["", ".", "12", "1.-2", "zz.1", "1.1.1", "8" * 17 + ".1", "1" * 5000 + ".1"])
def test_another_text_is_no_cursor(text: str) -> None:
    with pytest.raises(Invalid, match="start again without it"):
        Cursor.parse(text)
