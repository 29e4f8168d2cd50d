import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from waystation import devices
from waystation.devices import Gate, edges, health, registration
from waystation.devices.jobs import forget_credentials
from waystation.dialects.junctionrelay import hot, jobs
from waystation.dialects.junctionrelay.strangers import Strangers
from waystation.dialects.junctionrelay.tests.conftest import AtRelay
from waystation.dialects.junctionrelay.tests.relay import MAC, Relay
from waystation.dialects.junctionrelay.wire import when
from waystation.kernel import settings
from waystation.kernel.db import metadata
from waystation.kernel.errors import Invalid, Unavailable
from waystation.kernel.secrets import digest
from waystation.telemetry.tests.house import OWNER

REGISTERED = {"success", "deviceJwt", "refreshToken", "expiresAt", "refreshTokenExpiresAt"}
EIGHT_HOURS, WEEK = 28_800, 604_800


@pytest.mark.parametrize("prefix", ["/cloud/devices", "/cloud-devices"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_all_calls_answer_under_both_prefixes_with_and_without_a_slash__JR_1__JR_2(
    at_relay: AtRelay, prefix: str, slash: str
) -> None:
    async def test(site: Relay) -> None:
        token = site.offer().token
        body = {"registrationToken": token, "actualDeviceId": MAC, "deviceName": "Porch Pi"}
        made = await site.post(f"register{slash}", body, prefix=prefix)
        assert made.status_code == 200
        renewal = {"RefreshToken": made.json()["refreshToken"], "DeviceId": MAC}
        for call in ("refresh", "refresh-rotate"):
            assert (await site.post(f"{call}{slash}", renewal, prefix=prefix)).status_code == 200
        report = await site.post(f"health{slash}", {"Status": "online"}, jwt=made.json()["deviceJwt"], prefix=prefix)
        assert (report.status_code, report.json()) == (200, {"success": True})

    at_relay(test)


def test_register_answers_all_five_keys_in_their_form__JR_4__JR_9__JR_20(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        answer = await site.register(site.offer().token)
        told = answer.json()
        assert set(told) == REGISTERED
        assert told["success"] is True
        assert told["expiresAt"] == "2026-11-21T15:19:06+00:00"
        assert told["refreshTokenExpiresAt"] == "2026-11-28T07:19:06+00:00"
        assert len(answer.content) <= 1024
        assert len(told["deviceJwt"]) <= 700
        assert len(told["refreshToken"]) <= 200
        assert "content-encoding" not in answer.headers
        assert int(answer.headers["content-length"]) == len(answer.content)

    at_any_relay(test)


@pytest.mark.parametrize("change", [str.lower, str.upper, lambda key: key[:1].swapcase() + key[1:]])
def test_request_keys_may_have_any_case__JR_3(at_relay: AtRelay, change: Any) -> None:
    async def test(site: Relay) -> None:
        def changed(body: dict[str, Any]) -> dict[str, Any]:
            return {change(key): value for key, value in body.items()}

        register = {"registrationToken": site.offer().token, "actualDeviceId": MAC, "deviceName": "Pi"}
        made = (await site.post("register", changed(register))).json()
        renewal = changed({"RefreshToken": made["refreshToken"], "DeviceId": MAC})
        assert set((await site.post("refresh", renewal)).json()) == {"success", "token", "expiresAt"}
        assert (await site.post("refresh-rotate", renewal)).status_code == 200
        report = changed({"Status": "online", "SensorData": {"a": 1}, "BatteryLevel": 77})
        assert (await site.post("health", report, jwt=made["deviceJwt"])).status_code == 200
        assert site.rows() == {"health_status": "online", "battery_level": 77.0, "a": 1.0}

    at_relay(test)


def test_refresh_needs_no_bearer_and_never_rotates_the_refresh_token__JR_5(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        for _ in range(3):
            site.turn(3600)
            answer = await site.refresh(held)
            assert set(answer.json()) == {"success", "token", "expiresAt"}
            assert (await site.health({"deviceJwt": answer.json()["token"]})).status_code == 200
        assert answer.json()["expiresAt"] == "2026-11-21T18:19:06+00:00"

    at_any_relay(test)


def test_rotate_answers_a_pair_with_both_ends_and_it_works_at_once__JR_6(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        site.turn(6 * 86_400)
        told = (await site.rotate(held)).json()
        assert set(told) == {"success", "token", "expiresAt", "refreshToken", "refreshTokenExpiresAt"}
        assert told["refreshTokenExpiresAt"] == "2026-12-04T07:19:06+00:00"
        held |= told | {"deviceJwt": told["token"]}
        assert (await site.health(held)).status_code == 200
        assert (await site.refresh(held)).status_code == 200

    at_any_relay(test)


@pytest.mark.parametrize(
    ("name", "value"),
    [("DEVICE_ACCESS_SECONDS", "3600"), ("DEVICE_REFRESH_SECONDS", "86400"), ("DEVICE_ACCESS_SECONDS", "1800")],
)
def test_lifetimes_that_would_strand_clients_are_refused_at_start__JR_7__JR_8(name: str, value: str) -> None:
    with pytest.raises(Invalid, match=name):
        settings.load(environment={f"WAYSTATION_{name}": value})


def test_lifetimes_of_the_settings_are_given__JR_7__JR_8(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        told = await site.device()
        assert told["expiresAt"] == "2026-11-21T09:19:06+00:00"
        assert told["refreshTokenExpiresAt"] == "2026-11-23T07:19:06+00:00"

    at_relay(test, device_access_seconds=7200, device_refresh_seconds=172_800)


def test_a_device_on_trial_gets_minutes_and_no_other_ever_does__JR_25(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        trial, normal = await site.device("A", is_on_trial=True), await site.device("B")
        assert trial["expiresAt"] == "2026-11-21T07:25:06+00:00"
        assert trial["refreshTokenExpiresAt"] == "2026-11-21T07:37:06+00:00"
        assert (await site.refresh(trial)).json()["expiresAt"] == "2026-11-21T07:25:06+00:00"
        assert (await site.rotate(trial)).json()["refreshTokenExpiresAt"] == "2026-11-21T07:37:06+00:00"
        assert (await site.refresh(normal)).json()["expiresAt"] == "2026-11-21T15:19:06+00:00"

    at_relay(test)


def test_no_flood_of_renewals_is_ever_answered_429__JR_10(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        answers = await asyncio.gather(*(site.refresh(held) for _ in range(120)))
        assert {answer.status_code for answer in answers} == {200}
        assert {(await site.rotate(held)).status_code for _ in range(60)} == {200}

    at_relay(test)


def test_a_device_that_may_send_no_more_readings_is_renewed_all_the_same__JR_10(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        who = {"authorization": f"Bearer {held['deviceJwt']}"}
        sent = [await site.ask("POST", "/api/readings", {"values": {"a": 1}}, who) for _ in range(2)]
        assert [answer.status_code for answer in sent] == [200, 429]
        assert {(await site.refresh(held)).status_code for _ in range(20)} == {200}
        assert {(await site.rotate(held)).status_code for _ in range(20)} == {200}

    at_relay(test, ingest_per_minute=1)


def test_health_counts_as_a_call_with_readings_and_says_when_to_come_again(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        answers = [await site.health(held) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[-1].headers["retry-after"] == "30"
        assert answers[-1].json()["success"] is False

    at_relay(test, ingest_per_minute=2)


def test_a_flood_on_register_is_429_there_and_delays_no_known_device__JR_10(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        answers = await asyncio.gather(*(site.register(f"reg-{number}") for number in range(60)))
        assert {answer.status_code for answer in answers} == {401, 429}
        assert all(answer.json()["success"] is False for answer in answers)
        assert (await site.refresh(held)).status_code == 200

    at_relay(test)


class Counted(Strangers):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.both_wait = asyncio.Event()

    async def wait(self) -> None:
        if self.waiting == 1:
            self.both_wait.set()
        await super().wait()


def test_strangers_wait_and_known_devices_do_not__JR_10(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        strangers = Counted(wait_seconds=3600, most_waiting=2)
        site.house.parts.put(Strangers, strangers)
        waiting = [asyncio.create_task(site.refresh({"refreshToken": "unknown", "id": MAC})) for _ in range(2)]
        await strangers.both_wait.wait()
        assert (await site.refresh(held)).status_code == 200
        assert (await site.rotate(held)).status_code == 200
        beyond = await site.refresh({"refreshToken": "unknown", "id": MAC})
        assert beyond.status_code == 401
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert strangers.waiting == 0

    at_relay(test)


def test_a_database_that_is_away_for_a_moment_costs_no_renewal__JR_10(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot, "AGAIN_SECONDS", 0)
    left = iter([Unavailable("away"), Unavailable("away"), None])

    async def attempt() -> str:
        if (fault := next(left)) is not None:
            raise fault
        return "pair"

    assert asyncio.run(hot.patiently(attempt)) == "pair"


def test_a_database_that_stays_away_is_said_in_time__JR_10(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot, "PATIENCE_SECONDS", 0)
    assert hot.PATIENCE_SECONDS + 5 < 30

    async def attempt() -> str:
        raise Unavailable("away")

    with pytest.raises(Unavailable):
        asyncio.run(hot.patiently(attempt))


def test_refresh_goes_on_when_nothing_can_be_written_and_so_the_client_lives__JR_11(
    at_relay: AtRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        site.house.ingest.space._min_free_bytes = 1 << 62

        def no_writing() -> Any:
            raise Unavailable("the disk is away")

        monkeypatch.setattr(hot, "PATIENCE_SECONDS", 0)
        monkeypatch.setattr(site.house.database, "write", no_writing)
        assert (await site.refresh(held)).status_code == 200
        refused = await site.rotate(held)
        assert (refused.status_code, refused.json()["success"]) == (503, False)
        monkeypatch.undo()
        assert (await site.rotate(held)).status_code == 200

    at_relay(test)


def test_register_again_in_its_window_is_the_same_device_with_its_history__JR_12(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        token = site.offer().token
        first = {**(await site.register(token)).json(), "id": MAC}
        assert (await site.health(first, {"SensorData": {"a": 1}})).status_code == 200
        again = {**(await site.register(token)).json(), "id": MAC}
        assert len(site.found()) == 1
        assert again["refreshToken"] != first["refreshToken"]
        assert (await site.health(again)).status_code == 200
        assert (await site.refresh(again)).status_code == 200
        assert site.rows()["a"] == 1.0

    at_any_relay(test)


def test_a_lost_answer_of_register_leaves_the_first_pair_good_too__JR_12(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        token = site.offer().token
        first = {**(await site.register(token)).json(), "id": MAC}
        assert (await site.register(token)).status_code == 200
        assert (await site.refresh(first)).status_code == 200

    at_relay(test)


def test_a_registration_is_over_when_its_window_is__JR_12__JR_21(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        used, unused = site.offer().token, site.offer().token
        await site.register(used)
        site.turn(901)
        assert {(await site.register(token)).status_code for token in (used, unused)} == {401}

    at_any_relay(test)


def test_another_device_cannot_use_the_same_registration_and_the_first_is_untouched__JR_12__JR_21(
    at_any_relay: AtRelay,
) -> None:
    async def test(site: Relay) -> None:
        token = site.offer().token
        first = {**(await site.register(token)).json(), "id": MAC}
        second = await site.register(token, "02:FC:00:00:00:99")
        assert second.status_code == 401
        assert second.json() == {"success": False, "error": hot.BAD_REGISTRATION}
        assert (await site.refresh(first)).status_code == 200
        assert site.found("02:FC:00:00:00:99") == []

    at_any_relay(test)


def test_a_pairing_anew_keeps_device_and_history_and_ends_the_old_tokens_once_used__JR_12(
    at_any_relay: AtRelay,
) -> None:
    async def test(site: Relay) -> None:
        old = await site.device()
        await site.health(old, {"SensorData": {"a": 1}})
        device = site.found()[0]
        answer = await site.register(site.offer(device=device).token, "NEW-BOARD")
        new = {**answer.json(), "id": "NEW-BOARD"}
        assert [one.id for one in site.found("NEW-BOARD")] == [device.id]
        assert (await site.health(new)).status_code == 200
        assert (await site.health(old)).status_code == 401
        assert (await site.refresh(old)).status_code == 401
        assert (await site.refresh(new)).status_code == 200

    at_any_relay(test)


def test_a_lost_rotate_answer_strands_nobody__JR_13(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        lost = await site.rotated(held)
        arrived = await site.rotated(held)
        assert (await site.health(arrived)).status_code == 200
        assert (await site.refresh(arrived)).status_code == 200
        assert (await site.refresh(lost)).status_code == 401
        assert (await site.health(lost)).status_code == 401

    at_any_relay(test)


def test_the_old_token_rotates_once_more_within_the_grace__JR_13(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        new = await site.rotated(held)
        await site.health(new)
        site.turn(60)
        again = await site.rotated(held)
        assert (await site.health(again)).status_code == 200
        assert (await site.refresh(new)).status_code == 401

    at_any_relay(test)


def test_a_spent_token_after_the_grace_is_theft_and_ends_the_family__JR_13(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        _own(site, "owner@example.org")
        held = await site.device()
        new = await site.rotated(held)
        await site.health(new)
        site.turn(121)
        assert (await site.rotate(held)).status_code == 401
        assert (await site.refresh(new)).status_code == 401
        assert (await site.rotate(new)).status_code == 401
        assert (await site.health(new)).status_code == 401
        assert site.found()[0].stolen_at == site.now
        letters = site.outbox("mail")
        assert [letter["to"] for letter in letters] == ["owner@example.org"]
        assert "signed out" in letters[0]["subject"]
        assert "stolen" in {notice.get("event") for notice in site.outbox("notice")}

    at_any_relay(test)


def test_theft_ends_the_registration_too_and_pairing_anew_heals_it__JR_13(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        offer = site.offer()
        held = {**(await site.register(offer.token)).json(), "id": MAC}
        await site.health(await site.rotated(held))
        site.turn(121)
        await site.rotate(held)
        assert (await site.register(offer.token)).status_code == 401
        healed = await site.register(site.offer(device=site.found()[0]).token)
        assert healed.status_code == 200
        assert site.found()[0].stolen_at is None

    at_relay(test)


def test_two_devices_with_one_mac_both_work_and_never_meet__JR_14(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        one, two = await site.device(MAC, name="One"), await site.device(MAC, name="Two")
        assert {device.name for device in site.found()} == {"One", "Two"}
        for held in (one, two):
            assert (await site.refresh(held)).status_code == 200
            assert (await site.health(held, {"SensorData": {"a": 1}})).status_code == 200
        await site.health(await site.rotated(one))
        assert (await site.refresh(two)).status_code == 200
        site.revoke(next(device for device in site.found() if device.name == "One"))
        assert (await site.health(two)).status_code == 200

    at_any_relay(test)


def test_tokens_are_kept_as_digests_only__JR_15(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        offer = site.offer()
        held = (await site.register(offer.token)).json()
        with site.house.database.read() as tx:
            everything = [str(tx.all(sa.select(table))) for table in metadata.sorted_tables]
            kept = [row[0] for row in tx.all(sa.text("select digest from credential"))]
        for secret in (offer.token, held["refreshToken"], held["deviceJwt"]):
            assert not any(secret in rows for rows in everything)
        assert digest(held["refreshToken"]) in kept

    at_relay(test)


def test_another_devices_id_is_401_and_the_right_one_works_afterwards(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        one, two = await site.device("A"), await site.device("B")
        for call in (site.refresh, site.rotate):
            answer = await call(one, DeviceId="B")
            assert (answer.status_code, answer.json()) == (401, {"success": False, "error": hot.BAD_REFRESH})
        assert (await site.refresh(one)).status_code == 200
        assert (await site.refresh(two)).status_code == 200

    at_any_relay(test)


@pytest.mark.parametrize("call", ["register", "refresh", "refresh-rotate", "register-and-exchange"])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"7", b'"text"', b"{}", b"\xff\xfe", b"[" * 10_000, b'{"RefreshToken":{}}']
)
def test_a_broken_body_is_400_with_one_sentence(at_relay: AtRelay, call: str, body: bytes) -> None:
    async def test(site: Relay) -> None:
        answer = await site.post(call, body)
        assert answer.status_code == 400
        assert answer.json()["success"] is False
        assert answer.json()["error"]

    at_relay(test)


@pytest.mark.parametrize("missing", ["registrationToken", "actualDeviceId", "deviceName"])
@pytest.mark.parametrize("value", [None, "", " ", [], True, 10**30])
def test_a_missing_key_is_400_and_makes_no_device(at_relay: AtRelay, missing: str, value: Any) -> None:
    async def test(site: Relay) -> None:
        offer = site.offer()
        assert (await site.register(offer.token, **{missing: value})).status_code == 400
        assert site.found() == []
        assert (await site.register(offer.token)).status_code == 200

    at_relay(test)


@pytest.mark.parametrize("odd", ["\x00", "a\x00b", "\ud800", "é" * 40, "x" * 201, "x" * 100_000, "' or 1=1 --"])
def test_an_odd_token_is_401_and_an_odd_id_or_name_never_5xx(at_any_relay: AtRelay, odd: str) -> None:
    async def test(site: Relay) -> None:
        assert (await site.register(odd)).status_code == 401
        held = await site.device()
        for call in (site.refresh, site.rotate):
            assert (await call(held, RefreshToken=odd)).status_code == 401
            assert (await call(held, DeviceId=odd)).status_code == 401
        assert (await site.register(site.offer().token, odd)).status_code in (200, 400)
        named = await site.register(site.offer("").token, "odd name", deviceName=odd)
        assert named.status_code == 200
        assert site.found("odd name")[0].name.isprintable()

    at_any_relay(test)


def test_a_device_whose_id_is_a_number_works_too(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        made = (await site.register(site.offer().token, 185_410_000_000_001)).json()
        renewal = {"RefreshToken": made["refreshToken"], "DeviceId": "185410000000001"}
        assert (await site.post("refresh", renewal)).status_code == 200

    at_relay(test)


def test_a_revoked_device_is_401_everywhere_at_once_also_in_the_grace__JR_23(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        offer = site.offer()
        old = {**(await site.register(offer.token)).json(), "id": MAC}
        new = await site.rotated(old)
        assert (await site.health(new)).status_code == 200
        site.revoke(site.found()[0])
        for held in (old, new):
            calls = (site.health(held), site.refresh(held), site.rotate(held))
            assert {answer.status_code for answer in await asyncio.gather(*calls)} == {401}
        assert (await site.register(offer.token)).status_code == 401

    at_any_relay(test)


def test_a_disabled_device_is_401_until_it_is_enabled__JR_23(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        device = site.found()[0]
        with site.house.database.write() as tx:
            devices.disable(tx, OWNER, device, site.now)
        for call in (site.health, site.refresh, site.rotate):
            assert (await call(held)).status_code == 401
        with site.house.database.write() as tx:
            devices.enable(tx, OWNER, device, site.now)
        assert (await site.refresh(held)).status_code == 200

    at_relay(test)


def test_no_token_reaches_a_log__JR_24(at_relay: AtRelay, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(site: Relay) -> None:
        offer = site.offer()
        held = {**(await site.register(offer.token)).json(), "id": MAC}
        new = await site.rotated(held)
        await site.health(new)
        site.turn(121)
        await site.rotate(held)
        await site.refresh({**new, "id": "other"})
        told = capsys.readouterr()
        for secret in (offer.token, held["refreshToken"], held["deviceJwt"], new["refreshToken"], new["deviceJwt"]):
            assert secret not in told.out + told.err

    at_relay(test)


def test_an_older_esp32_registers_by_its_own_path_and_renews(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        body = {
            "RegistrationToken": site.offer("").token,
            "DeviceId": "esp-1",
            "deviceName": "Shed",
            "deviceType": "ESP32",
        }
        told = (await site.post("register-and-exchange", body)).json()
        assert told["success"] is True
        assert {"deviceJwt", "refreshToken"} <= set(told)
        device = site.found("esp-1")[0]
        assert (device.name, device.model) == ("Shed", "ESP32")
        renewal = {"refreshToken": told["refreshToken"], "deviceId": "esp-1"}
        assert (await site.post("refresh", renewal)).json()["token"]
        old = {"status": "online", "batteryLevel": 81, "sensorData": '{"wifiRSSI":-60}'}
        assert (await site.health(told, old)).status_code == 200
        assert site.rows() == {"health_status": "online", "battery_level": 81.0, "wifiRSSI": -60.0}
        wrong = await site.post("register-and-exchange", {**body, "RegistrationToken": "reg-x"})
        assert (wrong.status_code, wrong.json()["error"]) == (401, hot.BAD_REGISTRATION)

    at_relay(test)


def test_the_line_has_three_keys_under_1024_bytes_and_a_point_on_the_curve__JR_20__JR_21(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        offer = site.offer("𝄞" * 120)
        assert list(json.loads(offer.line)) == ["deviceName", "publicKey", "token"]
        assert offer.line.startswith("{")
        assert offer.line.endswith("}")
        assert "\n" not in offer.line
        assert len(offer.line.encode()) < 1024
        assert offer.public_key == site.offer().public_key
        assert offer.expires_at - site.now == timedelta(minutes=15)
        assert devices.keypair.check_public_key(offer.public_key) == offer.public_key

    at_relay(test)


def test_an_owners_own_public_key_is_passed_on_and_checked__JR_21(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        own = site.offer().public_key
        assert json.loads(site.offer(public_key=f" {own[:10]}\n{own[10:]} ").line)["publicKey"] == own
        for wrong in ("nonsense", "AAAA", "BA" + own[2:], "A" * 44):
            with pytest.raises(Invalid, match="public key"):
                site.offer(public_key=wrong)

    at_relay(test)


def test_a_withdrawn_registration_is_401_and_can_be_withdrawn_once__JR_21(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        offer = site.offer()
        with site.house.database.write() as tx:
            registration.withdraw(tx, OWNER, site.house.home_id, offer.id, now=site.now)
        assert (await site.register(offer.token)).status_code == 401
        with site.house.database.read() as tx:
            assert devices.open_registrations(tx, site.house.home_id, site.now) == []

    at_any_relay(test)


def test_a_new_device_waits_for_approval_and_its_health_is_taken_meanwhile__JR_22(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        assert site.found()[0].pending_since == site.now
        assert (await site.health(held, {"SensorData": {"a": 1}})).status_code == 200
        with site.house.database.write() as tx:
            registration.approve(tx, OWNER, site.found()[0], site.now)
        assert site.found()[0].pending_since is None
        assert (await site.health(held)).status_code == 200
        await site.device("pre-approved", is_approved=True)
        assert site.found("pre-approved")[0].pending_since is None

    at_any_relay(test)


def test_a_rejected_device_is_gone_with_its_tokens__JR_22(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        with site.house.database.write() as tx:
            registration.reject(tx, OWNER, site.found()[0], site.now)
        assert site.found() == []
        for call in (site.health, site.refresh, site.rotate):
            assert (await call(held)).status_code == 401

    at_relay(test)


def _own(site: Relay, email: str) -> None:
    """Makes the home somebody's."""
    with site.house.database.write() as tx:
        person = tx.scalar(
            sa.text(
                "insert into person (uid, email, name, password_hash, created_at) "
                "values ('u-1', :email, 'Owner', '', 0) returning id"
            ).bindparams(email=email)
        )
        tx.execute(
            sa.text(
                "insert into member (home_id, person_id, role, created_at) values (:home, :person, 'owner', 0)"
            ).bindparams(home=site.house.home_id, person=person)
        )


def test_missed_health_is_told_once_then_reminded_and_cleared__JR_26(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        _own(site, "owner@example.org")
        held = await site.device()
        await site.health(held)

        def sweep_after(minutes: float) -> list[str]:
            site.turn(minutes * 60)
            before = len(site.outbox("mail"))
            for _ in range(2):
                jobs.watch_health(site.house.database, site.now)
            return [letter["subject"] for letter in site.outbox("mail")][before:]

        assert sweep_after(9) == []
        assert sweep_after(2) == ["Porch Pi is silent"]
        assert sweep_after(30) == []
        assert sweep_after(31) == ["Porch Pi is still silent"]
        assert sweep_after(61) == ["Porch Pi is still silent"]
        assert (await site.refresh(held)).status_code == 200
        assert sweep_after(0) == []  # a renewal is traffic, but no health
        assert (await site.health(held)).status_code == 200
        assert sweep_after(0) == ["Porch Pi is heard again"]
        assert sweep_after(1) == []

    at_any_relay(test)


def test_without_mail_missed_health_is_still_shown__JR_26(at_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        _own(site, "owner@example.org")
        await site.health(await site.device())
        with site.house.database.write() as tx:
            health.set_wish(tx, OWNER, site.house.home_id, health.Wish(False, 3, 5), now=site.now)
        site.turn(181)
        jobs.watch_health(site.house.database, site.now)
        assert site.outbox("mail") == []
        assert site.outbox("notice")[-1]["event"] == "silent"

    at_relay(test)


def test_health_refresh_and_rotate_count_as_traffic_for_180_seconds__JR_19(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        calls = (site.health, site.refresh, site.rotate)
        for call in calls:
            site.turn(3600)
            assert site.found()[0].presence(site.now, 60) == "offline"
            assert (await call(held)).status_code == 200
            _write_uses(site)
            site.turn(180)
            assert site.found()[0].presence(site.now, 60) == "online"
            site.turn(1)
            assert site.found()[0].presence(site.now, 60) == "offline"
            assert site.found()[0].last_ip == "192.0.2.7"

    at_any_relay(test)


def _write_uses(site: Relay) -> None:
    """What a process does every half minute."""
    edges._write_uses(site.house.parts.get(Gate), site.house.database)


def test_times_are_written_in_utc_whatever_zone__JR_9() -> None:
    assert when(datetime(2026, 11, 21, 7, 19, 6, 999_999, UTC)) == "2026-11-21T07:19:06+00:00"


def test_spent_tokens_are_forgotten_a_month_after_their_end_and_the_one_in_force_is_not(at_any_relay: AtRelay) -> None:
    async def test(site: Relay) -> None:
        held = await site.device()
        for _ in range(8):
            site.turn(6 * 86_400)
            held = await site.rotated(held)
            assert (await site.health(held)).status_code == 200
        with site.house.database.write() as tx:
            assert forget_credentials(tx, site.now) > 0
            assert forget_credentials(tx, site.now) == 0
        assert (await site.refresh(held)).status_code == 200

    at_any_relay(test)
