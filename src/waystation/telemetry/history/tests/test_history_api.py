"""GET /api/history: forms of the question, pages, comparisons, and a sentence for everything that is wrong."""

from typing import Any

import pytest
from httpx2 import Response

from waystation.telemetry import seal
from waystation.telemetry.history import api
from waystation.telemetry.tests.conftest import InHouse, in_any_house, in_house
from waystation.telemetry.tests.house import NOON_MS, House, as_device

__all__ = ["in_any_house", "in_house"]

HOUR_MS = 3_600_000


async def ask(house: House, **asked: Any) -> Response:
    return await house.client.get("/api/history", params=asked, headers=house.owner)


async def fill(house: House) -> str:
    """Two days by the quarter of an hour, up to noon."""
    made = house.add_device()
    readings = [
        {"at": NOON_MS - n * HOUR_MS // 4, "values": {"t": n % 4, "on": n % 4 == 0, "mode": "heat" if n % 8 else "off"}}
        for n in range(192)
    ]
    answer = await house.client.post("/api/readings", json=readings, headers=as_device(made))
    assert answer.status_code == 200
    seal.seal(house.database, house.clock.now())
    return made.key


def test_points_of_named_series_in_the_order_they_were_named(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        body = (await ask(house, series=[f"{key}:t", f"{key}:mode", f"{key}:unheard"], **{"from": "-1h"})).json()
        assert [one["metric"] for one in body["series"]] == ["t", "mode"]
        assert body["series"][0]["at"] == [NOON_MS - n * HOUR_MS / 4 for n in range(4, -1, -1)]
        assert body["series"][0]["value"] == [0, 3, 2, 1, 0]
        assert body["series"][1]["value"] == ["heat"] * 4 + ["off"]
        assert (body["next"], body["bucket"]) == (None, None)

    in_any_house(test)


def test_aggregates_by_hour_for_every_kind(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        asked = {
            "device": key,
            "bucket": "hour",
            "from": "-2h",
            "to": "-1ms",
            "aggregate": ",".join(api.read.AGGREGATES),
        }
        mode, on, t = (await ask(house, **asked)).json()["series"]
        assert t["at"] == [NOON_MS - 2 * HOUR_MS, NOON_MS - HOUR_MS]
        assert (t["min"], t["max"], t["mean"], t["sum"], t["count"]) == ([0, 0], [3, 3], [1.5, 1.5], [6, 6], [4, 4])
        assert (t["first"], t["last"]) == ([0, 0], [1, 1])
        assert t["time_mean"] == pytest.approx([1.5, 1.5], rel=1e-5)
        assert t["rate"] == pytest.approx([6 / 3600, 6 / 3600], rel=1e-5)
        assert on["states"]["true"] == pytest.approx([900, 900], abs=0.01)
        assert mode["states"]["off"] == pytest.approx([900, 0], abs=0.01)
        assert set(mode) == {"device", "metric", "kind", "unit", "shift", "at", "count", "first", "last", "states"}

    in_any_house(test)


def test_pages_of_buckets_and_of_series_are_the_whole(in_house: InHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        for asked in ({"bucket": "hour", "aggregate": "count"}, {"points": 10}):
            question: dict[str, Any] = {"device": key, "from": "-40h", **asked}
            whole = {one["metric"]: one for one in (await ask(house, **question)).json()["series"]}
            monkeypatch.setattr(api, "MOST_NUMBERS", 15)
            found: dict[str, list[float]] = {}
            cursor, pages = "", 0
            while cursor is not None:
                body = (await ask(house, **question, cursor=cursor)).json()
                for one in body["series"]:
                    found.setdefault(one["metric"], []).extend(one["at"])
                cursor, pages = body["next"], pages + 1
            monkeypatch.undo()
            assert pages > 2
            assert found == {metric: one["at"] for metric, one in whole.items()}

    in_house(test)


def test_the_same_a_day_earlier_lies_over_today(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        for asked in ({"bucket": "6h"}, {"points": 50}):
            today, before = (await ask(house, series=f"{key}:t", compare="1d", **asked, **{"from": "-12h"})).json()[
                "series"
            ]
            assert (today["shift"], before["shift"]) == (0, 86400)
            assert before["at"][0] == today["at"][0]

    in_any_house(test)


def test_empty_buckets_are_left_out_or_null(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        house.clock.turn(86400)
        asked = {"series": f"{key}:t", "bucket": "12h", "aggregate": "count,mean"}
        [one] = (await ask(house, **asked)).json()["series"]
        assert one["count"] == [1]
        [one] = (await ask(house, **asked, empty="null")).json()["series"]
        assert one["count"] == [1, 0, 0]
        assert one["mean"] == [0, None, None]

    in_house(test)


@pytest.mark.parametrize(
    "wrong",
    [
        {"series": "x"},
        {"series": ":t"},
        {"bucket": "0"},
        {"bucket": "fortnight"},
        {"bucket": "99999999999"},
        {"tz": "Mars/Olympus"},
        {"aggregate": "median"},
        {"hold": "-1"},
        {"hold": "1" * 5000},
        {"compare": "week"},
        {"compare": ["1d"] * 5},
        {"cursor": "z"},
        {"from": "now", "to": "-1h"},
        {"from": "2026-13-01"},
        {"points": "1"},
        {"points": "NaN"},
        {"empty": "yes"},
    ],
)
def test_what_is_wrong_is_said(in_house: InHouse, wrong: dict[str, Any]) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        answer = await ask(house, **{"device": made.key, **wrong})
        assert answer.status_code in {400, 422}
        assert next(iter(wrong)).removeprefix("from") in answer.json()["detail"]

    in_house(test)


def test_nothing_named_unknown_and_foreign(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        assert (await ask(house)).status_code == 400
        assert (await ask(house, series="aaaaaaaa:t")).status_code == 404
        assert (await house.client.get("/api/history", headers=house.stranger)).status_code == 401

    in_house(test)
