"""What a chart shows as a state: through the address and back, zoomed, moved, and asked of the hub."""

from typing import Any
from urllib.parse import parse_qs

import pytest

from waystation.web.tests.node import in_node

DAY = 86_400_000
NOW = 1_800_000_000_000
USUAL = {
    "series": [],
    "range": "24h",
    "from": 0,
    "to": 0,
    "show": "points",
    "bucket": "auto",
    "zone": "",
    "compare": "",
}


def answer(name: str, *given: Any, module: str = "chart_state.js") -> Any:
    return in_node(module, [[name, *given]])[0]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"series": ["ab12cd34:t_c", "ab12cd34:a:b.c-d"], "range": "7d"},
        {"range": "5400s", "show": "band", "bucket": "week", "zone": "Asia/Kolkata", "compare": "364d"},
        {"range": "", "from": NOW - DAY, "to": NOW - 1},
    ],
)
def test_a_state_survives_the_address(more: dict[str, Any]) -> None:
    state = USUAL | more
    assert answer("parse", answer("queryOf", state)) == state


@pytest.mark.parametrize(
    "query",
    [
        "",
        "range=3y&show=all&bucket=second&compare=9d&tz=Mars/Olympus&series=&series=nocolon",
        "from=tomorrow&to=yesterday",
        "from=2026-02-02&to=2026-02-01",
        "range=constructor&show=toString&compare=__proto__",
    ],
)
def test_what_is_wrong_in_an_address_is_as_usual(query: str) -> None:
    assert answer("parse", query) == USUAL


def test_a_part_too_short_to_see_and_one_behind_now_are_not_shown() -> None:
    short = answer("moved", USUAL, [NOW - 5000, NOW - 5000], NOW)
    assert short["to"] - short["from"] == 10_000
    late = answer("moved", USUAL, [NOW, NOW + DAY], NOW)
    assert (late["from"], late["to"]) == (NOW - DAY, NOW)


def test_zooming_keeps_the_time_under_the_cursor_where_it_is() -> None:
    at = NOW - DAY // 4
    state = answer("zoomed", USUAL, 0.5, NOW, at)
    assert state["to"] - state["from"] == DAY / 2
    assert (at - state["from"]) / (DAY / 2) == pytest.approx(0.75)


def test_a_chart_that_follows_goes_on_following_when_it_is_zoomed() -> None:
    assert answer("zoomed", USUAL, 0.25, NOW)["range"] == "6h"
    assert answer("zoomed", USUAL, 0.5, NOW)["range"] == "43200s"
    assert answer("panned", USUAL, -0.5, NOW)["range"] == ""


def test_never_more_than_a_thousand_points_are_asked_for() -> None:
    points = [answer("bucketFor", wished, days * DAY) for wished, days in (("hour", 40), ("hour", 42), ("day", 4000))]
    assert points == ["hour", "day", "week"]
    asked = in_node("chart_state.js", [["queryOf", USUAL | {"series": ["k:m"]}]])
    assert parse_qs(asked[0])["series"] == ["k:m"]


def test_fingers_hold_the_times_that_they_touch() -> None:
    assert answer("spanUnder", [100, 200], [0.25, 0.75], module="chart_gestures.js") == [50, 250]
    assert answer("spanUnder", [100, 200], [0.0, 1.0], module="chart_gestures.js") == [100, 200]


def test_equal_states_are_one_stretch_and_the_last_lasts_an_hour_at_most() -> None:
    runs = answer("stretches", [[0, "a"], [10, "a"], [20, "b"]], 10_000_000, module="chart_strips.js")
    assert runs == [[0, 20, "a"], [20, 3_600_020, "b"]]
    assert answer("stretches", [[0, True]], 50, module="chart_strips.js") == [[0, 50, True]]
