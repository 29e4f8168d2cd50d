"""The owner's side of the original cloud (contract section 4.9)."""

import json
from typing import Any

import pytest

from waystation.devices import relays
from waystation.dialects.junctionrelay.tests.conftest import AtRelay
from waystation.dialects.junctionrelay.tests.relay import MAC, Relay
from waystation.homes.store import add_home
from waystation.identity import new_token
from waystation.telemetry.tests.house import OWNER

WISH = "/cloud/notifications/preferences"


def test_an_owners_app_makes_a_registration_that_a_device_can_use(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        made = (await site.ask("POST", "/cloud/devices/generate-registration-token", {})).json()
        assert (made["success"], made["expiresIn"]) == (True, 900)
        assert json.loads(made["qrCodeData"])["token"] == made["registrationToken"]
        assert (await site.register(made["registrationToken"])).status_code == 200
        assert site.found()[0].name == "Porch Pi"

    at_any_relay(test)


def test_pending_devices_are_listed_confirmed_and_refused__JR_22(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        await site.device("A", name="One")
        await site.device("B", name="Two")
        waiting = (await site.ask("GET", "/cloud-devices/pending/")).json()["devices"]
        assert [(one["deviceId"], one["name"]) for one in waiting] == [("A", "One"), ("B", "Two")]
        one, two = (site.found(said_id)[0].id for said_id in ("A", "B"))
        assert (await site.ask("POST", f"/cloud/devices/{one}/confirm", {"accept": True})).status_code == 200
        assert (await site.ask("POST", f"/cloud/devices/{two}/confirm", {"accept": False})).status_code == 200
        assert (await site.ask("GET", "/cloud/devices/pending")).json()["devices"] == []
        assert site.found("B") == []
        assert (await site.ask("POST", f"/cloud/devices/{two}/confirm", {"accept": True})).status_code == 404
        assert (await site.ask("POST", f"/cloud/devices/{one}/confirm", {"accept": "yes"})).status_code == 400

    at_any_relay(test)


def test_devices_are_listed_with_their_last_health_and_deleted(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        await site.health(held)
        shown = (await site.ask("GET", "/cloud/devices")).json()["devices"][0]
        assert shown["deviceId"] == MAC
        assert shown["status"] == "pending"
        assert shown["lastHealthStatus"] == "online"
        assert shown["lastHealthReportAt"] == "2026-11-21T07:19:06+00:00"
        assert shown["lastHealthAlertSent"] is None
        assert isinstance(shown["id"], int)
        assert (await site.ask("DELETE", f"/cloud/devices/{shown['id']}")).status_code == 200
        assert (await site.ask("DELETE", f"/cloud/devices/{shown['id']}")).status_code == 404
        assert (await site.refresh(held)).status_code == 401

    at_any_relay(test)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"deviceHealthTimeoutMinutes": 5, "deviceHealthReminderIntervalMinutes": 30}, 200),
        ({"pushNotificationsEnabled": False}, 200),
        ({"PUSHnotificationsEnabled": False}, 200),
        ({}, 200),
        ({"deviceHealthTimeoutMinutes": 0}, 400),
        ({"deviceHealthTimeoutMinutes": "5"}, 400),
        ({"deviceHealthTimeoutMinutes": True}, 400),
        ({"deviceHealthReminderIntervalMinutes": 10**20}, 400),
        ({"pushNotificationsEnabled": "no"}, 400),
    ],
)
def test_wishes_are_kept_and_what_is_not_sent_stays__JR_26(
    at_relay: AtRelay, body: dict[str, Any], status: int
) -> None:
    async def test(site: Relay) -> None:
        before = (await site.ask("GET", WISH)).json()["preferences"]
        answer = await site.ask("PUT", WISH, body)
        assert answer.status_code == status
        after = (await site.ask("GET", WISH)).json()["preferences"]
        named = {key.lower(): key for key in before}
        sent = {named[key.lower()]: value for key, value in body.items()} if status == 200 else {}
        assert after == before | sent

    at_relay(test)


def test_a_local_hub_registers_reports_for_and_unregisters_its_devices(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        def call(name: str, body: Any, prefix: str = "/cloud/local-devices") -> Any:
            return site.ask("POST", f"{prefix}/{name}", body)

        device = {"deviceId": "local-1", "deviceName": "Plug", "backendId": "b"}
        assert (await call("register-health", device)).json() == {"success": True, "message": "registered"}
        assert (await call("register-sync", device)).json()["message"] == "already registered"
        line = {"deviceId": "local-1", "status": "online", "lastPingDurationMs": 12, "failureCount": 0}
        batch = {"timestamp": "2026-11-21T07:19:06Z", "deviceCount": 2, "devices": [line, {"deviceId": "?"}, 7]}
        assert (await call("health/batch", batch, "/local-devices")).json() == {"success": True, "stored": 1}
        assert site.rows() == {"health_status": "online", "ping_ms": 12.0, "failures": 0.0}
        assert (await call("unregister", {"deviceId": "local-1"})).json()["message"] == "unregistered"
        assert (await call("unregister", {"deviceId": "local-1"})).json()["message"] == "not registered"
        assert (await call("health/batch", batch)).json()["stored"] == 0

    at_any_relay(test)


def test_the_owners_calls_are_closed_to_strangers_devices_and_viewers_who_change(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        device_id = site.found()[0].id
        with site.house.database.write() as tx:
            viewer = {"authorization": f"Bearer {new_token(tx, OWNER, site.now, name='viewer', role='viewer')}"}
        calls = [
            ("POST", "/cloud/devices/generate-registration-token", {}),
            ("POST", f"/cloud/devices/{device_id}/confirm", {"accept": True}),
            ("DELETE", f"/cloud/devices/{device_id}", None),
            ("PUT", WISH, {}),
            ("POST", "/cloud/local-devices/register-health", {"deviceId": "x"}),
            ("POST", "/local-devices/unregister", {"deviceId": "x"}),
            ("POST", "/cloud/local-devices/health/batch", {"devices": []}),
        ]
        looks = [
            ("GET", path, None) for path in ("/cloud/devices", "/cloud-devices/pending", WISH, "/cloud/auth/validate")
        ]
        as_device = {"authorization": f"Bearer {held['deviceJwt']}"}
        for method, path, body in [*calls, *looks]:
            for who in (site.house.stranger, as_device):
                assert (await site.ask(method, path, body, who)).status_code == 401, path
        for method, path, body in calls:
            assert (await site.ask(method, path, body, viewer)).status_code == 403, path
        for method, path, body in looks:
            assert (await site.ask(method, path, body, viewer)).status_code == 200, path

    at_relay(test)


def test_another_homes_device_is_404_like_an_unknown_one(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        with site.house.database.write() as tx:
            other = add_home(tx, "Other", site.now).id
        held = await site.device("far", home_id=other)
        with site.house.database.read() as tx:
            far = relays(tx, 0, 10)[0]
        for device_id in (far.id, far.id + 1, 0, 2**63):
            assert (await site.ask("DELETE", f"/cloud/devices/{device_id}")).status_code == 404
            assert (await site.ask("POST", f"/cloud/devices/{device_id}/confirm", {"accept": True})).status_code == 404
        assert (await site.ask("GET", "/cloud/devices")).json()["devices"] == []
        assert (await site.refresh(held)).status_code == 200

    at_any_relay(test)
