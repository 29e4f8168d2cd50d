"""One export: what is wanted, and its bytes from any place on, with their number, rows and SHA-256.

Nothing is kept but how far it got: the same readings make the same bytes again. So a stream that broke off, or whose
hub was killed, goes on from any byte, and what comes out is the file that one stream would have given. Should readings
of the part that was given before have come or gone meanwhile, it is refused: the two parts would not fit.
"""

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, Self

import msgspec

from waystation import devices
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import Conflict, Invalid
from waystation.telemetry import store as readings
from waystation.telemetry.model import Cursor
from waystation.telemetry.transfer import cells, parquet, reader, store
from waystation.telemetry.transfer.reader import Block
from waystation.telemetry.transfer.shape import Format, Shape

MOST_DEVICES = 1_000_000
ENOUGH_BYTES = 262_144
REMEMBERED = 16
CHANGED = "readings of this export have come or gone since it began, so its parts would not fit; export anew"


class Wanted(msgspec.Struct, frozen=True):
    """Which readings, as what. No device means all of the home. Series younger than `newest_series` are not in it."""

    home_id: int
    device_ids: tuple[int, ...]
    metrics: tuple[str, ...]
    first: int
    last: int
    format: Format = Format.CSV
    tz: str = ""
    after: str = ""
    newest_series: int = 0


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...
    def copy(self) -> Self: ...


class Point(NamedTuple):
    """A place in the bytes of an export, between two rows."""

    size: int
    rows: int
    cursor: Cursor | None
    digest: Digest

    @property
    def sha256(self) -> str:
        return self.digest.hexdigest()

    def then(self, part: bytes, rows: int, cursor: Cursor | None) -> Self:
        digest = self.digest.copy()
        digest.update(part)
        return type(self)(self.size + len(part), self.rows + rows, cursor, digest)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wanted, looked up."""

    wanted: Wanted
    shape: Shape
    blocks: list[Block]
    head: bytes

    @property
    def series_ids(self) -> list[int]:
        return [one.id for block in self.blocks for one in block.series]


def plan(tx: Tx, wanted: Wanted) -> Plan:
    found = devices.search(tx, wanted.home_id, "", MOST_DEVICES)
    keys = {one.id: one.key for one in found if not wanted.device_ids or one.id in wanted.device_ids}
    series = readings.series_of(tx, keys, set(wanted.metrics) if wanted.metrics else None)
    series = [one for one in series if one.id <= wanted.newest_series]
    shape = Shape(wanted.format, keys, series, cells.zone(wanted.tz) if wanted.tz else None)
    return Plan(wanted, shape, shape.blocks(series), b"" if wanted.after else shape.head())


def start(plan: Plan) -> Point:
    """Invalid when the cursor that it begins behind is not one of such an export."""
    is_parquet = plan.wanted.format is Format.PARQUET
    if is_parquet:
        parquet.library()
    after = Cursor.parse(plan.wanted.after) if plan.wanted.after else None
    if after is not None and is_parquet:
        raise Invalid("a Parquet file is whole or none; `after` is for CSV and NDJSON")
    if after is not None and after.series_id not in {block.id for block in plan.blocks}:
        raise Invalid("the cursor is not one of this export; start again without it")
    return Point(0, 0, after, hashlib.sha256())


def parts(database: Database, plan: Plan, begin: Point) -> Iterator[tuple[bytes, Point]]:
    """Bytes, and the point behind them; from `begin` on, which is `start` or a point that was given before."""
    if plan.wanted.format is Format.PARQUET:
        yield from _parquet_parts(database, plan, begin)
        return
    pending = [plan.head] if not begin.size else []
    size, rows, cursor = sum(map(len, pending)), 0, begin.cursor
    wanted = plan.wanted
    for window in reader.windows(database, plan.blocks, wanted.first, wanted.last, after=begin.cursor):
        body, count = plan.shape.body(window)
        pending.append(body)
        size, rows, cursor = size + len(body), rows + count, window.cursor
        if size >= ENOUGH_BYTES or not begin.size:
            part = b"".join(pending)
            begin = begin.then(part, rows, cursor)
            yield part, begin
            pending, size, rows = [], 0, 0
    part = b"".join(pending)
    yield part, begin.then(part, rows, cursor)


def _parquet_parts(database: Database, plan: Plan, begin: Point) -> Iterator[tuple[bytes, Point]]:
    """Its end tells of all that is in it, so it is always made from the beginning."""
    point, wanted = start(plan), plan.wanted
    windows = reader.windows(database, plan.blocks, wanted.first, wanted.last, after=None)
    for part, rows in parquet.groups(windows, plan.shape.keys, plan.shape.zone):
        point = point.then(part, rows, None)
        if point.size > begin.size:
            yield part, point
        elif point.size == begin.size and point.sha256 != begin.sha256:
            raise Conflict(CHANGED)


class Reached(NamedTuple):
    """How far an export had got by what was noted, and what its bytes were up to there."""

    size: int = 0
    sha256: str = ""
    is_whole: bool = False


class Trail:
    """The last points of an export that this process gave, so that going on need not begin at the beginning."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque(maxlen=REMEMBERED)

    def add(self, point: Point) -> None:
        if not self._points or point.size > self._points[-1].size:
            self._points.append(point)

    def before(self, offset: int) -> Point | None:
        return max((point for point in self._points if point.size <= offset), default=None, key=lambda one: one.size)


def from_byte(
    database: Database, plan: Plan, offset: int, *, reached: Reached, trail: Trail
) -> Iterator[tuple[bytes, Point]]:
    """As `parts`, but only what lies behind the first `offset` bytes.

    Conflict when the bytes are not those that were noted, or when there are not so many.
    """
    last = begin = trail.before(offset) or start(plan)
    for part, point in parts(database, plan, begin):
        if last.size < reached.size <= point.size:
            _compare(last, part, reached)
        if reached.is_whole and point.size > reached.size:
            raise Conflict(CHANGED)
        trail.add(point)
        if point.size > offset:
            yield part[max(0, offset - last.size) :], point
        last = point
    if last.size < max(offset, reached.size):
        raise Conflict(CHANGED)
    if last.size == offset:
        yield b"", last


def _compare(last: Point, part: bytes, reached: Reached) -> None:
    digest = last.digest.copy()
    digest.update(part[: reached.size - last.size])
    if digest.hexdigest() != reached.sha256:
        raise Conflict(CHANGED)


def order(tx: Tx, wanted: Wanted, now: datetime, *, estimate: bool = False) -> tuple[int, Plan]:
    """Notes an export that begins; its id and plan."""
    wanted = msgspec.structs.replace(wanted, newest_series=store.newest_series(tx))
    made = plan(tx, wanted)
    start(made)
    expected = store.expected(tx, made.series_ids, wanted.first, wanted.last) if estimate else 0
    return store.add(tx, wanted.home_id, msgspec.to_builtins(wanted), now, expected=expected), made


def ordered(wanted: object) -> Wanted:
    """As it was noted."""
    return msgspec.convert(wanted, Wanted)
