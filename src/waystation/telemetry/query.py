"""Reading back: chunks and tail as one, each reading once, and never more points than were asked for."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from waystation.kernel.db import Tx
from waystation.telemetry import codec, store
from waystation.telemetry.codec import Floats, Ints, Run
from waystation.telemetry.model import Cursor, Kind
from waystation.telemetry.seal import merged
from waystation.telemetry.store import Sealed


def read(tx: Tx, series_ids: Collection[int], first: int, last: int) -> dict[int, Run]:
    """All values with stamps from `first` to `last`, both included; a series without any is left out."""
    fresh, chunks = found(tx, series_ids, first, last)
    old = opened(tx, chunks)
    whole = {
        series_id: merged([cut(run, first, last) for run in old.get(series_id, ())], fresh.get(series_id, ()))
        for series_id in old.keys() | fresh.keys()
    }
    return {series_id: run for series_id, run in whole.items() if len(run)}


def found(tx: Tx, series_ids: Collection[int], first: int, last: int) -> tuple[dict[int, list[Run]], list[Sealed]]:
    """What is in the tail, and the chunks; what came late for the range of a stripped one is left out."""
    fresh = _unsealed(tx, series_ids, first, last)  # first: what is sealed in between is seen twice, not never
    chunks = store.chunks_between(tx, series_ids, first, last)
    for sealed in chunks:
        if sealed.is_stripped and sealed.series_id in fresh:
            left = [_without(run, sealed) for run in fresh.pop(sealed.series_id)]
            fresh.update({sealed.series_id: left} if any(map(len, left)) else {})
    return fresh, chunks


def _without(run: Run, sealed: Sealed) -> Run:
    return run.part((run.stamps < sealed.first) | (run.stamps > sealed.last))


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


def opened(tx: Tx, chunks: Iterable[Sealed]) -> dict[int, list[Run]]:
    """By series, in their order; a stripped one gives nothing."""
    chunks = _whole(chunks)
    data = store.contents(tx, [sealed.id for sealed in chunks])
    runs: dict[int, list[Run]] = {}
    for sealed in chunks:
        runs.setdefault(sealed.series_id, []).append(codec.decode(data[sealed.id]))
    return runs


def _whole(chunks: Iterable[Sealed]) -> list[Sealed]:
    return [sealed for sealed in chunks if not sealed.is_stripped]


def cut(run: Run, first: int, last: int) -> Run:
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


# Raw pages


@dataclass(frozen=True, slots=True)
class Page:
    runs: Mapping[int, Run]
    next: Cursor | None  # None when this was the last page


def raw(tx: Tx, series_ids: Collection[int], first: int, last: int, *, limit: int, after: Cursor | None = None) -> Page:
    """The first `limit` values by stamp and series, from behind `after`; opens no more chunks than it must."""
    if after is not None:
        first = max(first, after.stamp)
    fresh, chunks = found(tx, series_ids, first, last)
    chunks = _whole(chunks)
    until = _far_enough(chunks, first, last, limit=limit)
    old = opened(tx, [sealed for sealed in chunks if sealed.first <= until])
    runs: dict[int, Run] = {}
    for series_id in old.keys() | fresh.keys():
        whole = merged(old.get(series_id, ()), fresh.get(series_id, ()))
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
    fresh, chunks = found(tx, series_ids, first, last)
    wanted: list[Sealed] = []
    enough: dict[int, int] = {}
    for sealed in reversed(_whole(chunks)):
        if enough.get(sealed.series_id, 0) < limit:
            wanted.append(sealed)
            within = first <= sealed.first and sealed.last <= last
            enough[sealed.series_id] = enough.get(sealed.series_id, 0) + (sealed.count if within else 0)
    old = opened(tx, wanted)
    runs: dict[int, Run] = {}
    for series_id in old.keys() | fresh.keys():
        sealed_runs = [cut(run, first, last) for run in reversed(old.get(series_id, []))]
        runs[series_id] = merged(sealed_runs, fresh.get(series_id, ())).part(slice(-limit, None))
    return {series_id: run for series_id, run in runs.items() if len(run)}


# Last values
