"""Group commit: one thread, one transaction and one fsync for all that arrived while the last was on its way."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import DomainError, Unavailable
from waystation.kernel.pace import Pace

log = structlog.get_logger(__name__)

Store = Callable[[Tx, Sequence[Any]], None]


@dataclass(slots=True)
class Waiting:
    item: Any
    weight: int
    loop: asyncio.AbstractEventLoop
    durable: asyncio.Future[None]


class Writer:
    """Stores items through `store(tx, items)`. An awaited `put` returns once the item is durable, or raises.

    A batch that fails for a reason of one item is tried again item by item, so that one bad item fails alone. When more
    than `most_waiting` weight is queued, `put` raises Unavailable: nothing is acknowledged that may not fit.
    """

    def __init__(
        self, database: Database, store: Store, *, most_in_batch: int = 50_000, most_waiting: int = 500_000
    ) -> None:
        self._database = database
        self._store = store
        self._most_in_batch = most_in_batch
        self._most_waiting = most_waiting
        self._queue: deque[Waiting] = deque()
        self._accepted = 0  # counted on the event loop
        self._settled = 0  # counted in the writer's thread
        self._wake = threading.Event()
        self._closing = False
        self.pace = Pace()
        self.commit_seconds: float | None = None  # of the last batch
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stores what is queued, then ends."""
        self._closing = True
        self._wake.set()
        self._thread.join()

    @property
    def waiting(self) -> int:
        return self._accepted - self._settled

    def put(self, item: Any, weight: int = 1) -> asyncio.Future[None]:
        """Call on the event loop; the answer is done when the item is on disk."""
        if self.waiting and self.waiting + weight > self._most_waiting:
            raise Unavailable("more arrives than the disk can take; send this again shortly", retry_after_seconds=1)
        if self._closing:
            raise Unavailable("the hub is stopping; send this again shortly", retry_after_seconds=2)
        loop = asyncio.get_running_loop()
        entry = Waiting(item, weight, loop, loop.create_future())
        self._accepted += weight
        self._queue.append(entry)
        if not self._wake.is_set():  # a lock and its notice less for most: the writer clears it before it looks
            self._wake.set()
        return entry.durable

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while batch := self._take():
                self._commit(batch)
            if self._closing and not self._queue:
                return

    def _take(self) -> list[Waiting]:
        batch: list[Waiting] = []
        weight = 0
        while self._queue and (not batch or weight + self._queue[0].weight <= self._most_in_batch):
            entry = self._queue.popleft()
            weight += entry.weight
            batch.append(entry)
        return batch

    def _commit(self, batch: list[Waiting]) -> None:
        fault = self._attempt(batch)
        if fault is not None and len(batch) > 1 and not isinstance(fault, DomainError):
            for entry in batch:
                self._settle([entry], self._attempt([entry]))
            return
        self._settle(batch, fault)

    def _attempt(self, batch: list[Waiting]) -> Exception | None:
        began_at = time.monotonic()
        try:
            with self._database.write() as tx:
                self._store(tx, [entry.item for entry in batch])
        except Exception as fault:  # noqa: BLE001  every fault is handed to those who wait for it
            log.error("batch not stored", items=len(batch), fault=repr(fault))
            return fault
        self.commit_seconds = time.monotonic() - began_at
        self.pace.count(sum(entry.weight for entry in batch))
        return None

    def _settle(self, batch: list[Waiting], fault: Exception | None) -> None:
        self._settled += sum(entry.weight for entry in batch)
        by_loop: dict[asyncio.AbstractEventLoop, list[Waiting]] = {}
        for entry in batch:
            by_loop.setdefault(entry.loop, []).append(entry)
        for loop, entries in by_loop.items():
            try:
                loop.call_soon_threadsafe(_resolve, entries, fault)
            except RuntimeError:  # the loop has ended; nobody waits any more
                continue


def _resolve(entries: list[Waiting], fault: Exception | None) -> None:
    for entry in entries:
        if entry.durable.done():
            continue
        if fault is None:
            entry.durable.set_result(None)
        else:
            entry.durable.set_exception(fault)
