"""Commands over MQTT, with the real hub, its broker and a real client."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.hub import Hub, Registered
from tests.servers import StartHub

from waystation.kernel.tests.nats_site import Device

pytestmark = pytest.mark.servers


class Porch:
    """A device of the hub over MQTT, and a person who sends it commands."""

    def __init__(self, hub: Hub, thing: Registered) -> None:
        self.hub = hub
        self.thing = thing
        self.line = Device(hub.mqtt_port, thing.key, thing.api_key)

    def connect(self) -> None:
        """It tries again by itself while the broker does not know our hub yet."""
        if not self.line.connect():
            while self.line.answer.get(timeout=60) != 0:
                pass

    def listen(self, *, qos: int = 1) -> None:
        self.connect()
        assert self.line.subscribe(f"d/{self.thing.key}/down/#", qos)
        self.say("ready", b"{}")

    def say(self, what: str, body: Any) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        assert self.line.send(f"d/{self.thing.key}/up/{what}", text)

    def next(self) -> tuple[str, Any]:
        message = self.line.next()
        return message.topic.rpartition("/")[2], json.loads(message.payload)

    def send(self, name: str, **wanted: Any) -> str:
        body = {"to": {"devices": [self.thing.key]}, "name": name, **wanted}
        status, made = self.hub.post("/api/commands", body, f"Bearer {self.hub.token}")
        assert status == 201, made
        return made["commands"][0]["id"]

    def seen(self, uid: str) -> Any:
        return self.hub.get(f"/api/commands/{uid}")


@pytest.fixture
def porch(hub: StartHub) -> Iterator[Porch]:
    started = hub(mqtt=True)
    made = Porch(started, started.register_device("Porch"))
    yield made
    made.line.close()


def test_commands_come_one_after_the_other_and_new_ones_by_themselves(porch: Porch) -> None:
    first, second = porch.send("a", parameters={"n": 1}), porch.send("b")
    porch.listen()
    topic, taken = porch.next()
    assert (topic, taken["id"], taken["parameters"], taken["attempt"]) == ("commands", first, {"n": 1}, 1)
    porch.say("outcome", {"id": first, "state": "running"})
    assert porch.next() == ("outcome", {"id": first, "state": "running"})
    porch.say("outcome", {"id": first, "state": "done", "result": 5})
    found = dict([porch.next(), porch.next()])
    assert found["outcome"] == {"id": first, "state": "done"}
    assert found["commands"]["id"] == second
    porch.say("outcome", [{"id": second, "state": "done"}, {"id": "nobody", "state": "done"}])
    _, answer = porch.next()
    assert [one.get("state", one.get("code")) for one in answer["outcomes"]] == ["done", "not_found"]
    third = porch.send("c")
    assert porch.next()[1]["id"] == third
    assert [line["link"] for line in porch.seen(third)["history"]] == ["", "mqtt"]


def test_an_outcome_that_is_none_is_answered(porch: Porch) -> None:
    porch.listen()
    porch.say("outcome", b"nonsense")
    topic, answer = porch.next()
    assert (topic, answer["code"]) == ("outcome", "invalid")


def test_a_once_only_command_is_kept_for_a_device_that_no_longer_listens(porch: Porch) -> None:
    porch.listen(qos=0)
    porch.say("outcome", b"[]")  # settled when its answer is here, and so is the ready before it
    assert porch.next()[0] == "outcome"
    porch.line.close()
    uid = porch.send("reboot")
    back = Porch(porch.hub, porch.thing)
    try:
        back.listen()
        _, taken = back.next()
    finally:
        back.line.close()
    assert (taken["id"], taken["attempt"], taken["once"]) == (uid, 1, True)
    assert "lapsed" not in [line["what"] for line in porch.seen(uid)["history"]]


def test_it_can_listen_to_the_topic_alone_and_take_over_http_as_well(porch: Porch) -> None:
    porch.connect()
    assert porch.line.subscribe(f"d/{porch.thing.key}/down/commands", 1)
    porch.say("ready", b"")
    uid = porch.send("ping")
    assert porch.next()[1]["id"] == uid
    status, told = porch.hub.post("/api/commands/outcome", {"id": uid, "state": "done"}, porch.thing.authorization)
    assert (status, told["state"]) == (200, "done")
