"""Buckets of time: of a fixed length, or hours, days, weeks, months and years as people in a time zone count them."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from waystation.kernel.clock import EPOCH, from_micros, micros
from waystation.kernel.errors import Invalid
from waystation.telemetry.codec import Ints

SECOND = 1_000_000
HOUR_SECONDS = 3600
DAY = timedelta(days=1)
QUARTER = timedelta(minutes=15)
UTC = ZoneInfo("UTC")

CALENDAR = ("hour", "day", "week", "month", "year")
SHORTEST = {"hour": 1800, "day": 23 * 3600, "week": 7 * 82800, "month": 28 * 82800, "year": 365 * 82800}


@lru_cache(maxsize=600)
def zone(name: str) -> ZoneInfo:
    """An IANA time zone; names are no paths, and unknown ones are Invalid."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as fault:
        raise Invalid(f"`tz`: {name[:60]!r} is no time zone; say one such as Europe/Berlin") from fault


@dataclass(frozen=True, slots=True)
class Buckets:
    """A way to divide time. Edges are microseconds; a bucket holds its start and not its end."""

    word: str
    """As people say it: `day`, or seconds as in `900`."""
    zone: ZoneInfo = UTC

    @property
    def shortest_seconds(self) -> float:
        return SHORTEST.get(self.word) or float(self.word)

    def edges(self, first: int, last: int, most: int) -> Ints:
        """Of the bucket that holds `first` and those behind it, until one holds `last` or there are `most`."""
        if self.word not in CALENDAR:
            return _fixed(first, last, most, round(float(self.word) * SECOND))
        edges: list[int] = []
        for edge in _calendar_edges(self, first):
            if edges and edge <= first:
                edges = []
            if not edges or edge > edges[-1]:
                edges.append(edge)
            if edge > last or len(edges) > most:
                break
        return np.array(edges, np.int64)

    def moved(self, at: int, shift: timedelta) -> int:
        """The same time of the clock, whole days earlier or later; a time within days is moved by that time."""
        days = timedelta(days=int(shift / DAY))
        local = from_micros(at).astimezone(self.zone).replace(tzinfo=None, fold=0) + days
        return micros(_instant(local, self.zone)) + (shift - days) // timedelta(microseconds=1)


def _fixed(first: int, last: int, most: int, width: int) -> Ints:
    start = first // width
    count = min(last // width - start + 1, most)
    return (start + np.arange(count + 1)) * width


def _calendar_edges(buckets: Buckets, first: int) -> Iterator[int]:
    local = from_micros(first).astimezone(buckets.zone).date()
    day = STARTS[buckets.word](local - DAY)  # a day's clock may begin late or twice
    while day.year < MAXYEAR:
        following = NEXT[buckets.word](day)
        if buckets.word == "hour":
            yield from _hours(day, buckets.zone)
        else:
            yield _midnight(day, buckets.zone)
        day = following


def _hours(day: date, tz: ZoneInfo) -> Iterator[int]:
    """Where the clock shows a full hour; as a zone is moved by half an hour, one hour has 30 or 90 minutes."""
    start, end = _midnight(day, tz), _midnight(day + DAY, tz)
    hour = HOUR_SECONDS * SECOND
    if end - start == 24 * hour and _offset(start, tz) == _offset(end, tz):
        yield from range(start, end, hour)
        return
    for at in range(start, end, QUARTER // timedelta(microseconds=1)):
        if not from_micros(at).astimezone(tz).minute:
            yield at


def _offset(at: int, tz: ZoneInfo) -> timedelta | None:
    return from_micros(at).astimezone(tz).utcoffset()


def _midnight(day: date, tz: ZoneInfo) -> int:
    """When the day begins; where the clock is moved over midnight, that moment."""
    return micros(_instant(datetime(day.year, day.month, day.day), tz))  # noqa: DTZ001  the zone comes next


def _instant(local: datetime, tz: ZoneInfo) -> datetime:
    return EPOCH + (local.replace(tzinfo=tz) - EPOCH)


STARTS: dict[str, Callable[[date], date]] = {
    "hour": lambda day: day,
    "day": lambda day: day,
    "week": lambda day: day - timedelta(days=day.weekday()),
    "month": lambda day: day.replace(day=1),
    "year": lambda day: day.replace(month=1, day=1),
}
NEXT: dict[str, Callable[[date], date]] = {
    "hour": lambda day: day + DAY,
    "day": lambda day: day + DAY,
    "week": lambda day: day + 7 * DAY,
    "month": lambda day: (day + timedelta(days=31)).replace(day=1),
    "year": lambda day: day.replace(year=day.year + 1),
}

LADDER = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
LONG_LADDER = ((86400, "day"), (7 * 86400, "week"), (28 * 86400, "month"))


def fitting(first: int, last: int, points: int, tz: ZoneInfo) -> Buckets:
    """The shortest usual buckets of which a range needs about as many as `points`, or fewer."""
    wanted = (last - first) / SECOND / points
    place = bisect_right(LADDER, max(wanted - 1e-9, 0))
    if place < len(LADDER):
        return Buckets(str(LADDER[place]), tz)
    return Buckets(next((word for seconds, word in LONG_LADDER if wanted <= seconds), "year"), tz)
