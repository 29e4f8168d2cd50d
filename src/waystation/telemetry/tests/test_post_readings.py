import asyncio
import gzip
import json

import pytest

from waystation.kernel.errors import Unavailable
from waystation.telemetry.tests.conftest import InHouse
from waystation.telemetry.tests.house import NOON, NOON_MS, House, as_device


def test_readings_are_stored_before_the_answer(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        body = {"at": "2026-01-01T12:00:00Z", "values": {"temp_c": 21.5, "on": True, "mode": "AUTO", "gone": None}}
        answer = await house.client.post("/api/readings", json=body, headers=as_device(made))
        assert (answer.status_code, answer.json()) == (200, {"stored": 3})
        assert house.rows() == [("temp_c", 21.5), ("on", 1.0), ("mode", "AUTO")]

    in_any_house(test)


def test_a_serial_a_key_and_a_bearer_open_the_same_door_with_and_without_slash__G_3(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device(serial="SN-1")
        for who in (f"Device SN-1:{made.api_key}", f"Device {made.key}:{made.api_key}", f"Bearer {made.api_key}"):
            for path in ("/api/readings", "/api/readings/"):
                answer = await house.client.post(path, json={"values": {"a": 1}}, headers={"authorization": who})
                assert answer.status_code == 200

    in_house(test)


def test_gzip_and_ndjson_are_taken(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device())
        body = b"\n".join(json.dumps({"at": NOON_MS + n, "values": {"a": n}}).encode() for n in range(100))
        answer = await house.client.post(
            "/api/readings", content=gzip.compress(body), headers={**who, "content-encoding": "gzip"}
        )
        assert answer.json() == {"stored": 100}

    in_any_house(test)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'[{"values":{"a":1}},{"values":{"temp":1e999}}]', "reading 2: value of 'temp' is not finite"),
        (b'{"values":{"a":1}}\n{"at":"tomorrow","values":{"a":1}}', "reading 2: at 'tomorrow'"),
        (b"nonsense", "the body is not JSON"),
    ],
)
def test_a_bad_body_is_refused_as_a_whole_with_a_reason(in_house: InHouse, body: bytes, detail: str) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        answer = await house.client.post("/api/readings", content=body, headers=as_device(made))
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["title"] == "Bad Request"
        assert detail in answer.json()["detail"]
        assert house.rows() == []
        assert detail in house.ingest.faults[made.key].sentence

    in_house(test)


def test_who_is_nobody_is_challenged_and_who_is_wrong_is_refused(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        nobody = await house.client.post("/api/readings", json={"values": {"a": 1}})
        assert nobody.status_code == 401
        assert nobody.headers["www-authenticate"].startswith("Device ")
        wrong = {"authorization": f"Device {made.key}:{'x' * 43}"}
        refused = await house.client.post("/api/readings", json={"values": {"a": 1}}, headers=wrong)
        assert refused.status_code == 403
        owner = await house.client.post("/api/readings", json={"values": {"a": 1}}, headers=house.owner)
        assert owner.status_code == 403
        assert house.rows() == []

    in_house(test)


def test_a_full_disk_refuses_and_recovers_by_itself(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device())
        house.ingest.space._min_free_bytes = 1 << 62
        full = await house.client.post("/api/readings", json={"values": {"a": 1}}, headers=who)
        assert full.status_code == 507
        assert full.headers["retry-after"]
        assert house.rows() == []
        house.ingest.space._min_free_bytes = 0
        assert (await house.client.post("/api/readings", json={"values": {"a": 1}}, headers=who)).status_code == 200

    in_house(test)


def test_readings_without_a_time_are_never_merged(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        body = [{"values": {"a": 1}}] * 50
        posts = (house.client.post("/api/readings", json=body, headers=as_device(made)) for _ in range(20))
        await asyncio.gather(*posts)  # all within one microsecond of a clock that stands still
        asked = {"device": made.key, "resolution": "raw", "limit": 10_000, "to": "2026-01-01T13:00Z"}
        answer = await house.client.get("/api/readings", params=asked, headers=house.owner)
        assert len(answer.json()["series"][0]["points"]) == 1000

    in_any_house(test)


def test_a_reading_sent_twice_with_its_own_time_is_one_reading_and_the_first_stays(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        for value in (1, 2):
            body = {"at": NOON_MS, "values": {"a": value}}
            assert (await house.client.post("/api/readings", json=body, headers=as_device(made))).status_code == 200
        answer = await house.client.get("/api/readings", params={"device": made.key}, headers=house.owner)
        assert answer.json()["series"][0]["points"] == [[NOON_MS, 1.0]]

    in_any_house(test)


def test_traffic_makes_a_device_seen__G_15(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        await house.client.post("/api/readings", json={"values": {"a": 1}}, headers=as_device(made))
        first = house.device(made)
        assert first.last_seen_at is not None
        assert abs((first.last_seen_at - NOON).total_seconds()) < 0.001
        assert first.last_ip == "192.0.2.7"
        house.clock.turn(5)
        await house.client.post("/api/readings", json={"values": {"a": 1}}, headers=as_device(made))
        assert house.device(made).last_seen_at == first.last_seen_at  # not a row written for every reading
        house.clock.turn(6)
        await house.client.post("/api/readings", json={"values": {"a": 1}}, headers=as_device(made))
        assert house.device(made).last_seen_at != first.last_seen_at

    in_any_house(test)


def test_a_revoked_device_is_refused_at_once__G_14(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        await house.client.post("/api/readings", json={"values": {"a": 1}}, headers=as_device(made))
        house.revoke(made)
        answer = await house.client.post("/api/readings", json={"values": {"a": 1}}, headers=as_device(made))
        assert answer.status_code == 403

    in_house(test)


def test_nothing_is_taken_once_the_site_stops(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        house.ingest.writer._closing = True
        answer = await house.client.post("/api/readings", json={"values": {"a": 1}}, headers=as_device(made))
        assert answer.status_code == Unavailable.status
        assert answer.headers["retry-after"]

    in_house(test)
