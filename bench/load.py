"""Our load generator: keep-alive HTTP/1.1 on raw protocols, one request under way per connection, on its own core."""

import asyncio
import json
import math
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import httptools
import uvloop

SERVER_CORE, LOAD_CORE = 0, 1
SMALLEST_STEP = 1.01


@dataclass(frozen=True, slots=True)
class Shot:
    """One kind of request. `%d` in the body is replaced by a number that no other request has, if `numbered`."""

    port: int
    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    numbered: bool = False

    def rendered(self, number: int) -> bytes:
        body = self.body % number if self.numbered else self.body
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@dataclass(slots=True)
class Outcome:
    """Of one run. `acknowledged` counts answers of status 200-299."""

    seconds: float = 0.0
    acknowledged: int = 0
    refused: int = 0
    broken: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.acknowledged / self.seconds if self.seconds else 0.0


class Client(asyncio.Protocol):
    """Sends the next request when the last is answered."""

    transport: asyncio.Transport

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.parser = httptools.HttpResponseParser(self)
        self.sent_at = 0.0
        self.is_idle = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.ask()

    def ask(self) -> None:
        request = self.run.next_request()
        if request is None:
            self.is_idle = True
            self.transport.close()
            return
        self.sent_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.run.answered(self.parser.get_status_code(), time.perf_counter() - self.sent_at)
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.run.left(broken=not self.is_idle)


class Run:
    def __init__(self, shot: Shot, seconds: float, connections: int) -> None:
        self.shot = shot
        self.connections = connections
        self.seconds = seconds
        self.end = 0.0
        self.number = 0
        self.outcome = Outcome()
        self.by_status: dict[int, int] = {}
        self.by_step: dict[int, int] = {}
        self.done = asyncio.Event()

    async def fire(self) -> Outcome:
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        self.end = started + self.seconds
        for _ in range(self.connections):
            await loop.create_connection(lambda: Client(self), "127.0.0.1", self.shot.port)
        await asyncio.wait_for(self.done.wait(), self.seconds + 30)
        self.outcome.seconds = time.perf_counter() - started
        return self._summed()

    def next_request(self) -> bytes | None:
        if time.perf_counter() >= self.end:
            return None
        self.number += 1
        return self.shot.rendered(self.number)

    def answered(self, status: int, seconds: float) -> None:
        self.by_status[status] = self.by_status.get(status, 0) + 1
        step = math.frexp(seconds)[1] if seconds <= 0 else int(math.log(seconds * 1e6 + 1, SMALLEST_STEP))
        self.by_step[step] = self.by_step.get(step, 0) + 1

    def left(self, *, broken: bool) -> None:
        self.outcome.broken += broken
        self.connections -= 1
        if not self.connections:
            self.done.set()

    def _summed(self) -> Outcome:
        good = {status: count for status, count in self.by_status.items() if 200 <= status < 300}
        self.outcome.acknowledged = sum(good.values())
        self.outcome.refused = sum(self.by_status.values()) - self.outcome.acknowledged
        self.outcome.statuses = {str(status): count for status, count in self.by_status.items()}
        self.outcome.p50_ms, self.outcome.p99_ms = self._quantile(0.5), self._quantile(0.99)
        return self.outcome

    def _quantile(self, part: float) -> float:
        wanted, seen = part * sum(self.by_step.values()), 0
        for step in sorted(self.by_step):
            seen += self.by_step[step]
            if seen >= wanted:
                return round((SMALLEST_STEP**step - 1) / 1000, 3)
        return 0.0


def fire(shot: Shot, *, seconds: float, connections: int) -> Outcome:
    """Runs in a process of its own on the load's core."""
    order = {"shot": {**asdict(shot), "body": shot.body.decode()}, "seconds": seconds, "connections": connections}
    command = [sys.executable, str(Path(__file__))]
    finished = subprocess.run(
        command, input=json.dumps(order), capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    return Outcome(**json.loads(finished.stdout))


def pin(core: int, pid: int = 0) -> None:
    """Every thread of the process, now and later; nothing on a machine that has one core or no such call."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {core})


def main() -> None:
    """The order comes on standard input, because a body may be longer than an argument."""
    order = json.loads(sys.stdin.read())
    given = order["shot"]
    headers = tuple((name, value) for name, value in given["headers"])
    shot = Shot(**{**given, "body": given["body"].encode(), "headers": headers})
    pin(LOAD_CORE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(_fire(shot, order["seconds"], order["connections"]))
    print(json.dumps(asdict(outcome)))


async def _fire(shot: Shot, seconds: float, connections: int) -> Outcome:
    return await Run(shot, seconds, connections).fire()


if __name__ == "__main__":
    main()
