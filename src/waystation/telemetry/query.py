"""Reading back: chunks and tail as one, each reading once, and never more points than were asked for."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from waystation.kernel.db import Tx
from waystation.telemetry import codec, store
from waystation.telemetry.codec import Floats, Ints, Run
from waystation.telemetry.model import SOURCE_BITS, Cursor, Kind, Series, at_of
from waystation.telemetry.seal import merged
from waystation.telemetry.store import Sealed

MICROSECONDS = 1_000_000


class LastValue(NamedTuple):
    series: Series
    stamp: int
    value: float | str


@dataclass(frozen=True, slots=True)
class Buckets:
    """One entry per bucket that has values; `starts` in microseconds. A mean beyond a float's range cannot arise."""

    starts: Ints
    least: Floats
    greatest: Floats
    means: Floats
    counts: Ints


def read(tx: Tx, series_ids: Collection[int], first: int, last: int) -> dict[int, Run]:
    """All values with stamps from `first` to `last`, both included; a series without any is left out."""
    fresh = _unsealed(
        tx, series_ids, first, last
    )  # before the chunks: what is sealed in between is seen twice, not never
    old = _opened(tx, store.chunks_between(tx, series_ids, first, last))
    whole = {
        series_id: merged([_cut(run, first, last) for run in old.get(series_id, ())], fresh.get(series_id, ()))
        for series_id in old.keys() | fresh.keys()
    }
    return {series_id: run for series_id, run in whole.items() if len(run)}


def _unsealed(tx: Tx, series_ids: Collection[int], first: int, last: int) -> dict[int, list[Run]]:
    """One run per series, in order of arrival."""
    columns: dict[int, tuple[list[int], list[Any]]] = {}
    for series_id, stamp, value, text in store.tail_of(tx, series_ids, first, last):
        stamps, values = columns.setdefault(series_id, ([], []))
        stamps.append(stamp)
        values.append(value if text is None else text)
    return {series_id: [_run(stamps, values)] for series_id, (stamps, values) in columns.items()}


def _run(stamps: list[int], values: list[Any]) -> Run:
    """Sorted, of equal stamps the first."""
    unsorted = Run(np.array(stamps, np.int64), np.array(values, object if isinstance(values[0], str) else np.float64))
    order = np.argsort(unsorted.stamps, kind="stable")
    kept = np.diff(unsorted.stamps[order], prepend=unsorted.stamps[order[0]] - 1) > 0
    return unsorted.part(order[kept])


def _opened(tx: Tx, chunks: Sequence[Sealed]) -> dict[int, list[Run]]:
    data = store.contents(tx, [sealed.id for sealed in chunks])
    runs: dict[int, list[Run]] = {}
    for sealed in chunks:
        runs.setdefault(sealed.series_id, []).append(codec.decode(data[sealed.id]))
    return runs


def _cut(run: Run, first: int, last: int) -> Run:
    if run.stamps[0] >= first and run.stamps[-1] <= last:
        return run
    return run.part(slice(*np.searchsorted(run.stamps, (first, last + 1)).tolist()))


# Fewer points


def downsampled(run: Run, kind: Kind, points: int) -> Run:
    """At most `points` of them: the first, the last, and the least and greatest of every stretch of time.

    Booleans and texts keep those points where the value changes, before these are thinned in turn.
    """
    if len(run) <= points:
        return run
    if kind != Kind.NUMBER:
        run = run.part(changes(run.values))
        return run.part(_thinned(len(run), points))
    return run.part(extremes(run.stamps, run.values, points))


def changes(values: NDArray[Any]) -> Ints:
    """Positions of the first and the last value and of all that differ from the one before."""
    differs = np.ones(len(values), bool)
    differs[1:-1] = values[1:-1] != values[:-2]
    return np.flatnonzero(differs)


def _thinned(count: int, points: int) -> Any:
    if count <= points:
        return slice(None)
    return np.unique(np.linspace(0, count - 1, points).astype(np.int64)) if points > 1 else slice(-1, None)


