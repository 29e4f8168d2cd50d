from typing import Any

import pytest
from httpx2 import Response

from waystation.dialects import thermostat
from waystation.telemetry import seal
from waystation.telemetry.tests.conftest import InHouse
from waystation.telemetry.tests.house import House, as_device

PATHS = ["/api/telemetry/query/", "/api/telemetry/query", "/api/telemetry/", "/api/telemetry"]
SERIAL = "SN-ESP32-THERMO-001"


async def get(house: House, path: str = PATHS[0], **asked: Any) -> Response:
    return await house.client.get(path, params=asked, headers=house.owner)


async def ids(house: House, **asked: Any) -> list[int]:
    return [row["id"] for row in (await get(house, **asked)).json()["results"]]


async def posts(house: House, count: int, *, seconds: float = 15, serial: str = SERIAL) -> list[int]:
    who = as_device(house.add_device(serial=serial))
    made = []
    for number in range(count):
        house.clock.turn(seconds)
        body = {"mode": "HEAT", "temp_inside_c": 20 + number, "setpoint_c": 22, "timestamp": "2025-11-20T22:34:00-0800"}
        made.append((await house.client.post("/api/telemetry/ingest/", json=body, headers=who)).json()["id"])
    return made


def test_one_row_has_every_field_in_the_contracts_form__TH_1(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device(serial=SERIAL))
        body = (
            '{"mode":"AUTO","temp_inside_c":25.50,"temp_outside_c":25.00,"setpoint_c":22.00,"hysteresis_c":0.50,'
            '"output":"COOL_ON","timestamp":"2025-11-20T22:34:00-0800","big":123456789012345678901234567890}'
        )
        told = (await house.client.post("/api/telemetry/ingest/", content=body, headers=who)).json()
        answer = await get(house, device_id=SERIAL)
        assert body in answer.text  # as it was sent, to the last digit
        assert answer.json()["count"] == 1
        row = answer.json()["results"][0]
        del row["raw_payload"]
        assert row == {
            "id": told["id"],
            "device_id": SERIAL,
            "mode": "AUTO",
            "temp_inside_c": 25.5,
            "temp_outside_c": 25.0,
            "setpoint_c": 22.0,
            "hysteresis_c": 0.5,
            "humidity_percent": None,
            "output": "COOL_ON",
            "device_ts": "2025-11-21T06:34:00+00:00",
            "server_ts": told["server_ts"],
        }

    in_any_house(test, thermostat.feature)


@pytest.mark.parametrize("path", PATHS)
def test_query_answers_under_all_its_paths__TH_1(in_house: InHouse, path: str) -> None:
    async def test(house: House) -> None:
        await posts(house, 2)
        assert (await get(house, path)).json()["count"] == 2

    in_house(test, thermostat.feature)


