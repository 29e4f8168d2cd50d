"""The four ways a device gets commands and says what became of them, each with a real client over one cable."""

import contextlib
import http.client
import json
import queue
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from tests.hub import Registered
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

ANSWER_SECONDS = 15.0  # a device that hears nothing for so long begins anew
LONG_POLL_SECONDS = 2
IDLE_SECONDS = 0.5

Outcome = dict[str, Any]


class Cut(Exception):
    """The line is gone, or the hub has no time; whoever had it begins anew."""


class Line(Protocol):
    """One connection of one life of a device. Every method raises Cut when it is gone."""

    def next(self) -> dict[str, Any] | None:
        """The next command; None when there was none for a moment."""
        ...

    def say(self, outcomes: Sequence[Outcome]) -> None: ...

    def answers(self, outcomes: Sequence[Outcome]) -> list[dict[str, str]]:
        """What the hub answers to what was said last, in any order: `state` or `code` of each id."""
        ...

    def close(self) -> None: ...


class Poll:
    """Asks, and asks again."""

    PATH = "/api/commands/next"
    ASKING = b"GET /api/commands/next"

    def __init__(self, port: int, device: Registered) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        self._headers = {"Authorization": device.authorization, "Content-Type": "application/json"}

    def next(self) -> dict[str, Any] | None:
        self._ask("GET", self.PATH)
        status, told = self._answer()
        assert status == 200, told
        return told["command"]

    def say(self, outcomes: Sequence[Outcome]) -> None:
        self._ask("POST", "/api/commands/outcome", outcomes[0] if len(outcomes) == 1 else list(outcomes))

    def answers(self, outcomes: Sequence[Outcome]) -> list[dict[str, str]]:
        status, told = self._answer()
        if len(outcomes) > 1:
            assert status == 200, told
            return told["outcomes"]
        assert status in (200, 404, 409), told
        return [{"id": outcomes[0]["id"], **({"state": told["state"]} if status == 200 else {"code": told["code"]})}]

    def _ask(self, method: str, path: str, body: Any = None) -> None:
        with _cut_when_gone():
            self._connection.request(method, path, None if body is None else json.dumps(body), self._headers)

    def _answer(self) -> tuple[int, Any]:
        with _cut_when_gone():
            status, told = whole_answer(self._connection)
        if status >= 500:
            raise Cut(str(told))
        return status, told

    def close(self) -> None:
        self._connection.close()


def whole_answer(connection: http.client.HTTPConnection) -> tuple[int, Any]:
    """Status and JSON. HTTPException also for one that was torn in its head, which the library takes for empty."""
    answer = connection.getresponse()
    body = answer.read()
    if answer.getheader("content-length") is None:
        raise http.client.IncompleteRead(body)
    return answer.status, json.loads(body)


class LongPoll(Poll):
    """Asks, and is answered when there is something."""

    PATH = f"/api/commands/next?wait={LONG_POLL_SECONDS}"


