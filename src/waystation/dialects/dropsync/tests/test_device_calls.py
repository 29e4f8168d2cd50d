"""What a sketch does all day: heartbeat, poll, complete, messages; with its token, its quirks and its lost answers."""

import json

import pytest

from waystation import devices
from waystation.dialects.dropsync import model
from waystation.dialects.dropsync.tests.standing import SKETCH, Drop

V1 = "/api/v1/device"
WRONG = {"detail": "Unauthorized device or invalid token"}
CALLS = [
    ("GET", f"{V1}/ping/esp001", {}),
    ("GET", f"{V1}/commands/esp001", {}),
    ("GET", f"{V1}/status/esp001", {}),
    ("POST", f"{V1}/heartbeat/esp001", {}),
    ("POST", f"{V1}/messages/esp001", {"msg_type": "log", "content": "x"}),
    ("POST", f"{V1}/commands/esp001/complete", {"command_id": "1"}),
    ("GET", "/api/v1/files/list/esp001", {}),
    ("GET", "/api/v1/files/sync-packages/esp001", {}),
    ("GET", "/api/v1/files/sync-history/esp001", {}),
    ("GET", "/api/v1/files/files/esp001/a.txt", {}),
    ("DELETE", "/api/v1/files/files/esp001/a.txt", {}),
    ("POST", "/api/v1/files/sync-packages/esp001/1/download", {}),
]


def test_the_sample_exchange_of_the_contract__DS_1(drop: Drop) -> None:
    drop.register()
    assert drop.beat(firmware_version="1.2.0", ip_address="192.168.1.50").json == {
        "status": "acknowledged",
        "device_id": "esp001",
        "server_time": drop.site.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f"),
    }
    sent = drop.send("status", parameters='{"a": 1}', priority="1").json
    assert sent["parameters"] == {"a": 1}
    assert sent["status"] == "queued"
    polled = drop.poll()
    assert polled["command_id"] == sent["command_id"]
    assert (polled["command"], polled["parameters"], polled["priority"]) == ("status", '{"a": 1}', 1)
    number = polled["command_id"]
    assert drop.complete(number, "Pong from esp001").json == {"status": "completed", "command_id": number}
    assert drop.poll() == {"command": "none", "message": "No pending commands"}
    assert drop.commands()[0]["result"] == "Pong from esp001"
    status = drop.call("GET", f"{V1}/status/esp001").json
    assert (status["status"], status["firmware_version"], status["pending_commands"]) == ("online", "1.2.0", 0)
    ping = drop.call("GET", f"{V1}/ping/esp001").json
    assert (ping["status"], ping["device_id"], ping["message"]) == ("ok", "esp001", "Device ping successful")


@pytest.mark.parametrize(("method", "path", "fields"), CALLS)
def test_a_wrong_token_is_403_and_a_missing_one_422__DS_2(
    method: str, path: str, fields: dict[str, str], drop: Drop
) -> None:
    drop.register()
    drop.register("esp002")
    for token in ("wrong", drop.tokens["esp002"], drop.owner.authorization.partition(" ")[2]):
        answer = drop.ask(method, path, {**fields, "token": token})
        assert (answer.status, answer.json) == (403, WRONG)
        assert "www-authenticate" not in answer.headers
    missing = drop.ask(method, path, fields)
    place = "body" if method == "POST" else "query"
    named = {"type": "missing", "loc": [place, "token"], "msg": "Field required", "input": None}
    assert (missing.status, missing.json) == (422, {"detail": [named]})


@pytest.mark.parametrize(("method", "path", "fields"), CALLS)
def test_paths_answer_with_and_without_a_slash_and_never_lead_elsewhere__DS_1(
    method: str, path: str, fields: dict[str, str], drop: Drop
) -> None:
    drop.register()
    plain, slash = (drop.call(method, each, **fields) for each in (path, f"{path}/"))
    assert plain.status == slash.status
    assert plain.status in (200, 404)
    assert "location" not in plain.headers


def test_everything_that_is_missing_is_named_at_once__DS_2(drop: Drop) -> None:
    drop.register()
    answer = drop.ask("POST", f"{V1}/commands/esp001/complete", {"command_id": "seven"})
    assert answer.status == 422
    assert [(one["type"], one["loc"][1]) for one in answer.json["detail"]] == [
        ("int_parsing", "command_id"),
        ("missing", "token"),
    ]


def test_the_token_may_come_as_bearer_too_and_is_kept_as_a_digest__DS_4(drop: Drop) -> None:
    token = drop.register()
    assert drop.ask("GET", f"{V1}/ping/esp001", {}, authorization=f"Bearer {token}").status == 200
    assert drop.ask("POST", f"{V1}/heartbeat/esp001", {}, authorization=f"Bearer {token}").status == 200
    assert drop.ask("GET", f"{V1}/ping/esp001", {}, authorization="Bearer wrong").status == 403
    with drop.site.database.read() as tx:
        found = tx.connection.exec_driver_sql("select * from credential").all()
        assert token.encode() not in repr(found).encode()


