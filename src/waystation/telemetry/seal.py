"""Sealing: what has arrived in the tail becomes compressed chunks, a slice at a time, and is never lost or doubled."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import structlog

from waystation.kernel.db import Database, Tx
from waystation.telemetry import codec, follow, hours, store
from waystation.telemetry.codec import Ints, Run
from waystation.telemetry.keeping.store import count_dropped, kept_since
from waystation.telemetry.model import Kind
from waystation.telemetry.store import Columns, Sealed, Span, Turn

log = structlog.get_logger(__name__)

ENOUGH_ROWS = 20_000
MOST_ROWS = 50_000  # taking twice as many from the tail keeps writers waiting twice as long
LONGEST_WAIT = timedelta(minutes=15)
GROWTH = 4  # a chunk takes in the one before it until that one is this many times as long


@dataclass(frozen=True, slots=True)
class Slice:
    """The oldest part of the tail, and what sealing it needs to know."""

    turn: Turn | None
    span: Span
    rows: int
    kinds: Mapping[int, Kind]
    runs: Mapping[int, Run]  # by series, without duplicates
    pieces: Mapping[int, Sequence["Piece"]]  # what is to be written, by series
    contents: Mapping[int, bytes]  # of the chunks that are rewritten
    late: Mapping[int, int]  # how many values of a series are older than what is kept of it


@dataclass(slots=True)
class Piece:
    """Neighbouring chunks and new values that become one chunk; a piece without new values stays as it is."""

    chunks: list[Sealed] = field(default_factory=list[Sealed])
    new: list[slice] = field(default_factory=list[slice])
    count: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    old: list[int]
    chunks: list[tuple[Any, ...]]
    newest: list[tuple[Any, ...]]


class _NotNow(Exception):
    """Somebody changed what was read: nothing happens, and the next sweep reads again."""


def seal(database: Database, now: datetime) -> int:
    """How many rows of the tail were sealed; 0 when it may wait, or when somebody else was faster.

    Reads and encodes outside of any transaction that writes, then exchanges all in a short one: call it with none open.
    """
    with database.read() as tx:
        taken = _slice(tx, now)
    if taken is None:
        return 0
    written = _encoded(taken)
    try:
        with database.write() as tx:
            _exchange(tx, taken, written, now)
    except _NotNow:
        log.info("sealing waits: the tail or its chunks changed meanwhile")
        return 0
    return taken.rows


def _slice(tx: Tx, now: datetime) -> Slice | None:
    turn, span = store.turn(tx), store.tail_span(tx)
    if span is None or not _is_due(span, turn, now):
        return None
    unread = follow.unread(tx, span, now)
    if unread <= span.lo:
        return None
    span, rows = store.oldest_of_tail(tx, MOST_ROWS, before=unread)
    kinds = store.kinds_of(tx, np.unique(rows.series_ids).tolist())
    runs, late = _kept(dict(_runs(rows, kinds)), kept_since(tx, kinds.keys()))
    around = store.chunks_around(tx, {series_id: int(run.stamps[0]) for series_id, run in runs.items()})
    pieces = {
        series_id: plan(around.get(series_id, ()), run.stamps, codec.most_in_chunk(kinds[series_id]))
        for series_id, run in runs.items()
    }
    rewritten = [sealed.id for some in pieces.values() for piece in some for sealed in piece.chunks]
    return Slice(turn, span, len(rows.stamps), kinds, runs, pieces, store.contents(tx, rewritten), late)


def _is_due(span: Span, turn: Turn | None, now: datetime) -> bool:
    """A tail that waits is scanned by every query, a slice that is short makes many short chunks; a clock may jump."""
    if turn is None or span.rows >= ENOUGH_ROWS:
        return True
    return not timedelta() <= now - turn.sealed_at < LONGEST_WAIT


def _runs(rows: Columns, kinds: Mapping[int, Kind]) -> Iterator[tuple[int, Run]]:
    """By series, in order of time, of equal stamps the first that arrived. Rows of deleted series are left out."""
    order = np.lexsort((rows.stamps, rows.series_ids))  # stable: equals stay in order of arrival
    again = (np.diff(rows.series_ids[order]) == 0) & (np.diff(rows.stamps[order]) == 0)
    order = np.delete(order, np.flatnonzero(again) + 1)
    series_ids, stamps, values = rows.series_ids[order], rows.stamps[order], rows.values[order]
    starts = np.flatnonzero(np.diff(series_ids, prepend=-1)).tolist()
    for start, end in pairwise([*starts, len(order)]):
        series_id = int(series_ids[start])
        kind = kinds.get(series_id)
        if kind is not None:
            found = rows.texts[order[start:end]] if kind == Kind.TEXT else values[start:end]
            yield series_id, Run(stamps[start:end], found)


def _kept(runs: Mapping[int, Run], since: Mapping[int, int]) -> tuple[dict[int, Run], dict[int, int]]:
    """Without values whose time on their series has passed already, and how many these were."""
    kept: dict[int, Run] = {}
    late: dict[int, int] = {}
    for series_id, run in runs.items():
        first = int(run.stamps.searchsorted(since[series_id])) if series_id in since else 0
        if first:
            late[series_id] = first
        if first < len(run):
            kept[series_id] = run.part(slice(first, None))
    return kept, late


def plan(chunks: Sequence[Sealed], stamps: Ints, most: int) -> list[Piece]:
    """Which chunks of a series are rewritten with which of the new stamps; both in order of time.

    New values inside a chunk's range go into that chunk. Those between two chunks, or behind the last one, become a
    chunk that takes in the ones before it as long as these are not much longer, so a value is rewritten a few times.
    A chunk that was stripped stays as it is, and new values inside its range are not kept.
    """
    pieces: list[Piece] = []
    at = 0
    for sealed in chunks:
        before, inside = np.searchsorted(stamps, (sealed.first, sealed.last + 1)).tolist()
        _push(pieces, Piece(new=[slice(at, before)] * (before > at), count=before - at), most)
        at = inside
        if sealed.is_stripped:
            pieces.append(Piece(count=most + 1))  # nothing is merged over it
            continue
        new = [slice(before, inside)] * (inside > before)
        _push(pieces, Piece([sealed], new, sealed.count + inside - before), most)
    _push(pieces, Piece(new=[slice(at, len(stamps))] * (len(stamps) > at), count=len(stamps) - at), most)
    return [piece for piece in pieces if piece.new]


def _push(pieces: list[Piece], piece: Piece, most: int) -> None:
    if not piece.count:
        return
    while piece.new and pieces and pieces[-1].count < GROWTH * piece.count and pieces[-1].count + piece.count <= most:
        before = pieces.pop()
        piece = Piece(before.chunks + piece.chunks, before.new + piece.new, before.count + piece.count)
    pieces.append(piece)


def _encoded(taken: Slice) -> Written:
    written = Written([], [], [])
    for series_id, pieces in taken.pieces.items():
        kind, run = taken.kinds[series_id], taken.runs[series_id]
        for piece in pieces:
            written.old.extend(sealed.id for sealed in piece.chunks)
            whole = merged([codec.decode(taken.contents[sealed.id]) for sealed in piece.chunks], _new(run, piece))
            written.chunks.extend(row_of(series_id, part, kind) for part in _split(whole, codec.most_in_chunk(kind)))
        text, number = (run.values[-1], None) if kind == Kind.TEXT else (None, float(run.values[-1]))
        written.newest.append((series_id, int(run.stamps[-1]), number, text))
    return written


def _new(run: Run, piece: Piece) -> list[Run]:
    return [run.part(which) for which in piece.new]


def merged(first: Iterable[Run], then: Iterable[Run]) -> Run:
    """One run of all; of equal stamps the first one given stays."""
    runs = [*first, *then]
    if len(runs) == 1:
        return runs[0]
    whole = Run(np.concatenate([run.stamps for run in runs]), np.concatenate([run.values for run in runs]))
    if (np.diff(whole.stamps) > 0).all():
        return whole
    order = np.argsort(whole.stamps, kind="stable")
    kept = np.diff(whole.stamps[order], prepend=whole.stamps[order[0]] - 1) > 0
    return whole.part(order[kept])


def _split(run: Run, most: int) -> Iterator[Run]:
    parts = -(-len(run) // most)
    for part in range(parts):
        yield run.part(slice(part * len(run) // parts, (part + 1) * len(run) // parts))


def row_of(series_id: int, run: Run, kind: Kind) -> tuple[Any, ...]:
    """In the order of store.NEW_CHUNK."""
    facts, by_hour = (
        ((None, None, None), None) if kind == Kind.TEXT else (summary(run.values), hours.worth_keeping(run))
    )
    return series_id, int(run.stamps[0]), int(run.stamps[-1]), len(run), *facts, codec.encode(run, kind), by_hour


def summary(values: codec.Floats) -> tuple[float, float, float | None]:
    """Least, greatest and sum, which is None when it is beyond a float."""
    with np.errstate(over="ignore"):
        total = float(values.sum())
    return float(values.min()), float(values.max()), total if np.isfinite(total) else None


def _exchange(tx: Tx, taken: Slice, written: Written, now: datetime) -> None:
    if not store.take_turn(tx, taken.turn, now):
        raise _NotNow
    if not store.replace_chunks(tx, written.old, written.chunks):
        raise _NotNow
    store.keep_newest(tx, written.newest)
    count_dropped(tx, taken.late)
    if store.drop_tail(tx, taken.span) != taken.rows:  # PostgreSQL: a slow transaction put a row in between
        raise _NotNow
    follow.restart(tx)
