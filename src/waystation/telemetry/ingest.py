"""The one way in for readings: room on the disk, a stamp, one durable commit, and then those who look are told."""

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from prometheus_client import Counter, Histogram

from waystation.devices import CallingDevice
from waystation.kernel.clock import Clock, from_micros, micros
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import DomainError, StorageFull
from waystation.kernel.packed import unpacked
from waystation.kernel.settings import Settings
from waystation.kernel.writer import Writer
from waystation.telemetry import decode, store
from waystation.telemetry.keeping.quota import Quota
from waystation.telemetry.model import Row, Sample, Stamped, arrived, by_mqtt, own, rows_of

Seen = Callable[[Tx, Sequence[tuple[int, datetime, str | None]]], None]
Stored = Callable[[CallingDevice, Sequence[Sample], "Receipt"], None]

LARGE_BYTES = 65_536  # decoding more than this would keep other connections waiting on the event loop
SEEN_EVERY = 10_000_000  # microseconds between two writes of a device's last_seen_at
PROCESSES = 16
STEP_BACK = 1_000_000
MOST_FAULTS = 10_000

CALLS = Counter("waystation_ingest_calls_total", "Calls whose readings were stored")
VALUES = Counter("waystation_ingest_values_total", "Values stored")
REFUSED = Counter("waystation_ingest_refused_total", "Calls refused, by reason", ["word"])
BATCH = Histogram("waystation_ingest_commit_values", "Values in one commit", buckets=(1, 10, 100, 1000, 10_000, 50_000))


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one call: `at` is its arrival in microseconds, which no other call of this site has."""

    values: int
    at: int


@dataclass(frozen=True, slots=True)
class Queued:
    """Where a message lay in MQTT's stream; the same again when it is delivered again."""

    at: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a device's last bad call was refused, for its page."""

    at: datetime
    word: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Arrival:
    stamped: Stamped
    at: int
    client_ip: str | None
    home_id: int = 0
    charge_bytes: int | None = None


class Arrivals:
    """Arrival times in microseconds that ascend and are never given twice.

    Their remainder by 16 is the process's slot, so that processes of one site cannot meet. A clock that is set back by
    more than a second is followed: readings under a wrong time would be worse than the chance to meet an old one.
    """

    def __init__(self, clock: Clock, slot: int = 1) -> None:
        self._clock = clock
        self._slot = slot % PROCESSES
        self._looked_at = 0
        self._end = 0

    def take(self, count: int) -> int:
        """The first of `count` successive microseconds."""
        now = micros(self._clock.now())
        earliest = now if now < self._looked_at - STEP_BACK else max(now, self._end)
        first = earliest + (self._slot - earliest) % PROCESSES
        self._looked_at, self._end = now, first + count
        return first


class Space:
    """Whether the disk has room, looked up at most once a second."""

    def __init__(self, folder: Path, min_free_bytes: int) -> None:
        self._folder = folder
        self._min_free_bytes = min_free_bytes
        self._free_bytes = 0
        self._looked_at = float("-inf")

    def check(self) -> None:
        """StorageFull when less than the minimum is free."""
        if self.free_bytes < self._min_free_bytes:
            raise StorageFull(
                f"less than {self._min_free_bytes >> 20} MiB of disk are free, so nothing is taken",
                retry_after_seconds=60,
            )

    @property
    def free_bytes(self) -> int:
        now = time.monotonic()
        if now - self._looked_at > 1:
            disk = os.statvfs(self._folder)
            self._free_bytes, self._looked_at = disk.f_bavail * disk.f_frsize, now
        return self._free_bytes


class Presence:
    """Which devices' last_seen_at is due for a write: once in ten seconds each, however much they send."""

    def __init__(self) -> None:
        self._written: dict[int, int] = {}

    def due(self, batch: Sequence[Arrival]) -> dict[int, Arrival]:
        """In order of their ids, so that two processes that write the same devices never wait for each other."""
        newest = {arrival.stamped.device_id: arrival for arrival in batch}
        never = -SEEN_EVERY
        return {key: a for key, a in sorted(newest.items()) if abs(a.at - self._written.get(key, never)) >= SEEN_EVERY}

    def written(self, due: dict[int, Arrival]) -> None:
        self._written.update((key, arrival.at) for key, arrival in due.items())


