"""Many devices at once, on WebSockets, over MQTT or polling over HTTP: in a process of its own, on the load's core.

The bench tells it one order a line (a method of Crowd and what it is given) and waits for the answer, one line each.
"""

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, cast

import httptools
import uvloop
from load import LOAD_CORE, Shot, pin
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from waystation_agent.backoff import chance, pause_seconds

HANDSHAKE_SECONDS = 20.0
CONNECTING_AT_ONCE = 50  # when nothing is measured
SETTLE_SECONDS = 60.0
ARRIVE_SECONDS = 30.0
CONNACK, PUBLISH, PUBACK, SUBACK = 2, 3, 4, 9

Fact = dict[str, Any]
Heard = Callable[[Fact], None]


# One device each.


class Link(asyncio.Protocol):
    """A device's connection: `listening` is set when commands can come, `lost` when it has ended."""

    transport: asyncio.Transport

    def __init__(self, device: Fact, heard: Heard) -> None:
        self.device = device
        self.heard = heard
        self.listening = asyncio.Event()
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.begin()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.lost.set()

    def begin(self) -> None:
        raise NotImplementedError

    def done(self, uid: str) -> None:
        """Says that it did what it was told."""
        raise NotImplementedError


class OverWebSocket(Link):
    speech: ClientProtocol

    def begin(self) -> None:
        port = self.transport.get_extra_info("peername")[1]
        self.speech = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/api/commands/socket"))
        request = self.speech.connect()
        request.headers["Authorization"] = f"Device {self.device['serial']}:{self.device['api_key']}"
        self.speech.send_request(request)
        self._send()

    def data_received(self, data: bytes) -> None:
        self.speech.receive_data(data)
        for event in self.speech.events_received():
            if isinstance(event, Response):
                self._opened()
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._told(json.loads(bytes(event.data)))
        self._send()

    def done(self, uid: str) -> None:
        self.speech.send_text(json.dumps({"type": "outcome", "id": uid, "state": "done"}).encode())
        self._send()

    def _opened(self) -> None:
        if self.speech.state is State.OPEN:
            self.listening.set()
        else:
            self.transport.abort()

    def _told(self, told: Fact) -> None:
        if told["type"] == "command":
            self.heard(told)
            self.done(told["id"])

    def _send(self) -> None:
        for part in self.speech.data_to_send():
            if part:
                self.transport.write(part)
            else:
                self.transport.close()


class OverMqtt(Link):
    """MQTT 3.1.1 as docs/reference/device-api.md says: subscribe, then `ready` at QoS 1, each answered."""

    qos = 0

    def begin(self) -> None:
        self.waiting = b""
        key = self.device["key"]
        names = b"".join(map(_text, (f"d-{key}", key, self.device["api_key"])))
        self.transport.write(_packet(0x10, b"\x00\x04MQTT\x04\xc2\x01\x2c" + names))

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (found := _first_packet(self.waiting)) is not None:
            kind, body, self.waiting = found
            self._take(kind, body)

    def _take(self, kind: int, body: bytes) -> None:
        if kind == CONNACK:
            self._welcomed(body)
        elif kind == SUBACK:
            self._subscribed(body)
        elif kind == PUBACK:
            self.listening.set()
        elif kind == PUBLISH:
            length = int.from_bytes(body[:2], "big")
            if body[2 : 2 + length].endswith(b"/down/commands"):  # at QoS 0
                told = json.loads(body[2 + length :])
                self.heard(told)
                self.done(told["id"])

    def _welcomed(self, body: bytes) -> None:
        if body[1]:
            self.transport.abort()
        else:
            topic = _text(f"d/{self.device['key']}/down/#")
            self.transport.write(_packet(0x82, b"\x00\x01" + topic + bytes([self.qos])))

    def _subscribed(self, body: bytes) -> None:
        if body[2] == self.qos:
            self._publish("ready", b"{}")
        else:
            self.transport.abort()

    def done(self, uid: str) -> None:
        self._publish("outcome", json.dumps({"id": uid, "state": "done"}).encode())

    def _publish(self, what: str, body: bytes) -> None:
        self.transport.write(_packet(0x32, _text(f"d/{self.device['key']}/up/{what}") + b"\x00\x02" + body))


