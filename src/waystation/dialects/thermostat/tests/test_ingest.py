import asyncio
from typing import Any

import pytest
from httpx2 import Response

from waystation.dialects import thermostat
from waystation.kernel.errors import DomainError
from waystation.telemetry.tests.conftest import InHouse
from waystation.telemetry.tests.house import House, as_device

PATH = "/api/telemetry/ingest/"
G3 = (
    b'{"mode":"AUTO","temp_inside_c":25.50,"temp_outside_c":25.00,"setpoint_c":22.00,"hysteresis_c":0.50,'
    b'"output":"COOL_ON","timestamp":"2025-11-20T22:34:00-0800","device_ip":"192.168.1.50"}'
)
GOOD = {"mode": "AUTO", "temp_inside_c": 25.5, "setpoint_c": 22.0}


async def post(house: House, body: Any, headers: dict[str, str], path: str = PATH) -> Response:
    given = {"content": body} if isinstance(body, bytes) else {"json": body}
    return await house.client.post(path, headers=headers, **given)


def test_a_firmware_post_is_answered_200_with_status_id_and_server_ts__TH_2(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device(serial="SN-ESP32-THERMO-001"))
        answer = await post(house, G3, {**who, "user-agent": "ESP32 HTTP Client/1.0"})
        assert answer.status_code == 200
        told = answer.json()
        assert list(told) == ["status", "id", "server_ts"]
        assert told["status"] == "ok"
        assert told["server_ts"].startswith("2026-01-01T12:00:00.0000")
        assert told["server_ts"].endswith("+00:00")
        assert 0 < told["id"] < 2**53
        assert len(answer.content) < 1024  # G-5
        assert int(answer.headers["content-length"]) == len(answer.content)

    in_house(test, thermostat.feature)


