"""A real server in a thread, over an app that shows everything a client can do to it."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from waystation.kernel import faults
from waystation.kernel.door import Limits
from waystation.kernel.errors import Refused, TooMany
from waystation.kernel.feature import HotAnswer, HotRequest, HotRoute
from waystation.kernel.hot import Hot
from waystation.kernel.parts import Parts
from waystation.kernel.server import Server, serve_here
from waystation.kernel.sockets import listen

PATIENCE_SECONDS = 20
IMPATIENT = Limits(
    header_timeout_seconds=0.8,  # longer than an honest client is ever held up on a busy machine
    body_timeout_seconds=0.8,
    idle_timeout_seconds=0.8,
    write_timeout_seconds=0.8,
    linger_seconds=2,  # a client that reads late still reads why it was refused
    least_body_bytes_per_second=2000,
    max_body_bytes=100_000,
)


class Gate:
    """Lets requests to /hot/slow and /slow go on when the test says so."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    async def pass_through(self) -> None:
        self.entered.set()
        while not self.opened.is_set():  # noqa: ASYNC110  the test opens it from its own thread
            await asyncio.sleep(0.01)


class Wanted(BaseModel):
    celsius: float
    name: str = ""


async def echo(request: HotRequest) -> HotAnswer:
    return HotAnswer(
        200, request.body or b"nothing", ((b"content-type", b"text/plain"), (b"x-ip", request.client_ip.encode()))
    )


async def words(request: HotRequest) -> HotAnswer:
    return HotAnswer(200, f"{request.word(2)} {request.query.decode()}".encode(), ((b"content-type", b"text/plain"),))


async def echo_later(request: HotRequest) -> HotAnswer:
    await asyncio.sleep(0.01)
    return HotAnswer(200, request.body)


async def slow(request: HotRequest) -> HotAnswer:
    await request.parts.get(Gate).pass_through()
    return HotAnswer(200, b"late")


async def broken(_request: HotRequest) -> HotAnswer:
    raise ZeroDivisionError


async def refusing(_request: HotRequest) -> HotAnswer:
    raise TooMany("slower, please", retry_after_seconds=2.5)


async def splitting(_request: HotRequest) -> HotAnswer:
    return HotAnswer(200, b"", ((b"x-name", b"a\r\nset-cookie: b"),))


HOT = [
    HotRoute("POST", "/hot/echo", echo, "anybody"),
    HotRoute("POST", "/hot/later", echo_later, "anybody"),
    HotRoute("POST", "/hot/slow", slow, "anybody"),
    HotRoute("POST", "/hot/broken", broken, "anybody"),
    HotRoute("POST", "/hot/refusing", refusing, "anybody"),
    HotRoute("POST", "/hot/splitting", splitting, "anybody"),
    HotRoute("GET", "/hot/words/{word}", words, "anybody"),
    HotRoute("GET", "/hot/words/{word}/spelt", words, "anybody"),
]


router = APIRouter()


@router.get("/plain")
async def plain() -> str:
    return "plain"


@router.get("/hot/echo")
async def framework_on_a_hot_path() -> str:
    return "from the framework"


@router.post("/length")
async def length(request: Request) -> int:
    return len(await request.body())


@router.post("/early")
async def answers_before_the_body() -> str:
    return "early"


@router.get("/slow")
async def slow_too(request: Request) -> str:
    await request.app.state.gate.pass_through()
    return "late"


@router.get("/big")
async def big() -> StreamingResponse:
    return StreamingResponse(iter([b"x" * 65_536] * 500))


@router.get("/live")
async def live() -> StreamingResponse:
    async def forever() -> AsyncIterator[bytes]:
        while True:
            yield b"data: tick\n\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(forever(), media_type="text/event-stream")


@router.websocket("/ws")
async def echo_frames(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


@router.post("/wanted")
async def wanted(body: Wanted) -> Wanted:
    return body


@router.get("/refused")
async def refused() -> None:
    raise Refused("this is not yours")


@router.get("/broken")
async def broken_too() -> None:
    raise ZeroDivisionError


def app() -> Hot:
    site, gate = FastAPI(), Gate()
    faults.install(site)
    site.include_router(router)
    site.state.gate = gate
    return Hot(site, HOT, Parts(gate), IMPATIENT.max_body_bytes)


@dataclass
class Client:
    """A socket whose reads give up after a time that no healthy server needs."""

    socket: socket.socket

    def send(self, text: str | bytes) -> "Client":
        self.socket.sendall(text.encode() if isinstance(text, str) else text)
        return self

    def post(self, path: str, body: str = "", more: str = "") -> "Client":
        return self.send(f"POST {path} HTTP/1.1\r\nhost: x\r\n{more}content-length: {len(body)}\r\n\r\n{body}")

    def get(self, path: str, more: str = "") -> "Client":
        return self.send(f"GET {path} HTTP/1.1\r\nhost: x\r\n{more}\r\n")

    def until(self, end: str) -> str:
        """What arrives up to and with `end`."""
        seen = b""
        while end.encode() not in seen:
            part = self.socket.recv(1)
            assert part, f"closed after {seen!r}"
            seen += part
        return seen.decode()

    def answer(self) -> tuple[int, str]:
        head = self.until("\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        missing, body = int(lines.get("content-length", 0)), b""
        while len(body) < missing:
            body += self.socket.recv(missing - len(body))
        return int(head.split()[1]), body.decode()

    def rest(self) -> str:
        """Everything until the server closes; a reset counts as closing."""
        seen = b""
        try:
            while part := self.socket.recv(65_536):
                seen += part
        except ConnectionResetError:
            pass
        return seen.decode(errors="replace")

    def close(self) -> None:
        self.socket.close()


@dataclass
class Served:
    server: Server
    loop: asyncio.AbstractEventLoop
    port: int
    hot: Hot
    clients: list[Client]

    def client(self, **options: Any) -> Client:
        connected = socket.socket()
        for level, name, value in options.get("set", ()):
            connected.setsockopt(level, name, value)
        connected.settimeout(PATIENCE_SECONDS)
        connected.connect(("127.0.0.1", self.port))
        self.clients.append(Client(connected))
        return self.clients[-1]

    def is_honest_to_others(self) -> bool:
        client = self.client()
        answers = [client.post("/hot/echo", "hello").answer(), client.get("/plain").answer()]
        client.close()
        return answers == [(200, "hello"), (200, '"plain"')]

    @property
    def gate(self) -> Gate:
        return self.hot.parts.get(Gate)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.server.stop)


@contextmanager
def served(limits: Limits = IMPATIENT, hot: Hot | None = None) -> Iterator[Served]:
    hot = hot or app()
    sockets = listen("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    started: list[tuple[Server, asyncio.AbstractEventLoop]] = []
    ready = threading.Event()

    async def remember(server: Server) -> None:
        started.append((server, asyncio.get_running_loop()))
        ready.set()

    thread = threading.Thread(target=serve_here, args=(hot, limits, sockets), kwargs={"stop_when": remember})
    thread.start()
    assert ready.wait(PATIENCE_SECONDS)
    server, loop = started[0]
    site = Served(server, loop, port, hot, [])
    try:
        yield site
    finally:
        site.hot.parts.get(Gate).opened.set()
        for client in site.clients:
            client.close()
        if thread.is_alive():
            site.stop()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
