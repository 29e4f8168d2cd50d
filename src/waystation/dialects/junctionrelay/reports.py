"""A health report as samples: its own words, what it measured, and what the home's key opens (JR-17, JR-18)."""

import asyncio
from typing import Self

import structlog

from waystation import devices
from waystation.devices import CallingDevice
from waystation.dialects.junctionrelay import sealed, wire
from waystation.kernel.clock import Clock, micros, parse_iso
from waystation.kernel.db import Database
from waystation.kernel.errors import DomainError, Invalid
from waystation.kernel.parts import Parts
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing
from waystation.telemetry import Ingest, Sample

log = structlog.get_logger(__name__)

LARGE_BYTES = 16_384  # decoding more than this would keep others waiting on the event loop
DAY = 86_400_000_000


class Reports:
    """A part of the process. It keeps the private keys of homes once they were read: a home's key never changes."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._keys: dict[int, bytes] = {}

    @classmethod
    def of(cls, parts: Parts) -> Self:
        if not parts.has(cls):
            parts.put(cls, cls(parts))
        return parts.get(cls)

    async def samples(self, device: CallingDevice, body: bytes) -> list[Sample]:
        """Its arrival marks when health was last heard; what it measured has the report's own time, if it gave one."""
        large = len(body) > LARGE_BYTES
        report = await asyncio.to_thread(wire.report, body) if large else wire.report(body)
        at, values = self._own_time(report.at), report.values
        if report.sealed is not None:
            opened = await asyncio.to_thread(self._opened, device, report.sealed)
            if opened is not None:
                at = self._plausible(opened.at) if at is None else at
                values = {**wire.opened(opened.plain), **values}
        return [Sample(None, report.about), *([Sample(at, values)] if values else [])]

    def _own_time(self, given: str | None) -> int | None:
        try:
            return None if given is None else self._plausible(micros(parse_iso(given)))
        except Invalid:
            return None

    def _plausible(self, at: int | None) -> int | None:
        """None for a time that no reading can have here; the report then counts by its arrival."""
        limits, now = self._parts.get(Ingest).limits, micros(self._parts.get(Clock).now())
        if at is None or not now - limits.max_past_days * DAY <= at <= now + limits.max_future_seconds * 1_000_000:
            return None
        return at

    def _opened(self, device: CallingDevice, text: str) -> sealed.Opened | None:
        """None without a key, and for what another key must open: that is the owner's right, not a fault (JR-18)."""
        try:
            scalar = self._key(device.home_id)
            said_id = "" if scalar is None else self._said_id(device)
            return None if scalar is None else sealed.opened(text, scalar, said_id)
        except DomainError as fault:
            log.warning("a report stays encrypted", device=device.key, reason=fault.sentence)
            return None

    def _key(self, home_id: int) -> bytes | None:
        if home_id not in self._keys:
            with self._parts.get(Database).read() as tx:
                scalar = devices.keypair.private_key(tx, Sealing(self._parts.get(KeyRing)), home_id)
            if scalar is None:
                return None
            self._keys[home_id] = scalar
        return self._keys[home_id]

    def _said_id(self, device: CallingDevice) -> str:
        with self._parts.get(Database).read() as tx:
            found = devices.by_id(tx, device.id)
        return "" if found is None or found.said_id is None else found.said_id
