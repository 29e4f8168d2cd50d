"""Times and values as the cells of a file: columns of bytes out, and what a cell meant back in.

A cell of CSV says its kind: `true` and `false`, numbers, and everything else is text. Text that would be taken for one
of those, or that a spreadsheet would run as a formula, is led by an apostrophe, which reading takes off again.
"""

import functools
import math
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import numpy as np
from numpy.typing import NDArray

from waystation.kernel.clock import EPOCH
from waystation.kernel.csv import plain_cell
from waystation.kernel.errors import Invalid
from waystation.telemetry.codec import Floats, Ints

Bytes = NDArray[np.uint8]
"""One row of bytes per value, filled up with zeros, which are left out in the end."""

SECOND, DAY, HOUR = 1_000_000, 86_400_000_000, 3_600_000_000
LOOKED_AT = 1024
QUOTED = (",", '"', "\n", "\r")
WORDS = {"true": True, "false": False}


def zone(name: str) -> ZoneInfo:
    """An IANA zone; Invalid when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        raise Invalid(f"{name[:60]!r} is no time zone; zones are named as in Europe/Berlin or UTC") from unknown


def utc(at: Ints) -> Bytes:
    """`2026-01-31T12:00:00.123456Z` of microseconds."""
    return _clock(at, b"Z")


def local(at: Ints, where: ZoneInfo) -> Bytes:
    """`2026-01-31T13:00:00.123456+01:00`, right also where the clocks are changed."""
    seconds = _offsets(at, where)
    known, which = np.unique(seconds, return_inverse=True)
    ends = np.array([_offset(int(offset)) for offset in known])
    return np.hstack([_clock(at + seconds * SECOND), matrix(ends)[which]])


def numbers(values: Floats) -> Bytes:
    """The shortest digits from which the same float64 is read again. What a sensor says again is written once."""
    bits = values.view(np.int64)
    if len(np.unique(bits[:LOOKED_AT])) * 2 > len(bits[:LOOKED_AT]):
        return _digits(values)
    known, which = np.unique(bits, return_inverse=True)
    return _digits(known.view(np.float64))[which]


def _digits(values: Floats) -> Bytes:
    return matrix(np.array(msgspec.json.encode(values.tolist())[1:-1].split(b",")))


def booleans(values: Floats) -> Bytes:
    return matrix(np.array([b"false", b"true"]))[(values != 0).astype(np.int64)]


def texts(values: NDArray[Any], *, longest: int) -> Bytes | None:
    """None when one is longer than `longest` bytes, and so as a column too wide."""
    given = values.tolist()
    known = {text: csv_text(text).encode() for text in set(given)}
    encoded = [known[text] for text in given]
    if max(map(len, encoded)) > longest:
        return None
    return matrix(np.array(encoded))


def csv_text(text: str) -> str:
    """A cell of text, quoted where CSV needs it."""
    marked = plain_cell(text)
    if marked == text and (text == "" or text[0] == "'" or not isinstance(meant(text), str)):
        marked = f"'{text}"
    if any(mark in marked for mark in QUOTED):
        return '"' + marked.replace('"', '""') + '"'
    return marked


def meant(cell: str) -> float | bool | str:
    """What a cell of CSV stands for, its quotes taken off before; NaN and the infinities are text."""
    if cell[:1] == "'":
        return cell[1:]
    try:
        number = float(cell)
    except ValueError:
        return WORDS.get(cell, cell)
    return number if math.isfinite(number) and "_" not in cell else cell


def matrix(strings: NDArray[np.bytes_]) -> Bytes:
    return strings.view(np.uint8).reshape(len(strings), -1)


def each(text: bytes, count: int) -> Bytes:
    return np.broadcast_to(np.frombuffer(text, np.uint8), (count, len(text)))


def joined(columns: list[Bytes]) -> bytes:
    """The rows one after the other."""
    return np.hstack(columns).tobytes().translate(None, b"\0")


def _clock(at: Ints, end: bytes = b"") -> Bytes:
    """`2026-01-31T12:00:00.123456` and what follows it."""
    days, rest = np.divmod(at, DAY)
    known, which = np.unique(days, return_inverse=True)
    dates = matrix(np.datetime_as_string(known.astype("datetime64[D]")).astype("S10"))
    seconds, micros = np.divmod(rest, SECOND)
    millis, micros = np.divmod(micros, 1000)
    whole = np.empty((len(at), 26 + len(end)), np.uint8)
    whole[:, :10] = dates[which] if len(known) > 1 else dates
    whole[:, 10] = ord("T")
    whole[:, 11:19] = _clocks()[seconds]
    whole[:, 19] = ord(".")
    whole[:, 20:23] = _thousand()[millis]
    whole[:, 23:26] = _thousand()[micros]
    whole[:, 26:] = np.frombuffer(end, np.uint8)
    return whole


@functools.cache
def _clocks() -> Bytes:
    """Every second of a day."""
    two, seconds = _thousand()[:, 1:], np.arange(86_400)
    colon = each(b":", 86_400)
    return np.hstack([two[seconds // 3600], colon, two[seconds // 60 % 60], colon, two[seconds % 60]])


@functools.cache
def _thousand() -> Bytes:
    return matrix(np.array([f"{n:03}".encode() for n in range(1000)]))


def _offsets(at: Ints, where: ZoneInfo) -> Ints:
    """Seconds ahead of UTC. An hour in which the clocks change is looked at value by value."""
    hours, which = np.unique(at // HOUR, return_inverse=True)
    starts = [_offset_at(int(hour) * HOUR, where) for hour in hours]
    ends = [_offset_at(int(hour) * HOUR + HOUR - 1, where) for hour in hours]
    seconds = np.array(starts, np.int64)[which]
    changing = np.flatnonzero((np.array(starts) != np.array(ends))[which])
    seconds[changing] = [_offset_at(one, where) for one in at[changing].tolist()]
    return seconds


def _offset_at(at: int, where: ZoneInfo) -> int:
    ahead = (EPOCH + timedelta(microseconds=at)).astimezone(where).utcoffset()
    return 0 if ahead is None else round(ahead.total_seconds())


def _offset(seconds: int) -> bytes:
    sign, seconds = "-" if seconds < 0 else "+", abs(seconds)
    odd = f":{seconds % 60:02}" if seconds % 60 else ""
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}{odd}".encode()


def iso_micros(text: str) -> int | None:
    """The time as written by `utc` or `local`, quickly; None for every other form."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is None or at.year < 2:
        return None
    gone = at.astimezone(UTC) - EPOCH
    return (gone.days * 86_400 + gone.seconds) * SECOND + gone.microseconds
