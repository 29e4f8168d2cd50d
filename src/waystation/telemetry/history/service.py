"""Reads series into buckets, opening only the chunks whose hours do not answer."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from waystation.kernel.db import Tx
from waystation.telemetry import hours, query
from waystation.telemetry.codec import Ints, Run
from waystation.telemetry.history import store, table
from waystation.telemetry.history.model import BY_SUMMARY, OF_KIND, Asked, Frame, Lines
from waystation.telemetry.hours import HOUR, Hours
from waystation.telemetry.model import EARLIEST, LATEST, SOURCE_BITS, Kind, Series, at_of, first_from, last_until
from waystation.telemetry.seal import merged
from waystation.telemetry.store import Sealed, hours_of


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the buckets, of every series; `next` is the time at which the others begin, None when there are none."""

    edges: Ints
    tables: Mapping[int, Lines]
    next: int | None


@dataclass(frozen=True, slots=True)
class Range:
    """In microseconds, both ends included; the newest value lasts until `now` at most."""

    first: int
    last: int
    now: int


def bucketed(tx: Tx, series: Sequence[Series], within: Range, asked: Asked, *, most: int) -> Page:
    """At most `most` buckets; those before the first one with values are passed over unless empty ones are wanted."""
    start = within.first
    while True:
        edges = asked.buckets.edges(start, within.last, most)
        frame = Frame(edges, start, within.last, within.now, asked.hold, asked.wanted)
        tables = tables_of(tx, series, frame)
        following = _following(tx, series, int(edges[-1]), within.last)
        lasts_on = any(bool(found.covered[-1]) for found in tables.values()) and frame.reach > 0
        if asked.with_empty or any(found.covered.any() for found in tables.values()) or following is None:
            more = edges[-1] <= within.last and (asked.with_empty or following is not None or lasts_on)
            return Page(edges, tables, int(edges[-1]) if more else None)
        start = max(following, int(edges[-1]))


def _following(tx: Tx, series: Sequence[Series], at: int, last: int) -> int | None:
    """The time of the first value of any of them at or behind `at`; the start of its bucket may lie before it."""
    if at > last:
        return None
    ids, first, until = [one.id for one in series], first_from(at), last_until(last)
    stamps = [store.first_in_tail(tx, ids, first, until), store.first_chunk(tx, ids, first, until)]
    for sealed in store.chunks_across(tx, ids, first):
        inside = [run.stamps[run.stamps >= first] for run in query.opened(tx, [sealed]).get(sealed.series_id, ())]
        stamps += [int(some[0]) for some in inside if len(some)] or [first]
    known = [at_of(stamp) for stamp in stamps if stamp is not None and stamp <= until]
    return min(known, default=None)


def tables_of(tx: Tx, series: Sequence[Series], frame: Frame) -> dict[int, Lines]:
    """One for every series, in their order; those without values have none covered."""
    lowest = max(EARLIEST, first_from(frame.first - frame.reach))
    highest = min(LATEST, last_until(frame.values_until + frame.reach))
    fresh, chunks = query.found(tx, [one.id for one in series], lowest, highest)
    by_series: dict[int, list[Sealed]] = {}
    for sealed in chunks:
        by_series.setdefault(sealed.series_id, []).append(sealed)
    tables: dict[int, Lines] = {}
    for one in series:
        mine = replace(frame, wanted=frame.wanted & OF_KIND[one.kind])
        source = Source(by_series.get(one.id, []), fresh.get(one.id, []), (lowest, highest))
        tables[one.id] = _of_texts(tx, source, mine) if one.kind == Kind.TEXT else _of_numbers(tx, source, mine)
    return tables


@dataclass(frozen=True, slots=True)
class Source:
    """All there is of one series between two stamps."""

    chunks: Sequence[Sealed]
    fresh: Sequence[Run]
    stamps: tuple[int, int]

    def opened(self, tx: Tx, chunks: Collection[Sealed]) -> Run | None:
        """These chunks and what is in the tail, as one run."""
        runs = [query.cut(run, *self.stamps) for some in query.opened(tx, chunks).values() for run in some]
        return merged(runs, self.fresh) if runs or self.fresh else None


def _of_texts(tx: Tx, source: Source, frame: Frame) -> Lines:
    run = source.opened(tx, source.chunks)
    if run is None:
        return table.of_texts(hours.each_alone(NOTHING), [], frame)
    places: dict[str, int] = {}
    codes = np.array([places.setdefault(text, len(places)) for text in run.values.tolist()], np.float64)
    return table.of_texts(hours.each_alone(Run(run.stamps, codes)), list(places), frame)