def test_every_field_becomes_a_metric_and_the_body_is_kept__TH_8(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        await post(house, G3, as_device(house.add_device()))
        stored = dict(house.rows())
        assert stored == {
            "temp_inside_c": 25.5,
            "temp_outside_c": 25.0,
            "setpoint_c": 22.0,
            "hysteresis_c": 0.5,
            "mode": "AUTO",
            "output": "COOL_ON",
            "device_ts": "2025-11-20T22:34:00-0800",
            "raw_payload": G3.decode(),
        }

    in_any_house(test, thermostat.feature)


def test_both_slash_forms_answer_directly__TH_1(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device())
        for path in (PATH, PATH.rstrip("/")):
            assert (await post(house, GOOD, who, path)).status_code == 200

    in_house(test, thermostat.feature)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
def test_other_methods_are_405_and_say_which_is_allowed__TH_1(in_house: InHouse, method: str) -> None:
    async def test(house: House) -> None:
        answer = await house.client.request(method, PATH)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"

    in_house(test, thermostat.feature)


@pytest.mark.parametrize(
    ("authorization", "detail"),
    [
        (None, "Missing or invalid Authorization header"),
        ("Bearer x", "Missing or invalid Authorization header"),
        ("Basic eDp5", "Missing or invalid Authorization header"),
        ("Device", "Missing or invalid Authorization header"),
        ("Device nocolon", "Invalid device credentials format"),
        ("Device :k", "Invalid device credentials format"),
        ("Device s:", "Invalid device credentials format"),
    ],
)
def test_absent_and_malformed_credentials_are_401__TH_4(in_house: InHouse, authorization: str, detail: str) -> None:
    async def test(house: House) -> None:
        headers = {} if authorization is None else {"authorization": authorization}
        answer = await post(house, GOOD, headers)
        assert (answer.status_code, answer.json()) == (401, {"detail": detail})

    in_house(test, thermostat.feature)


def test_a_bearer_key_that_opened_the_native_door_is_still_malformed_here__TH_4(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = {"authorization": f"Bearer {house.add_device().api_key}"}
        assert (await house.client.post("/api/readings", json={"values": {"a": 1}}, headers=who)).status_code == 200
        assert (await post(house, GOOD, who)).status_code == 401

    in_house(test, thermostat.feature)


def test_every_wrong_credential_gets_one_and_the_same_403__TH_4(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made, revoked = house.add_device(serial="SN-1"), house.add_device(serial="SN-2")
        house.revoke(revoked)
        wrong = [
            "Device SN-1:wrong",
            f"Device SN-9:{made.api_key}",
            f"Device SN-2:{revoked.api_key}",
            "Device SN-9:x:y",
        ]
        answers = [await post(house, GOOD, {"authorization": who}) for who in wrong]
        assert {(a.status_code, a.text) for a in answers} == {(403, '{"detail":"Invalid device credentials"}')}

    in_house(test, thermostat.feature)


def test_invented_headers_prove_nothing__TH_5(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        invented = {"x-device-key": made.api_key, "x-api-key": made.api_key, "x-forwarded-for": "10.0.0.1"}
        assert (await post(house, GOOD, invented)).status_code == 401

    in_house(test, thermostat.feature)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "Invalid JSON: "),
        (b'{"mode":"AUTO","temp_inside_c":nan,"setpoint_c":22.00}', "Invalid JSON: "),
        (b'{"mode":"AUTO","temp_inside_c":NaN,"setpoint_c":22.00}', "Invalid JSON: "),
        (b'{"mode":"AUTO","temp_inside_c":1e999,"setpoint_c":22.00}', "Invalid JSON: "),
        (b"\xff\xfe", "Invalid JSON: "),
        (b"[" * 10_000, "Invalid JSON: "),
        (b"{}", "Missing required fields: mode, setpoint_c, temp_inside_c"),
        (b"[1,2]", "Missing required fields: mode, setpoint_c, temp_inside_c"),
        (b'{"mode":"AUTO"}', "Missing required fields: setpoint_c, temp_inside_c"),
        ({**GOOD, "setpoint_c": "abc"}, "setpoint_c is not a number"),
        ({**GOOD, "setpoint_c": None}, "setpoint_c is not a number"),
        ({**GOOD, "temp_inside_c": True}, "temp_inside_c is not a number"),
        ({**GOOD, "temp_inside_c": [21]}, "temp_inside_c is not a number"),
        ({**GOOD, "humidity_percent": 10**400}, "humidity_percent is not finite"),
        ({**GOOD, "mode": "M" * 17}, "mode has more than 16 characters"),
        ({**GOOD, "mode": 7}, "mode is not text"),
        ({**GOOD, "mode": "A\x00"}, "mode is not text"),
        ({**GOOD, "output": "O" * 65}, "output has more than 64 characters"),
    ],
)
def test_a_bad_body_is_400_in_json_and_nothing_is_stored__TH_7__TH_21(
    in_house: InHouse, body: Any, detail: str
) -> None:
    async def test(house: House) -> None:
        answer = await post(house, body, as_device(house.add_device()))
        assert answer.status_code == 400
        assert list(answer.json()) == ["detail"]
        assert answer.json()["detail"].startswith(detail)
        assert house.rows() == []

    in_house(test, thermostat.feature)


@pytest.mark.parametrize(
    "odd",
    [
        {"timestamp": "2025-13-45T00:00:00Z"},
        {"timestamp": "yesterday"},
        {"timestamp": 17},
        {"timestamp": "2025-01-01T00:00:00" + "0" * 100},
        {"device_ip": "not-an-ip"},
        {"temp_outside_c": None},
        {"unknown": {"deep": [1, 2, {"x": None}]}},
    ],
)
def test_an_unreadable_time_or_address_does_not_cost_the_sample__TH_7(in_house: InHouse, odd: dict[str, Any]) -> None:
    async def test(house: House) -> None:
        answer = await post(house, {**GOOD, **odd}, as_device(house.add_device()))
        assert answer.status_code == 200
        assert "device_ts" not in dict(house.rows())

    in_house(test, thermostat.feature)


def test_a_body_over_16_kib_is_413__TH_8(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        answer = await post(house, {**GOOD, "note": "x" * 16_384}, as_device(house.add_device()))
        assert answer.status_code == 413
        assert list(answer.json()) == ["detail"]

    in_house(test, thermostat.feature)


def test_every_accepted_post_has_its_own_ascending_id__TH_12(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device())
        ids = [(await post(house, G3, who)).json()["id"] for _ in range(30)]
        ids += [answer.json()["id"] for answer in await asyncio.gather(*(post(house, G3, who) for _ in range(30)))]
        assert ids == sorted(set(ids))

    in_any_house(test, thermostat.feature)


def test_one_device_over_its_rate_is_429_and_others_are_not__TH_5(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        busy, calm = as_device(house.add_device()), as_device(house.add_device("Hall"))
        answers = [await post(house, GOOD, busy) for _ in range(61)]
        assert [answer.status_code for answer in answers] == [200] * 60 + [429]
        assert answers[-1].json() == {
            "error": "rate_limit_exceeded",
            "message": "Too many requests. Please try again later.",
        }
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert (await post(house, GOOD, calm)).status_code == 200

    in_house(test, thermostat.feature, ingest_per_minute=60)


def test_a_wrong_key_does_not_use_up_the_real_devices_budget__TH_5(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device(serial="SN-1")
        wrong = [await post(house, GOOD, {"authorization": "Device SN-1:wrong"}) for _ in range(5)]
        assert {answer.status_code for answer in wrong} == {403}
        assert (await post(house, GOOD, as_device(made))).status_code == 200

    in_house(test, thermostat.feature, ingest_per_minute=1)


def test_a_full_disk_is_507_before_the_body_is_read__TH_6(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device())
        house.ingest.space._min_free_bytes = 1 << 62
        answer = await post(house, b"broken", who)
        assert answer.status_code == 507
        assert answer.json()["code"] == "STORAGE_FULL"
        assert answer.json()["status"] == "error"
        house.ingest.space._min_free_bytes = 0
        assert (await post(house, GOOD, who)).status_code == 200

    in_house(test, thermostat.feature)


def test_last_seen_and_address_are_written_with_the_sample__TH_23(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        answer = await post(house, GOOD, as_device(made))
        device = house.device(made)
        assert device.last_seen_at is not None
        assert device.last_seen_at.isoformat(timespec="microseconds") == answer.json()["server_ts"]
        assert device.last_ip == "192.0.2.7"

    in_any_house(test, thermostat.feature)


def test_a_loose_sensor_is_counted_and_shown_and_not_shut_out__TH_7(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        bad = b'{"mode":"AUTO","temp_inside_c":nan,"setpoint_c":22.00}'
        assert {(await post(house, bad, as_device(made))).status_code for _ in range(100)} == {400}
        assert "Invalid JSON" in house.ingest.faults[made.key].sentence
        assert (await post(house, GOOD, as_device(made))).status_code == 200

    in_house(test, thermostat.feature)


def test_a_fault_of_ours_is_json_without_a_trace__TH_21(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        async def broken(*_: Any, **__: Any) -> None:
            raise DomainError("out of order")

        house.ingest.put = broken  # type: ignore[method-assign,assignment]
        answer = await post(house, GOOD, as_device(house.add_device()))
        assert answer.json() == {"detail": "out of order"}

    in_house(test, thermostat.feature)
