"""What runs as long as the process does: the writer, hearing what was queued elsewhere, and devices over MQTT."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec

from waystation.commands.delivery import Delivery
from waystation.commands.mqtt import OverMqtt
from waystation.commands.notices import QUEUED, read_word
from waystation.commands.socket import Sockets
from waystation.devices import Gate
from waystation.kernel.bus import RESUMED, Bus
from waystation.kernel.db import Database
from waystation.kernel.jobs import Sweeper
from waystation.kernel.mqtt import MqttLink
from waystation.kernel.parts import Parts
from waystation.kernel.stopping import Stopping


@asynccontextmanager
async def deliver(parts: Parts) -> AsyncGenerator[None]:
    """Commands are handed out while the block lasts. Enter it before the MQTT link starts."""
    delivery = parts.get(Delivery)
    waiting, bus = delivery.waiting, parts.get(Bus)
    ends = [
        bus.subscribe(QUEUED, lambda _subject, body: waiting.wake(read_word(body).device_ids)),
        bus.subscribe(RESUMED, lambda _subject, _body: waiting.wake_all()),
    ]
    sockets = parts.get(Sockets)

    def access_changed(_subject: str, body: bytes) -> None:
        told = msgspec.json.decode(body)
        if told["kick"]:
            sockets.end(told["device_id"])

    ends.append(bus.subscribe("access.*", access_changed))
    if parts.has(Stopping):
        parts.get(Stopping).on_stop(waiting.stop)
        parts.get(Stopping).on_stop(sockets.end_all)
    delivery.start()
    try:
        yield
    finally:
        waiting.stop()
        sockets.end_all()
        for unsubscribe in ends:
            unsubscribe()
        await asyncio.to_thread(delivery.close)


@asynccontextmanager
async def deliver_over_mqtt(parts: Parts) -> AsyncGenerator[None]:
    """Enter it after `deliver` and before the MQTT link starts."""
    if not parts.has(MqttLink):
        yield
        return
    link = parts.get(MqttLink)
    over = OverMqtt(parts.get(Gate), parts.get(Delivery), link, lambda: parts.get(Sweeper).owns)
    link.serve("ready", over.ready)
    link.serve("outcome", over.outcome)
    unsubscribe = parts.get(Bus).subscribe(QUEUED, lambda _subject, body: over.queued(read_word(body).device_ids))
    watching = asyncio.create_task(over.watch(parts.get(Database)))
    try:
        yield
    finally:
        unsubscribe()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await over.close()