def test_a_wrong_token_costs_strangers_only__DS_19(drop: Drop) -> None:
    drop.register()
    statuses = {drop.ask("GET", f"{V1}/ping/esp001", {"token": "wrong"}).status for _ in range(200)}
    assert statuses == {403}
    assert drop.call("GET", f"{V1}/ping/esp001").status == 200


def test_a_device_may_ping_a_hundred_times_a_minute__DS_19(drop: Drop) -> None:
    drop.register()
    drop.register("esp002")
    answers = [drop.call("GET", f"{V1}/ping/esp001") for _ in range(101)]
    assert {one.status for one in answers[:100]} == {200}
    assert (answers[100].status, answers[100].json) == (429, {"detail": "Too many requests"})
    assert int(answers[100].headers["retry-after"]) >= 1
    assert drop.call("GET", f"{V1}/ping/esp002", "esp002").status == 200
    assert drop.beat().status == 200


def test_no_device_may_call_without_end__DS_19(drop: Drop) -> None:
    drop.register()
    statuses = [drop.call("GET", "/api/v1/files/list/esp001").status for _ in range(320)]
    assert statuses[:300] == [200] * 300
    assert statuses[-1] == 429


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"msg_type=status&content=100% + a&b=c \xff \xc3\xa9&token=", 200),
        (b"msg_type=my type!&content=&severity=&token=", 200),
        (b"msg_type=log&content=a\0b&severity=SEVERE\0&token=", 200),
        (b"msg_type=log&content=" + b"x" * 6000 + b"&token=", 200),
    ],
)
def test_what_a_sketch_says_is_never_refused__DS_7(body: bytes, status: int, drop: Drop) -> None:
    token = drop.register()
    answer = drop.site.ask("POST", f"{V1}/messages/esp001", body=body + token.encode())
    assert answer.status == status
    assert answer.json["status"] == "logged"


def test_answers_fit_a_kilobyte_on_the_device__DS_8(drop: Drop) -> None:
    drop.register()
    drop.beat(firmware_version="v" * 60, ip_address="fe80:0000:0000:0000:0000:0000:0000:0001")
    for number in range(5):
        drop.say("é" * 2000, severity="warning" if number % 2 else "error")
    answer = drop.call("GET", f"{V1}/status/esp001")
    assert model.device_cost(answer.json) <= 1024
    assert len(answer.json["recent_messages"]) >= 3
    assert len(answer.body) < 1024
    assert answer.headers["content-type"] == "application/json"
    assert "content-encoding" not in answer.headers


def test_a_lost_answer_loses_no_command__DS_10(drop: Drop) -> None:
    """It is leased: it comes again, up to a limit, and then has failed with a reason."""
    drop.register()
    number = drop.send("sync").json["command_id"]
    for _ in range(5):
        assert drop.poll()["command_id"] == number
        assert drop.poll()["command"] == "none"
        assert drop.commands()[0]["status"] == "sent"
        drop.turn(61)
    assert drop.poll()["command"] == "none"
    ended = drop.commands()[0]
    assert ended["status"] == "failed"
    assert "attempts" in ended["result"]


def test_the_highest_priority_goes_first_then_the_oldest__DS_10(drop: Drop) -> None:
    drop.register()
    low, first, second = (drop.send("ping", priority=each).json["command_id"] for each in "133")
    assert [drop.poll()["command_id"] for _ in range(3)] == [first, second, low]


def test_a_reboot_is_delivered_once_and_completed_by_the_boot_message__DS_11(drop: Drop) -> None:
    drop.register()
    drop.send("reboot")
    assert drop.poll()["command"] == "reboot"
    drop.say("Rebooting device...")
    drop.turn(6)
    assert drop.commands()[0]["status"] == "sent"
    drop.beat()
    assert drop.commands()[0]["status"] == "sent"  # six seconds are no pause
    drop.say("ESP8266 boot complete - Field node")
    assert drop.commands()[0]["status"] == "completed"
    drop.turn(700)
    assert drop.poll()["command"] == "none"


def test_a_reboot_whose_answer_was_lost_never_comes_again__DS_11(drop: Drop) -> None:
    drop.register()
    drop.send("reboot")
    assert drop.poll()["command"] == "reboot"
    for _ in range(20):
        drop.turn(60)
        assert drop.poll()["command"] == "none"
    assert drop.commands()[0]["status"] == "failed"


def test_a_heartbeat_after_a_pause_completes_a_reboot_too__DS_11(drop: Drop) -> None:
    drop.register()
    drop.beat()
    drop.send("reboot")
    drop.poll()
    drop.turn(20)
    drop.beat()
    assert drop.commands()[0]["status"] == "completed"


