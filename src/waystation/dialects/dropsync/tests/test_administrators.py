"""The administrator's side: logins, registering and revoking, commands, packages as rows, the log, the old forms."""

import json
from pathlib import Path

import pytest
from tests.site import standing_site

from waystation import commands
from waystation.commands import NewCommand
from waystation.dialects.dropsync import journal, model, store
from waystation.dialects.dropsync.front import described
from waystation.dialects.dropsync.tests.standing import Drop, form
from waystation.homes import Role
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.errors import Invalid
from waystation.kernel.settings import load, weakened

ADMIN = "/api/v1/admin"
PATHS = [
    ("GET", "devices"),
    ("POST", "devices/register"),
    ("POST", "devices/esp001/command"),
    ("GET", "devices/esp001/commands"),
    ("GET", "devices/esp001/messages"),
    ("GET", "devices/esp001/files"),
    ("GET", "devices/esp001/sync-history"),
    ("POST", "devices/esp001/revoke-token"),
    ("GET", "sync-packages"),
    ("POST", "sync-packages"),
    ("GET", "system/stats"),
    ("GET", "system/logs"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_without_a_login_it_is_401_basic__DS_5(method: str, path: str, drop: Drop) -> None:
    token = drop.register()
    for headers in ({}, {"authorization": f"Bearer {token}"}, {"authorization": "Basic !"}, {"cookie": "sessionid=x"}):
        answer = drop.ask(method, f"{ADMIN}/{path}", {}, **headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert answer.json == {"detail": "Not authenticated"}
    with_token = drop.ask(method, f"{ADMIN}/{path}", {"token": token})
    assert with_token.status == 401


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_who_may_not_manage_is_403__DS_5(method: str, path: str, drop: Drop) -> None:
    viewer = drop.somebody(Role.VIEWER)
    assert drop.ask(method, f"{ADMIN}/{path}", {}, authorization=viewer.authorization).status == 403


def test_a_form_of_another_site_is_403_and_one_of_ours_is_taken__DS_5(drop: Drop) -> None:
    drop.register()
    session = {"cookie": f"sessionid={drop.owner.session}"}
    path, fields = f"{ADMIN}/devices/esp001/command", {"command": "ping"}
    foreign = ({"sec_fetch_site": "cross-site"}, {"origin": "http://evil.example"}, {"sec_fetch_site": "same-site"}, {})
    for headers in foreign:
        assert drop.ask("POST", path, fields, **session, **headers).status == 403
    assert drop.commands() == []
    ours = ({"sec_fetch_site": "same-origin"}, {"origin": "http://hub"}, {"x_csrftoken": drop.owner.form_token})
    for headers in ours:
        assert drop.ask("POST", path, fields, **session, **headers).status == 200
    assert drop.ask("GET", f"{ADMIN}/devices", {}, **session).status == 200


def test_the_old_forms_work_for_who_holds_a_login__DS_5_DS_6(drop: Drop) -> None:
    drop.register("esp001")
    browser = {"cookie": f"sessionid={drop.owner.session}", "origin": "http://hub"}
    sent = drop.ask("POST", "/send-command/esp001", {"command": "ping", "token": ""}, **browser)
    assert sent.json == {"status": "queued", "command": "ping", "command_id": drop.commands()[0]["id"]}
    kept = drop.multipart("/upload/esp001", form("plan.txt", b"north field"), **browser)
    assert kept.json == {"status": "uploaded", "device": "esp001", "file": "plan.txt"}
    assert drop.call("GET", "/check-files/esp001").json == {"file_count": 1}
    evil = {**browser, "origin": "http://evil.example"}
    assert drop.ask("POST", "/send-command/esp001", {"command": "ping"}, **evil).status == 403
    assert drop.multipart("/upload/esp001", form("x.txt", b"x"), **evil).status == 403


def test_the_old_forms_take_the_devices_token_instead__DS_6(drop: Drop) -> None:
    token = drop.register("esp001")
    assert drop.ask("POST", "/send-command/esp001", {"command": "ping", "token": token}).status == 200
    assert drop.multipart("/upload/esp001", form("a.txt", b"a", token=token)).status == 200
    wrong = drop.ask("POST", "/send-command/esp001", {"command": "ping", "token": "wrong"})
    assert (wrong.status, wrong.json) == (403, {"detail": "Unauthorized device or token"})
    assert drop.ask("POST", "/send-command/esp001", {"command": "ping"}).status == 422
    assert drop.multipart("/upload/esp001", form("a.txt", b"a")).status == 401
    assert drop.multipart("/upload/esp001", form("a.exe", b"a", token=token)).status == 400


def test_the_oldest_addresses_can_be_switched_off__DS_6(tmp_path: Path) -> None:
    with standing_site(tmp_path, dropsync_legacy=False) as site:
        drop = Drop(site, site.home())
        token = drop.register()
        for method, path in (("GET", "/message/esp001"), ("GET", "/check-files/esp001"), ("POST", "/message")):
            assert drop.ask(method, path, {"token": token}).status == 404
        assert drop.ask("POST", "/send-command/esp001", {"command": "ping", "token": token}).status == 404
        assert drop.multipart("/upload/esp001", form("a.txt", b"a", token=token)).status == 404
        assert drop.call("GET", "/api/v1/files/list/esp001").json["file_count"] == 0


def test_nobody_need_log_in_where_the_owner_has_opened_it__DS_5(tmp_path: Path) -> None:
    with standing_site(tmp_path, dropsync_open_admin=True) as site:
        drop = Drop(site, site.home())
        assert drop.ask("POST", f"{ADMIN}/devices/register", {"device_id": "esp001"}).status == 200
        assert drop.ask("GET", f"{ADMIN}/devices", {}).status == 200
        foreign = {"origin": "http://evil.example"}
        assert drop.ask("POST", f"{ADMIN}/devices/register", {"device_id": "esp002"}, **foreign).status == 403
    assert "dropsync_open_admin" in weakened(load({"dropsync_open_admin": True}, {})[0])[0]
    assert weakened(load({}, {})[0]) == []


def test_registered_again_the_old_token_ends_and_history_stays__DS_21(drop: Drop) -> None:
    before = drop.register(name="esp001")
    drop.say("before")
    made = drop.admin("POST", "devices/register", device_id="esp001", name="North field", device_type="esp32").json
    assert (made["name"], made["device_type"], made["status"]) == ("North field", "esp32", "registered")
    assert len(made["token"]) == 43
    assert drop.ask("GET", "/api/v1/device/ping/esp001", {"token": before}).status == 403
    assert drop.ask("GET", "/api/v1/device/ping/esp001", {"token": made["token"]}).status == 200
    assert [one["content"] for one in drop.messages()] == ["before"]


def test_revoked_it_is_403_at_once_until_it_is_registered_again__DS_21(drop: Drop) -> None:
    drop.register()
    drop.beat()
    assert drop.admin("POST", "devices/esp001/revoke-token").json == {"status": "revoked", "device_id": "esp001"}
    assert drop.beat().status == 403
    assert drop.admin("GET", "devices").json == {"devices": []}
    shown = drop.device()
    assert (shown["is_active"], shown["status"], shown["is_online"]) == (False, "disabled", False)
    drop.register()
    assert drop.beat().status == 200
    assert (drop.device()["is_active"], drop.device()["status"]) == (True, "online")
    assert drop.admin("POST", "devices/nobody/revoke-token").status == 404


def test_what_the_tool_needs_is_never_null__DS_1(drop: Drop) -> None:
    made = drop.admin("POST", "devices/register", device_id="esp009").json
    assert (made["name"], made["device_type"]) == ("Device esp009", "esp8266")
    shown = drop.admin("GET", "devices", include_inactive="False").json["devices"][0]
    assert all(shown[name] for name in ("device_id", "name", "device_type", "status"))
    assert shown["last_seen"] is None
    assert isinstance(shown["id"], int)
    stats = drop.admin("GET", "system/stats").json
    counted = {"devices": {"total": 1, "active": 1, "online": 0}, "commands": {"pending": 0}, "messages": {"total": 0}}
    assert stats == counted


@pytest.mark.parametrize("name", ["../../evil", "a..b", "x" * 65, "a b", "é", "a/b"])
def test_a_bad_id_is_refused_at_registration__DS_14(name: str, drop: Drop) -> None:
    answer = drop.admin("POST", "devices/register", device_id=name)
    assert answer.status == 422
    assert answer.json["detail"][0]["loc"] == ["body", "device_id"]
    assert drop.admin("GET", "devices", include_inactive="true").json == {"devices": []}


def test_a_command_that_the_device_cannot_read_is_refused__DS_9(drop: Drop) -> None:
    drop.register()
    answer = drop.send("status", parameters=json.dumps({"a": "x" * 2000}))
    assert answer.status == 400
    assert drop.commands() == []
    assert drop.send("status", parameters=json.dumps({"a": "x" * 700})).status == 200
    assert model.device_cost(drop.poll()) <= 1024


def test_it_is_refused_too_when_it_is_sent_in_the_houses_own_way__DS_9(drop: Drop) -> None:
    drop.register()
    wanted = NewCommand("status", {"a": "x" * 2000})
    number, now = drop.device()["id"], drop.site.clock.now()

    def send() -> None:
        with drop.site.database.write() as tx:
            commands.send(tx, COMMAND_LINE, number, now, home_id=drop.home.id, wanted=wanted)

    with pytest.raises(Invalid):
        send()
    assert drop.commands() == []


@pytest.mark.parametrize("name", ["a&b", "a=b", "50%", "a+b", "#", "größe", "none", "", "a b"])
def test_command_names_keep_what_a_sketch_cannot_say__DS_7(name: str, drop: Drop) -> None:
    drop.register()
    assert drop.send(name).status in (400, 422)
    assert drop.commands() == []


@pytest.mark.parametrize("text", ["{", "[1]", "7", '{"a": NaN}', "[" * 5000])
def test_parameters_are_an_object(text: str, drop: Drop) -> None:
    drop.register()
    answer = drop.send("status", parameters=text)
    assert (answer.status, answer.json) == (400, {"detail": "Invalid JSON parameters"})


def test_limits_and_priorities__DS_23(drop: Drop) -> None:
    drop.register()
    for limit in ("0", "-1", "101", "many"):
        assert drop.admin("GET", "devices/esp001/messages", limit=limit).status == 422
        assert drop.admin("GET", "devices/esp001/commands", limit=limit).status == 422
    assert drop.send("ping", priority="999").json["priority"] == 3
    assert drop.send("ping", priority="-7").json["priority"] == 1
    assert drop.send("ping", priority="high").status == 422
    assert len(drop.admin("GET", "devices/esp001/commands", limit="1").json["commands"]) == 1
    unknown = drop.admin("GET", "devices/nobody/messages")
    assert (unknown.status, unknown.json) == (200, {"device_id": "nobody", "messages": []})
    assert drop.admin("GET", "devices/nobody/commands").json == {"detail": "Device not found"}


def test_a_full_queue_is_429_to_the_administrator__DS_24(drop: Drop) -> None:
    drop.register()
    assert {drop.send("ping").status for _ in range(100)} == {200}
    full = drop.send("ping")
    assert full.status == 429
    assert " " in full.json["detail"]
    assert drop.poll()["command"] == "ping"


def test_the_log_keeps_thirty_days_and_ten_thousand_lines__DS_24(drop: Drop) -> None:
    now = drop.site.clock.now()
    row = {"home_id": drop.home.id, "at": now, "event": "log", "source": "s", "message": "m", "severity": "info"}
    with drop.site.database.write() as tx:
        store.add_lines(tx, [{**row, "detail": {}} for _ in range(10_020)])
        while journal.forget(tx, now):
            pass
        assert len(store.lines(tx, drop.home.id, most=20_000)) == 10_000
    drop.turn(31 * 86_400)
    with drop.site.database.write() as tx:
        while journal.forget(tx, drop.site.clock.now()):
            pass
        assert store.lines(tx, drop.home.id, most=10) == []


def test_events_have_the_names_that_they_always_had__DS_29(drop: Drop) -> None:
    drop.register()
    number = drop.send("sync").json["command_id"]
    drop.poll()
    drop.complete(number)
    drop.say("hot", severity="error")
    drop.upload("a.txt", b"a")
    drop.call("DELETE", "/api/v1/files/files/esp001/a.txt")
    package = {"package_name": "p", "target_device_id": "esp001", "package_type": "config"}
    made = drop.admin("POST", "sync-packages", **package).json["package_id"]
    drop.call("POST", f"/api/v1/files/sync-packages/esp001/{made}/download")
    drop.admin("POST", "devices/esp001/revoke-token")
    assert list(reversed(drop.events())) == [
        "device_registered",
        "command_queued",
        "command_sent",
        "command_completed",
        "device_alert",
        "file_uploaded",
        "file_deleted",
        "package_created",
        "package_deployed",
        "device_revoked",
    ]
    chosen = drop.admin("GET", "system/logs", event_type="device_alert", severity="error").json["logs"]
    assert [one["message"] for one in chosen] == ["hot"]
    assert chosen[0]["source"] == "esp001"


def test_homes_see_nothing_of_each_other__G_13(drop: Drop) -> None:
    drop.register()
    other = Drop(drop.site, drop.site.home("Other"))
    other.register()
    drop.say("ours")
    assert other.messages() == []
    assert drop.ask("GET", "/api/v1/device/ping/esp001", {"token": drop.tokens["esp001"]}).status == 200
    assert len(drop.admin("GET", "devices").json["devices"]) == 1


def test_the_description_names_every_call_and_needs_no_internet__DS_28(drop: Drop) -> None:
    page = drop.site.ask("GET", "/api/v1/docs", accept="text/html")
    assert page.status == 200
    text = page.body.decode()
    assert "http://" not in text.replace('xmlns="http://', "")
    assert "https://" not in text
    told = drop.site.ask("GET", "/api/v1/openapi.json").json
    assert all(call.path in told["paths"] and call.path in text for call in described.CALLS if call.who != "nobody")
    served = {route.path for route in drop.site.hot.app.routes if getattr(route, "path", "").startswith("/api/v1/")}
    assert {path for path in served if not path.endswith("/")} <= {
        path.replace("{name}", "{name:path}") for path in [*told["paths"], "/api/v1/docs", "/api/v1/openapi.json"]
    }


def test_the_dashboard_is_ours_for_who_is_signed_in__DS_27(drop: Drop) -> None:
    drop.register()
    nobody = drop.site.ask("GET", "/dashboard")
    assert (nobody.status, nobody.headers["www-authenticate"][:5]) == (401, "Basic")
    browser = drop.site.ask("GET", "/dashboard", accept="text/html")
    assert (browser.status, browser.headers["location"]) == (303, "/signin?next=%2Fdashboard")
    for path in ("/dashboard", "/dashboard/"):
        page = drop.site.ask("GET", path, accept="text/html", cookie=f"sessionid={drop.owner.session}")
        assert page.status == 200
        assert "Device esp001" in page.body.decode()


def test_what_this_is_and_how_it_is(drop: Drop) -> None:
    card = drop.site.ask("GET", "/", accept="*/*").json
    assert card["status"] == "online"
    assert card["endpoints"] == {"dashboard": "/dashboard", "api_docs": "/api/v1/docs", "api_v1": "/api/v1"}
    assert drop.site.ask("GET", "/", accept="text/html").headers["location"] == "/signin"
    health = drop.site.ask("GET", "/health").json
    assert (health["status"], health["database"]) == ("ok", "ok")


@pytest.mark.parametrize("secret", ["", "   ", "changeme", "your-secret-key-change-in-production", "short"])
def test_a_default_or_empty_secret_key_is_refused__DS_30(secret: str) -> None:
    with pytest.raises(Invalid, match="SECRET_KEY"):
        load({}, {"SECRET_KEY": secret})
    load({}, {"SECRET_KEY": secret, "ENVIRONMENT": "development"})


def test_variables_of_the_old_hub_are_understood__DS_30() -> None:
    environment = {
        "HOST": "127.0.0.1",
        "PORT": "8001",
        "LOG_LEVEL": "INFO",
        "SECRET_KEY": "b7f3c9d2e8a14f60",
        "DATABASE_URL": "sqlite:///./dropsync.db",
    }
    chosen, _ = load({}, environment)
    assert (chosen.host, chosen.port, chosen.log_level) == ("127.0.0.1", 8001, "info")
    assert chosen.database == "sqlite:///./dropsync.db"
