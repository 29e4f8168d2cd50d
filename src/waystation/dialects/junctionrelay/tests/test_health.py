import base64
import json
from typing import Any

import pytest

from waystation.devices import keypair
from waystation.dialects.junctionrelay import sealed
from waystation.dialects.junctionrelay.tests.conftest import AtRelay
from waystation.dialects.junctionrelay.tests.relay import MAC, Relay
from waystation.dialects.junctionrelay.tests.sealing import sealed_v1, sealed_v2
from waystation.kernel.clock import micros
from waystation.kernel.db import Database
from waystation.kernel.errors import Unavailable
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing

PLAIN = {"uptime": 3600, "freeHeap": 1, "temperature": "23.5", "status": "ok"}


def b64(message: bytes) -> str:
    return base64.b64encode(message).decode()


@pytest.mark.parametrize(
    ("sent", "raw"),
    [
        (7, "7"),
        ([1, 2], "[1,2]"),
        (b64(b"\x02" + bytes(59)), b64(b"\x02" + bytes(59))),
        (b64(b"\x04" + bytes(80)), b64(b"\x04" + bytes(80))),
        ('{"broken', '{"broken'),
        ("x" * 500_000, "x" * 500_000),
    ],
)
def test_health_is_200_whatever_sensor_data_holds_and_keeps_it__JR_16(
    at_any_relay: AtRelay, sent: Any, raw: str
) -> None:
    async def test(site: Relay) -> None:
        answer = await site.health(await site.device(), {"Status": "online", "SensorData": sent})
        assert (answer.status_code, answer.json()) == (200, {"success": True})
        assert site.rows() == {"health_status": "online", "sensor_data_raw": raw}

    at_any_relay(test)


@pytest.mark.parametrize("body", [{}, {"Status": "online"}, {"SensorData": None}, {"SensorData": ""}, {"Status": 7}])
def test_health_is_200_when_sensor_data_is_missing_or_empty__JR_16(at_relay: AtRelay, body: dict[str, Any]) -> None:
    async def test(site: Relay) -> None:
        assert (await site.health(await site.device(), body)).status_code == 200
        assert list(site.rows()) == ["health_status"]

    at_relay(test)


@pytest.mark.parametrize("body", [b"", b"{", b"7", b"\xff", b"[" * 10_000])
def test_a_body_that_is_no_object_is_400_and_stores_nothing__JR_16(at_relay: AtRelay, body: bytes) -> None:
    async def test(site: Relay) -> None:
        answer = await site.health(await site.device(), body)
        assert (answer.status_code, answer.json()["success"]) == (400, False)
        assert site.rows() == {}

    at_relay(test)


@pytest.mark.parametrize("limit", [1 << 20, 8 << 20])
def test_five_megabytes_are_413__JR_16(at_relay: AtRelay, limit: int) -> None:
    async def test(site: Relay) -> None:
        site.house.app.max_body_bytes = limit
        held = await site.device()
        answer = await site.health(held, {"SensorData": "x" * 5_000_000})
        assert answer.status_code == 413
        assert (await site.health(held)).status_code == 200

    at_relay(test)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer x",
        "Bearer a.b.c",
        "Basic eDp5",
        "Device a:b",
        "Bearer \xff.\xff.\xff",
        "bearer ..",
        "JWT a.b.c",
    ],
)
def test_a_missing_or_bad_token_is_401__JR_16(at_relay: AtRelay, authorization: str | None) -> None:
    async def test(site: Relay) -> None:
        headers = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
        answer = await site.house.client.post("/cloud/devices/health", content=b"{}", headers=headers)
        assert (answer.status_code, answer.json()["success"]) == (401, False)

    at_relay(test)


