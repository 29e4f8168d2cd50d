from typing import Any

import pytest
from httpx2 import Response

from waystation import devices
from waystation.homes.store import add_home
from waystation.telemetry import seal
from waystation.telemetry.tests.conftest import InHouse
from waystation.telemetry.tests.house import NOON_MS, OWNER, House, as_device


async def get(house: House, path: str = "/api/readings", **asked: Any) -> Response:
    return await house.client.get(path, params=asked, headers=house.owner)


async def fill(house: House, readings: list[dict[str, Any]], name: str = "Kitchen") -> str:
    made = house.add_device(name)
    answer = await house.client.post("/api/readings", json=readings, headers=as_device(made))
    assert answer.status_code == 200
    return made.key


def ramp(count: int) -> list[dict[str, Any]]:
    return [{"at": NOON_MS - 1000 * (count - n), "values": {"t": n, "on": n % 2 == 0}} for n in range(count)]


def test_history_of_named_metrics_over_the_last_hour(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house, [{"at": NOON_MS + 0.123, "values": {"t": 1.5, "on": True, "mode": "A"}}])
        house.clock.turn(60)
        whole = (await get(house, device=key)).json()["series"]
        at = NOON_MS + 0.123
        assert whole == [
            {"device": key, "metric": "mode", "kind": "text", "points": [[at, "A"]]},
            {"device": key, "metric": "on", "kind": "boolean", "points": [[at, True]]},
            {"device": key, "metric": "t", "kind": "number", "points": [[at, 1.5]]},
        ]
        assert [one["metric"] for one in (await get(house, device=key, metric="t,on")).json()["series"]] == ["on", "t"]
        both = await house.client.get(f"/api/readings/?device={key}&metric=t&metric=mode", headers=house.owner)
        assert [one["metric"] for one in both.json()["series"]] == ["mode", "t"]
        house.clock.turn(3600)
        assert [one["points"] for one in (await get(house, device=key)).json()["series"]] == [[], [], []]

    in_any_house(test)


def test_never_more_points_than_asked_for_and_the_extremes_are_kept(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house, ramp(2000))
        points = (await get(house, device=key, metric="t", points=100)).json()["series"][0]["points"]
        assert len(points) <= 100
        assert (points[0][1], points[-1][1]) == (0.0, 1999.0)

    in_any_house(test)


@pytest.mark.parametrize(
    "span",
    [
        {"from": "2026-01-01T11:59:50Z", "to": "2026-01-01T11:59:54Z"},
        {"from": "2026-01-01T12:59:50+01:00", "to": "2026-01-01T12:59:54 01:00"},
        {"from": NOON_MS - 10_000, "to": f"{NOON_MS - 6000}.0"},
        {"from": "-10s", "to": "-6s"},
        {"from": "-10000ms", "to": "-0.1m"},
    ],
)
def test_a_range_is_iso_epoch_milliseconds_or_relative(in_house: InHouse, span: dict[str, Any]) -> None:
    async def test(house: House) -> None:
        key = await fill(house, ramp(60))
        points = (await get(house, device=key, metric="t", **span)).json()["series"][0]["points"]
        assert [value for _, value in points] == [50, 51, 52, 53, 54]

    in_house(test)


def test_raw_readings_come_page_by_page_each_once(in_any_house: InHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "ENOUGH_ROWS", 1)

    async def test(house: House) -> None:
        key = await fill(house, ramp(50))
        seal.seal(house.database, house.clock.now())
        found: list[tuple[str, float, Any]] = []
        cursor = ""
        while cursor is not None:
            page = (await get(house, device=key, resolution="raw", limit=7, cursor=cursor)).json()
            points = [(one["metric"], *point) for one in page["series"] for point in one["points"]]
            assert len(points) <= 7
            found += points
            cursor = page["next"]
        assert len(found) == len(set(found)) == 100

    in_any_house(test)


