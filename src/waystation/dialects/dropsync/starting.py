"""The hub's start and end in the system's log, under DropSync's names (DS-29)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from waystation import homes
from waystation.dialects.dropsync import journal
from waystation.kernel import server
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.errors import DomainError
from waystation.kernel.parts import Parts

log = structlog.get_logger(__name__)
SOURCE = "hub"


@asynccontextmanager
async def announce(parts: Parts) -> AsyncGenerator[None]:
    """Of a site with several processes the first one says it."""
    if server.slot() != 1:
        yield
        return
    await asyncio.to_thread(_note, parts, "system_startup", "The hub has started")
    try:
        yield
    finally:
        await asyncio.to_thread(_note, parts, "system_shutdown", "The hub has stopped")


def _note(parts: Parts, event: str, message: str) -> None:
    now = parts.get(Clock).now()
    try:
        with parts.get(Database).write() as tx:
            home = homes.first_home(tx)
            if home is not None:
                journal.note(tx, home.id, now, event, source=SOURCE, said=message)
    except DomainError as fault:
        log.warning("the start is not in the log", fault=fault.sentence)
