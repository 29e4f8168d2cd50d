"""Exports that are being fetched from this process."""

import threading
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.errors import TooMany
from waystation.kernel.parts import Parts
from waystation.telemetry.transfer import export, store
from waystation.telemetry.transfer.export import Plan, Point, Reached, Trail

MOST_AT_ONCE = 8
MOST_TRAILS = 64
NOTE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Fetch:
    """One export from one of its bytes on."""

    id: int
    plan: Plan
    offset: int
    reached: Reached


class Exports:
    """A part. It limits how many run at once, and remembers the last points of each."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._trails: OrderedDict[int, Trail] = OrderedDict()
        self._running = 0
        self._lock = threading.Lock()

    def body(self, fetch: Fetch) -> Iterator[bytes]:
        """Its bytes; how far it got is noted every few seconds and at the end.

        The first of them raises what is wrong: TooMany, or Conflict as export.from_byte says.
        """
        with self._lock:
            trail = self._trails.setdefault(fetch.id, Trail())
            self._trails.move_to_end(fetch.id)
            if len(self._trails) > MOST_TRAILS:
                self._trails.popitem(last=False)
        return self._body(fetch, trail)

    def _body(self, fetch: Fetch, trail: Trail) -> Iterator[bytes]:
        with self._one_more():
            noted_at, point = time.monotonic(), None
            stream = export.from_byte(self._database, fetch.plan, fetch.offset, reached=fetch.reached, trail=trail)
            for part, point in stream:
                yield part
                if time.monotonic() - noted_at > NOTE_SECONDS:
                    self._note(fetch.id, point)
                    noted_at = time.monotonic()
            if point is not None:
                self._note(fetch.id, point, is_done=True)

    def _note(self, export_id: int, point: Point, *, is_done: bool = False) -> None:
        cursor = "" if point.cursor is None else point.cursor.text()
        reached = {"bytes": point.size, "rows": point.rows, "sha256": point.sha256, "cursor": cursor}
        with self._database.write() as tx:
            store.note(tx, export_id, self._clock.now(), **reached, is_done=is_done)

    @contextmanager
    def _one_more(self) -> Generator[None]:
        with self._lock:
            if self._running >= MOST_AT_ONCE:
                raise TooMany(f"{MOST_AT_ONCE} exports run already; wait for one to end", retry_after_seconds=10)
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1


@asynccontextmanager
async def keep_exports(parts: Parts) -> AsyncGenerator[None]:
    parts.put(Exports, Exports(parts.get(Database), parts.get(Clock)))
    yield
