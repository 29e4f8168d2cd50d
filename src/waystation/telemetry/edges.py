"""What runs as long as the process does: the writer, live notices, and device messages."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from waystation.devices import Gate
from waystation.kernel.bus import Bus
from waystation.kernel.mqtt import MqttLink
from waystation.kernel.mqtt_waiting import Kicks
from waystation.kernel.parts import Parts
from waystation.kernel.stopping import Stopping
from waystation.telemetry.ingest import Ingest
from waystation.telemetry.keeping.quota import CHANGED
from waystation.telemetry.live import Live
from waystation.telemetry.mqtt import Readings
from waystation.telemetry.throttle import Throttle


@asynccontextmanager
async def take_readings(parts: Parts) -> AsyncGenerator[None]:
    """Readings are taken while the block lasts; what was taken is stored before it is left.

    Enter it before the MQTT link starts: a name must be served before the first device is let in.
    """
    ingest = parts.get(Ingest)
    await asyncio.to_thread(ingest.quota.start)
    ingest.start()
    told = parts.get(Bus).subscribe(CHANGED, ingest.quota.nudge)
    if parts.has(MqttLink):
        _serve_mqtt(parts, parts.get(MqttLink))
    try:
        yield
    finally:
        told()
        await asyncio.to_thread(ingest.close)
        await asyncio.to_thread(ingest.quota.close)


def _serve_mqtt(parts: Parts, link: MqttLink) -> None:
    readings = Readings(parts.get(Gate), parts.get(Ingest), parts.get(Throttle), Kicks(link))
    link.serve("telemetry", readings.settle)


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
