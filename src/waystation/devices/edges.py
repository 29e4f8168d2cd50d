"""What runs as long as the process: caches hear of changed access, the refused are cut off, uses are noted."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
import structlog

from waystation.devices import store
from waystation.devices.gate import Gate
from waystation.kernel.bus import RESUMED, Bus
from waystation.kernel.db import Database
from waystation.kernel.errors import Unavailable
from waystation.kernel.mqtt import MqttLink
from waystation.kernel.parts import Parts

log = structlog.get_logger(__name__)

NOTE_USES_SECONDS = 30
MOST_AT_ONCE = 500


@asynccontextmanager
async def watch_access(parts: Parts) -> AsyncGenerator[None]:
    gate = parts.get(Gate)
    link = parts.get(MqttLink) if parts.has(MqttLink) else None
    kicks: set[asyncio.Task[None]] = set()

    def changed(subject: str, body: bytes) -> None:
        told = msgspec.json.decode(body)
        gate.drop(told["device_id"])
        if told["kick"] and link is not None:
            kick = asyncio.create_task(_kick(link, subject.rpartition(".")[2]))
            kicks.add(kick)
            kick.add_done_callback(kicks.discard)

    ends = [
        parts.get(Bus).subscribe("access.*", changed),
        parts.get(Bus).subscribe(RESUMED, lambda _subject, _body: gate.drop_all()),
    ]
    noting = asyncio.create_task(_note_uses(gate, parts.get(Database)))
    try:
        yield
    finally:
        for unsubscribe in ends:
            unsubscribe()
        noting.cancel()
        await asyncio.gather(noting, *kicks, return_exceptions=True)
        await asyncio.to_thread(_write_uses, gate, parts.get(Database))


async def _kick(link: MqttLink, key: str) -> None:
    """Without a server nobody is connected; who comes back to the next one is asked who they are."""
    try:
        await link.kick(key)
    except Unavailable as fault:
        log.info("nobody to disconnect", device=key, reason=fault.sentence)


async def _note_uses(gate: Gate, database: Database) -> None:
    while True:
        await asyncio.sleep(NOTE_USES_SECONDS)
        await asyncio.to_thread(_write_uses, gate, database)


def _write_uses(gate: Gate, database: Database) -> None:
    """In transactions so short that thousands of devices keep no reading waiting."""
    used = list(gate.take_used().items())
    heard = [(key, at, client_ip) for key, (at, client_ip) in sorted(gate.take_heard().items())]
    for first in range(0, max(len(used), len(heard)), MOST_AT_ONCE):
        part = slice(first, first + MOST_AT_ONCE)
        with database.write() as tx:
            if used[part]:
                store.use_credentials(tx, used[part])
            if heard[part]:
                store.seen(tx, heard[part])