def extremes(stamps: Ints, values: Floats, points: int) -> Ints:
    """Positions, rising, at most `points`: first, last, and the first least and greatest of equal spans between."""
    last = len(stamps) - 1
    stretches = (points - 2) // 2
    if stretches < 1 or last < 2:
        return np.unique([0, last])[-points:]
    stamps, values = stamps[1:last], values[1:last]
    starts = _starts(stamps, stretches)
    stretch = np.zeros(len(values), np.int64)
    stretch[starts[1:]] = 1
    stretch = np.cumsum(stretch)
    ends = (np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts))
    found = [_firsts(np.flatnonzero(values == end[stretch]), stretch) + 1 for end in ends]
    return np.unique(np.concatenate(([0], *found, [last])))


def _starts(stamps: Ints, stretches: int) -> Ints:
    """Positions where another of the equal spans of time begins; those without a stamp begin nowhere."""
    span = int(stamps[-1] - stamps[0])
    numbers = np.arange(stretches)
    edges: Ints = stamps[0] + numbers * (span // stretches) + numbers * (span % stretches) // stretches
    positions: Ints = np.searchsorted(stamps, edges)
    return np.unique(positions)


def _firsts(positions: Ints, stretch: Ints) -> Ints:
    """Of the positions in each stretch the first."""
    return positions[np.diff(stretch[positions], prepend=-1) > 0]


# By hour or day


def aggregate(tx: Tx, series_ids: Collection[int], first: int, last: int, *, bucket_seconds: int) -> dict[int, Buckets]:
    """Of numbers and booleans, by buckets that begin at whole multiples of their length since 1970, UTC.

    A chunk that lies in one bucket, with nothing in the tail that may repeat it, counts by its facts and is not opened.
    """
    width = bucket_seconds * MICROSECONDS
    fresh = _unsealed(tx, series_ids, first, last)
    known: list[Sealed] = []
    unknown: list[Sealed] = []
    for sealed in store.chunks_between(tx, series_ids, first, last):
        by_facts = _lies_in_one(sealed, first, last, width=width) and not _repeated(
            sealed, fresh.get(sealed.series_id, ())
        )
        (known if by_facts else unknown).append(sealed)
    opened = _opened(tx, unknown)
    parts: dict[int, list[Parts]] = {}
    for sealed in known:
        parts.setdefault(sealed.series_id, []).append(_of_chunk(sealed, width))
    for series_id in opened.keys() | fresh.keys():
        run = merged([_cut(run, first, last) for run in opened.get(series_id, ())], fresh.get(series_id, ()))
        parts.setdefault(series_id, []).append(_of_run(run, width))
    return {series_id: _summed(some, width) for series_id, some in parts.items()}


Parts = tuple[Ints, Floats, Floats, Floats, Ints]
"""Columns of bucket number, least, greatest, sum, count; a value is a part of one."""


def _lies_in_one(sealed: Sealed, first: int, last: int, *, width: int) -> bool:
    inside = first <= sealed.first and sealed.last <= last and sealed.sum is not None
    return inside and at_of(sealed.first) // width == at_of(sealed.last) // width


def _repeated(sealed: Sealed, fresh: Iterable[Run]) -> bool:
    return any(np.diff(np.searchsorted(run.stamps, (sealed.first, sealed.last + 1))).any() for run in fresh)


def _of_chunk(sealed: Sealed, width: int) -> Parts:
    number = at_of(sealed.first) // width
    least, greatest, total = (np.array([fact], np.float64) for fact in (sealed.min, sealed.max, sealed.sum))
    return np.array([number], np.int64), least, greatest, total, np.array([sealed.count], np.int64)


def _of_run(run: Run, width: int) -> Parts:
    return (run.stamps >> SOURCE_BITS) // width, run.values, run.values, run.values, np.ones(len(run), np.int64)


def _summed(parts: Sequence[Parts], width: int) -> Buckets:
    numbers, least, greatest, sums, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[order], prepend=numbers[order[:1]] - 1))
    total = np.add.reduceat(counts[order], starts)
    return Buckets(
        starts=numbers[order][starts] * width,
        least=np.minimum.reduceat(least[order], starts),
        greatest=np.maximum.reduceat(greatest[order], starts),
        means=_means(sums[order], total, starts),
        counts=total,
    )


def _means(sums: Floats, counts: Ints, starts: Ints) -> Floats:
    with np.errstate(over="ignore"):
        totals = np.add.reduceat(sums, starts)
    if np.isfinite(totals).all():
        return totals / counts
    lengths = np.diff(starts, append=len(sums))
    return np.add.reduceat(sums / np.repeat(counts, lengths), starts)  # less exact, but never beyond a float


