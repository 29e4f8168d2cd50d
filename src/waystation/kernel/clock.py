"""Time as an argument: the real clock, one that tests turn by hand, and the forms times take on the wire."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from waystation.kernel.errors import Invalid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ISO = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?\s*([Zz]|[+-]\d\d:?\d\d|[+-]\d\d)?")


class Clock(Protocol):
    def now(self) -> datetime: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """Stands still until it is turned."""

    def __init__(self, at: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def turn(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def micros(at: datetime) -> int:
    """Microseconds since 1970, UTC."""
    return (at - EPOCH) // MICROSECOND


def from_micros(at: int) -> datetime:
    return EPOCH + timedelta(microseconds=at)


def now_micros() -> int:
    return time.time_ns() // 1000


def parse_iso(text: str) -> datetime:
    """A zone-aware time (contract rule G-18: `Z`, `±hh:mm`, `±hhmm`, naive as UTC, 0-9 decimals); else Invalid."""
    match = ISO.fullmatch(text.strip())
    if match is None:
        raise Invalid(f"{text[:40]!r} is not an ISO 8601 time such as 2026-01-31T12:00:00Z")
    date, clock, fraction, zone = match.groups()
    try:
        at = datetime.fromisoformat(f"{date}T{clock}{_offset(zone)}")
        return at.astimezone(UTC) + timedelta(microseconds=int((fraction or "0").ljust(6, "0")[:6]))
    except (ValueError, OverflowError) as impossible:
        raise Invalid(f"{text[:40]!r} is not a possible time") from impossible


def _offset(zone: str | None) -> str:
    if zone is None or zone in "Zz":
        return "+00:00"
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return f"{zone[0]}{digits[:2]}:{digits[2:]}"


def iso(at: datetime) -> str:
    """`2026-01-31T12:00:00.123456Z`: UTC, always six fraction digits, so that text order is time order."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
