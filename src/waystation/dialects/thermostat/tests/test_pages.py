"""The dialect's pages at its own paths, for people and for scripts that post the same forms (section 5.4)."""

import html
import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.site import Answer, Site, Somebody, standing_site

from waystation import alerts, devices, identity
from waystation.homes import Home, Role
from waystation.kernel.limits import Limiter

SERIAL = "SN-ESP32-THERMO-001"
GOOD = {"mode": "AUTO", "temp_inside_c": 25.5, "setpoint_c": 22.0}
PASSWORD = "Several unrelated words 7"
PAGES = ("devices/", "devices/register/", "settings/", "data-management/")


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


def get(site: Site, who: Somebody | None, path: str) -> Answer:
    cookie = {} if who is None else {"cookie": f"sessionid={who.session}"}
    return site.ask("GET", path, accept="text/html", **cookie)


def post(site: Site, who: Somebody, path: str, **form: str) -> Answer:
    """As a script does: its session's cookie, and the form token in the field that it knows."""
    site.parts.put(Limiter, Limiter())
    body = urlencode({"csrfmiddlewaretoken": who.form_token, **form}).encode()
    return site.ask("POST", path, body=body, accept="text/html", cookie=f"sessionid={who.session}")


def key_in(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    match = re.search(rb'id="api-key"[^>]*><code>([A-Za-z0-9_-]{43})<', answer.body)
    assert match is not None
    return match[1].decode()


def registered(site: Site, who: Somebody, name: str = "Hall") -> tuple[str, devices.Device]:
    key = key_in(post(site, who, "/dashboard/devices/register/", serial_number=SERIAL, name=name))
    with site.database.read() as tx:
        found = next(
            device
            for home in (1, 2, 3)
            if (device := devices.by_serial(tx, home, SERIAL)) is not None and device.name == name
        )
    return key, found


def page_of(device: devices.Device) -> str:
    return f"/dashboard/devices/{device.id}/"


def ingest(site: Site, key: str) -> int:
    return site.ask("POST", "/api/telemetry/ingest/", f"Device {SERIAL}:{key}", GOOD).status


def hidden(answer: Answer, name: str) -> str:
    match = re.search(rf'name="{name}" value="([^"]*)"', answer.body.decode())
    assert match is not None
    return html.unescape(match[1])


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("slash", ["/", ""])
def test_every_page_is_there_with_a_policy_and_lets_nobody_else_in__TH_1__TH_18(
    site: Site, ann: Somebody, page: str, slash: str
) -> None:
    path = f"/dashboard/{page.rstrip('/')}{slash}"
    shown = get(site, ann, path)
    assert shown.status == 200
    assert "script-src 'self'" in shown.headers["content-security-policy"]
    stopped = get(site, None, path)
    assert (stopped.status, stopped.headers["location"]) == (302, f"/accounts/login/?next={path}")
    assert site.ask("GET", path).status == 401


def test_a_script_logs_in_by_the_form_and_gets_cookies_that_it_knows__TH_17(site: Site) -> None:
    hashed = identity.hash_password(PASSWORD)
    with site.database.write() as tx:
        identity.sign_up(tx, site.clock.now(), email="cy@example.org", password_hash=hashed, ip=None)
    token = SimpleCookie(get(site, None, "/accounts/login/").headers["set-cookie"])["csrftoken"].value
    form = {"username": "cy@example.org", "password": PASSWORD, "csrfmiddlewaretoken": token}
    body = urlencode(form).encode()
    assert site.ask("POST", "/accounts/login/", body=body).status == 403
    assert site.ask("POST", "/accounts/login/", body=body, cookie="csrftoken=other").status == 403
    entered = site.client.post(
        "/accounts/login/", data=form, headers={"cookie": f"csrftoken={token}"}, follow_redirects=False
    )
    assert (entered.status_code, entered.headers["location"]) == (302, "/dashboard/devices/")
    settings = site.client.get("/dashboard/settings/", headers={"cookie": f"sessionid={entered.cookies['sessionid']}"})
    assert settings.status_code == 200
    assert "cy@example.org" in settings.text
    assert entered.cookies["csrftoken"] not in (token, "")


def test_a_wrong_password_says_so_and_lets_nobody_in(site: Site) -> None:
    site.somebody(site.home(), email="ann@example.org")
    form = {"username": "ann@example.org", "password": "wrong words here", "csrfmiddlewaretoken": "a" * 43}
    body = urlencode(form).encode()
    answer = site.ask("POST", "/accounts/login/", body=body, cookie=f"csrftoken={'a' * 43}", accept="text/html")
    assert answer.status == 403
    assert b"do not fit together" in answer.body
    assert "sessionid" not in answer.headers.get("set-cookie", "")


def test_logging_out_ends_the_session(site: Site, ann: Somebody) -> None:
    assert get(site, ann, "/accounts/logout/").status == 200
    answer = post(site, ann, "/accounts/logout/")
    assert (answer.status, answer.headers["location"]) == (302, "/accounts/login/")
    assert get(site, ann, "/dashboard/devices/").status == 302


@pytest.mark.parametrize("password", ["1", "password12", "ninechars"])
def test_the_form_for_accounts_has_the_rules_of_the_json_path__TH_16(site: Site, password: str) -> None:
    form = {"username": "dora", "email": "dora@example.org", "password1": password, "password2": password}
    body = urlencode({**form, "csrfmiddlewaretoken": "t"}).encode()
    answer = site.ask("POST", "/accounts/register/", body=body, cookie="csrftoken=t", accept="text/html")
    assert answer.status == 400
    assert b"dora@example.org" in answer.body


def test_a_registered_thermostat_gets_a_key_that_is_shown_once_and_kept_by_no_browser__TH_11__TH_24(
    site: Site, ann: Somebody
) -> None:
    answer = post(site, ann, "/dashboard/devices/register/", serial_number=SERIAL, name="Hall")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    key = key_in(answer)
    assert ingest(site, key) == 200
    assert key.encode() not in get(site, ann, "/dashboard/devices/1/").body


@pytest.mark.parametrize(
    ("typed", "link"),
    [
        ("192.168.1.50", "http://192.168.1.50/setup/step3?api_key="),
        (" 10.0.0.7:8080 ", "http://10.0.0.7:8080/setup/step3?api_key="),
        ("Thermo-1.local", "http://thermo-1.local/setup/step3?api_key="),
        ("fd00::12", "http://[fd00::12]/setup/step3?api_key="),
    ],
)
def test_with_the_devices_address_the_code_leads_to_its_set_up__4_4(
    site: Site, ann: Somebody, typed: str, link: str
) -> None:
    shown = post(site, ann, "/dashboard/devices/register/", serial_number=SERIAL)
    key, proof = key_in(shown), hidden(shown, "proof")
    answer = post(site, ann, "/dashboard/devices/1/address", api_key=key, proof=proof, address=typed)
    assert answer.status == 200
    assert f'href="{link}{key}"'.encode() in answer.body
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "typed",
    ["", "8.8.8.8", "example.org", "evil.local.example", "192.168.1.50/x", "192.168.1.50:0", "a@b.local", "0.0.0.0"],
)
def test_a_key_is_never_put_into_a_link_that_leads_out_of_the_house(site: Site, ann: Somebody, typed: str) -> None:
    shown = post(site, ann, "/dashboard/devices/register/", serial_number=SERIAL)
    key, proof = key_in(shown), hidden(shown, "proof")
    answer = post(site, ann, "/dashboard/devices/1/address", api_key=key, proof=proof, address=typed)
    assert answer.status == 400
    assert b"setup/step3" not in answer.body
    assert key_in(Answer(200, {}, answer.body)) == key  # still there to be copied


