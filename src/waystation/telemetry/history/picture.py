"""Few points that look like all of them: from the readings where these are near, from their hours where it is a year.

Where a stretch of the picture is two hours or longer, stretches are whole hours, and each shows its least and greatest
value with their times: the same points, whether they were found among the readings or among the hours.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from waystation.kernel.db import Tx
from waystation.telemetry import hours, query
from waystation.telemetry.codec import Floats, Ints, Run
from waystation.telemetry.hours import HOUR, Hours
from waystation.telemetry.model import SOURCE_BITS, Kind, Series, at_of
from waystation.telemetry.seal import merged
from waystation.telemetry.store import Sealed, hours_of


def points_of(tx: Tx, series: Sequence[Series], first: int, last: int, *, points: int) -> dict[int, Run]:
    """At most `points` of each between two stamps, both included; a series without any is left out."""
    fresh, chunks = query.found(tx, [one.id for one in series], first, last)
    by_series: dict[int, list[Sealed]] = {}
    for sealed in chunks:
        by_series.setdefault(sealed.series_id, []).append(sealed)
    runs: dict[int, Run] = {}
    for one in series:
        run = _points(tx, one, by_series.get(one.id, []), fresh.get(one.id, []), stamps=(first, last), points=points)
        if len(run):
            runs[one.id] = run
    return runs


def _points(
    tx: Tx, one: Series, chunks: list[Sealed], fresh: list[Run], *, stamps: tuple[int, int], points: int
) -> Run:
    stretch = _stretch(chunks, fresh, stamps, points) if one.kind == Kind.NUMBER else 0
    told: list[Sealed] = []
    opened: list[Sealed] = []
    for sealed in chunks:
        tells = sealed.is_stripped or (stretch and _tells(sealed, fresh, stamps))
        (told if tells else opened).append(sealed)
    old = [query.cut(run, *stamps) for some in query.opened(tx, opened).values() for run in some]
    known = _hours_of(tx, told, stamps)
    run = merged([run for run in old if len(run)], fresh) if any(map(len, [*old, *fresh])) else NOTHING
    if not stretch:
        return query.downsampled(_with_hours(run, known), one.kind, points)
    return by_stretch([known, of_stretches(run, stretch)], stretch)


NOTHING = Run(np.zeros(0, np.int64), np.zeros(0))


def _stretch(chunks: Sequence[Sealed], fresh: Sequence[Run], stamps: tuple[int, int], points: int) -> int:
    """How many microseconds a pair of points stands for, in whole hours; 0 where all readings are to be looked at."""
    count = sum(sealed.count for sealed in chunks) + sum(map(len, fresh))
    pairs = (points - 2) // 2
    if count <= points or pairs < 1:
        return 0
    begins = [sealed.first for sealed in chunks] + [int(run.stamps[0]) for run in fresh]
    ends = [sealed.last for sealed in chunks] + [int(run.stamps[-1]) for run in fresh]
    first, last = at_of(max(min(begins), stamps[0])), at_of(min(max(ends), stamps[1]))
    width = -(-(last - first) // (pairs * HOUR)) * HOUR
    while last // max(width, HOUR) - first // max(width, HOUR) + 1 > pairs:
        width += HOUR
    return width if width >= 2 * HOUR else 0


def _tells(sealed: Sealed, fresh: Sequence[Run], stamps: tuple[int, int]) -> bool:
    """Whether the chunk's hours say enough: it lies in the range, and nothing in the tail may repeat it."""
    inside = stamps[0] <= sealed.first and sealed.last <= stamps[1]
    repeated = any(np.diff(np.searchsorted(run.stamps, (sealed.first, sealed.last + 1))).any() for run in fresh)
    return sealed.has_hours and inside and not repeated


