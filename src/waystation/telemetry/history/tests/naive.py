"""Readings of one series in a dict, and every question answered by walking through all of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise, zip_longest
from typing import Any

from waystation.kernel.clock import from_micros
from waystation.telemetry.history.calendar import zone

SECOND = 10**6


@dataclass
class Naive:
    """`values` by stamp, the first one stored stays; `thinned` are stamps of which only the hours are left."""

    values: dict[int, Any] = field(default_factory=dict[int, Any])
    thinned: set[int] = field(default_factory=set[int])
    lost: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def put(self, stamp: int, value: Any) -> None:
        if not any(first <= stamp <= last for first, last in self.lost):
            self.values.setdefault(stamp, value)

    def thin(self, first: int, last: int) -> None:
        self.lost.append((first, last))
        self.thinned |= {stamp for stamp in self.values if first <= stamp <= last}

    def raw(self, first: int, last: int) -> list[tuple[int, Any]]:
        """Between two times in microseconds, as stamps."""
        kept = self.values.keys() - self.thinned
        return [(stamp, self.values[stamp]) for stamp in sorted(kept) if first <= stamp >> 8 <= last]

    def readings(self) -> list[tuple[int, Any]]:
        return [(stamp >> 8, self.values[stamp]) for stamp in sorted(self.values)]

    def by_bucket(self, first: int, last: int, word: str, tz: str) -> dict[Any, list[Any]]:
        found: dict[Any, list[Any]] = {}
        for at, value in self.readings():
            if first <= at <= last:
                found.setdefault(bucket_of(at, word, tz), []).append(value)
        return found

    def lasting(self, first: int, last: int, now: int, hold: int) -> Iterable[tuple[int, int, Any]]:
        """Spans of time and the value that lasted."""
        readings = self.readings()
        for (at, value), following in zip_longest(readings, [at for at, _ in readings[1:]]):
            followed = following is not None and following - at <= hold
            end = following if followed else max(at, min(at + hold, now))
            if max(at, first) < min(end, last):
                yield max(at, first), min(end, last), value

    def states(self, edges: list[int], spans: Iterable[tuple[int, int, Any]]) -> dict[Any, list[float]]:
        found: dict[Any, list[float]] = {}
        for start, end, value in spans:
            for place, (lo, hi) in enumerate(pairwise(edges)):
                length = min(end, hi) - max(start, lo)
                if length > 0:
                    found.setdefault(value, [0.0] * (len(edges) - 1))[place] += length / SECOND
        return found

    def rate(self, edges: list[int], first: int, last: int, hold: int) -> list[float | None]:
        risen, seconds = [0.0] * (len(edges) - 1), [0.0] * (len(edges) - 1)
        for (at, value), (following, after) in pairwise(self.readings()):
            if following - at > hold:
                continue
            counted = after - value if after >= value else max(after, 0)
            for place, (lo, hi) in enumerate(pairwise(edges)):
                length = min(following, hi, last) - max(at, lo, first)
                if length > 0:
                    risen[place] += counted * length / (following - at)
                    seconds[place] += length / SECOND
                elif at == following and lo <= at < hi and first <= at <= last:
                    risen[place] += counted
        return [rise / time if time else None for rise, time in zip(risen, seconds, strict=True)]


def bucket_of(at: int, word: str, tz: str) -> Any:
    """Something that is the same for all times in a bucket."""
    local = from_micros(at).astimezone(zone(tz))
    if word == "hour":
        past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return at - past // timedelta(microseconds=1)
    if word == "week":
        return local.date() - timedelta(days=local.weekday())
    if word in {"day", "month", "year"}:
        return local.timetuple()[: {"day": 3, "month": 2, "year": 1}[word]]
    return at // (int(word) * SECOND)
