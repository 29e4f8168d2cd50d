"""Posts that are repeated by a key, loose sensors, two boards with one serial, the flood guard, the first firmware."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response
from tests.site import standing_site

from waystation import devices
from waystation.dialects import thermostat
from waystation.dialects.thermostat import hot, legacy, oddities, repeats, store
from waystation.kernel.errors import Invalid
from waystation.kernel.limits import Rate
from waystation.telemetry import seal
from waystation.telemetry.tests.conftest import InHouse
from waystation.telemetry.tests.house import OWNER, House, as_device

GOOD = {"mode": "AUTO", "temp_inside_c": 25.5, "setpoint_c": 22.0}
LOOSE = b'{"mode":"AUTO","temp_inside_c":nan,"setpoint_c":22.00}'
G1 = {**GOOD, "device_id": "esp32-thermostat-1"}
SHARED = {"thermostat_shared_key": "one-key-for-all", "thermostat_shared_devices": "esp32-thermostat-1=SN-1, hall=SN-2"}
KEY = {"x-api-key": "one-key-for-all"}


async def post(house: House, body: Any, headers: Mapping[str, str], path: str = "/api/telemetry/ingest/") -> Response:
    content = {"content": body} if isinstance(body, bytes) else {"json": body}
    return await house.client.post(path, headers=headers, **content)


async def ids(house: House) -> list[int]:
    answer = await house.client.get("/api/telemetry/query/?limit=1000", headers=house.owner)
    return [row["id"] for row in answer.json()["results"]]


def odd(house: House, device_id: int) -> dict[str, Any]:
    oddities.write_down(house.parts)
    with house.database.read() as tx:
        good = oddities.last_good(tx, [device_id]).get(device_id)
        return oddities.notices(store.oddities(tx, [device_id]).get(device_id), good, house.clock.now())


def test_a_post_that_is_repeated_with_its_key_is_stored_once_and_answered_alike__TH_12(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device())
        first = await post(house, GOOD, {**who, "idempotency-key": "a"})
        house.clock.turn(20)
        again = [await post(house, GOOD, {**who, "idempotency-key": "a"}) for _ in range(3)]
        assert {(answer.status_code, answer.text) for answer in again} == {(200, first.text)}
        assert await ids(house) == [first.json()["id"]]
        other = await post(house, GOOD, {**who, "idempotency-key": "b"})
        assert await ids(house) == [first.json()["id"], other.json()["id"]]

    in_any_house(test, thermostat.feature)


def test_repeats_at_once_and_after_sealing_are_one_sample__TH_12(
    in_any_house: InHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "ENOUGH_ROWS", 1)

    async def test(house: House) -> None:
        who = {**as_device(house.add_device()), "idempotency-key": "a"}
        answers = await asyncio.gather(*(post(house, GOOD, who) for _ in range(10)))
        (made,) = {answer.json()["id"] for answer in answers}
        seal.seal(house.database, house.clock.now())
        assert (await post(house, GOOD, who)).json()["id"] == made
        assert await ids(house) == [made]

    in_any_house(test, thermostat.feature)


def test_a_key_belongs_to_one_device_and_one_body__TH_12(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        one, two = ({**as_device(house.add_device()), "idempotency-key": "a"} for _ in range(2))
        made = {(await post(house, GOOD, who)).json()["id"] for who in (one, two)}
        assert set(await ids(house)) == made
        answer = await post(house, {**GOOD, "temp_inside_c": 1}, one)
        assert answer.status_code == 409
        assert "another body" in answer.json()["detail"]
        assert (await post(house, GOOD, {**one, "idempotency-key": "x" * 129})).status_code == 400
        assert len(await ids(house)) == len(made)

    in_house(test, thermostat.feature)


def test_posts_with_keys_in_one_moment_have_ids_of_their_own__TH_12(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device())
        made = [(await post(house, GOOD, {**who, "idempotency-key": str(n)})).json()["id"] for n in range(20)]
        assert len(set(made)) == 20
        assert await ids(house) == sorted(made)

    in_any_house(test, thermostat.feature)


def test_keys_are_forgotten_after_two_days(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = {**as_device(house.add_device()), "idempotency-key": "a"}
        await post(house, GOOD, who)
        for days, forgotten in ((1, 0), (2, 1), (1, 0)):
            house.clock.turn(days * 86_400)
            with house.database.write() as tx:
                assert repeats.forget_posts(tx, house.clock.now()) == forgotten

    in_any_house(test, thermostat.feature)


def test_nan_bodies_in_a_row_are_counted_and_shown_as_a_sensor_fault__TH_7(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        who, device_id = as_device(made), house.device(made).id
        await post(house, GOOD, who)
        assert odd(house, device_id) == {}
        for _ in range(4):
            house.clock.turn(15)
            assert (await post(house, LOOSE, who)).status_code == 400
        told = odd(house, device_id)["sensor_fault"]
        assert told == {"count": 4, "since": "2026-01-01T12:00:15+00:00", "last": "2026-01-01T12:01:00+00:00"}
        await post(house, b"{", who)
        assert odd(house, device_id)["sensor_fault"]["count"] == 4
        house.clock.turn(15)
        await post(house, LOOSE, who)
        assert odd(house, device_id)["sensor_fault"]["count"] == 5
        house.clock.turn(15)
        assert (await post(house, GOOD, who)).status_code == 200
        assert odd(house, device_id) == {}
        house.clock.turn(15)
        await post(house, LOOSE, who)
        assert odd(house, device_id)["sensor_fault"]["count"] == 1

    in_any_house(test, thermostat.feature)


def test_two_boards_with_one_serial_are_told_apart_by_where_they_post_from(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        who, device_id = as_device(made), house.device(made).id
        for number in range(6):
            house.clock.turn(7)
            await post(house, {**GOOD, "device_ip": f"192.168.1.{50 + number % 2}"}, who)
        told = odd(house, device_id)["two_addresses"]
        assert told["addresses"] == ["192.168.1.50", "192.168.1.51"]
        house.clock.turn(86_401)
        assert odd(house, device_id) == {}

    in_any_house(test, thermostat.feature)


def test_a_device_that_moves_to_another_address_is_in_order(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        who, device_id = as_device(made), house.device(made).id
        for address in ("192.168.1.50", "192.168.1.50", "192.168.1.51", "192.168.1.51", "192.168.1.50", "not-an-ip"):
            house.clock.turn(3600)
            await post(house, {**GOOD, "device_ip": address}, who)
        assert odd(house, device_id) == {}

    in_house(test, thermostat.feature)


def test_oddities_of_a_deleted_device_are_nobodys(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        device_id = house.device(made).id
        await post(house, LOOSE, as_device(made))
        with house.database.write() as tx:
            tx.connection.exec_driver_sql(f"delete from device where id = {device_id}")
        assert odd(house, device_id) == {}

    in_house(test, thermostat.feature)


def test_fifteen_devices_behind_one_address_are_never_stopped__TH_5(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        devices = [as_device(house.add_device(f"Room {number}")) for number in range(15)]
        for _ in range(40):
            house.clock.turn(15)
            assert {(await post(house, GOOD, who)).status_code for who in devices} == {200}

    in_house(test, thermostat.feature, ingest_per_minute=60)


def test_a_flood_of_wrong_keys_is_429_and_stops_no_device_that_is_known__TH_5(
    in_house: InHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot, "FLOOD", Rate(per_minute=1, burst=100))

    async def test(house: House) -> None:
        who = as_device(house.add_device())
        assert (await post(house, GOOD, who)).status_code == 200
        wrong = [await post(house, GOOD, {"authorization": f"Device SN:{number}"}) for number in range(101)]
        assert [answer.status_code for answer in wrong] == [403] * 99 + [429] * 2
        assert wrong[-1].json()["error"] == "rate_limit_exceeded"
        assert int(wrong[-1].headers["retry-after"]) > 0
        forged = {"x-forwarded-for": "10.1.2.3", "x-device-key": "other", "forwarded": "for=10.1.2.3"}
        assert (await post(house, GOOD, {"authorization": "Device SN:x", **forged})).status_code == 429
        assert (await post(house, GOOD, who)).status_code == 200

    in_house(test, thermostat.feature)


def test_the_flood_guard_is_well_above_what_devices_need__TH_5() -> None:
    assert hot.FLOOD.per_minute >= 10 * 60


@pytest.mark.parametrize("path", ["/api/telemetry", "/api/telemetry/"])
def test_the_first_firmwares_dummy_values_are_401__TH_9(in_house: InHouse, path: str) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        body = b'{"device_id":"x","tin_c":27.80,"setpoint_c":22.00}'
        for headers in ({}, as_device(made), KEY):
            answer = await post(house, body, headers, path)
            assert (answer.status_code, answer.json()) == (401, {"detail": "Missing or invalid Authorization header"})
        assert house.rows() == []

    in_house(test, thermostat.feature, **SHARED)


def test_a_shared_key_is_worth_nothing_unless_its_owner_maps_it__TH_9(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        house.add_device(serial="SN-1")
        for headers in (KEY, {"x-api-key": ""}, {}):
            assert (await post(house, G1, headers)).status_code == 401

    in_house(test, thermostat.feature, thermostat_shared_key="one-key-for-all")


def test_without_a_shared_key_there_is_no_first_firmware__TH_9(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        house.add_device(serial="SN-1")
        for headers in (KEY, {"x-api-key": ""}, {}):
            assert (await post(house, G1, headers)).status_code == 401

    in_house(test, thermostat.feature, thermostat_shared_devices="esp32-thermostat-1=SN-1")


def test_a_mapped_device_posts_with_the_shared_key__TH_9(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device(serial="SN-1")
        answer = await post(house, G1, KEY)
        assert answer.status_code == 200
        assert set(answer.json()) == {"status", "id", "server_ts"}
        assert house.device(made).last_seen_at is not None
        assert (await post(house, {**G1, "mode": 5}, KEY)).status_code == 400

    in_house(test, thermostat.feature, **SHARED)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (G1, {"x-api-key": "wrong"}),
        ({**G1, "device_id": "hall"}, KEY),  # mapped to a serial that nobody has
        ({**G1, "device_id": "SN-1"}, KEY),  # a serial is not an id
        ({**G1, "device_id": ["esp32-thermostat-1"]}, KEY),
        (GOOD, KEY),
        (b"{", KEY),
        (b"[" * 9000, KEY),
        (b"\xff", KEY),
    ],
)
def test_whatever_is_wrong_with_a_shared_key_is_the_same_401__TH_4__TH_9(
    in_house: InHouse, body: Any, headers: dict[str, str]
) -> None:
    async def test(house: House) -> None:
        house.add_device(serial="SN-1")
        answer = await post(house, body, headers)
        assert (answer.status_code, answer.json()) == (401, {"detail": "Missing or invalid Authorization header"})
        assert house.rows() == []

    in_house(test, thermostat.feature, **SHARED)


def test_a_shared_key_does_not_stand_in_for_a_device_that_is_disabled__TH_9(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device(serial="SN-1")
        assert (await post(house, G1, KEY)).status_code == 200
        device = house.device(made)
        with house.database.write() as tx:
            devices.disable(tx, OWNER, device, house.clock.now())
        house.parts.get(devices.Gate).drop(device.id)
        assert (await post(house, G1, KEY)).status_code == 401

    in_house(test, thermostat.feature, **SHARED)


def test_the_shared_key_is_told_of_on_the_system_page__TH_9(tmp_path: Path) -> None:
    with standing_site(tmp_path, **SHARED) as site:
        page = site.ask("GET", "/system", **site.operator().browser, accept="text/html")
        assert page.status == 200
        assert b"lets thermostats in that have no key of their own" in page.body
        assert b"one-key-for-all" not in page.body


def test_a_wrong_mapping_ends_the_start_in_one_sentence() -> None:
    assert legacy.pairs(" a=SN-1 ,b c = SN-2,") == {"a": "SN-1", "b c": "SN-2"}
    with pytest.raises(Invalid, match="is not like esp32-thermostat-1=SN-1"):
        legacy.pairs("a=SN-1,nonsense")
