"""Commands to devices and outcomes from them, over whatever link: many at once share one commit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from waystation.commands import service
from waystation.commands.model import Command, Outcome
from waystation.commands.service import Settled
from waystation.commands.waiting import Waiting
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import DomainError
from waystation.kernel.reader import Reader
from waystation.kernel.writer import Writer

IsGone = Callable[[], bool]
MOST_IN_BATCH = 50
"""Errands in one transaction: a batch to thousands must not keep readings waiting for all of them."""


@dataclass(slots=True)
class Errand:
    """Something to do in the writer's next transaction, for one device. `refused` is the fault of this one alone."""

    device_id: int
    do: Callable[[Tx, datetime], Any]
    answer: Any = None
    refused: DomainError | None = None

    def run(self, tx: Tx, now: datetime) -> None:
        self.answer, self.refused = None, None
        try:
            self.answer = self.do(tx, now)
        except DomainError as fault:  # raised before anything was written
            self.refused = fault


def nobody_left() -> bool:
    return False


class Delivery:
    """A part. What it hands out or takes in is on the disk before it returns."""

    def __init__(self, database: Database, clock: Clock, waiting: Waiting) -> None:
        self.clock = clock
        self.waiting = waiting
        self._looks = Reader[int, service.Look](database, lambda tx, those: service.look(tx, those, clock.now()))
        self._writer = Writer(database, self._store, most_in_batch=MOST_IN_BATCH)

    def start(self) -> None:
        self._writer.start()

    def close(self) -> None:
        self._writer.close()

    async def take(self, device_id: int, *, link: str, is_gone: IsGone = nobody_left) -> Command | None:
        """The device's next command; nothing when it has hung up. An idle device costs no look into the database."""

        def lease(tx: Tx, now: datetime) -> Command | None:
            return None if is_gone() else service.take(tx, device_id, now, link=link)

        while self.waiting.may_have(device_id, self.clock.now()):
            mark = self.waiting.mark(device_id)
            found = await self._looks.ask(device_id)
            if found is None or not found.is_due:
                now = self.clock.now()
                if self.waiting.quiet(device_id, mark, now, next_at=None if found is None else found.next_at):
                    return None
                continue
            return await self.run(device_id, lease)
        return None

    async def settle(self, device_id: int, uid: str, outcome: Outcome, *, link: str) -> Settled:
        """NotFound or Invalid as `service.settle`."""
        return await self.run(
            device_id, lambda tx, now: service.settle(tx, device_id, now, uid=uid, outcome=outcome, link=link)
        )

    async def give_back(self, command: Command) -> None:
        """It reached nobody, for certain."""
        await self.run(command.device_id, lambda tx, now: service.give_back(tx, command, now))

    async def run(self, device_id: int, do: Callable[[Tx, datetime], Any]) -> Any:
        """What `do` returns, durable; DomainErrors that it raises before it writes."""
        errand = Errand(device_id, do)
        await self._writer.put(errand)
        if errand.refused is not None:
            raise errand.refused
        return errand.answer

    def _store(self, tx: Tx, errands: Sequence[Errand]) -> None:
        now = self.clock.now()
        for errand in sorted(errands, key=lambda one: one.device_id):  # in one order in every process
            errand.run(tx, now)
