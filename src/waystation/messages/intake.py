"""The one way in for what devices send: room on the disk, one durable commit for many, and then the answer."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prometheus_client import Counter

from waystation import devices
from waystation.devices import CallingDevice
from waystation.kernel.clock import MICROSECOND, Clock, from_micros, micros
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import DomainError, TooMany
from waystation.kernel.limits import Allowance, Limiter, Rate
from waystation.kernel.packed import unpacked
from waystation.kernel.settings import Settings
from waystation.kernel.writer import Writer
from waystation.messages import decode, service
from waystation.messages.folding import Line
from waystation.messages.model import NewMessage

Seen = Callable[[Tx, Sequence[tuple[int, datetime, str | None]]], None]

LARGE_BYTES = 65_536  # decoding more than this would keep other connections waiting on the event loop
SEEN_EVERY = timedelta(seconds=10)  # between two writes of a device's last_seen_at
MOST_LINES_IN_BATCH, MOST_LINES_WAITING = 5_000, 20_000
MOST_KNOWN = 100_000

LINES = Counter("waystation_messages_total", "Lines of devices that were stored, counted as repeats, or there already")


@dataclass(frozen=True, slots=True)
class Arrival:
    device: CallingDevice
    messages: Sequence[NewMessage]
    at: datetime
    client_ip: str | None


class Intake:
    """A part. Its `put` is called on the event loop and returns when the lines are on disk."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        limiter: Limiter,
        *,
        seen: Seen,
        check_room: Callable[[CallingDevice], None],
        refused: Callable[[CallingDevice, DomainError], None],
    ) -> None:
        """`check_room` raises StorageFull when the disk or the plan of the home's owner has none; `refused` hears of
        every call that failed.
        """
        self.check_room = check_room
        self.refused = refused
        self.writer = Writer(database, self._store, most_in_batch=MOST_LINES_IN_BATCH, most_waiting=MOST_LINES_WAITING)
        self._clock = clock
        self._settings = settings
        self._limiter = limiter
        per_minute = settings.messages_per_minute
        self._rate = Rate(per_minute, settings.messages_burst or per_minute) if per_minute else None
        self._seen = seen
        self._seen_at: dict[int, datetime] = {}

    def start(self) -> None:
        self.writer.start()

    def close(self) -> None:
        """Stores what has been taken; nothing is taken any more."""
        self.writer.close()

    async def decoded(self, body: bytes, encoding: bytes = b"") -> list[NewMessage]:
        """The body's messages; see decode.messages for what is refused."""
        if encoding or len(body) > LARGE_BYTES:
            return await asyncio.to_thread(self._decode, body, encoding)
        return self._decode(body, encoding)

    def _decode(self, body: bytes, encoding: bytes) -> list[NewMessage]:
        plain = unpacked(body, encoding, self._settings.max_body_bytes * 8)
        return decode.messages(plain, micros(self._clock.now()), self._settings)

    def allow(self, device: CallingDevice, count: int) -> Allowance | None:
        """Draws so many lines from the device's bucket; None when nothing limits it. Look at `wait` of the answer."""
        return None if self._rate is None else self._limiter.take(self._rate, "messages", device.key, count=count)

    async def put(self, device: CallingDevice, messages: Sequence[NewMessage], client_ip: str | None) -> None:
        """Stores all of the messages or none. After StorageFull and Unavailable the sender may try again."""
        await self.writer.put(Arrival(device, messages, self._clock.now(), client_ip), len(messages))
        LINES.inc(len(messages))

    def _store(self, tx: Tx, batch: Sequence[Arrival]) -> None:
        """The writer's store: runs in its thread, in its transaction."""
        if due := self._due(batch):  # before numbers are taken: in this order everybody locks
            self._seen(tx, [(one.device.id, one.at, one.client_ip) for one in due])
        alive = devices.placed(tx, {one.device.id for one in batch})  # not those that were deleted while they waited
        lines = [
            Line.of(one.device.home_id, one.device.id, one.at, message)
            for one in batch
            if one.device.id in alive
            for message in one.messages
        ]
        service.write_lines(tx, lines, batch[-1].at)
        tx.after_commit(lambda: self._note_seen(due))

    def _due(self, batch: Sequence[Arrival]) -> list[Arrival]:
        """Devices whose last_seen_at is due for a write, in order of their ids."""
        newest = {one.device.id: one for one in batch}
        return [
            one
            for device_id, one in sorted(newest.items())
            if device_id not in self._seen_at or abs(one.at - self._seen_at[device_id]) >= SEEN_EVERY
        ]

    def _note_seen(self, due: Iterable[Arrival]) -> None:
        if len(self._seen_at) > MOST_KNOWN:
            self._seen_at.clear()
        self._seen_at.update((one.device.id, one.at) for one in due)


def stamped(messages: Sequence[NewMessage], at: int) -> list[NewMessage]:
    """Those without a time of their own get one from `at` (microseconds) on, the same whenever it is done again."""
    arrived_at = from_micros(at)
    return [
        message if message.at is not None else replace(message, at=arrived_at + number * MICROSECOND)
        for number, message in enumerate(messages)
    ]


def too_many(allowance: Allowance) -> TooMany:
    return TooMany(
        f"this device may write {allowance.rate.per_minute} lines a minute; wait, and log less",
        retry_after_seconds=allowance.wait_seconds,
    )