# Raw pages


@dataclass(frozen=True, slots=True)
class Page:
    runs: Mapping[int, Run]
    next: Cursor | None  # None when this was the last page


def raw(tx: Tx, series_ids: Collection[int], first: int, last: int, *, limit: int, after: Cursor | None = None) -> Page:
    """The first `limit` values by stamp and series, from behind `after`; opens no more chunks than it must."""
    if after is not None:
        first = max(first, after.stamp)
    fresh = _unsealed(tx, series_ids, first, last)
    chunks = store.chunks_between(tx, series_ids, first, last)
    until = _far_enough(chunks, first, last, limit=limit)
    opened = _opened(tx, [sealed for sealed in chunks if sealed.first <= until])
    runs: dict[int, Run] = {}
    for series_id in opened.keys() | fresh.keys():
        whole = merged(opened.get(series_id, ()), fresh.get(series_id, ()))
        start = first + 1 if after is not None and first == after.stamp and series_id <= after.series_id else first
        runs[series_id] = whole.part(slice(*np.searchsorted(whole.stamps, (start, until + 1)).tolist()))
    return _page(runs, limit)


def _far_enough(chunks: Sequence[Sealed], first: int, last: int, *, limit: int) -> int:
    """A stamp up to which there are certainly more than `limit` values, or the end of the range."""
    certain = 0
    for sealed in sorted(chunks, key=lambda sealed: sealed.last):
        certain += sealed.count if sealed.first > first else 0
        if certain > limit:
            return min(sealed.last, last)
    return last


def _page(runs: Mapping[int, Run], limit: int) -> Page:
    if not runs:
        return Page({}, None)
    stamps = np.concatenate([run.stamps for run in runs.values()])
    owners = np.concatenate([np.full(len(run), series_id, np.int64) for series_id, run in runs.items()])
    order = np.lexsort((owners, stamps))[:limit]
    given, numbers = np.unique(owners[order], return_counts=True)
    kept = {
        int(series_id): runs[int(series_id)].part(slice(int(n))) for series_id, n in zip(given, numbers, strict=True)
    }
    more = len(stamps) > limit
    return Page(kept, Cursor(int(stamps[order[-1]]), int(owners[order[-1]])) if more else None)


def newest(tx: Tx, series_ids: Collection[int], first: int, last: int, *, limit: int) -> dict[int, Run]:
    """Of each series the newest `limit` values of the range, ascending."""
    fresh = _unsealed(tx, series_ids, first, last)
    wanted: list[Sealed] = []
    enough: dict[int, int] = {}
    for sealed in reversed(store.chunks_between(tx, series_ids, first, last)):
        if enough.get(sealed.series_id, 0) < limit:
            wanted.append(sealed)
            within = first <= sealed.first and sealed.last <= last
            enough[sealed.series_id] = enough.get(sealed.series_id, 0) + (sealed.count if within else 0)
    opened = _opened(tx, wanted)
    runs: dict[int, Run] = {}
    for series_id in opened.keys() | fresh.keys():
        old = [_cut(run, first, last) for run in reversed(opened.get(series_id, []))]
        runs[series_id] = merged(old, fresh.get(series_id, ())).part(slice(-limit, None))
    return {series_id: run for series_id, run in runs.items() if len(run)}


# Last values


def last_values(tx: Tx, device_ids: Collection[int]) -> list[LastValue]:
    """Of every series of these devices the value with the latest time, by device and metric."""
    known = store.series_of(tx, device_ids)
    ids = [series.id for series in known]
    fresh = store.newest_of_tail(tx, ids)  # before the sealed ones, as in read
    newest = {row[0]: row for row in store.newest_sealed(tx, ids)}
    for row in fresh:
        if row[0] not in newest or row[1] > newest[row[0]][1]:
            newest[row[0]] = row
    return [LastValue(series, *_stamp_and_value(newest[series.id])) for series in known if series.id in newest]


def _stamp_and_value(row: Sequence[Any]) -> tuple[int, float | str]:
    _, stamp, value, text = row
    return stamp, value if text is None else text