def test_only_ones_own_sent_command_can_be_completed__DS_12(drop: Drop) -> None:
    drop.register()
    drop.register("esp002")
    number = drop.send("sync").json["command_id"]
    unknown = (404, {"detail": "Command not found"})
    never_sent = drop.complete(number)
    assert (never_sent.status, never_sent.json) == unknown
    drop.poll()
    before = drop.commands()
    foreign = drop.complete(number, name="esp002")
    assert (foreign.status, foreign.json) == unknown
    assert drop.complete(10**17).status == 404
    assert drop.complete(-1).status == 404
    assert drop.commands() == before


def test_completed_again_it_stays_as_it_was__DS_12(drop: Drop) -> None:
    drop.register()
    number = drop.send("sync").json["command_id"]
    drop.poll()
    assert drop.complete(number, "first").status == 200
    once = drop.commands()
    assert drop.complete(number, "second").json == {"status": "completed", "command_id": number}
    assert drop.commands() == once


def test_online_is_judged_by_traffic__DS_13(drop: Drop) -> None:
    drop.register()
    assert (drop.device()["is_online"], drop.device()["status"]) == (False, "offline")
    drop.beat()
    assert (drop.device()["is_online"], drop.device()["status"]) == (True, "online")
    drop.turn(299)
    assert drop.device()["is_online"]
    drop.turn(2)
    assert (drop.device()["is_online"], drop.device()["status"]) == (False, "offline")


def test_a_trouble_that_a_device_repeats_is_over_when_it_polls__DS_13(drop: Drop) -> None:
    """The sketch never returns to `online` unless its Wi-Fi reconnects."""
    drop.register()
    drop.poll()
    drop.turn(10)
    drop.beat(status="comm_error")
    assert (drop.device()["status"], drop.device()["is_online"]) == ("comm_error", True)
    for _ in range(3):
        drop.turn(10)
        drop.poll()
        drop.beat(status="comm_error")
        assert (drop.device()["status"], drop.device()["reported_status"]) == ("online", "comm_error")
    assert drop.call("GET", f"{V1}/status/esp001").json["status"] == "online"


def test_repeated_chatter_is_one_row_with_a_counter__DS_22(drop: Drop) -> None:
    drop.register()
    for _ in range(40):
        drop.say("Detected 3 files available", msg_type="info")
        drop.turn(30)
    rows = drop.messages()
    assert len(rows) == 1
    assert rows[0]["count"] == 40
    assert drop.admin("GET", "system/stats").json["messages"]["total"] >= 1


def test_an_unknown_severity_is_kept_as_text_and_counts_as_info__DS_23(drop: Drop) -> None:
    drop.register()
    drop.say("odd", severity="fatal")
    drop.say("bad", severity="WARNING")
    assert [one["severity"] for one in drop.messages()] == ["warning", "fatal"]
    assert [one["content"] for one in drop.messages(severity="fatal")] == ["odd"]
    assert drop.events()[0] == "device_alert"
    assert drop.events().count("device_alert") == 1


def test_the_oldest_addresses_answer_in_their_own_words__DS_6(drop: Drop) -> None:
    drop.register()
    number = drop.send("ping").json["command_id"]
    assert drop.call("GET", "/message/esp001").json == {"command": "ping", "command_id": number}
    assert drop.call("GET", "/message/esp001").json == {"command": "none"}
    said = drop.call("POST", "/message", device_id="esp001", msg_type="log", content="old words")
    assert said.json == {"status": "logged"}
    assert drop.call("GET", "/check-files/esp001").json == {"file_count": 0}
    wrong = drop.ask("GET", "/message/esp001", {"token": "wrong"})
    assert (wrong.status, wrong.json) == (403, {"detail": "Unauthorized device or token"})


def test_a_device_is_one_record_whatever_it_speaks__G_22(drop: Drop) -> None:
    """Its DropSync token is a credential of the device like any other."""
    token = drop.register()
    named = drop.site.ask("POST", "/api/readings", f"Bearer {token}", {"values": {"t": 20.5}})
    assert named.status == 200
    with drop.site.database.read() as tx:
        assert devices.by_external_id(tx, drop.home.id, "dropsync", "esp001") is not None


def test_headers_of_the_sketch_are_answered_plainly__DS_8(drop: Drop) -> None:
    token = drop.register()
    headers = {"user_agent": SKETCH, "accept_encoding": "identity;q=1,chunked;q=0.1,*;q=0", "accept": ""}
    answer = drop.site.ask("GET", f"{V1}/commands/esp001?token={token}", **headers)
    assert json.loads(answer.body) == {"command": "none", "message": "No pending commands"}
    assert answer.headers["content-length"] == str(len(answer.body))
    assert "set-cookie" not in answer.headers
    assert "transfer-encoding" not in answer.headers
