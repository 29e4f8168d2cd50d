"""Readings by HTTP/1.1 with keep-alive, one request at a time, as small devices send them."""

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools

from waystation.operation.simulate.line import Fault, RefusedForGood

ANSWER_SECONDS = 15.0
AGAIN_LATER = frozenset({408, 425, 429, *range(500, 600)})


@dataclass(frozen=True, slots=True)
class Place:
    host: str
    port: int
    tls: ssl.SSLContext | None
    prefix: str = ""

    @classmethod
    def of(cls, url: str) -> "Place":
        parts = urlsplit(url)
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        return cls(parts.hostname or "127.0.0.1", parts.port or (443 if tls else 80), tls, parts.path.rstrip("/"))


class Answers(asyncio.Protocol):
    """A connection; each answer ends one request."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._settle(Fault(f"the hub ended the connection{f': {exc}' if exc else ''}"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as fault:
            self._settle(Fault(f"not HTTP: {fault}"))
            self.close()

    def on_message_complete(self) -> None:
        """Httptools calls this at the end of every answer."""
        status, keeps = self._parser.get_status_code(), self._parser.should_keep_alive()
        self._parser = httptools.HttpResponseParser(self)
        self._settle(status)
        if not keeps:
            self.close()

    async def ask(self, request: bytes) -> int:
        """The status of the answer."""
        if self.transport is None:
            raise Fault("the connection is closed")
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._waiting
        except TimeoutError:
            self.close()
            raise Fault(f"no answer within {ANSWER_SECONDS:g} s") from None

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()
            self.transport = None

    def _settle(self, outcome: int | Fault) -> None:
        if self._waiting is None or self._waiting.done():
            return
        if isinstance(outcome, Fault):
            self._waiting.set_exception(outcome)
        else:
            self._waiting.set_result(outcome)


class Wire:
    """A connection that is opened when it is needed. Several devices of a large fleet may take turns on one."""

    def __init__(self, place: Place, path: str) -> None:
        self._place = place
        self._path = path
        self._answers: Answers | None = None
        self._turn = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        return self._answers is not None and self._answers.transport is not None

    async def post(self, authorization: str, body: bytes) -> int:
        async with self._turn:
            if not self.is_open:
                await self._open()
            assert self._answers is not None
            return await self._answers.ask(self._request(authorization, body))

    async def close(self) -> None:
        if self._answers is not None:
            self._answers.close()

    async def _open(self) -> None:
        loop, place = asyncio.get_running_loop(), self._place
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                _, self._answers = await loop.create_connection(Answers, place.host, place.port, ssl=place.tls)
        except OSError as fault:  # TimeoutError is one
            raise Fault(f"cannot reach {place.host}:{place.port}: {fault}") from fault

    def _request(self, authorization: str, body: bytes) -> bytes:
        return (
            f"POST {self._place.prefix}{self._path} HTTP/1.1\r\nHost: {self._place.host}:{self._place.port}\r\n"
            f"Authorization: {authorization}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


class HttpLine:
    """A device on a wire."""

    def __init__(self, wire: Wire, serial: str, api_key: str) -> None:
        self._wire = wire
        self._authorization = f"Device {serial}:{api_key}"

    @property
    def is_open(self) -> bool:
        return self._wire.is_open

    async def send(self, body: bytes) -> None:
        status = await self._wire.post(self._authorization, body)
        if status in AGAIN_LATER:
            raise Fault(f"the hub answered {status}")
        if status != 200:
            raise RefusedForGood(f"the hub answered {status}")

    async def close(self) -> None:
        await self._wire.close()
