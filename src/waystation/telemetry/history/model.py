"""The aggregates, exactly: what they say of a bucket, and which kinds of series have them.

A reading belongs to the bucket that its time lies in. Three aggregates look at the time between readings instead, which
is divided where a bucket begins; they say the same of a bucket whatever range it is asked in:

    time_mean   every value lasts until the next reading, at most as long as `hold`; the mean of that, weighted by time
    states      of booleans and texts: the seconds that each value lasted so
    rate        what a counter counted between readings no further apart than `hold`, by the seconds between them; a
                reading less than the one before means that the counter began again from zero
"""

from dataclasses import dataclass, field
from typing import Any

from waystation.telemetry.codec import Ints
from waystation.telemetry.history.calendar import Buckets
from waystation.telemetry.model import Kind

AGGREGATES = ("min", "mean", "max", "count", "sum", "first", "last", "rate", "time_mean", "states")
USUAL = ("min", "mean", "max", "count")
BETWEEN_READINGS = {"rate", "time_mean", "states"}
BY_SUMMARY = {"min", "mean", "max", "count", "sum"}
"""What a chunk's own line says, without its hours."""
OF_KIND = {
    Kind.NUMBER: frozenset(AGGREGATES) - {"states"},
    Kind.BOOLEAN: frozenset(AGGREGATES),
    Kind.TEXT: frozenset({"count", "first", "last", "states"}),
}
MOST_STATES = 50


@dataclass(frozen=True, slots=True)
class Frame:
    """One stretch of buckets that is asked for; times in microseconds, both ends included."""

    edges: Ints
    first: int
    last: int
    now: int  # the newest value lasts no longer
    hold: int
    wanted: frozenset[str]

    @property
    def values_until(self) -> int:
        return min(self.last, int(self.edges[-1]) - 1)

    @property
    def time_until(self) -> int:
        return min(self.last, int(self.edges[-1]))

    @property
    def reach(self) -> int:
        """How far before and behind it readings matter."""
        return self.hold if self.wanted & BETWEEN_READINGS else 0


@dataclass(frozen=True, slots=True)
class Lines:
    """One column per aggregate and one entry per bucket, NaN where there is nothing to say.

    `states` is {value: column}; `covered` are the buckets that have anything.
    """

    covered: Any
    columns: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Asked:
    buckets: Buckets
    wanted: frozenset[str]
    hold: int
    with_empty: bool = False