def test_a_limit_gives_the_newest_ascending__TH_13(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = await posts(house, 66)
        assert await ids(house, device_id=SERIAL, limit=3) == made[-3:]
        assert await ids(house, device_id=SERIAL) == made
        assert await ids(house, device_id=SERIAL, limit=0) == made[-1:]
        assert await ids(house, device_id=SERIAL, latest="yes", limit=3) == made[-1:]

    in_house(test, thermostat.feature)


def test_sealed_and_fresh_posts_are_one_history__TH_13(in_any_house: InHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "ENOUGH_ROWS", 1)

    async def test(house: House) -> None:
        made = await posts(house, 20)
        assert seal.seal(house.database, house.clock.now()) > 0
        made += await posts(house, 5, serial="SN-2")
        assert await ids(house, limit=10) == made[-10:]
        assert await ids(house, device_id=SERIAL, limit=1000) == made[:20]

    in_any_house(test, thermostat.feature)


def test_a_range_counts_back_from_now_and_start_and_end_override_it(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = await posts(house, 10, seconds=3600)  # at 13:00 … 22:00
        assert await ids(house, range="2.5h") == made[-3:]
        assert await ids(house, range="1d") == made
        assert await ids(house, start="2026-01-01T20:30:00", range="1h", limit=1) == made[-2:]
        assert await ids(house, end="2026-01-01T14:30:00+01:00") == made[:1]
        between = {"start": "2026-01-01T14:30:00Z", "end": "2026-01-01T16:30:00Z"}
        assert await ids(house, **between) == made[2:4]
        assert await ids(house, **between, latest="1") == made[3:4]

    in_any_house(test, thermostat.feature)


@pytest.mark.parametrize(
    ("asked", "detail"),
    [
        ({"device_id": "SN-nobody"}, "Device not found or not owned"),
        ({"range": "week"}, "Invalid 'range' format, use like '24h' or '7d'"),
        ({"range": "9999999999h"}, "Invalid 'range' format, use like '24h' or '7d'"),
        ({"start": "yesterday"}, "Invalid 'start' datetime"),
        ({"end": "2026-13-01"}, "Invalid 'end' datetime"),
        ({"limit": "many"}, "Invalid 'limit', must be an integer"),
        ({"limit": "9" * 5000}, "Invalid 'limit', must be an integer"),
    ],
)
def test_a_wrong_question_is_400_with_the_contracts_text__TH_21(
    in_house: InHouse, asked: dict[str, str], detail: str
) -> None:
    async def test(house: House) -> None:
        answer = await get(house, **asked)
        assert (answer.status_code, answer.json()["detail"]) == (400, detail)

    in_house(test, thermostat.feature)


@pytest.mark.parametrize(
    "asked", [{"range": "9999999d"}, {"end": "9999-12-31T23:59:59Z"}, {"start": "0001-01-01T00:00"}]
)
def test_an_absurd_range_is_everything__TH_7(in_house: InHouse, asked: dict[str, str]) -> None:
    async def test(house: House) -> None:
        made = await posts(house, 2)
        assert await ids(house, **asked) == made

    in_house(test, thermostat.feature)


@pytest.mark.parametrize("path", ["/api/telemetry/query/", "/api/telemetry/recent/"])
def test_nobody_gets_401_in_json(in_house: InHouse, path: str) -> None:
    async def test(house: House) -> None:
        for headers in ({}, house.stranger):
            answer = await house.client.get(path, headers=headers)
            assert (answer.status_code, answer.json()["detail"]) == (401, "Authentication required")

    in_house(test, thermostat.feature)


def test_recent_is_newest_first_with_the_time_as_sent(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        await posts(house, 2, serial="SN-OLD")
        made = await posts(house, 25)
        answer = (await get(house, "/api/telemetry/recent/")).json()  # of the device that was active last
        assert (answer["count"], answer["device_id"]) == (20, SERIAL)
        assert [row["id"] for row in answer["data"]] == made[:4:-1]
        assert "raw_payload" not in answer["data"][0]
        assert answer["data"][0]["device_ts"] == "2025-11-20T22:34:00-0800"
        assert answer["data"][0]["device_ts_utc"] == "2025-11-21T06:34:00+00:00"
        assert (await get(house, "/api/telemetry/recent", device_id="SN-OLD", limit=1)).json()["count"] == 1

    in_any_house(test, thermostat.feature)


def test_recent_of_an_unknown_device_is_404(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        for asked in ({}, {"device_id": "SN-nobody"}):
            answer = await get(house, "/api/telemetry/recent/", **asked)
            assert (answer.status_code, answer.json()["detail"]) == (404, "Device not found or not owned")

    in_house(test, thermostat.feature)


def test_a_native_metric_of_the_same_name_is_no_post(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device(serial=SERIAL))
        await house.client.post("/api/readings", json={"values": {"raw_payload": "hello"}}, headers=who)
        assert (await get(house, device_id=SERIAL)).json() == {"count": 0, "results": []}

    in_house(test, thermostat.feature)