def test_codes_are_made_only_of_keys_that_were_shown_for_that_device(site: Site, ann: Somebody) -> None:
    shown = post(site, ann, "/dashboard/devices/register/", serial_number=SERIAL)
    forged = post(
        site, ann, "/dashboard/devices/1/address", api_key="x" * 43, proof=hidden(shown, "proof"), address="10.0.0.1"
    )
    assert forged.status == 400


def test_rotating_leaves_the_old_key_good_until_the_new_one_is_used__TH_10(site: Site, ann: Somebody) -> None:
    old, hall = registered(site, ann)
    new = key_in(post(site, ann, page_of(hall), action="rotate"))
    assert [ingest(site, old), ingest(site, new), ingest(site, old)] == [200, 200, 403]


def test_revoking_cuts_at_once(site: Site, ann: Somebody) -> None:
    key, hall = registered(site, ann)
    answer = post(site, ann, page_of(hall), action="revoke")
    assert (answer.status, answer.headers["location"]) == (302, f"{page_of(hall)}?done=revoked")
    assert ingest(site, key) == 403


def test_a_thermostat_is_renamed_and_deleted_by_its_forms(site: Site, ann: Somebody) -> None:
    _, hall = registered(site, ann)
    assert post(site, ann, page_of(hall), action="update_device", name="Cellar").status == 302
    assert b"Cellar" in get(site, ann, page_of(hall)).body
    assert post(site, ann, page_of(hall), action="update_device", name="").status == 400
    assert post(site, ann, page_of(hall), action="delete_device", typed_name="Hall").status == 400
    assert post(site, ann, page_of(hall), action="delete_device").status == 302
    assert get(site, ann, page_of(hall)).status == 404


