"""When devices were heard and what they said of themselves: at once for who was silent, else every half minute for all.

A thousand devices that poll every second would otherwise be a thousand commits a second, which tell nobody anything.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from waystation import devices
from waystation.devices import CallingDevice
from waystation.dialects.dropsync import rebooting, store
from waystation.dialects.dropsync.model import TROUBLES, Said, next_said
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import DomainError
from waystation.kernel.parts import Parts
from waystation.kernel.settings import Settings
from waystation.kernel.writer import Writer

log = structlog.get_logger(__name__)

SILENT = timedelta(seconds=60)
FLUSH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Told:
    """What a heartbeat says. `heard_before` is when this process heard the device before, None when it never did."""

    status: str
    firmware_version: str | None
    ip: str | None
    heard_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life."""

    device_id: int
    at: datetime
    client_ip: str | None
    is_poll: bool = False
    told: Told | None = None


class Pulse:
    """A part. Everything but the writing happens on the event loop."""

    def __init__(self, database: Database, *, is_alone: bool = True) -> None:
        """`is_alone` unless other processes hear the same devices."""
        self._database = database
        self._is_alone = is_alone
        self.writer = Writer(database, store_beats)
        self._waiting: dict[int, Beat] = {}
        self._heard_at: dict[int, datetime] = {}
        self._in_trouble: set[int] = set()

    async def heard(
        self, device: CallingDevice, now: datetime, client_ip: str | None, *, is_poll: bool = False
    ) -> None:
        """Waits only for a device that was silent, or that said it was in trouble."""
        before = self._heard_at.get(device.id)
        self._heard_at[device.id] = now
        beat = Beat(device.id, now, client_ip, is_poll)
        is_well_again = is_poll and device.id in self._in_trouble
        if is_well_again:
            self._in_trouble.discard(device.id)
        if before is None or now - before > SILENT or is_well_again:
            await self.writer.put(beat)
            return
        earlier = self._waiting.get(device.id)
        self._waiting[device.id] = replace(beat, is_poll=is_poll or (earlier is not None and earlier.is_poll))

    async def told(self, device: CallingDevice, now: datetime, client_ip: str | None, told: Told) -> None:
        """A heartbeat: durable when this returns."""
        told = replace(told, heard_before=self._heard_at.get(device.id) if self._is_alone else None)
        self._heard_at[device.id] = now
        if told.status in TROUBLES:
            self._in_trouble.add(device.id)
        else:
            self._in_trouble.discard(device.id)
        await self.writer.put(Beat(device.id, now, client_ip, told=told))

    async def flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        if waiting:
            await asyncio.to_thread(self._write, list(waiting.values()))

    def _write(self, beats: Sequence[Beat]) -> None:
        try:
            with self._database.write() as tx:
                store_beats(tx, beats)
        except DomainError as fault:
            log.warning("when devices were heard is not written down", fault=fault.sentence)


def store_beats(tx: Tx, beats: Sequence[Beat]) -> None:
    told = [beat for beat in beats if beat.told is not None]
    before = store.said_by(tx, {beat.device_id for beat in told})
    for beat in told:
        assert beat.told is not None
        rebooting.heard(tx, beat.device_id, beat.at, before=beat.told.heard_before)
        before[beat.device_id] = said = _said(before.get(beat.device_id, Said()), beat.told, beat.at)
        store.keep_said(tx, beat.device_id, said)
    store.note_polls(tx, [(beat.device_id, beat.at) for beat in beats if beat.is_poll])
    devices.seen(tx, [(beat.device_id, beat.at, beat.client_ip) for beat in beats])


def _said(before: Said, told: Told, at: datetime) -> Said:
    return Said(
        told.status,
        at,
        next_said(before, told.status, at),
        before.polled_at,
        told.firmware_version or before.firmware_version,
        told.ip or before.ip,
    )


@asynccontextmanager
async def keep_pulse(parts: Parts) -> AsyncGenerator[None]:
    pulse = Pulse(parts.get(Database), is_alone=parts.get(Settings).workers == 1)
    parts.put(Pulse, pulse)
    pulse.writer.start()
    flushing = asyncio.create_task(_flush(pulse))
    try:
        yield
    finally:
        flushing.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
        await pulse.flush()
        await asyncio.to_thread(pulse.writer.close)


async def _flush(pulse: Pulse) -> None:
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        await pulse.flush()
