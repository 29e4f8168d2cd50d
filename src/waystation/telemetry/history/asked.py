"""What a question for history says, read strictly: each field that is wrong gets a sentence of its own."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

from waystation.kernel.errors import Invalid
from waystation.telemetry.history.calendar import CALENDAR, Buckets, fitting
from waystation.telemetry.history.model import AGGREGATES, USUAL, Asked
from waystation.telemetry.model import at_of
from waystation.telemetry.span import span as stamps_of

LENGTH = re.compile(r"(\d{1,9})(s|m|h|d|w)?")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800}
LONGEST_SECONDS = 400 * 86400


class Wanted(NamedTuple):
    """One series by name."""

    key: str
    metric: str


def wanted_series(given: Sequence[str]) -> list[Wanted]:
    """`KEY:metric`; a metric may hold colons itself."""
    pairs = [text.partition(":") for text in given]
    for (key, colon, metric), text in zip(pairs, given, strict=True):
        if not key or not colon or not metric:
            raise Invalid(f"`series`: {text[:60]!r} is not of the form KEY:metric")
    return [Wanted(key, metric) for key, _, metric in pairs]


def seconds_of(text: str, name: str, *, least: int = 1) -> int:
    """Of a length such as `900`, `15m` or `7d`."""
    found = LENGTH.fullmatch(text)
    seconds = int(found[1]) * SECONDS[found[2] or "s"] if found else 0
    if not least <= seconds <= LONGEST_SECONDS:
        raise Invalid(f"`{name}`: {text[:40]!r} is no length of time such as 900, 15m, 1h or 7d, at most 400 days")
    return seconds


def aggregates(given: Collection[str]) -> frozenset[str]:
    for word in given:
        if word not in AGGREGATES:
            raise Invalid(f"`aggregate`: {word[:40]!r} is none of {', '.join(AGGREGATES)}")
    return frozenset(given or USUAL)


@dataclass(frozen=True, slots=True)
class Span:
    """In microseconds, both ends included."""

    first: int
    last: int

    @classmethod
    def parse(cls, first: str, last: str, now: int) -> Self:
        start, end = stamps_of(first, last, now)
        return cls(at_of(start), at_of(end))


def buckets_of(text: str, span: Span, tz: ZoneInfo, *, points: int) -> Buckets:
    """`auto` divides the span into at most about as many as `points`."""
    if text == "auto":
        return fitting(span.first, span.last, points, tz)
    return Buckets(text if text in CALENDAR else str(_bucket_seconds(text)), tz)


def _bucket_seconds(text: str) -> int:
    try:
        return seconds_of(text, "bucket")
    except Invalid as fault:
        raise Invalid(f"{fault.sentence}; auto, {', '.join(CALENDAR)} are understood too") from fault


@dataclass(frozen=True, slots=True)
class Comparison:
    """The same series some time ago, by the clock of a time zone."""

    shift: timedelta
    asked: Asked

    def back(self, at: int) -> int:
        return self.asked.buckets.moved(at, -self.shift)

    def forth(self, at: int) -> int:
        return self.asked.buckets.moved(at, self.shift)


def comparisons(given: Sequence[str], asked: Asked) -> list[Comparison]:
    if len(given) > MOST_COMPARISONS:
        raise Invalid(f"`compare`: at most {MOST_COMPARISONS} at once")
    return [Comparison(timedelta(seconds=seconds_of(text, "compare")), asked) for text in given]


MOST_COMPARISONS = 4


class Place(NamedTuple):
    """Where the next page begins: behind so many series, or at the bucket that holds a time."""

    series: int = 0
    at: int | None = None

    def text(self) -> str:
        return f"s{self.series}" if self.at is None else f"t{self.at}"

    @classmethod
    def parse(cls, text: str) -> Self:
        if not text:
            return cls()
        found = re.fullmatch(r"(s\d{1,6}|t-?\d{1,17})", text)
        if found is None:
            raise Invalid("`cursor` is not one that this hub gave out; start again without it")
        return cls(int(text[1:])) if text[0] == "s" else cls(0, int(text[1:]))
