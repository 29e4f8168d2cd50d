"""`/api/devices/*`: thermostats and their keys, by a session's cookie."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.site import Answer, Site, Somebody, standing_site

from waystation import devices, homes
from waystation.devices import Gate
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.limits import Limiter

GOOD = {"mode": "AUTO", "temp_inside_c": 25.5, "setpoint_c": 22.0}
SERIAL = "SN-ESP32-THERMO-001"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with standing_site(tmp_path) as made:
        yield made


@pytest.fixture
def ann(site: Site) -> Somebody:
    return site.somebody(site.home("Ann's home"), email="ann@example.org")


@pytest.fixture
def bob(site: Site) -> Somebody:
    return site.somebody(site.home("Bob's home"), email="bob@example.org")


def get(site: Site, who: Somebody, path: str = "") -> Answer:
    return site.ask("GET", f"/api/devices/{path}", **who.browser)


def post(site: Site, who: Somebody, path: str, body: Any = None) -> Answer:
    return site.ask("POST", f"/api/devices/{path}", body={} if body is None else body, **who.browser)


def registered(site: Site, who: Somebody, serial: str = SERIAL, **more: str) -> dict[str, Any]:
    site.parts.put(Limiter, Limiter())
    answer = post(site, who, "register/", {"serial_number": serial, **more})
    assert answer.status == 200, answer.body
    return answer.json


def ingest(site: Site, key: str, serial: str = SERIAL) -> int:
    return site.ask("POST", "/api/telemetry/ingest/", f"Device {serial}:{key}", GOOD).status


def rotated(site: Site, who: Somebody, device_id: int) -> str:
    answer = post(site, who, f"{device_id}/keys/rotate/")
    assert answer.status == 200, answer.body
    return answer.json["api_key"]


def key_ids(site: Site, who: Somebody, device_id: int) -> list[int]:
    return [key["id"] for key in get(site, who, f"{device_id}/keys/").json["results"]]


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_device_is_registered_with_a_key_that_is_shown_once__TH_1__TH_11(
    site: Site, ann: Somebody, slash: str
) -> None:
    answer = post(site, ann, f"register{slash}", {"serial_number": SERIAL, "name": "Hall"})
    assert answer.status == 200
    told = answer.json
    assert re.fullmatch("[A-Za-z0-9_-]{43}", told["api_key"])
    assert told["expires_at"] == "2027-11-21T12:00:00+00:00"
    assert set(told["device"]) == {"id", "serial_number", "name", "owner", "created_at"}
    assert (told["device"]["serial_number"], told["device"]["name"]) == (SERIAL, "Hall")
    assert told["device"]["owner"] == "ann@example.org"
    assert told["api_key"].encode() not in get(site, ann, f"{told['device']['id']}/keys/").body


def test_the_key_is_nowhere_in_the_database_nor_in_the_log__TH_11__TH_24(
    site: Site, ann: Somebody, capfd: pytest.CaptureFixture[str]
) -> None:
    key = registered(site, ann)["api_key"]
    assert ingest(site, key) == 200
    assert ingest(site, f"{key}x") == 403
    with site.database.read() as tx:
        dump = "\n".join(tx.connection.connection.iterdump())
    assert key not in dump
    assert key not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({}, 400, "Field 'serial_number' is required"),
        ({"serial_number": "  "}, 400, "Field 'serial_number' is required"),
        ({"serial_number": 7}, 400, "Field 'serial_number' is required"),
        ({"serial_number": "a:b"}, 400, "a serial has 1 to 64"),
        ({"serial_number": "x" * 65}, 400, "a serial has 1 to 64"),
        ({"serial_number": "SN", "name": ["x"]}, 400, "the name must be text"),
        ({"serial_number": "SN", "name": "x" * 200}, 400, "a name has"),
    ],
)
def test_a_wrong_registration_says_what_is_wrong__TH_7__TH_20(
    site: Site, ann: Somebody, body: Any, status: int, detail: str
) -> None:
    answer = post(site, ann, "register/", body)
    assert answer.status == status
    assert answer.json["detail"].startswith(detail)
    assert get(site, ann).json["count"] == 0


def test_a_foreign_serial_cannot_be_claimed__TH_20(site: Site, ann: Somebody, bob: Somebody) -> None:
    key = registered(site, ann)["api_key"]
    answer = post(site, bob, "register/", {"serial_number": SERIAL})
    assert answer.status == 400
    assert answer.json == {"detail": "This device serial is already registered to another user."}
    assert ingest(site, key) == 200
    assert get(site, bob).json["count"] == 0


def test_a_serial_that_its_owner_let_go_may_be_registered_by_another__TH_20(
    site: Site, ann: Somebody, bob: Somebody
) -> None:
    made = registered(site, ann, name="Hall")
    with site.database.write() as tx:
        device = devices.by_id(tx, made["device"]["id"])
        assert device is not None
        devices.delete(tx, COMMAND_LINE, device, site.clock.now(), typed_name="Hall")
    assert ingest(site, made["api_key"]) == 403
    assert registered(site, bob, name="Loft")["device"]["serial_number"] == SERIAL
    assert get(site, ann).json["count"] == 0
    assert ingest(site, made["api_key"]) == 403, "the old key opens nothing of the new owner's"


def test_ones_own_serial_again_renames_and_rotates__TH_10(site: Site, ann: Somebody) -> None:
    first = registered(site, ann, name="Hall")
    again = registered(site, ann, name="Bedroom")
    assert again["device"]["id"] == first["device"]["id"]
    assert again["device"]["name"] == "Bedroom"
    assert ingest(site, first["api_key"]) == 200
    assert ingest(site, again["api_key"]) == 200
    assert ingest(site, first["api_key"]) == 403


def test_the_list_shows_the_newest_temperature_with_the_sample_itself__TH_23(site: Site, ann: Somebody) -> None:
    key = registered(site, ann, name="Hall")["api_key"]
    row = get(site, ann).json["results"][0]
    assert set(row) == {"id", "serial_number", "name", "created_at", "last_seen", "current_temp"}
    assert (row["last_seen"], row["current_temp"]) == (None, None)
    for temperature in (20.5, 21.25):
        site.clock.turn(1)
        told = site.ask(
            "POST", "/api/telemetry/ingest/", f"Device {SERIAL}:{key}", {**GOOD, "temp_inside_c": temperature}
        ).json
        row = get(site, ann).json["results"][0]
        assert (row["last_seen"], row["current_temp"]) == (told["server_ts"], temperature)


def test_only_the_sessions_cookie_opens_the_list(site: Site, ann: Somebody) -> None:
    for headers in ({}, {"authorization": ann.authorization}, {"cookie": "sessionid=wrong"}):
        answer = site.ask("GET", "/api/devices/", **headers)
        assert (answer.status, answer.json) == (401, {"detail": "Authentication required"})


def test_a_post_with_a_session_and_without_its_token_is_403_and_does_nothing__TH_17(site: Site, ann: Somebody) -> None:
    made = registered(site, ann)
    cookie = {"cookie": ann.browser["cookie"]}
    device_id = made["device"]["id"]
    for path in ("register/", f"{device_id}/keys/rotate/", f"{device_id}/keys/1/revoke/"):
        answer = site.ask("POST", f"/api/devices/{path}", body={"serial_number": "SN-2"}, **cookie)
        assert answer.status == 403
        assert list(answer.json) == ["detail"]
    assert get(site, ann).json["count"] == 1
    assert len(key_ids(site, ann, device_id)) == 1


def test_keys_are_listed_without_secrets__TH_11(site: Site, ann: Somebody) -> None:
    made = registered(site, ann)
    told = get(site, ann, f"{made['device']['id']}/keys/").json
    assert (told["device_id"], told["serial_number"], told["count"]) == (made["device"]["id"], SERIAL, 1)
    (key,) = told["results"]
    assert set(key) == {"id", "created_at", "expires_at", "is_active"}
    assert key["is_active"] is True


def test_a_key_that_ends_within_thirty_days_is_marked__TH_11(site: Site, ann: Somebody) -> None:
    made = registered(site, ann)
    site.clock.turn(340 * 86_400)
    fresh = site.somebody(_home_of(site, ann))
    assert get(site, fresh, f"{made['device']['id']}/keys/").json["results"][0]["expires_soon"] is True
    site.clock.turn(30 * 86_400)
    fresh = site.somebody(_home_of(site, ann))
    (key,) = get(site, fresh, f"{made['device']['id']}/keys/").json["results"]
    assert (key["is_active"], key.get("expires_soon")) == (False, None)
    assert ingest(site, made["api_key"]) == 403


def _home_of(site: Site, who: Somebody) -> homes.Home:
    with site.database.read() as tx:
        return homes.homes_of(tx, who.id)[0][0]


def test_after_a_rotation_the_old_key_is_good_until_the_new_one_is_used__TH_10(site: Site, ann: Somebody) -> None:
    made = registered(site, ann)
    old, device_id = made["api_key"], made["device"]["id"]
    assert ingest(site, old) == 200
    answer = post(site, ann, f"{device_id}/keys/rotate/")
    assert set(answer.json) == {"device", "api_key", "expires_at"}
    assert set(answer.json["device"]) == {"id", "serial_number", "name", "created_at"}
    new = answer.json["api_key"]
    assert ingest(site, old) == 200
    assert ingest(site, new) == 200
    assert ingest(site, old) == 403
    assert ingest(site, new) == 200


def test_an_old_key_ends_a_week_after_the_rotation_at_the_latest__TH_10(site: Site, ann: Somebody) -> None:
    made = registered(site, ann)
    new = rotated(site, ann, made["device"]["id"])
    site.clock.turn(7 * 86_400 - 10)
    assert ingest(site, made["api_key"]) == 200
    site.clock.turn(20)
    assert ingest(site, made["api_key"]) == 403
    assert ingest(site, new) == 200


def test_without_an_overlap_the_old_key_dies_at_once_as_in_the_original__TH_10(tmp_path: Path) -> None:
    with standing_site(tmp_path, key_overlap_hours=0) as strict:
        who = strict.somebody(strict.home())
        made = registered(strict, who)
        assert ingest(strict, made["api_key"]) == 200
        new = rotated(strict, who, made["device"]["id"])
        assert ingest(strict, made["api_key"]) == 403
        assert ingest(strict, new) == 200


def test_revoking_cuts_at_once_and_may_be_repeated__TH_10__TH_11(site: Site, ann: Somebody) -> None:
    made = registered(site, ann)
    device_id = made["device"]["id"]
    assert ingest(site, made["api_key"]) == 200
    (key_id,) = key_ids(site, ann, device_id)
    for _ in range(2):
        answer = post(site, ann, f"{device_id}/keys/{key_id}/revoke/")
        assert answer.status == 200
        assert set(answer.json) == {"device_id", "serial_number", "key"}
        assert set(answer.json["key"]) == {"id", "created_at", "expires_at", "is_active"}
        assert answer.json["key"]["is_active"] is False
        assert ingest(site, made["api_key"]) == 403


def test_rotating_after_all_keys_were_revoked_gives_a_good_one(site: Site, ann: Somebody) -> None:
    made = registered(site, ann)
    device_id = made["device"]["id"]
    post(site, ann, f"{device_id}/keys/{key_ids(site, ann, device_id)[0]}/revoke/")
    assert ingest(site, rotated(site, ann, device_id)) == 200


def test_a_key_of_another_device_is_not_found__TH_19(site: Site, ann: Somebody) -> None:
    one, two = registered(site, ann), registered(site, ann, "SN-2")
    (key_id,) = key_ids(site, ann, two["device"]["id"])
    answer = post(site, ann, f"{one['device']['id']}/keys/{key_id}/revoke/")
    assert (answer.status, answer.json) == (404, {"detail": "Key not found for this device."})
    assert ingest(site, two["api_key"], "SN-2") == 200


def test_a_foreign_device_is_as_unknown_as_none__TH_19(site: Site, ann: Somebody, bob: Somebody) -> None:
    made = registered(site, ann)
    device_id = made["device"]["id"]
    (key_id,) = key_ids(site, ann, device_id)
    missing = {"detail": "Device not found or not owned by this user."}
    for wrong in (device_id, 987_654, 10**30):
        site.parts.put(Limiter, Limiter())
        for answer in (
            get(site, bob, f"{wrong}/keys/"),
            post(site, bob, f"{wrong}/keys/rotate/"),
            post(site, bob, f"{wrong}/keys/{key_id}/revoke/"),
        ):
            assert answer.status == 404
            assert wrong == 10**30 or answer.json == missing
    assert ingest(site, made["api_key"]) == 200
    assert len(key_ids(site, ann, device_id)) == 1


def test_a_viewer_sees_devices_and_changes_nothing(site: Site, ann: Somebody) -> None:
    made = registered(site, ann)
    viewer = site.somebody(_home_of(site, ann), homes.Role.VIEWER)
    assert get(site, viewer).json["count"] == 1
    for path, body in ((f"{made['device']['id']}/keys/rotate/", None), ("register/", {"serial_number": "SN-9"})):
        assert post(site, viewer, path, body).status == 403
    assert post(site, viewer, "register/", {"serial_number": SERIAL}).status == 403


def test_the_sixth_rotation_in_an_hour_is_429__TH_5(site: Site, ann: Somebody, bob: Somebody) -> None:
    made, others = registered(site, ann), registered(site, bob, "SN-2")
    answers = [post(site, ann, f"{made['device']['id']}/keys/rotate/") for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert answers[-1].json == {
        "error": "rate_limit_exceeded",
        "message": "Too many requests. Please try again later.",
    }
    assert int(answers[-1].headers["retry-after"]) > 0
    assert post(site, bob, f"{others['device']['id']}/keys/rotate/").status == 200


def test_the_fourth_registration_in_an_hour_is_429_and_counts_by_itself__TH_5(site: Site, ann: Somebody) -> None:
    answers = [post(site, ann, "register/", {"serial_number": serial}) for serial in ("", "SN-1", "SN-2", "SN-3")]
    assert [answer.status for answer in answers] == [400, 200, 200, 429]


def test_a_disabled_device_is_refused_in_the_same_words__TH_4(site: Site, ann: Somebody) -> None:
    made = registered(site, ann)
    assert ingest(site, made["api_key"]) == 200
    with site.database.write() as tx:
        device = devices.by_id(tx, made["device"]["id"])
        assert device is not None
        devices.disable(tx, COMMAND_LINE, device, site.clock.now())
    site.parts.get(Gate).drop(device.id)
    assert ingest(site, made["api_key"]) == 403


def devices_by(who: Somebody) -> Any:
    from waystation.kernel.audit import Actor  # noqa: PLC0415

    return Actor(f"person:{who.email}")
