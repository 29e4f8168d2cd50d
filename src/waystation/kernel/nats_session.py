"""A connection to NATS that is begun anew after every cut, so that a restart needs no code of its own."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

log = structlog.get_logger(__name__)

Where = Callable[[], str | None]
"""Answers with the servers' URLs, comma-separated, user and password in them, or None while there is no server."""

Session = Callable[["Line"], Awaitable[None]]
Hear = Callable[[Msg], Awaitable[None]]


class Line(Protocol):
    """What we use of nats-py's client, with types."""

    @property
    def is_closed(self) -> bool: ...
    def new_inbox(self) -> str: ...
    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
    ) -> None: ...
    async def subscribe(self, subject: str, queue: str = "", cb: Hear | None = None) -> Subscription: ...
    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,  # noqa: ASYNC109  nats-py's word
        *,
        headers: dict[str, Any] | None = None,
    ) -> Msg: ...
    async def flush(self) -> None: ...


class JetStreamFault(nats.errors.Error):
    """JetStream refused; `code` is its err_code."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"JetStream: {description} ({code})")
        self.code = code


SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 2.0
API_SECONDS = 5.0


async def keep_session(where: Where, session: Session, *, name: str) -> None:
    """For ever: connect, run `session(client)` until the connection is lost or it ends, and begin again.

    nats-py's own reconnecting gives up for good on some answers of a server that is just starting, and would keep
    subscriptions whose streams are gone; here whatever a connection needs is set up in one place, every time.
    """
    pause_seconds = SHORTEST_PAUSE_SECONDS
    while True:
        try:
            await _one_session(await _found(where), session, name)
            pause_seconds = SHORTEST_PAUSE_SECONDS
        except Exception as fault:  # noqa: BLE001  nothing may end what is for ever
            log.warning("no NATS session", purpose=name, fault=repr(fault), again_in_seconds=pause_seconds)
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)


async def _found(where: Where) -> str:
    """Soon after the server is up: devices that are back before us wait for an answer that nobody gives."""
    while (url := where()) is None:  # noqa: ASYNC110  a server that is restarting has no event to wait for
        await asyncio.sleep(SHORTEST_PAUSE_SECONDS)
    return url


async def caught_up(line: Line) -> None:
    """Until the server has done all that was asked of it on this line, such as to subscribe.

    nats-py writes a flush's PING past the commands that still wait for its flusher, so that the first PONG may come
    before the server has read them. By then they are written, and the second PING comes behind them.
    """
    await line.flush()
    await line.flush()


async def ask_jetstream(line: Line, verb: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One request of its API, such as `STREAM.INFO.<name>`; JetStreamFault when it refuses."""
    answer = await line.request(f"$JS.API.{verb}", json.dumps(asked or {}).encode(), timeout=API_SECONDS)
    return accepted(answer)


def accepted(answer: Msg) -> dict[str, Any]:
    told = json.loads(answer.data)
    if fault := told.get("error"):
        raise JetStreamFault(fault.get("err_code", 0), fault.get("description", "no reason given"))
    return told


async def _one_session(url: str, session: Session, name: str) -> None:
    lost = asyncio.Event()

    async def on_close() -> None:
        lost.set()

    client = await _connect(url, name, on_close)
    running = asyncio.ensure_future(session(client))
    losing = asyncio.create_task(lost.wait())
    try:
        await asyncio.wait((running, losing), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        running.cancel()
        losing.cancel()
        await asyncio.gather(running, losing, return_exceptions=True)
        await client.close()


async def _connect(url: str, name: str, on_close: Callable[[], Awaitable[None]]) -> Client:
    async def on_fault(fault: Exception) -> None:
        log.info("NATS connection", purpose=name, fault=repr(fault))

    client = Client()
    await client.connect(
        servers=url.split(","),
        name=f"waystation {name}",
        allow_reconnect=False,
        max_reconnect_attempts=1,
        reconnect_time_wait=0,
        connect_timeout=3,
        ping_interval=10,
        max_outstanding_pings=2,
        no_echo=True,
        error_cb=on_fault,
        closed_cb=on_close,
    )
    return client
