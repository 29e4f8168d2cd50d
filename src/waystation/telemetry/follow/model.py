"""Where a follower is, and what is new to it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from waystation.telemetry.store import Span

MOST_ROWS = 50_000
MOST_HOLES = 200
MOST_BEHIND = 500_000  # rows that the sealer leaves for a follower; one that is slower misses the oldest
HOLE_SECONDS = 30
GONE = timedelta(minutes=10)  # a follower that has not moved for so long keeps nobody waiting


class Hole(NamedTuple):
    """Ids from `lo` to `hi` that nobody has seen yet."""

    lo: int
    hi: int
    since: int  # microseconds


@dataclass(frozen=True, slots=True)
class Place:
    """All rows up to `position` have been read, but for those in the holes. `turn` changes with every move."""

    name: str
    position: int
    holes: tuple[Hole, ...]
    turn: int
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Stretch:
    """Ranges of ids that hold what is new, and the place behind them. Both belong to one view of the database."""

    ranges: tuple[Span, ...]
    after: Place


@dataclass(frozen=True, slots=True)
class Summary:
    """What is new of one series."""

    series_id: int
    count: int
    least: float | None
    greatest: float | None
    first: int  # stamps
    last: int
