"""Commands over MQTT: who publishes `up/ready` gets `down/commands`, one after the other, until it no longer listens.

They go out at QoS 0: a message that the broker kept for a device that is away would come when its lease has ended.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
import structlog

from waystation.commands import service, store, wire
from waystation.commands.delivery import Delivery
from waystation.commands.model import Command
from waystation.devices import CallingDevice, Gate
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import DomainError, Unavailable
from waystation.kernel.mqtt import MqttLink, MqttMessage, Settled

log = structlog.get_logger(__name__)

LINK = "mqtt"
NOT_NOW = 500  # from here on the fault is ours, and the same message may be taken later
LOOK_SECONDS = 2.0
MOST_AT_ONCE = 1_000

Lease = Callable[[Tx, datetime], Command | None]


class OverMqtt:
    """One process of a site hands out, the one for which `may_send()`; all of them settle what devices publish."""

    def __init__(self, gate: Gate, delivery: Delivery, link: MqttLink, may_send: Callable[[], bool]) -> None:
        self._gate = gate
        self._delivery = delivery
        self._link = link
        self._may_send = may_send
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._again: set[int] = set()

    # What devices publish.

    async def ready(self, messages: Sequence[MqttMessage]) -> Sequence[Settled]:
        return await asyncio.gather(*(self._settle(message, self._begin) for message in messages))

    async def outcome(self, messages: Sequence[MqttMessage]) -> Sequence[Settled]:
        return await asyncio.gather(*(self._settle(message, self._take_in) for message in messages))

    async def _settle(self, message: MqttMessage, do: Callable[[CallingDevice, bytes], Any]) -> Settled:
        device = await self._gate.by_key(message.device_key)
        if device is None:
            log.info("message of a deleted device dropped", device=message.device_key)
            return True
        self._gate.hear(device.id, self._delivery.clock.now(), None)
        try:
            await do(device, message.payload)
        except DomainError as fault:
            log.info("message not settled", device=device.key, word=fault.word, reason=fault.sentence)
            return fault.status < NOT_NOW
        return True

    async def _begin(self, device: CallingDevice, _payload: bytes) -> None:
        await self._hand_out(device.id, lambda tx, now: service.begin_listening(tx, device.id, now, link=LINK))

    async def _take_in(self, device: CallingDevice, payload: bytes) -> None:
        """The answer goes to `down/outcome`, then the next command to `down/commands`."""
        try:
            answer = await self._answer(device, payload)
        except DomainError as fault:
            if fault.status >= NOT_NOW:
                raise
            answer = wire.refused("", fault)
        with suppress(Unavailable):  # the device asks again
            await self._link.tell(device.key, "down/outcome", wire.encode(answer))
        self.nudge([device.id])

    async def _answer(self, device: CallingDevice, payload: bytes) -> dict[str, Any]:
        if not wire.is_array(payload):
            return await self._outcome(device, payload)
        many = [self._outcome(device, text) for text in wire.many_said(payload)]
        return {"outcomes": await asyncio.gather(*many)}

    async def _outcome(self, device: CallingDevice, text: bytes | msgspec.Raw) -> dict[str, str]:
        uid = ""
        try:
            said = wire.said(text)
            uid = said.id
            settled = await self._delivery.settle(device.id, uid, said.outcome, link=LINK)
        except DomainError as fault:
            if fault.status >= NOT_NOW:
                raise
            return wire.refused(uid, fault)
        return wire.taken(settled.command) if settled.refusal is None else wire.refused(uid, settled.refusal)

    # What they are told.

    def nudge(self, device_ids: Iterable[int]) -> None:
        """Something may be due for them; costs each a look, and the ones that listen a delivery."""
        for device_id in device_ids:
            if device_id in self._under_way:
                self._again.add(device_id)
            else:
                self._begin_task(device_id)

    def _begin_task(self, device_id: int) -> None:
        task = asyncio.create_task(self._deliver(device_id))
        self._under_way[device_id] = task
        task.add_done_callback(lambda _: self._ended(device_id))

    def _ended(self, device_id: int) -> None:
        del self._under_way[device_id]
        if device_id in self._again:
            self._again.discard(device_id)
            self._begin_task(device_id)

    async def _deliver(self, device_id: int) -> None:
        if not self._link.is_ready:  # `watch` comes again
            return
        try:
            await self._hand_out(device_id, lambda tx, now: service.take_listening(tx, device_id, now, link=LINK))
        except DomainError as fault:
            log.info("nothing handed out", device_id=device_id, reason=fault.sentence)

    async def _hand_out(self, device_id: int, lease: Lease) -> None:
        """Leased, durably, before it is told; given back when it is certain that nobody has it."""
        command = await self._delivery.run(device_id, lease)
        if command is None:
            return
        try:
            is_heard = await self._link.tell(command.device_key, "down/commands", wire.encode(wire.command(command)))
        except Unavailable:  # so nothing was sent, and the device may well listen to a server that we do not reach
            await self._delivery.give_back(command)
            return
        if not is_heard:
            log.info("a device no longer listens", device=command.device_key)
            await self._delivery.run(device_id, lambda tx, now: service.end_listening(tx, command, now))

    async def watch(self, database: Database) -> None:
        """For ever: what time has made due."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._may_send():
                try:
                    self.nudge(await asyncio.to_thread(self._due, database))
                except DomainError as fault:
                    log.info("could not look for what is due", reason=fault.sentence)

    def _due(self, database: Database) -> list[int]:
        with database.read() as tx:
            return store.due_to_listeners(tx, self._delivery.clock.now(), MOST_AT_ONCE)

    def queued(self, device_ids: Iterable[int]) -> None:
        """Told to every process; one of them hands out."""
        if self._may_send():
            self.nudge(device_ids)

    async def close(self) -> None:
        self._again.clear()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
