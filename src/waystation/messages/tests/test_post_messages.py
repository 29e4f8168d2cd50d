"""`POST /api/messages` and `up/messages`: what a device may send, and what it is told."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.site import NOON, Answer, Site, Thing, standing_site

from waystation import devices, homes
from waystation.kernel.clock import micros
from waystation.kernel.errors import Unavailable
from waystation.kernel.mqtt import Later, MqttMessage
from waystation.messages import Intake, Message, store
from waystation.messages.mqtt import Lines
from waystation.messages.store import Wanted

NOON_MS = micros(NOON) // 1000


class Porch:
    """A device of a standing site that writes."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.home: homes.Home = site.home()
        self.thing: Thing = site.device(self.home)
        self.lines = Lines(site.parts.get(devices.Gate), site.parts.get(Intake))

    def post(self, body: Any, **headers: str) -> Answer:
        return self.site.ask("POST", "/api/messages", self.thing.authorization, body, **headers)

    def publish(self, body: Any, sequence: int | None = 1) -> Any:
        at = None if sequence is None else NOON_MS * 1000
        payload = body if isinstance(body, bytes) else msgspec.json.encode(body)
        message = MqttMessage(self.thing.key, f"d.{self.thing.key}.up.messages", payload, at, sequence)
        assert self.site.client.portal is not None
        (settled,) = self.site.client.portal.call(self.lines.settle, [message])
        return settled

    def stored(self) -> list[Message]:
        with self.site.database.read() as tx:
            return store.newest(tx, Wanted(self.home.id), most=1000)


@pytest.fixture
def porch(tmp_path: Path) -> Iterator[Porch]:
    with standing_site(tmp_path, messages_per_minute=60, messages_burst=600) as site:
        yield Porch(site)


def test_an_object_an_array_and_lines_are_taken(porch: Porch) -> None:
    whole = {"at": "2026-11-21T11:00:00.250Z", "severity": "warning", "type": "status", "content": "hot"}
    assert porch.post(whole).json == {"stored": 1}
    assert porch.post([{"content": "a"}, {"at": NOON_MS - 1.5, "severity": None, "content": "b"}]).json == {"stored": 2}
    assert porch.post(b'{"content":"c"}\n\n{"content":"d"}\n').json == {"stored": 2}
    found = [(one.content, one.severity, one.type) for one in porch.stored()]
    assert found[::-1] == [("hot", "warning", "status"), *((name, "info", "log") for name in "abcd")]


def test_gzip_is_taken(porch: Porch) -> None:
    body = gzip.compress(b"\n".join(b'{"content":"line %d"}' % n for n in range(500)))
    assert porch.post(body, content_encoding="gzip").json == {"stored": 500}
    assert len(porch.stored()) == 500


def test_the_same_again_after_a_lost_answer_is_stored_once(porch: Porch) -> None:
    body = [{"at": NOON_MS + n, "content": "tick" if n % 3 else "tock"} for n in range(30)]
    for _ in range(3):
        assert porch.post(body).json == {"stored": 30}
    assert sum(one.count for one in porch.stored()) == 30


BAD = [
    (b"", "the body is not JSON"),
    (b"[]", "no message"),
    (b"{}", "message 1 is not one: Object missing required field `content`"),
    (b'[{"content":"a"},{"content":1}]', "message 2 is not one: Expected `str`, got `int`"),
    (b'{"content":"a","severity":"bad"}', "message 1: 'bad' is not a severity"),
    (b'{"content":"a","type":"a b"}', "message 1: 'a b' is not a type"),
    (b'{"content":"a"}\n{"content":"a","at":"soon"}', "message 2: at 'soon' is not an ISO 8601 time"),
    (b'{"content":"a","at":1764417600}', "message 1: at 1970-01-21T10:06:57.600000Z (1764417600) is more than"),
    (b'{"content":"a","at":1e300}', "is more than"),
    (b'{"content":"\\ud800"}', "the body is not JSON"),
    (b'{"content":"\xff"}', "the body is not JSON"),
    (msgspec.json.encode({"content": "x" * 4097}), "message 1 has a content of more than 4096 characters"),
]


def test_a_bad_body_is_refused_as_a_whole_with_a_reason(porch: Porch) -> None:
    for body, detail in BAD:
        answer = porch.post(body)
        assert (answer.status, detail in answer.json["detail"]) == (400, True), answer.json
    assert not porch.stored()


def test_more_than_five_hundred_lines_are_too_many_for_one_call(porch: Porch) -> None:
    answer = porch.post([{"content": "a"}] * 501)
    assert (answer.status, "at most 500" in answer.json["detail"]) == (413, True)


def test_a_nul_of_a_careless_sketch_loses_no_line(porch: Porch) -> None:
    assert porch.post({"content": "rebooted\x00\x00"}).status == 200
    assert [one.content for one in porch.stored()] == ["rebooted␀␀"]


def test_only_a_device_may_write(porch: Porch) -> None:
    person = porch.site.somebody(porch.home)
    assert porch.site.ask("POST", "/api/messages", person.authorization, {"content": "a"}).status in (401, 403)
    assert porch.site.ask("POST", "/api/messages", "", {"content": "a"}).status == 401
    assert not porch.stored()


def test_who_writes_is_seen(porch: Porch) -> None:
    porch.post({"content": "a"})
    with porch.site.database.read() as tx:
        found = devices.by_id(tx, porch.thing.id)
    assert found is not None
    assert found.last_seen_at == NOON


def test_who_writes_too_much_is_told_to_wait_and_nothing_of_the_call_is_stored(porch: Porch) -> None:
    assert porch.post([{"content": f"{n}"} for n in range(500)]).status == 200
    answer = porch.post([{"content": f"{n}"} for n in range(500)])
    assert (answer.status, answer.json["detail"]) == (
        429,
        "this device may write 60 lines a minute; wait, and log less",
    )
    assert 300 <= int(answer.headers["retry-after"]) <= 400
    assert len(porch.stored()) == 500


def test_by_mqtt_the_same_delivery_again_is_stored_once(porch: Porch) -> None:
    body = [{"content": "a"}, {"content": "a"}, {"content": "b"}]
    assert [porch.publish(body), porch.publish(body)] == [True, True]
    assert [(one.content, one.count) for one in porch.stored()] == [("b", 1), ("a", 2)]


def test_by_mqtt_what_is_bad_is_settled_and_what_is_too_much_waits(porch: Porch) -> None:
    assert porch.publish(b"nonsense") is True
    assert porch.publish([{"content": f"{n}"} for n in range(500)]) is True
    assert isinstance(porch.publish([{"content": f"{n}"} for n in range(200)], 2), Later)
    assert porch.publish([{"content": "at QoS 0"}] * 200, None) is True
    assert len(porch.stored()) == 500


def test_by_mqtt_what_cannot_be_stored_now_comes_again(porch: Porch, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_device: object) -> None:
        raise Unavailable("not now")

    monkeypatch.setattr(porch.site.parts.get(Intake), "check_room", away)
    assert porch.publish({"content": "a"}) is False