def _hours_of(tx: Tx, chunks: Sequence[Sealed], stamps: tuple[int, int]) -> Hours:
    packed = hours_of(tx, [sealed.id for sealed in chunks]) if chunks else {}
    if not packed:
        return hours.each_alone(NOTHING)
    known, _ = hours.unpack_all([packed[sealed.id] for sealed in chunks if sealed.id in packed])
    return known.part((known.starts >= at_of(stamps[0])) & (known.starts <= at_of(stamps[1])))


def _with_hours(run: Run, known: Hours) -> Run:
    """The readings, and of hours without readings their first, least, greatest and last."""
    if not len(known):
        return run
    return _sorted(*_corners(known, ("starts", "least_at", "greatest_at", "ends")), run)


VALUE_AT = {"starts": "firsts", "least_at": "least", "greatest_at": "greatest", "ends": "lasts"}


def _corners(known: Hours, times: Sequence[str]) -> tuple[Ints, Floats]:
    at = np.concatenate([getattr(known, name) for name in times])
    return at, np.concatenate([getattr(known, VALUE_AT[name]) for name in times])


def of_stretches(run: Run, stretch: int) -> Hours:
    """As if every stretch were an hour; no sums are told, for no picture shows them."""
    if not len(run):
        return hours.each_alone(run)
    at, values = run.stamps >> SOURCE_BITS, run.values
    edges = np.arange(int(at[0]) // stretch, int(at[-1]) // stretch + 1, dtype=np.int64) * stretch
    starts: Ints = np.unique(np.searchsorted(at, edges))
    ends = np.append(starts[1:], len(at)) - 1
    counts = ends - starts + 1
    group = np.repeat(np.arange(len(starts)), counts)
    least, greatest = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    least_at, greatest_at = (at[_first_of_each(values == some[group], group)] for some in (least, greatest))
    untold = np.full(len(starts), np.nan)
    facts: dict[str, Any] = {"sums": untold, "areas": untold, "rises": untold, "counts": counts}
    facts |= {"starts": at[starts], "ends": at[ends], "least_at": least_at, "greatest_at": greatest_at}
    return Hours(least=least, greatest=greatest, firsts=values[starts], lasts=values[ends], **facts)


def by_stretch(some: Sequence[Hours], stretch: int) -> Run:
    """First and last of all, least and greatest of every stretch: of equal ones the first."""
    known = hours.joined(some)
    lows, highs = (_ends(known, *column, stretch) for column in ((np.minimum, "least"), (np.maximum, "greatest")))
    first, last = int(np.argmin(known.starts)), len(known) - 1 - int(np.argmax(known.ends[::-1]))
    at = np.concatenate((known.starts[first : first + 1], lows[0], highs[0], known.ends[last : last + 1]))
    ends = known.firsts[first : first + 1], known.lasts[last : last + 1]
    return _sorted(at, np.concatenate((ends[0], lows[1], highs[1], ends[1])))


def _ends(known: Hours, end: np.ufunc, name: str, stretch: int) -> tuple[Ints, Floats]:
    """Of every stretch the time and the value of one of its ends, and of equal ones the first."""
    order = np.argsort(getattr(known, f"{name}_at"), kind="stable")
    at, values = getattr(known, f"{name}_at")[order], getattr(known, name)[order]
    number = at // stretch
    starts = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
    group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(at)))
    first = _first_of_each(values == end.reduceat(values, starts)[group], group)
    return at[first], values[first]


def _first_of_each(chosen: Any, group: Ints) -> Ints:
    positions = np.flatnonzero(chosen)
    return positions[np.diff(group[positions], prepend=-1) > 0]


def _sorted(at: Ints, values: Floats, besides: Run | None = None) -> Run:
    """Each point once."""
    stamps = at << SOURCE_BITS
    if besides is not None:
        stamps, values = np.append(stamps, besides.stamps), np.append(values, besides.values)
    order = np.lexsort((values, stamps))
    stamps, values = stamps[order], values[order]
    once = np.append(True, (np.diff(stamps) != 0) | (values[1:] != values[:-1]))
    return Run(stamps[once], values[once])