class Ingest:
    """A part. Its `put` is called on the event loop and returns when the readings are on disk."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        *,
        seen: Seen,
        told: Sequence[Stored] = (),
        slot: int = 1,
        quota: Quota | None = None,
    ) -> None:
        self.limits = decode.Limits(
            max_past_days=settings.max_past_days,
            max_future_seconds=settings.max_future_seconds,
            max_unpacked_bytes=settings.max_body_bytes * 8,
        )
        self.space = Space(settings.data, settings.min_free_bytes)
        self.series = store.SeriesIds(clock)
        self.faults: OrderedDict[str, Fault] = OrderedDict()
        self.writer = Writer(database, self._store)
        self._arrivals = Arrivals(clock, slot)
        self._clock = clock
        self._slot = slot
        self._seen = seen
        self._told = told
        self._presence = Presence()
        self.after_commit: list[Callable[[], None]] = []  # called in the writer's thread
        self.after_refusal: list[Callable[[CallingDevice], None]] = []
        self.quota = quota or Quota(database, clock, settings.default_plan)

    def start(self) -> None:
        self.writer.start()

    def close(self) -> None:
        """Stores what has been taken; nothing is taken any more."""
        self.writer.close()

    async def decoded(self, body: bytes, encoding: bytes = b"") -> list[Sample]:
        """The body's readings; see decode.samples for what is refused."""
        if encoding or len(body) > LARGE_BYTES:
            return await asyncio.to_thread(self._decode, body, encoding)
        return self._decode(body, encoding)

    def _decode(self, body: bytes, encoding: bytes) -> list[Sample]:
        plain = unpacked(body, encoding, self.limits.max_unpacked_bytes)
        return decode.samples(plain, micros(self._clock.now()), self.limits)

    def check_room(self, device: CallingDevice) -> None:
        """StorageFull when the disk or the plan of the home's owner has no room; ask before a body is looked at."""
        self.space.check()
        self.quota.check(device.home_id)

    async def put(
        self,
        device: CallingDevice,
        samples: Sequence[Sample],
        client_ip: str | None,
        *,
        queued: Queued | None = None,
        charge_bytes: int | None = None,
    ) -> Receipt:
        """Stores all of the samples or none. After StorageFull and Unavailable the sender may try again.

        `charge_bytes` is what the call counts against the owner's plan, when that does not follow from its values.
        """
        self.check_room(device)
        first = self._arrivals.take(max(len(samples), 1))
        rows = self._stamped(samples, first, queued)
        arrival = Arrival(Stamped(device.id, rows), first, client_ip, device.home_id, charge_bytes)
        await self.writer.put(arrival, len(rows) or 1)
        receipt = Receipt(len(rows), first)
        for tell in self._told:
            tell(device, samples, receipt)
        return receipt

    def refused(self, device: CallingDevice, fault: DomainError) -> None:
        """Counts a refusal and keeps the last one of the device, without what it had sent."""
        REFUSED.labels(fault.word).inc()
        self.faults[device.key] = Fault(self._clock.now(), fault.word, fault.sentence)
        self.faults.move_to_end(device.key)
        if len(self.faults) > MOST_FAULTS:
            self.faults.popitem(last=False)
        for tell in self.after_refusal:
            tell(device)

    def _stamped(self, samples: Sequence[Sample], first: int, queued: Queued | None) -> list[Row]:
        rows: list[Row] = []
        for number, sample in enumerate(samples):
            if (at := sample.at) is not None:
                stamp = own(at)
            elif queued is not None:
                stamp = by_mqtt(queued.at + number, queued.sequence)
            else:
                stamp = arrived(first + number, self._slot)
            rows += rows_of(sample, stamp)
        return rows

    def _store(self, tx: Tx, batch: Sequence[Arrival]) -> None:
        """The writer's store: runs in its thread, in its transaction."""
        store.append(tx, self.series, [arrival.stamped for arrival in batch])
        if due := self._presence.due(batch):
            self._seen(tx, [(key, from_micros(arrival.at), arrival.client_ip) for key, arrival in due.items()])
        tx.after_commit(lambda: self._committed(batch, due))

    def _committed(self, batch: Sequence[Arrival], due: dict[int, Arrival]) -> None:
        self._presence.written(due)
        for one in batch:
            self.quota.add(one.home_id, one.stamped.device_id, one.stamped.rows, one.charge_bytes)
        values = sum(len(arrival.stamped.rows) for arrival in batch)
        CALLS.inc(len(batch))
        VALUES.inc(values)
        BATCH.observe(values)
        for tell in self.after_commit:
            tell()
