"""Readings by MQTT: `d/<key>/up/telemetry` takes the body of `POST /api/readings`."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from waystation.devices import CallingDevice, Gate
from waystation.kernel.errors import DomainError
from waystation.kernel.limits import Allowance
from waystation.kernel.mqtt import Later, MqttMessage, Settled
from waystation.telemetry.ingest import Ingest, Queued
from waystation.telemetry.keeping.model import QuotaReached
from waystation.telemetry.throttle import Throttle, must_wait, too_many

log = structlog.get_logger(__name__)

NOT_NOW = 500  # from here on the fault is ours, and the same message may be taken later

SlowDown = Callable[[str], None]


class Readings:
    """Settles messages: one is settled when it is stored, or never can be.

    MQTT 3.1.1 has no answer for a bad body, so its sender's page shows the last refusal. Nor has it one for a device
    that sends more than it may: its messages wait, and when too many do, `slow_down(key)` ends its connection, so that
    it keeps them itself. What was acknowledged is never thrown away.
    """

    def __init__(self, gate: Gate, ingest: Ingest, throttle: Throttle, slow_down: SlowDown | None = None) -> None:
        self._gate = gate
        self._ingest = ingest
        self._throttle = throttle
        self._slow_down = slow_down

    async def settle(self, messages: Sequence[MqttMessage]) -> Sequence[Settled]:
        return await asyncio.gather(*(self._settle(message) for message in messages))

    async def _settle(self, message: MqttMessage) -> Settled:
        device = await self._gate.by_key(message.device_key)
        if device is None:
            log.info("message of a deleted device dropped", device=message.device_key)
            return True
        allowance = await self._throttle.take(device)
        if allowance is not None and (settled := self._held_back(device, message, allowance)) is not None:
            return settled
        try:
            await self._store(device, message)
        except DomainError as fault:
            return self._refuse(device, fault)
        return True

    def _held_back(self, device: CallingDevice, message: MqttMessage, allowance: Allowance) -> Settled | None:
        """None when it may be stored now. At QoS 0 nothing was promised, so nothing waits."""
        waiting = self._throttle.waiting
        if not allowance.wait:
            waiting.settled(device.key, message.sequence)
            return None
        if message.sequence is None:
            return self._refuse(device, too_many(allowance))
        if not waiting.count(device.key):
            self._ingest.refused(device, must_wait(allowance))
        if waiting.put(device.key, message.sequence):
            return Later(waiting.turn_seconds(device.key, allowance))
        if self._slow_down is not None:
            self._slow_down(device.key)
        return None

    async def _store(self, device: CallingDevice, message: MqttMessage) -> None:
        self._ingest.check_room(device)
        samples = await self._ingest.decoded(message.payload)
        queued = None if message.at is None or message.sequence is None else Queued(message.at, message.sequence)
        await self._ingest.put(device, samples, None, queued=queued)

    def _refuse(self, device: CallingDevice, fault: DomainError) -> bool:
        self._ingest.refused(device, fault)
        log.info("message not stored", device=device.key, word=fault.word, reason=fault.sentence)
        return fault.status < NOT_NOW or isinstance(fault, QuotaReached)  # a full plan must not fill the queue
