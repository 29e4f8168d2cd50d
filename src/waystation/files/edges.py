"""What runs as long as the process: what is known of packages is dropped when they change, devices are nudged."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
import structlog

from waystation.files.packages.idle import Idle
from waystation.files.packages.model import State
from waystation.kernel import server
from waystation.kernel.bus import RESUMED, Bus
from waystation.kernel.errors import Unavailable
from waystation.kernel.mqtt import MqttLink
from waystation.kernel.parts import Parts

log = structlog.get_logger(__name__)


@asynccontextmanager
async def watch_packages(parts: Parts) -> AsyncGenerator[None]:
    idle = parts.get(Idle)
    link = parts.get(MqttLink) if parts.has(MqttLink) and server.slot() == 1 else None
    nudges: set[asyncio.Task[None]] = set()

    def changed(subject: str, body: bytes) -> None:
        key = subject.rpartition(".")[2]
        idle.drop(key)
        if link is not None and msgspec.json.decode(body)["state"] == State.STAGED:
            nudge = asyncio.create_task(_nudge(link, key))
            nudges.add(nudge)
            nudge.add_done_callback(nudges.discard)

    ends = [
        parts.get(Bus).subscribe("packages.*.*", changed),
        parts.get(Bus).subscribe(RESUMED, lambda _subject, _body: idle.drop_all()),
    ]
    try:
        yield
    finally:
        for unsubscribe in ends:
            unsubscribe()
        await asyncio.gather(*nudges, return_exceptions=True)


async def _nudge(link: MqttLink, key: str) -> None:
    """A device that is not there polls when it is."""
    try:
        await link.publish(key, "down/packages", b"{}")
    except Unavailable as fault:
        log.info("no device to nudge", device=key, reason=fault.sentence)
