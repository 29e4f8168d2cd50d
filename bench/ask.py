"""A plain keep-alive HTTP client, the same for every server that is measured."""

import http.client
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

TIMEOUT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    body: bytes
    milliseconds: float


class Asker:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, request: Request) -> Answered:
        began = time.perf_counter()
        self._connection.request(request.method, request.path, request.body or None, request.headers)
        answer = self._connection.getresponse()
        body = answer.read()
        return Answered(answer.status, body, (time.perf_counter() - began) * 1000)

    def well(self, request: Request) -> Answered:
        answered = self.ask(request)
        if not 200 <= answered.status < 300:
            raise RuntimeError(f"{request.method} {request.path[:200]}: {answered.status} {answered.body[:300]!r}")
        return answered


def all_of(port: int, requests: Sequence[Request], *, connections: int) -> tuple[float, list[float]]:
    """Seconds until the last answer, and the milliseconds of each; every one must be answered well."""
    waiting, lock = iter(requests), threading.Lock()
    taken: list[float] = []
    faults: list[Exception] = []

    def work() -> None:
        try:
            with Asker(port) as asker:
                while (request := _next(waiting, lock)) is not None and not faults:
                    taken.append(asker.well(request).milliseconds)
        except Exception as fault:  # noqa: BLE001  told below, from the thread that waits
            faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return time.perf_counter() - began, taken


def _next(waiting: Iterator[Request], lock: threading.Lock) -> Request | None:
    with lock:
        return next(waiting, None)
