"""What runs as long as the process does: the writer of lines, and the device messages that bring them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from waystation.devices import Gate
from waystation.kernel.mqtt import MqttLink
from waystation.kernel.mqtt_waiting import Kicks
from waystation.kernel.parts import Parts
from waystation.messages.intake import Intake
from waystation.messages.mqtt import Lines


@asynccontextmanager
async def take_lines(parts: Parts) -> AsyncGenerator[None]:
    """Lines are taken while the block lasts; what was taken is stored before it is left.

    Enter it before the MQTT link starts: a name must be served before the first device is let in.
    """
    intake = parts.get(Intake)
    intake.start()
    if parts.has(MqttLink):
        link = parts.get(MqttLink)
        link.serve("messages", Lines(parts.get(Gate), intake, Kicks(link)).settle)
    try:
        yield
    finally:
        await asyncio.to_thread(intake.close)
