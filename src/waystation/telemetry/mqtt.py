"""Readings by MQTT: `d/<key>/up/telemetry` takes the body of `POST /api/readings`."""

import asyncio
from collections.abc import Sequence

import structlog

from waystation.devices import CallingDevice, Gate
from waystation.kernel.errors import DomainError
from waystation.kernel.mqtt import MqttMessage
from waystation.telemetry.ingest import Ingest, Queued

log = structlog.get_logger(__name__)

NOT_NOW = 500  # from here on the fault is ours, and the same message may be taken later


class Readings:
    """Settles messages: one is settled when it is stored, or never can be.

    MQTT 3.1.1 has no answer for a bad body, so its sender's page shows the last refusal.
    """

    def __init__(self, gate: Gate, ingest: Ingest) -> None:
        self._gate = gate
        self._ingest = ingest

    async def settle(self, messages: Sequence[MqttMessage]) -> Sequence[bool]:
        return await asyncio.gather(*(self._settle(message) for message in messages))

    async def _settle(self, message: MqttMessage) -> bool:
        device = await self._gate.by_key(message.device_key)
        if device is None:
            log.info("message of a deleted device dropped", device=message.device_key)
            return True
        try:
            await self._store(device, message)
        except DomainError as fault:
            return self._refuse(device, fault)
        return True

    async def _store(self, device: CallingDevice, message: MqttMessage) -> None:
        samples = await self._ingest.decoded(message.payload)
        queued = None if message.at is None or message.sequence is None else Queued(message.at, message.sequence)
        await self._ingest.put(device, samples, None, queued=queued)

    def _refuse(self, device: CallingDevice, fault: DomainError) -> bool:
        self._ingest.refused(device, fault)
        log.info("message not stored", device=device.key, word=fault.word, reason=fault.sentence)
        return fault.status < NOT_NOW
