"""Commands and outcomes over one WebSocket: the next command comes after the outcome of the one before."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from waystation.commands import wire
from waystation.commands.delivery import Delivery
from waystation.commands.model import IN_LEASE, Command
from waystation.devices import CallingDevice, Gate
from waystation.kernel.errors import DomainError

log = structlog.get_logger(__name__)

LINK = "websocket"
LOOK_SECONDS = 20.0  # so often an idle socket says that its device is there
GOING_AWAY, NOT_ALLOWED, TRY_AGAIN, REPLACED = 1001, 1008, 1013, 4000


class Line(Protocol):
    """An accepted WebSocket."""

    async def say(self, body: bytes) -> bool:
        """False when the client is gone, and nothing was sent."""
        ...

    async def hear(self) -> str | None:
        """What the client says next; None when it is gone."""
        ...

    async def close(self, code: int) -> None: ...


class Sockets:
    """A part: the open ones of this process, one for each device; a newer takes the older's place."""

    def __init__(self, gate: Gate, delivery: Delivery) -> None:
        self._gate = gate
        self._delivery = delivery
        self._open: dict[int, Conversation] = {}
        self._stopped = False

    def __len__(self) -> int:
        return len(self._open)

    async def converse(self, device: CallingDevice, line: Line, is_allowed: Callable[[], bool]) -> None:
        """Until one of both hangs up, the device is no longer allowed here, or the process stops."""
        mine = Conversation(device, line, self._gate, self._delivery)
        self.end(device.id, REPLACED)
        self._open[device.id] = mine
        try:
            if self._stopped:
                mine.end(GOING_AWAY)
            elif not is_allowed():  # revoked while it was on its way in
                mine.end(NOT_ALLOWED)
            await mine.run()
        finally:
            if self._open.get(device.id) is mine:
                del self._open[device.id]

    def end(self, device_id: int, code: int = NOT_ALLOWED) -> None:
        if device_id in self._open:
            self._open[device_id].end(code)

    def end_all(self) -> None:
        self._stopped = True
        for device_id in list(self._open):
            self.end(device_id, GOING_AWAY)


@dataclass
class Conversation:
    device: CallingDevice
    line: Line
    gate: Gate
    delivery: Delivery
    _code: int | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _answered: asyncio.Event = field(default_factory=asyncio.Event)
    _last: Command | None = None  # the one whose outcome the next one waits for

    def end(self, code: int) -> None:
        self._code = code
        self._ended.set()

    async def run(self) -> None:
        doing = [asyncio.create_task(one) for one in (self._hear(), self._speak(), self._ended.wait())]
        try:
            await asyncio.wait(doing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._ended.set()
            for task in doing:
                task.cancel()
            await asyncio.wait(doing)
        code = self._code
        for task in doing:
            fault = None if task.cancelled() else task.exception()
            if fault is not None:
                log.warning("a WebSocket of a device ended", device=self.device.key, fault=repr(fault))
                code = TRY_AGAIN
        if code is not None:
            await self.line.close(code)

    # What it is told.

    async def _speak(self) -> None:
        """Ends when the client is gone or the process stops."""
        waiting = self.delivery.waiting
        ticket = waiting.arrive(self.device.id, LINK)
        while True:
            now = self.delivery.clock.now()
            self.gate.hear(self.device.id, now, None)
            command = await self._taken()
            if command is not None:
                if not await self._hand_out(command):
                    return
                await self._until_answered()
            elif not await waiting.wait(self.device.id, ticket, now, link=LINK, seconds=LOOK_SECONDS):
                return

    async def _taken(self) -> Command | None:
        """The next one. When the conversation ends while its lease is on the way to the disk, it goes back."""
        taking = asyncio.ensure_future(self.delivery.take(self.device.id, link=LINK, is_gone=self._ended.is_set))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            with suppress(DomainError):
                if (command := await taking) is not None:
                    await self.delivery.give_back(command)
            raise

    async def _hand_out(self, command: Command) -> bool:
        self._last = command
        self._answered.clear()
        if await self.line.say(wire.encode({"type": "command", **wire.command(command)})):
            return True
        await self.delivery.give_back(command)
        return False

    async def _until_answered(self) -> None:
        """Or until the lease has ended, after which it may be this one's turn again."""
        while self._last is not None:
            ends_at = self._last.leased_until
            now = self.delivery.clock.now()
            left = (ends_at - now).total_seconds() if ends_at is not None else 0.0
            if left <= 0:
                return
            self.gate.hear(self.device.id, now, None)
            try:
                async with asyncio.timeout(min(left, LOOK_SECONDS)):
                    await self._answered.wait()
            except TimeoutError:
                continue
            return

    # What it says.

    async def _hear(self) -> None:
        """Ends when the client is gone."""
        while (text := await self.line.hear()) is not None:
            self.gate.hear(self.device.id, self.delivery.clock.now(), None)
            if not await self.line.say(wire.encode(await self._settled(text))):
                return
            if self._last is None:
                self._answered.set()

    async def _settled(self, text: str) -> dict[str, Any]:
        uid = ""
        try:
            said = wire.said_on_socket(text)
            uid = said.id
            settled = await self.delivery.settle(self.device.id, uid, said.outcome, link=LINK)
        except DomainError as fault:
            return {"type": "problem", **wire.refused(uid, fault)}
        if self._last is not None and self._last.uid == uid:
            self._last = settled.command if settled.command.state in IN_LEASE else None
        if settled.refusal is not None:
            return {"type": "problem", **wire.refused(uid, settled.refusal)}
        return {"type": "outcome", **wire.taken(settled.command)}
