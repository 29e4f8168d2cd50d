"""Lines by MQTT: `d/<key>/up/messages` takes the body of `POST /api/messages`."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from waystation.devices import CallingDevice, Gate
from waystation.kernel.errors import DomainError
from waystation.kernel.limits import Allowance
from waystation.kernel.mqtt import Later, MqttMessage, Settled
from waystation.kernel.mqtt_waiting import Waiting
from waystation.messages.intake import Intake, stamped, too_many

log = structlog.get_logger(__name__)

NOT_NOW = 500  # from here on the fault is ours, and the same message may be taken later
PLAN_IS_FULL = "quota_reached"  # but this one: what its owner does not pay for must not fill the stream

SlowDown = Callable[[str], None]


class Lines:
    """Settles messages of the broker: one is settled when it is stored, or never can be.

    Who writes more than it may waits: at QoS 1 its messages stay in the stream, and when too many do, `slow_down(key)`
    ends its connection, so that it keeps them itself. At QoS 0 nothing was promised, so they are dropped.
    """

    def __init__(self, gate: Gate, intake: Intake, slow_down: SlowDown | None = None) -> None:
        self.waiting = Waiting()
        self._gate = gate
        self._intake = intake
        self._slow_down = slow_down

    async def settle(self, messages: Sequence[MqttMessage]) -> Sequence[Settled]:
        return await asyncio.gather(*(self._settle(message) for message in messages))

    async def _settle(self, message: MqttMessage) -> Settled:
        device = await self._gate.by_key(message.device_key)
        if device is None:
            log.info("message of a deleted device dropped", device=message.device_key)
            return True
        try:
            return await self._store(device, message)
        except DomainError as fault:
            self._intake.refused(device, fault)
            log.info("lines not stored", device=device.key, word=fault.word, reason=fault.sentence)
            return fault.status < NOT_NOW or fault.word == PLAN_IS_FULL

    async def _store(self, device: CallingDevice, message: MqttMessage) -> Settled:
        self._intake.check_room(device)
        lines = await self._intake.decoded(message.payload)
        allowance = self._intake.allow(device, len(lines))
        if allowance is not None and allowance.wait:
            return self._held_back(device, message, allowance)
        self.waiting.settled(device.key, message.sequence)
        await self._intake.put(device, lines if message.at is None else stamped(lines, message.at), None)
        return True

    def _held_back(self, device: CallingDevice, message: MqttMessage, allowance: Allowance) -> Settled:
        if message.sequence is None:
            raise too_many(allowance)
        if self.waiting.put(device.key, message.sequence):
            return Later(self.waiting.turn_seconds(device.key, allowance))
        if self._slow_down is not None:
            self._slow_down(device.key)
        return False