def _of_numbers(tx: Tx, source: Source, frame: Frame) -> Lines:
    summed: list[Sealed] = []
    by_hours: list[Sealed] = []
    opened: list[Sealed] = []
    for sealed in source.chunks:
        whole, likely = _answers_whole(sealed, source, frame), _may_answer(sealed, source, frame)
        (summed if whole else by_hours if likely else opened).append(sealed)
    parts = [_of_summary(sealed) for sealed in summed]
    order = [np.array([sealed.first for sealed in summed], np.int64)]
    known, owners = _hours_of(tx, by_hours)
    if len(owners):
        stripped = np.array([sealed.is_stripped for sealed in by_hours])
        cut = _is_cut(known, frame) & ~stripped[owners]
        parts.append(known.part(~cut))
        order.append(_stamps(known, owners, by_hours)[~cut])
        for run in _cut_hours(tx, by_hours, known.part(cut), owners[cut]):
            parts.append(hours.each_alone(run))
            order.append(run.stamps)
    run = source.opened(tx, opened)
    if run is not None:
        parts.append(hours.each_alone(run))
        order.append(run.stamps)
    if not parts:
        return table.of_numbers(hours.each_alone(NOTHING), frame)
    whole, stamps = hours.joined(parts), np.concatenate(order)
    in_order = bool((stamps[1:] >= stamps[:-1]).all())
    return table.of_numbers(whole if in_order else whole.part(np.argsort(stamps, kind="stable")), frame)


NOTHING = Run(np.zeros(0, np.int64), np.zeros(0))


def _is_repeated(sealed: Sealed, source: Source) -> bool:
    """Whether the tail has values in the chunk's range: they may be in the chunk too."""
    return any(np.diff(np.searchsorted(run.stamps, (sealed.first, sealed.last + 1))).any() for run in source.fresh)


def _answers_whole(sealed: Sealed, source: Source, frame: Frame) -> bool:
    if sealed.sum is None or not frame.wanted <= BY_SUMMARY:
        return False
    start, end = at_of(sealed.first), at_of(sealed.last)
    one, other = np.searchsorted(frame.edges, (start, end), "right").tolist()
    return one == other and frame.first <= start and end <= frame.values_until and not _is_repeated(sealed, source)


def _may_answer(sealed: Sealed, source: Source, frame: Frame) -> bool:
    if sealed.is_stripped:
        return sealed.has_hours
    wide = len(frame.edges) < 3 or (frame.edges[-1] - frame.edges[0]) // (len(frame.edges) - 1) >= HOUR
    apart = frame.hold >= HOUR or not frame.reach
    return sealed.has_hours and wide and apart and not _is_repeated(sealed, source)


def _of_summary(sealed: Sealed) -> Hours:
    start, end = at_of(sealed.first), at_of(sealed.last)
    facts: dict[str, Any] = {name: np.array([np.nan]) for name in ("firsts", "lasts", "areas", "rises")}
    facts.update({name: np.array([start]) for name in ("starts", "least_at", "greatest_at")})
    facts.update(ends=np.array([end]), counts=np.array([sealed.count]))
    facts.update(least=np.array([sealed.min]), greatest=np.array([sealed.max]), sums=np.array([sealed.sum]))
    return Hours(**facts)


def _hours_of(tx: Tx, chunks: Sequence[Sealed]) -> tuple[Hours, Ints]:
    """Of these chunks, and the place of the chunk that each is of."""
    if not chunks:
        return hours.each_alone(NOTHING), np.zeros(0, np.int64)
    packed = hours_of(tx, [sealed.id for sealed in chunks])
    return hours.unpack_all([packed[sealed.id] for sealed in chunks])


def _cut_hours(tx: Tx, chunks: Sequence[Sealed], cut: Hours, owners: Ints) -> Iterator[Run]:
    """The single values of these hours; only the chunks that they are of are opened."""
    starts: list[int] = np.flatnonzero(np.diff(owners, prepend=-1)).tolist()
    places: list[int] = owners[starts].tolist()
    opened = query.opened(tx, [chunks[place] for place in places])
    runs = [run for some in opened.values() for run in some]
    for run, (start, end) in zip(runs, pairwise([*starts, len(owners)]), strict=True):
        wanted = cut.starts[start:end] // HOUR
        yield run.part(np.isin((run.stamps >> SOURCE_BITS) // HOUR, wanted))


def _is_cut(known: Hours, frame: Frame) -> Any:
    """Whether a bucket or the range begins or ends within the hour."""
    edges = np.unique(np.append(frame.edges, (frame.first, frame.last + 1)))
    return np.searchsorted(edges, known.starts, "right") != np.searchsorted(edges, known.ends, "right")


def _stamps(known: Hours, owners: Ints, chunks: Sequence[Sealed]) -> Ints:
    """What sorts the hours among single values; of a chunk's first hour the stamp is known exactly."""
    stamps = known.starts << SOURCE_BITS
    begins = np.flatnonzero(np.diff(owners, prepend=-1))
    firsts = np.array([sealed.first for sealed in chunks], np.int64)
    stamps[begins] = firsts[owners[begins]]
    return stamps
