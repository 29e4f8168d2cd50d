"""What is known of a run by the hour: enough for every aggregate over hours, days and years without opening the run.

    crc32 · form · digits · one record per hour (UTC) that has values

Records are not compressed, so that those of thousands of chunks are read as one array. Values are integers of 32 bits
where a power of ten makes every one of them so exactly, as in the chunk; else floats.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from waystation.telemetry import codec
from waystation.telemetry.codec import DamagedChunk, Floats, Ints, Run
from waystation.telemetry.model import SOURCE_BITS, at_of

HOUR = 3_600_000_000  # microseconds
DENSE = 120  # values in an hour, from which on its record costs little beside them
ENOUGH = 1000  # values in a run, from which on opening it costs much; shorter ones are soon merged

ADDING_ERROR = 1e-4  # of a sum, in units of its last digit

HEAD = struct.Struct("<IBB")
SHORT, LONG = 1, 2
TIMES = [(name, "<u4") for name in ("starts", "ends", "least_at", "greatest_at")]  # microseconds into the hour
VALUES = ("least", "greatest", "firsts", "lasts", "sums", "rises")
RECORDS = {
    form: np.dtype([("hour", "<i4"), ("counts", "<u4"), *TIMES, *((name, kind) for name in VALUES), ("areas", "<f8")])
    for form, kind in ((SHORT, "<i4"), (LONG, "<f8"))
}


@dataclass(frozen=True, slots=True)
class Hours:
    """Columns with one entry per hour that has values, by time; times in microseconds.

    `areas` are value times seconds from the first to the last reading of the hour, each value taken to last until the
    next one. `rises` are what a counter has counted between them: of two readings in a row what the later one is more,
    or, where it is less, the later one itself, for the counter began again from zero.
    """

    starts: Ints
    ends: Ints
    counts: Ints
    least: Floats
    greatest: Floats
    sums: Floats
    firsts: Floats
    lasts: Floats
    areas: Floats
    rises: Floats
    least_at: Ints
    greatest_at: Ints

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, which: Any) -> Self:
        """By slice, mask or positions."""
        return type(self)(*(getattr(self, name)[which] for name in COLUMNS))

    @property
    def are_finite(self) -> bool:
        return bool(np.isfinite(self.sums).all() and np.isfinite(self.areas).all() and np.isfinite(self.rises).all())


COLUMNS = tuple(field.name for field in fields(Hours))


def joined(some: Sequence[Hours]) -> Hours:
    """One after the other; at least one must be given."""
    if len(some) == 1:
        return some[0]
    return Hours(*(np.concatenate([getattr(hours, name) for hours in some]) for name in COLUMNS))


def each_alone(run: Run) -> Hours:
    """Every value as if it were an hour of its own."""
    at, values = run.stamps >> SOURCE_BITS, run.values
    nothing = np.zeros(len(run))
    ones = np.ones(len(run), np.int64)
    return Hours(at, at, ones, values, values, values, values, values, nothing, nothing, at, at)


def of_run(run: Run) -> Hours:
    """Of numbers or booleans, at least one. What is beyond a float is infinite."""
    at, values = run.stamps >> SOURCE_BITS, run.values
    number = at // HOUR
    starts = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
    ends = np.append(starts[1:], len(at)) - 1
    least, greatest = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    seconds = np.diff(at, append=at[-1]) / 1e6
    seconds[ends] = 0
    with np.errstate(over="ignore", invalid="ignore"):
        rises = np.append(rise(values[:-1], values[1:]), 0)
        rises[ends] = 0
        sums, areas, rises = (np.add.reduceat(some, starts) for some in (values, values * seconds, rises))
    hour = np.repeat(np.arange(len(starts)), ends - starts + 1)
    least_at, greatest_at = (at[_first_of_each(values == end[hour], hour)] for end in (least, greatest))
    counts = ends - starts + 1
    firsts, lasts = values[starts], values[ends]
    return Hours(
        at[starts], at[ends], counts, least, greatest, sums, firsts, lasts, areas, rises, least_at, greatest_at
    )


def rise(before: Floats, after: Floats) -> Floats:
    """What a counter has counted from one reading to the next."""
    more = after - before
    return np.where(more < 0, np.maximum(after, 0), more)


def _first_of_each(chosen: Any, group: Ints) -> Ints:
    positions = np.flatnonzero(chosen)
    return positions[np.diff(group[positions], prepend=-1) > 0]


# As bytes


def worth_keeping(run: Run) -> bytes | None:
    """The packed hours of a run whose hours hold many values; None where opening the run costs little."""
    if len(run) < ENOUGH or at_of(int(run.stamps[-1] - run.stamps[0])) > len(run) // DENSE * HOUR:
        return None
    hours = of_run(run)
    return pack(hours) if hours.are_finite and len(run) >= DENSE * len(hours) else None


def pack(hours: Hours) -> bytes:
    form, digits, values = _values(hours)
    records = np.zeros(len(hours), RECORDS[form])
    hour = hours.starts // HOUR
    records["hour"], records["counts"], records["areas"] = hour, hours.counts, hours.areas
    for name, _ in TIMES:
        records[name] = getattr(hours, name) - hour * HOUR
    for name, column in zip(VALUES, values, strict=True):
        records[name] = column
    body = bytes((form, digits)) + records.tobytes()
    return struct.pack("<I", zlib.crc32(body)) + body


def _values(hours: Hours) -> tuple[int, int, Sequence[Any]]:
    """Form, decimal digits and the columns of VALUES. Sums lose nothing but the error of adding floats.

    They may need more digits than the ends of their hour: 0, 0.1 and 5 have integers at both ends, and add up to 5.1.
    """
    columns = [getattr(hours, name) for name in VALUES]
    found = codec.as_integers(np.concatenate(columns[:4]))
    for digits in range(found[0], codec.MOST_DIGITS + 1) if found and hours.are_finite else ():
        scaled = [column * 10**digits for column in columns]
        if max(float(np.abs(column).max()) for column in scaled) >= 2**31:
            break
        whole = [np.rint(column) for column in scaled]
        if all((np.abs(one - other) < ADDING_ERROR).all() for one, other in zip(scaled, whole, strict=True)):
            return SHORT, digits, whole
    return LONG, 0, columns


def unpack(packed: bytes) -> Hours:
    """Raises DamagedChunk."""
    return unpack_all([packed])[0]


def unpack_all(packed: Sequence[bytes]) -> tuple[Hours, Ints]:
    """All hours of many chunks in their order, and which of the chunks each is of. Raises DamagedChunk."""
    by_form: dict[int, list[int]] = {SHORT: [], LONG: []}
    digits = np.zeros(len(packed), np.int64)
    for place, blob in enumerate(packed):
        crc, form, digits[place] = HEAD.unpack_from(blob) if len(blob) > HEAD.size else (0, 0, 0)
        if form not in RECORDS or zlib.crc32(memoryview(blob)[4:]) != crc:
            raise DamagedChunk("the hours of a chunk are damaged")
        by_form[form].append(place)
    some = [_unpacked(form, packed, places, digits) for form, places in by_form.items() if places]
    if len(some) == 1:
        return some[0]
    owners = np.concatenate([owners for _, owners in some])
    order = np.argsort(owners, kind="stable")
    return joined([hours for hours, _ in some]).part(order), owners[order]


def _unpacked(form: int, packed: Sequence[bytes], places: Sequence[int], digits: Ints) -> tuple[Hours, Ints]:
    size = RECORDS[form].itemsize
    bodies = [packed[place][HEAD.size :] for place in places]
    records = np.frombuffer(b"".join(bodies), RECORDS[form])
    owners = np.repeat(places, [len(body) // size for body in bodies])
    start = records["hour"].astype(np.int64) * HOUR
    scale = np.power(10.0, digits)[owners] if form == SHORT else 1.0
    columns: dict[str, Any] = {name: start + records[name] for name, _ in TIMES}
    columns.update({name: records[name] / scale for name in VALUES})
    columns["counts"] = records["counts"].astype(np.int64)
    columns["areas"] = records["areas"].astype(np.float64)
    return Hours(**columns), owners