def test_alerts_of_a_thermostat_are_two_rules_with_the_contracts_subject__TH_15(site: Site, ann: Somebody) -> None:
    _, hall = registered(site, ann)
    form = {"temp_high": "29.5", "temp_low": "9", "high_cooldown": "60", "low_cooldown": "15"}
    assert post(site, ann, page_of(hall), action="update_alerts", alerts_enabled="on", **form).status == 302
    with site.database.read() as tx:
        found = alerts.service.rules_of_device(tx, hall.home_id, hall.key)
    said = {
        (rule.wish.subject, rule.wish.when.kind, rule.wish.when.threshold, rule.wish.cooldown_seconds) for rule in found
    }
    assert said == {
        ("High Temperature Alert - {device}", "above", 29.5, 3600),
        ("Low Temperature Alert - {device}", "below", 9.0, 900),
    }
    assert all(rule.is_enabled and not rule.wish.channels for rule in found)


def test_alerts_are_changed_and_switched_off_without_a_second_pair_of_rules(site: Site, ann: Somebody) -> None:
    _, hall = registered(site, ann)
    for form in (
        {"alerts_enabled": "on"},
        {"alerts_enabled": "on", "alert_email": "me@example.org"},
        {"temp_high": "31"},
    ):
        assert post(site, ann, page_of(hall), action="update_alerts", **form).status == 302
    with site.database.read() as tx:
        found = alerts.service.rules_of_device(tx, hall.home_id, hall.key)
    assert sorted(rule.wish.when.threshold or 0 for rule in found) == [10, 31]
    assert not any(rule.is_enabled for rule in found)


@pytest.mark.parametrize(
    "form",
    [
        {"temp_high": "warm"},
        {"temp_high": "nan"},
        {"temp_high": "1e999"},
        {"temp_low": "40"},
        {"high_cooldown": "31"},
        {"high_cooldown": "0"},
        {"alert_email": "nobody"},
    ],
)
def test_wrong_alerts_are_refused_with_a_sentence_and_change_nothing(
    site: Site, ann: Somebody, form: dict[str, str]
) -> None:
    _, hall = registered(site, ann)
    assert post(site, ann, page_of(hall), action="update_alerts", alerts_enabled="on", **form).status == 400
    with site.database.read() as tx:
        assert alerts.service.rules_of_device(tx, hall.home_id, hall.key) == []


