"""Alerts of a hub as it is served: from a reading over HTTP to a notice that has left, and an orderly end."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.hub import Hub, Registered
from tests.servers import StartHub

pytestmark = pytest.mark.servers
PATIENCE_SECONDS = 90


def eventually(look: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)
    return found


def say(hub: Hub, device: Registered, value: float) -> None:
    status, answer = hub.post("/api/readings", {"values": {"temp": value}}, device.authorization)
    assert status == 200, answer


def test_a_reading_becomes_a_notice_that_has_left_and_the_hub_ends_in_order(hub: StartHub) -> None:
    served = hub()
    device = served.register_device("Kitchen")
    status, channel = served.post("/api/alerts/channels", {"kind": "console", "name": "log"}, f"Bearer {served.token}")
    assert status == 201, channel
    rule = served.command("alert", "rule", "add", "Too hot", "above", "--metric", "temp", "--threshold", "30")
    say(served, device, 20.0)
    say(served, device, 31.0)
    (found,) = eventually(lambda: served.get("/api/alerts/incidents?open=true")["incidents"])
    assert (found["rule_uid"], found["value"], found["device_key"]) == (rule["uid"], "31", device.key)
    eventually(lambda: served.get(f"/api/alerts/channels/{channel['id']}")["sent_at"])
    say(served, device, 20.0)
    eventually(lambda: not served.command("alert", "incident", "list"))
    assert served.stop() == 0
    assert "alerts not evaluated" not in served.log
    after = json.loads(served.command_without_json("alert", "incident", "list", "--all", "--json"))
    assert [one["why_cleared"] for one in after] == ["it is over"]


def test_a_hub_that_was_killed_evaluates_what_it_had_acknowledged(hub: StartHub) -> None:
    served = hub()
    device = served.register_device("Kitchen")
    served.command("alert", "rule", "add", "Too hot", "above", "--metric", "temp", "--threshold", "30")
    say(served, device, 31.0)
    served.kill_all()
    served.start()
    (found,) = eventually(lambda: served.command("alert", "incident", "list"))
    assert found["value"] == "31"
    assert served.stop() == 0
