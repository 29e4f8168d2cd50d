"""What a chart draws between its points, and what it must not."""

from typing import Any

from waystation.web.tests.node import in_node

SECOND = 1000
STEADY = [[i * 10 * SECOND, float(i)] for i in range(6)]


def answer(name: str, *given: Any) -> Any:
    return in_node("chart_series.js", [[name, *given]])[0]


def test_a_long_silence_is_a_gap_and_a_late_point_is_not() -> None:
    late, silent = [STEADY[-1][0] + 50 * SECOND, 9.0], [STEADY[-1][0] + 51 * SECOND, 9.0]
    assert answer("withGaps", [*STEADY, late]) == [*STEADY, late]
    assert answer("withGaps", [*STEADY, silent]) == [*STEADY, [STEADY[-1][0] + 25.5 * SECOND, None], silent]


def test_few_points_have_no_gaps_because_their_rhythm_is_unknown() -> None:
    points = [[0, 1.0], [10, 2.0], [10_000_000, 3.0]]
    assert answer("withGaps", points) == points


def test_points_are_kept_in_the_order_of_their_times_and_once() -> None:
    points, *_ = answer("add", STEADY, 25 * SECOND, 7.5, 0)
    assert points == [*STEADY[:3], [25 * SECOND, 7.5], *STEADY[3:]]
    points, *_ = answer("add", STEADY, STEADY[-1][0], 7.5, 0)
    assert points == STEADY


def test_what_slid_out_of_the_range_goes_but_for_one_point_at_the_edge() -> None:
    points, *_ = answer("add", STEADY, 60 * SECOND, 6.0, 25 * SECOND)
    assert points == [*STEADY[2:], [60 * SECOND, 6.0]]


def test_one_missing_bucket_is_a_gap() -> None:
    points = [[0, 1.0], [10, 1.0], [20, 1.0], [40, 2.0], [50, 1.0], [60, 1.0]]
    assert answer("withGaps", points, 10) == [*points[:3], [30, None], *points[3:]]
    assert answer("withGaps", points, 2) == points


def test_a_gap_is_one_in_every_column_of_a_line() -> None:
    points = [[0, 1, 0, 2], [10, 1, 0, 2], [20, 1, 0, 2], [30, 1, 0, 2], [60, 5, 4, 6]]
    times, *columns = answer("align", [points], {"wide": 3, "bucket": 10})
    assert times == [0, 10, 20, 30, 45, 60]
    assert columns == [[1, 1, 1, 1, None, 5], [0, 0, 0, 0, None, 4], [2, 2, 2, 2, None, 6]]


def test_on_a_grid_series_share_times_and_no_point_is_lost() -> None:
    one = [[i * 10 + i % 3, float(i)] for i in range(50)]
    two = [[i * 10 + 4, float(i)] for i in range(50)]
    times, *columns = answer("align", [one, two], {"grid": 10})
    assert len(times) <= 52
    for column, points in zip(columns, (one, two), strict=True):
        assert [value for value in column if value is not None] == [value for _, value in points]
    times, column = answer("align", [[[1, 5.0], [2, 9.0], [3, 1.0]]], {"grid": 100})
    assert (times, column) == ([0, 100, 200], [5.0, 9.0, 1.0])


def test_a_gap_takes_in_the_times_that_only_other_series_have() -> None:
    silent = [*STEADY, [STEADY[-1][0] + 100 * SECOND, 9.0]]
    steady = [[i * 10 * SECOND + 1, float(i)] for i in range(16)]
    times, first, second = answer("align", [silent, steady])
    within = [value for at, value in zip(times, first, strict=True) if STEADY[-1][0] < at < silent[-1][0]]
    assert within == [None] * len(within)
    assert [value for value in second if value is not None] == [value for _, value in steady]


def test_the_nearest_value_is_found_only_close_by() -> None:
    times, column = [0, 10, 20, 30], [1.0, None, None, None]
    assert answer("nearest", times, column, 1, 10) == 0
    assert answer("nearest", times, column, 3, 10) is None