class OverMqttAtOne(OverMqtt):
    """Subscribes at QoS 1, for which the server makes queues that stay empty."""

    qos = 1


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def _packet(first: int, body: bytes) -> bytes:
    """Of less than 16 KiB."""
    length = len(body)
    return bytes([first, length] if length < 128 else [first, length % 128 | 128, length // 128]) + body


def _first_packet(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Its kind, its body and what follows; None while it is not whole."""
    length, at = 0, 1
    while at < len(data):
        length |= (data[at] & 127) << 7 * (at - 1)
        at += 1
        if data[at - 1] < 128:
            whole = len(data) >= at + length
            return (data[0] >> 4, data[at : at + length], data[at + length :]) if whole else None
    return None


class Member:
    """A device that wants to listen, and comes back with the agent's own pauses whenever it is cut off."""

    def __init__(self, crowd: "Crowd", device: Fact, link: type[Link], port: int) -> None:
        self.crowd, self.device, self.link, self.port = crowd, device, link, port
        self.line: Link | None = None
        self.refused = 0
        self.task = asyncio.create_task(self._live())

    async def _live(self) -> None:
        failures = 0
        while True:
            try:
                async with self.crowd.door:
                    self.line = await self._listen()
                failures = 0
                self.crowd.came_back(self)
                await self.line.lost.wait()
            except (OSError, TimeoutError):
                self.refused += 1
            failures += 1
            await asyncio.sleep(pause_seconds(failures, chance()))

    async def _listen(self) -> Link:
        """ConnectionError when it is not let in."""
        loop, heard = asyncio.get_running_loop(), self.crowd.heard
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            _, line = await loop.create_connection(lambda: self.link(self.device, heard), "127.0.0.1", self.port)
            ends = [asyncio.create_task(event.wait()) for event in (line.listening, line.lost)]
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                line.transport.abort()
                raise
            finally:
                for end in ends:
                    end.cancel()
        if not line.listening.is_set():
            raise ConnectionRefusedError
        return line

    def cut(self) -> None:
        if self.line is not None:
            self.line.transport.abort()


class Caller(asyncio.Protocol):
    """A keep-alive HTTP connection with one question under way."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.answer: asyncio.Future[int] | None = None
        self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes) -> "asyncio.Future[int]":
        """The status, when the answer is whole; 0 when the connection was lost."""
        self.body, self.answer = b"", asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answer

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self._end(self.parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._end(0)

    def _end(self, status: int) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(status)


# All of them.


class Crowd:
    """The orders, each a method: what it is given comes as JSON, and so goes what it returns."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.back_at: dict[Member, float] = {}
        self.all_back = asyncio.Event()
        self.door = asyncio.Semaphore(CONNECTING_AT_ONCE)
        self.had_at: dict[str, float] = {}  # by the command's id
        self.had = asyncio.Event()

    def heard(self, command: Fact) -> None:
        self.had_at.setdefault(command["id"], time.perf_counter())
        self.had.set()

    async def connect(self, devices: Sequence[Fact], ports: dict[str, int]) -> Fact:
        """Half on WebSockets, half over MQTT, and of these half at QoS 1."""
        began = time.perf_counter()
        for number, device in enumerate(devices):
            link = (OverWebSocket, OverMqtt, OverWebSocket, OverMqttAtOne)[number % 4]
            port = ports["http" if link is OverWebSocket else "mqtt"]
            self.members.append(Member(self, device, link, port))
        await self._until_back()
        self.door = asyncio.Semaphore(len(devices))  # from now on they come as they like
        return {"seconds": time.perf_counter() - began, "refused": self._refused()}

    async def come_back(self, *, cut: bool) -> Fact:
        """Until each was cut off, by us or by the hub, and listens again."""
        self.back_at.clear()
        self.all_back.clear()
        for member in self.members:
            member.refused = 0
            if cut:
                member.cut()
        began = time.perf_counter()
        await self._until_back()
        seconds = sorted(at - began for at in self.back_at.values())
        half, last = seconds[len(seconds) // 2], seconds[-1]
        return {"back": len(seconds), "half": half, "last": last, "refused": self._refused()}

    def came_back(self, member: Member) -> None:
        self.back_at.setdefault(member, time.perf_counter())
        if len(self.back_at) == len(self.members):
            self.all_back.set()

    async def _until_back(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.all_back.wait(), SETTLE_SECONDS)

    def _refused(self) -> int:
        return sum(member.refused for member in self.members)

    # Commands.

    async def tell_each(self, port: int, token: str, *, count: int, per_second: float) -> Fact:
        """One command after another to devices by chance; how long until the device had it, in milliseconds."""
        callers = [await _caller(port) for _ in range(4)]
        idle: asyncio.Queue[Caller] = asyncio.Queue()
        for caller in callers:
            idle.put_nowait(caller)
        chosen = random.Random(7).sample(self.members, count)
        began, sending = time.perf_counter(), list[asyncio.Task[tuple[str, str, float, float]]]()
        for number, member in enumerate(chosen):
            await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
            sending.append(asyncio.create_task(_command(idle, port, token, member)))
        sent = await asyncio.gather(*sending)
        await self._until(lambda: all(uid in self.had_at for uid, *_ in sent))
        links: dict[str, list[float]] = {}
        for uid, link, began, _ in sent:
            links.setdefault(link, []).append((self.had_at.get(uid, float("inf")) - began) * 1000)
        answered = [(ended - began) * 1000 for _, _, began, ended in sent]
        lost = [uid for uid, *_ in sent if uid not in self.had_at]
        return {"links": links, "answered": answered, "lost": lost}

    async def tell_all(self, port: int, token: str, model: str) -> Fact:
        """One command to all of a model; the seconds until the call was answered and until the last had it."""
        caller, already = await _caller(port), set(self.had_at)
        began = time.perf_counter()
        status = await caller.ask(_post(port, token, {"model": model}))
        answered = time.perf_counter() - began
        wanted = json.loads(caller.body)["progress"]["total"] if status == 201 else -1
        await self._until(lambda: len(self.had_at) - len(already) >= wanted)
        had = sorted(at - began for uid, at in self.had_at.items() if uid not in already)
        return {"answered": answered, "had": len(had), "wanted": wanted, "last": had[-1] if had else 0.0}

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Looked at with every command that somebody has; or until it takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ARRIVE_SECONDS):
                while not is_so():
                    self.had.clear()
                    await self.had.wait()

    # Polling.

    async def visit(self, port: int, devices: Sequence[Fact], *, seconds: float) -> Fact:
        """Each polls once a second and sends a reading once a second, on one connection; milliseconds of each."""
        until = time.perf_counter() + seconds
        taken = await asyncio.gather(*(self._visits(port, device, until) for device in devices))
        polls = sorted(poll for one in taken for poll in one[0])
        readings = sorted(reading for one in taken for reading in one[1])
        return {"polls": polls, "readings": readings, "refused": [fault for one in taken for fault in one[2]]}

    async def _visits(self, port: int, device: Fact, until: float) -> tuple[list[float], list[float], list[int]]:
        mine = (("Authorization", f"Device {device['serial']}:{device['api_key']}"),)
        poll = Shot(port, "GET", "/api/commands/next", b"", mine).rendered(0)
        reading = Shot(port, "POST", "/api/readings", b'{"values":{"temperature_c":21.5}}', mine).rendered(0)
        took: tuple[list[float], list[float]] = ([], [])
        refused: list[int] = []
        next_at = time.perf_counter() + chance()
        caller = await _caller(port)
        while (began := time.perf_counter()) < until:
            if began < next_at:
                await asyncio.sleep(next_at - began)
            for request, times in zip((poll, reading), took, strict=True):
                began = time.perf_counter()
                status = await caller.ask(request)
                times.append((time.perf_counter() - began) * 1000)
                refused += [] if status == 200 else [status]
            next_at += 1.0
        caller.transport.close()
        return *took, refused


async def _caller(port: int) -> Caller:
    _, caller = await asyncio.get_running_loop().create_connection(Caller, "127.0.0.1", port)
    return caller


async def _command(
    idle: "asyncio.Queue[Caller]", port: int, token: str, member: Member
) -> tuple[str, str, float, float]:
    """Its id, the device's link, when it was asked for and when that was answered."""
    began = time.perf_counter()
    caller = await idle.get()
    status = await caller.ask(_post(port, token, {"devices": [member.device["key"]]}))
    answered = time.perf_counter()
    uid = json.loads(caller.body)["commands"][0]["id"] if status == 201 else f"refused with {status}"
    idle.put_nowait(caller)
    return uid, "WebSocket" if member.link is OverWebSocket else "MQTT", began, answered


def _post(port: int, token: str, to: Fact) -> bytes:
    body = json.dumps({"to": to, "name": "blink", "parameters": {"times": 3}}).encode()
    headers = (("Authorization", f"Bearer {token}"), ("Content-Type", "application/json"))
    return Shot(port, "POST", "/api/commands", body, headers).rendered(0)


# The process.


class Orders:
    """The bench's side: `with Orders() as crowd: crowd.connect(…)` asks and waits, `begin` and `end` do not."""

    def __enter__(self) -> Self:
        command = [sys.executable, str(Path(__file__))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def begin(self, verb: str, **given: Any) -> None:
        assert self._process.stdin is not None
        print(json.dumps([verb, given]), file=self._process.stdin, flush=True)

    def end(self) -> Fact:
        """The answer to the oldest order that has none yet."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def ask(self, verb: str, **given: Any) -> Fact:
        self.begin(verb, **given)
        return self.end()


async def obey() -> None:
    """Until standard input ends; orders are carried out beside each other, and answered in their order."""
    crowd, loop = Crowd(), asyncio.get_running_loop()
    answers: asyncio.Queue[asyncio.Task[Fact] | None] = asyncio.Queue()

    async def answer() -> None:
        while (task := await answers.get()) is not None:
            print(json.dumps(await task), flush=True)

    answering = asyncio.create_task(answer())
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        verb, given = json.loads(line)
        answers.put_nowait(asyncio.create_task(getattr(crowd, verb)(**given)))
    answers.put_nowait(None)
    await answering
    for member in crowd.members:
        member.task.cancel()


def main() -> None:
    pin(LOAD_CORE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(obey())


if __name__ == "__main__":
    main()
