"""What runs as long as the process does: the writer, live notices, and device messages."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from waystation.devices import Gate
from waystation.kernel.mqtt import MqttLink
from waystation.kernel.parts import Parts
from waystation.kernel.stopping import Stopping
from waystation.telemetry.ingest import Ingest
from waystation.telemetry.live import Live
from waystation.telemetry.mqtt import Readings


@asynccontextmanager
async def take_readings(parts: Parts) -> AsyncGenerator[None]:
    """Readings are taken while the block lasts; what was taken is stored before it is left.

    Enter it before the MQTT link starts: a name must be served before the first device is let in.
    """
    ingest = parts.get(Ingest)
    ingest.start()
    if parts.has(MqttLink):
        parts.get(MqttLink).serve("telemetry", Readings(parts.get(Gate), ingest).settle)
    try:
        yield
    finally:
        await asyncio.to_thread(ingest.close)


@asynccontextmanager
async def show_readings(parts: Parts) -> AsyncGenerator[None]:
    live = parts.get(Live)
    stop = live.start()
    if parts.has(Stopping):
        parts.get(Stopping).on_stop(live.end_all)
    try:
        yield
    finally:
        live.end_all()
        stop()