def test_another_homes_thermostat_is_as_unknown_as_none__TH_19(site: Site, ann: Somebody, bob: Somebody) -> None:
    key, hall = registered(site, ann)
    for action in ("rotate", "revoke", "update_device", "delete_device", "update_alerts"):
        assert post(site, bob, page_of(hall), action=action, name="Mine").status == 404
    assert get(site, bob, page_of(hall)).status == get(site, bob, "/dashboard/devices/999/").status == 404
    deleting = post(site, bob, "/dashboard/data-management/", action="delete_device_data", device_id=str(hall.id))
    assert deleting.status == 404
    assert ingest(site, key) == 200
    assert b"Hall" not in get(site, bob, "/dashboard/devices/").body


def test_a_form_without_its_token_is_refused_and_does_nothing__TH_17(site: Site, ann: Somebody) -> None:
    key, hall = registered(site, ann)
    body = urlencode({"action": "revoke"}).encode()
    answer = site.ask("POST", page_of(hall), body=body, cookie=f"sessionid={ann.session}")
    assert answer.status == 403
    assert ingest(site, key) == 200


def test_a_page_may_call_only_the_address_that_was_typed__TH_18(site: Site, ann: Somebody) -> None:
    _, hall = registered(site, ann)
    usual = get(site, ann, page_of(hall)).headers["content-security-policy"]
    assert "connect-src 'self';" in usual
    chosen = get(site, ann, f"{page_of(hall)}?address=192.168.1.50").headers["content-security-policy"]
    assert "connect-src 'self' http://192.168.1.50;" in chosen
    for wrong in ("*", "8.8.8.8", "10.0.0.1%20*", "10.0.0.1;script-src%20*", "10.0.0.1%0d%0aX:1"):
        refused = get(site, ann, f"{page_of(hall)}?address={wrong}")
        assert (refused.status, refused.headers["content-security-policy"]) == (400, usual)


def test_stored_data_goes_by_the_contracts_actions(site: Site, ann: Somebody) -> None:
    _, hall = registered(site, ann)
    path = "/dashboard/data-management/"
    counted = post(site, ann, path, action="refresh_usage")
    assert (counted.status, counted.headers["location"]) == (302, "/data?done=count")
    assert post(site, ann, path, action="delete_all_data", confirmation="yes").status == 400
    assert post(site, ann, path, action="delete_date_range").status == 400
    assert post(site, ann, path, action="delete_date_range", start_date="2026-13-45").status == 400
    assert post(site, ann, path, action="forget").status == 400
    begun = post(site, ann, path, action="delete_device_data", device_id=str(hall.id))
    assert (begun.status, begun.headers["location"]) == (302, "/data?done=deleting")


def test_all_data_goes_with_the_phrase(site: Site, ann: Somebody) -> None:
    answer = post(site, ann, "/dashboard/data-management/", action="delete_all_data", confirmation="DELETE ALL MY DATA")
    assert answer.status == 302


def test_viewers_see_and_do_not_manage(site: Site, ann: Somebody) -> None:
    key, hall = registered(site, ann)
    guest = site.somebody(Home(hall.home_id, "Ann's home", ""), Role.VIEWER)
    shown = get(site, guest, page_of(hall))
    assert shown.status == 200
    assert b"New key" not in shown.body
    assert post(site, guest, page_of(hall), action="revoke").status == 403
    assert get(site, guest, "/dashboard/devices/register/").status == 403
    assert ingest(site, key) == 200


@pytest.mark.parametrize("number", ["0", "-1", "x", str(2**63), str(2**70)])
def test_a_number_that_no_thermostat_has_is_answered_with_a_sentence__TH_7(
    site: Site, ann: Somebody, number: str
) -> None:
    assert 400 <= get(site, ann, f"/dashboard/devices/{number}/").status < 500
    assert 400 <= post(site, ann, f"/dashboard/devices/{number}/", action="rotate").status < 500
