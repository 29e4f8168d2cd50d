"""The form of a chunk: a sealed run of one series in few bytes, exact for every finite float, boolean and text.

    crc32 · header · deflate(times, values)

Times are steps, divided by what they all have in common, less the median step: a regular series has none left.
Numbers are steps too, of integers, where a power of ten makes every one of them an integer exactly; else their 64 bits
as they are. A column of integers takes the narrowest width that holds them, and all its first bytes come before all its
second bytes: neighbours look alike, and deflate finds them. Narrow columns make level 1 as good as level 6 or zstd.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from waystation.telemetry.model import Kind

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

VERSION = 1
HEADER = struct.Struct("<BBBBHqqqq")  # version, form, widths of times and values, count, first, unit, step, first value
CRC = struct.Struct("<I")
RAW, BITS, TEXT = 64, 65, 66  # forms of values; a lesser form is the number of decimal digits
MOST_DIGITS = 9
MOST_EXACT = 2.0**53
WIDTHS = {1: np.dtype("<i1"), 2: np.dtype("<i2"), 4: np.dtype("<i4"), 8: np.dtype("<i8")}
MOST_VALUES = 4096
MOST_TEXTS = 512


class DamagedChunk(Exception):
    """These bytes are not a chunk that was written here: the disk or a hand has changed them."""


@dataclass(frozen=True, slots=True)
class Run:
    """Values of one series by ascending stamp: float64 for numbers and booleans (0.0, 1.0), str objects for text."""

    stamps: Ints
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.stamps)

    def part(self, which: Any) -> Self:
        """By slice, mask or positions."""
        return type(self)(self.stamps[which], self.values[which])


def most_in_chunk(kind: Kind) -> int:
    return MOST_TEXTS if kind == Kind.TEXT else MOST_VALUES


def encode(run: Run, kind: Kind) -> bytes:
    """A run of 1 to 4,096 values with rising stamps."""
    unit, step, time_width, times = _times(run.stamps)
    form, first_value, value_width, values = _values(run.values, kind)
    count, first = len(run), int(run.stamps[0])
    header = HEADER.pack(VERSION, form, time_width, value_width, count, first, unit, step, first_value)
    body = header + zlib.compress(times + values, 1, -zlib.MAX_WBITS)
    return CRC.pack(zlib.crc32(body)) + body


def decode(data: bytes) -> Run:
    """Raises DamagedChunk."""
    if len(data) < CRC.size + HEADER.size or CRC.unpack_from(data)[0] != zlib.crc32(memoryview(data)[CRC.size :]):
        raise DamagedChunk("a chunk's checksum is wrong")
    header: tuple[int, ...] = HEADER.unpack_from(data, CRC.size)
    version, form, time_width, value_width, count, first, unit, step, first_value = header
    if version != VERSION:
        raise DamagedChunk(f"a chunk has version {version}, which this program does not know")
    body = zlib.decompress(memoryview(data)[CRC.size + HEADER.size :], -zlib.MAX_WBITS)
    steps = _column(body, time_width, count)
    steps[0] = 0
    steps[1:] += step
    stamps = np.cumsum(steps) * unit + first
    return Run(stamps, _decoded(body[time_width * count :], form, value_width, first_value=first_value, count=count))


def _times(stamps: Ints) -> tuple[int, int, int, bytes]:
    steps = np.diff(stamps)
    if not len(steps):
        return 1, 0, 0, b""
    unit = int(np.gcd.reduce(steps))
    steps //= unit
    step = int(np.partition(steps, len(steps) // 2)[len(steps) // 2])
    return unit, step, *_packed(np.concatenate(([0], steps - step)))


def _values(values: NDArray[Any], kind: Kind) -> tuple[int, int, int, bytes]:
    if kind == Kind.TEXT:
        return (TEXT, *_texts(values))
    if kind == Kind.BOOLEAN:
        return BITS, 0, 0, np.packbits(values != 0).tobytes()
    found = as_integers(values)
    if found is None:
        return RAW, 0, 8, _transposed(values)
    digits, integers = found
    return digits, int(integers[0]), *_packed(np.diff(integers, prepend=integers[:1]))


def _decoded(body: bytes, form: int, width: int, *, first_value: int, count: int) -> NDArray[Any]:
    if form == TEXT:
        return _decoded_texts(body, width, distinct=first_value, count=count)
    if form == BITS:
        return np.unpackbits(np.frombuffer(body, np.uint8), count=count).astype(np.float64)
    if form == RAW:
        return _column(body, width, count).view(np.float64)
    steps = _column(body, width, count)
    steps[0] = first_value
    return np.cumsum(steps) / 10**form


def as_integers(values: Floats) -> tuple[int, Ints] | None:
    """The fewest digits with which every value is an integer exactly, its sign of zero included."""
    biggest = max(float(values.max()), -float(values.min()))
    few = values[:16]
    for digits in range(MOST_DIGITS + 1):
        if biggest * 10**digits >= MOST_EXACT:
            return None
        if _exact(few, digits) is not None and (integers := _exact(values, digits)) is not None:
            return digits, integers
    return None


def _exact(values: Floats, digits: int) -> Ints | None:
    integers = np.rint(values * 10**digits).astype(np.int64)
    same = (integers / 10**digits).view(np.int64) == values.view(np.int64)
    return integers if same.all() else None


def _packed(column: Ints) -> tuple[int, bytes]:
    """The width and the bytes of a column; a column of zeros has neither."""
    least, most = int(column.min()), int(column.max())
    if least == most == 0:
        return 0, b""
    for width, narrow in WIDTHS.items():
        limit = 1 << (8 * width - 1)
        if -limit <= least and most < limit:
            return width, _transposed(column.astype(narrow))
    raise AssertionError("every int64 has a width")


def _transposed(column: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(column).view(np.uint8).reshape(-1, column.itemsize).T.tobytes()


def _column(body: bytes, width: int, count: int) -> Ints:
    if not width:
        return np.zeros(count, np.int64)
    bytewise = np.frombuffer(body, np.uint8, width * count).reshape(width, count)
    return np.ascontiguousarray(bytewise.T).view(WIDTHS[width])[:, 0].astype(np.int64)


def _texts(values: NDArray[Any]) -> tuple[int, int, bytes]:
    """Every distinct text once, and a column of which one it is."""
    places: dict[str, int] = {}
    codes = np.array([places.setdefault(text, len(places)) for text in values.tolist()], np.int64)
    encoded = [text.encode() for text in places]
    lengths = np.array([len(text) for text in encoded], "<u4").tobytes()
    width, column = _packed(codes)
    return len(places), width, column + lengths + b"".join(encoded)


def _decoded_texts(body: bytes, width: int, *, distinct: int, count: int) -> NDArray[Any]:
    codes = _column(body, width, count)
    at = width * count
    ends = np.cumsum(np.frombuffer(body, "<u4", distinct, at).astype(np.int64))
    at += 4 * distinct
    texts = np.empty(distinct, object)
    for place, (start, end) in enumerate(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)):
        texts[place] = body[at + start : at + end].decode()
    return texts[codes]