class Mqtt:
    """Is told, one after the other."""

    ASKING = b"up/ready"

    def __init__(self, port: int, device: Registered) -> None:
        self._key = device.key
        self._commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._told: list[dict[str, Any]] = []
        self._is_admitted = self._is_listening = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"gadget-{device.key}")
        self._client.username_pw_set(device.serial, device.api_key)
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._received
        with _cut_when_gone():
            self._client.connect("127.0.0.1", port, keepalive=10)
        self._until("_is_admitted")
        self._client.subscribe(f"d/{self._key}/down/#", 1)
        self._until("_is_listening")
        self._client.publish(f"d/{self._key}/up/ready", b"{}", 1)

    def _connected(self, _client: Any, _user: Any, _flags: Any, code: Any, _properties: Any) -> None:
        self._is_admitted = code.value == 0

    def _subscribed(self, _client: Any, _user: Any, _number: int, codes: Any, _properties: Any) -> None:
        self._is_listening = not codes[0].is_failure

    def _received(self, _client: Any, _user: Any, message: paho.MQTTMessage) -> None:
        body = json.loads(message.payload)
        if message.topic.endswith("/commands"):
            self._commands.put(body)
        else:
            self._told.extend(body.get("outcomes", [body]))

    def _until(self, fact: str) -> None:
        until = time.monotonic() + ANSWER_SECONDS
        while not getattr(self, fact):
            self._turn()
            if time.monotonic() > until:
                raise Cut(fact)

    def _turn(self) -> None:
        """Sends and receives for a moment."""
        with _cut_when_gone():
            if self._client.loop(0.1) is not paho.MQTT_ERR_SUCCESS:
                raise Cut("the connection is gone")

    def next(self) -> dict[str, Any] | None:
        until = time.monotonic() + IDLE_SECONDS
        while self._commands.empty() and time.monotonic() < until:
            self._turn()
        return None if self._commands.empty() else self._commands.get()

    def say(self, outcomes: Sequence[Outcome]) -> None:
        body = outcomes[0] if len(outcomes) == 1 else list(outcomes)
        self._told.clear()
        self._client.publish(f"d/{self._key}/up/outcome", json.dumps(body).encode(), 1)

    def answers(self, outcomes: Sequence[Outcome]) -> list[dict[str, str]]:
        until = time.monotonic() + ANSWER_SECONDS
        while not all(found := [self._answer_to(one) for one in outcomes]):
            self._turn()
            if time.monotonic() > until:
                raise Cut("no answer")
        return [one for one in found if one is not None]

    def _answer_to(self, outcome: Outcome) -> dict[str, str] | None:
        """Not the one to an earlier `running`, which a hub may take up once more after it was killed."""
        for told in self._told:
            if told["id"] == outcome["id"] and ("code" in told or outcome["state"] in ("running", told["state"])):
                return told
        return None

    def close(self) -> None:
        self._client.on_connect = self._client.on_subscribe = self._client.on_message = None
        with contextlib.suppress(OSError, ValueError):
            self._client.disconnect()
        if (left := self._client.socket()) is not None:
            left.close()


class WebSocket:
    """Is told, one after the other, and answers on the same line."""

    ASKING = b"GET /api/commands/socket"

    def __init__(self, port: int, device: Registered) -> None:
        headers = {"Authorization": device.authorization}
        self._waiting: list[dict[str, Any]] = []
        self._end = contextlib.ExitStack()
        with _cut_when_gone():
            opened = connect(
                f"ws://127.0.0.1:{port}/api/commands/socket",
                additional_headers=headers,
                compression=None,  # cables look for words
                proxy=None,
                open_timeout=ANSWER_SECONDS,
                close_timeout=1,
                ping_interval=None,
            )
            self._socket = self._end.enter_context(opened)

    def next(self) -> dict[str, Any] | None:
        if self._waiting:
            return self._waiting.pop(0)
        try:
            return self._hear(IDLE_SECONDS)
        except TimeoutError:
            return None

    def say(self, outcomes: Sequence[Outcome]) -> None:
        with _cut_when_gone():
            for one in outcomes:
                self._socket.send(json.dumps({"type": "outcome", **one}))

    def answers(self, outcomes: Sequence[Outcome]) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        while len(found) < len(outcomes):
            try:
                told = self._hear(ANSWER_SECONDS)
            except TimeoutError as late:
                raise Cut("no answer") from late
            if told["type"] == "command":
                self._waiting.append(told)
            else:
                found.append(told)
        return found

    def _hear(self, seconds: float) -> dict[str, Any]:
        try:
            return json.loads(self._socket.recv(seconds))
        except TimeoutError:
            raise
        except (OSError, EOFError, WebSocketException) as gone:
            raise Cut(repr(gone)) from gone

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError, WebSocketException):
            self._end.close()


Delivery = type[Poll | LongPoll | Mqtt | WebSocket]
DELIVERIES: tuple[Delivery, ...] = (Poll, LongPoll, Mqtt, WebSocket)


@contextlib.contextmanager
def _cut_when_gone() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, http.client.HTTPException, WebSocketException) as gone:
        raise Cut(repr(gone)) from gone