def test_an_expired_or_changed_token_is_401__JR_16(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        token = held["deviceJwt"]
        assert (await site.health(held)).status_code == 200
        head, body, tail = token.split(".")
        for changed in (f"{head}.{body}.{tail[::-1]}", f"{head}.{body}.", f"{head}..{tail}"):
            assert (await site.health({"deviceJwt": changed})).status_code == 401
        site.turn(28_800)
        assert (await site.health(held)).status_code == 401
        assert (await site.health({"deviceJwt": (await site.refresh(held)).json()["token"]})).status_code == 200

    at_relay(test)


def test_an_api_key_of_a_device_is_no_access_token__JR_16(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        made = site.house.add_device()
        assert (await site.health({"deviceJwt": made.api_key})).status_code == 401

    at_relay(test)


def test_a_full_disk_is_told_and_never_taken_for_stored(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        site.house.ingest.space._min_free_bytes = 1 << 62
        answer = await site.health(held, {"SensorData": {"a": 1}})
        assert (answer.status_code, answer.json()["success"]) == (507, False)
        assert site.rows() == {}

    at_relay(test)


def test_a_report_with_a_time_is_a_reading_of_that_time_once__JR_17(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        body = {"Status": "online", "SensorData": {"a": 1}, "Timestamp": "2026-11-21T02:00:00-05:00"}
        for _ in range(2):
            assert (await site.health(held, body)).status_code == 200
        device = site.found()[0]
        path = f"/api/readings?device={device.key}&metric=a&from=0&to=4000000000000&resolution=raw"
        points = (await site.ask("GET", path)).json()["series"][0]["points"]
        assert points == [[1_795_244_400_000, 1.0]]

    at_any_relay(test)


@pytest.mark.parametrize("time", ["yesterday", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "", 7, None, "\ud800"])
def test_an_impossible_time_counts_as_none(at_relay: AtRelay, time: Any) -> None:
    async def test(site: Relay) -> None:
        body = {"SensorData": {"a": 1}, "Timestamp": time}
        assert (await site.health(await site.device(), body)).status_code == 200
        assert site.rows()["a"] == 1.0

    at_relay(test)


def test_a_sealed_report_is_stored_unchanged_and_opened_with_the_homes_key__JR_18(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        offer = site.offer()
        held = (await site.register(offer.token)).json()
        blob = sealed_v1(json.dumps(PLAIN, separators=(",", ":")).encode(), offer.public_key)
        assert (await site.health(held, {"Status": "online", "SensorData": blob})).status_code == 200
        assert site.rows() == {
            "health_status": "online",
            "sensor_data_encrypted": blob,
            "uptime": 3600.0,
            "freeHeap": 1.0,
            "temperature": 23.5,
            "status": "ok",
        }

    at_any_relay(test)


def test_a_sealed_report_v2_has_its_own_time_and_played_back_it_is_the_same_reading__JR_18(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        offer = site.offer()
        held = (await site.register(offer.token)).json()
        counter = micros(site.now) - 60_000_000
        blob = sealed_v2(b'{"a":"1"}', offer.public_key, MAC, counter)
        for _ in range(2):
            assert (await site.health(held, {"SensorData": blob})).status_code == 200
        path = f"/api/readings?device={site.found()[0].key}&metric=a&from=0&to=4000000000000&resolution=raw"
        points = (await site.ask("GET", path)).json()["series"][0]["points"]
        assert points == [[counter // 1000, 1.0]]

    at_relay(test)


def test_what_cannot_be_opened_is_kept_and_answered_200__JR_18(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        _, stranger = keypair._made()
        point, _ = keypair._made()
        assert stranger
        wrong = [
            sealed_v1(b'{"a":1}', point),
            sealed_v2(b'{"a":1}', point, MAC, 1),
            sealed_v2(b'{"a":1}', site.offer().public_key, "another device", 1),
            b64(b"\x02" + b"\xff" * 60),
            b64(b"\x03" + bytes(60)),
            b64(b"\x02" + bytes(32) + b"\x02" + bytes(27)),
        ]
        for blob in wrong:
            assert (await site.health(held, {"SensorData": blob})).status_code == 200
            assert site.rows() == {"health_status": "unknown", "sensor_data_encrypted": blob}

    at_relay(test)


def test_a_plaintext_that_is_no_object_is_no_reading__JR_18(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        offer = site.offer()
        held = (await site.register(offer.token)).json()
        for plain in (b"", b"[1]", b"\xff\xfe", b"{"):
            blob = sealed_v1(plain, offer.public_key)
            assert (await site.health(held, {"SensorData": blob})).status_code == 200
            assert "a" not in site.rows()

    at_relay(test)


def test_a_lost_key_file_costs_no_report__JR_18(at_relay: AtRelay, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(site: Relay) -> None:
        offer = site.offer()
        held = (await site.register(offer.token)).json()

        def lost(*_: Any) -> bytes:
            raise Unavailable("the keys folder is another one")

        monkeypatch.setattr(Sealing, "open", lost)
        blob = sealed_v1(b'{"a":1}', offer.public_key)
        assert (await site.health(held, {"SensorData": blob})).status_code == 200
        assert site.rows()["sensor_data_encrypted"] == blob

    at_relay(test)


def test_the_private_key_lies_sealed_and_is_made_once(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        first, second = site.offer().public_key, site.offer().public_key
        assert first == second
        database = site.house.parts.get(Database)
        with database.read() as tx:
            scalar = keypair.private_key(tx, Sealing(site.house.parts.get(KeyRing)), site.house.home_id)
            kept = tx.connection.exec_driver_sql("select sealed from home_key").scalar()
            assert keypair.private_key(tx, Sealing(site.house.parts.get(KeyRing)), 999) is None
        assert scalar is not None
        assert scalar not in bytes(kept)
        assert sealed.opened(sealed_v1(b"plain", first), scalar, "") == sealed.Opened(b"plain", None)

    at_any_relay(test)
