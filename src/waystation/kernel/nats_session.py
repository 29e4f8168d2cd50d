"""A connection to NATS that is begun anew after every cut, so that a restart needs no code of its own."""

import asyncio
from collections.abc import Awaitable, Callable

import nats
import nats.errors
import structlog
from nats.aio.client import Client

log = structlog.get_logger(__name__)

Where = Callable[[], str | None]
"""Answers with the servers' URLs, comma-separated and with user and password in them, or None while there is no server."""

Session = Callable[[Client], Awaitable[None]]

SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0


async def keep_session(where: Where, session: Session, *, name: str) -> None:
    """For ever: connect, run `session(client)` until the connection is lost or it ends, and begin again.

    nats-py's own reconnecting gives up for good on some answers of a server that is just starting, and would keep
    subscriptions whose streams are gone; here whatever a connection needs is set up in one place, every time.
    """
    pause_seconds = SHORTEST_PAUSE_SECONDS
    while True:
        try:
            if url := where():
                await _one_session(url, session, name)
                pause_seconds = SHORTEST_PAUSE_SECONDS
        except (nats.errors.Error, OSError, TimeoutError) as fault:
            log.warning("no NATS session", purpose=name, fault=repr(fault), again_in_seconds=pause_seconds)
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)


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

    return await nats.connect(
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