def test_last_values_of_one_device_and_of_all(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        first = await fill(house, ramp(3))
        second = await fill(house, [{"values": {"mode": "AUTO"}}], "Hall")
        one = (await get(house, "/api/last-values", device=first)).json()["values"]
        assert one == [
            {"device": first, "metric": "on", "kind": "boolean", "at": NOON_MS - 1000, "value": True},
            {"device": first, "metric": "t", "kind": "number", "at": NOON_MS - 1000, "value": 2.0},
        ]
        everything = (await get(house, "/api/last-values/")).json()["values"]
        assert [(value["device"], value["metric"]) for value in everything] == [
            (first, "on"),
            (first, "t"),
            (second, "mode"),
        ]

    in_any_house(test)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "say which devices"),
        ({"device": "KEY", "from": "soon"}, "`from`: 'soon' is not an ISO 8601 time"),
        ({"device": "KEY", "from": "-1h", "to": "-2h"}, "`from` is later than `to`"),
        ({"device": "KEY", "resolution": "raw", "cursor": "x"}, "cursor"),
    ],
)
def test_a_wrong_question_is_400_and_says_why(in_house: InHouse, asked: dict[str, Any], words: str) -> None:
    async def test(house: House) -> None:
        key = await fill(house, ramp(3))
        answer = await get(house, **{name: key if value == "KEY" else value for name, value in asked.items()})
        assert answer.status_code == 400
        assert words in answer.json()["detail"]

    in_house(test)


@pytest.mark.parametrize("asked", [{"points": 0}, {"points": 10_001}, {"limit": "x"}, {"resolution": "hour"}])
def test_a_number_out_of_bounds_is_422(in_house: InHouse, asked: dict[str, Any]) -> None:
    async def test(house: House) -> None:
        assert (await get(house, device=await fill(house, ramp(3)), **asked)).status_code == 422

    in_house(test)


@pytest.mark.parametrize("span", [{"from": "0001-01-01T00:00Z"}, {"to": "9999-12-31T00:00Z"}, {"from": "-99999999w"}])
def test_an_absurd_range_is_no_fault_of_ours__G_10(in_any_house: InHouse, span: dict[str, str]) -> None:
    async def test(house: House) -> None:
        key = await fill(house, ramp(3))
        assert len((await get(house, device=key, metric="t", **span)).json()["series"][0]["points"]) == 3

    in_any_house(test)


@pytest.mark.parametrize("path", ["/api/readings", "/api/last-values", "/api/live"])
def test_strangers_and_devices_see_nothing__G_13(in_house: InHouse, path: str) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        for headers in ({}, house.stranger, as_device(made), {"authorization": f"Bearer {made.api_key}"}):
            answer = await house.client.get(path, params={"device": made.key}, headers=headers)
            assert answer.status_code == 401

    in_house(test)


@pytest.mark.parametrize(
    ("path", "name"), [("/api/readings", "device"), ("/api/last-values", "device"), ("/api/live", "devices")]
)
def test_a_foreign_device_looks_like_an_unknown_one__G_13(in_any_house: InHouse, path: str, name: str) -> None:
    async def test(house: House) -> None:
        with house.database.write() as tx:
            other = add_home(tx, "Next door", house.clock.now())
            foreign = devices.register(tx, OWNER, other.id, house.clock.now(), name="Theirs")
        for key in (foreign.key, "aaaaaaaa", "*", "x" * 300):
            assert (await get(house, path, **{name: key})).status_code == 404

    in_any_house(test)


def test_a_deleted_device_takes_its_history_along(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device("Kitchen")
        await house.client.post("/api/readings", json={"values": {"a": 1}}, headers=as_device(made))
        device = house.device(made)
        with house.database.write() as tx:
            devices.delete(tx, OWNER, device, house.clock.now(), typed_name="Kitchen")
        assert (await get(house, device=made.key)).status_code == 404
        assert house.rows() == []

    in_any_house(test)
