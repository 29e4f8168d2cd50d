"""Deleting what somebody asked to delete: a little in each transaction, until it is done or cancelled.

What has arrived when the deletion comes to its series goes, in the tail or sealed. What arrives behind it stays, also
with a stamp in the range: so it always ends, and what it says is done is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from waystation import devices
from waystation.kernel import outbox
from waystation.kernel.db import Database, Tx
from waystation.telemetry import codec, hours, seal
from waystation.telemetry import store as telemetry_store
from waystation.telemetry.codec import Run
from waystation.telemetry.keeping import store
from waystation.telemetry.keeping.quota import CHANGED
from waystation.telemetry.keeping.sweeps import counting
from waystation.telemetry.keeping.sweeps import store as stored
from waystation.telemetry.keeping.sweeps.retention import few, pass_turn
from waystation.telemetry.keeping.sweeps.store import Part
from waystation.telemetry.model import SOURCE_BITS, Kind
from waystation.telemetry.store import Turn

SERIES_AT_ONCE = 8
ROWS_AT_ONCE = 5000  # of the tail

Newest = tuple[int, float | None, str | None]
"""A stamp, and the number or the text."""


@dataclass(frozen=True, slots=True)
class Step:
    """Some series and what of them goes next, read outside of the transaction that takes it away.

    `is_last` when nothing of these series in the range is left after it. `lasts` are the newest sealed values of those
    series whose last one goes.
    """

    turn: Turn | None
    kinds: Mapping[int, Kind]
    device_ids: Sequence[int]
    gone: Sequence[Part] = ()
    replaced: Sequence[int] = ()
    new: Sequence[tuple[Any, ...]] = ()
    readings: int = 0
    unsealed: Sequence[int] = ()
    is_last: bool = False
    lasts: Mapping[int, Newest | None] = field(default_factory=dict[int, Newest | None])


class _NotNow(Exception):
    """It was cancelled, or somebody sealed or deleted meanwhile."""


def delete(database: Database, now: datetime) -> int:
    """A step of the deletion that was asked for first; 0 when none is open."""
    with database.read() as tx:
        asked = store.open_deletion(tx)
        step = None if asked is None else _step(tx, asked)
    if asked is None:
        return 0
    try:
        with database.write() as tx:
            if step is None:
                store.advance_deletion(tx, asked, ended_at=now, series_done=asked.series)
                outbox.notice(tx, CHANGED, {}, now)
            else:
                _take_away(tx, asked, step)
    except _NotNow:
        return 1
    if step is not None and step.is_last:
        counting.recount(database, step.device_ids, now)
        with database.write() as tx:
            outbox.notice(tx, CHANGED, {}, now)
    return 1


def _step(tx: Tx, asked: Any) -> Step | None:
    """None behind the last series."""
    device_ids = _device_ids(tx, asked)
    rows = stored.series_of_devices(tx, device_ids, asked.last_series, SERIES_AT_ONCE)
    if not rows:
        return None
    kinds = {row.id: Kind(row.kind) for row in rows}
    concerned = sorted({row.device_id for row in rows})
    turn, first, last = telemetry_store.turn(tx), asked.first_stamp, asked.last_stamp
    unsealed = stored.tail_between(tx, kinds.keys(), first, last, most=ROWS_AT_ONCE)  # first: it may be sealed now
    touched = stored.between(tx, kinds.keys(), first, last)
    whole = [part for part in touched if first <= part.first and part.last <= last]
    some = few(whole)
    readings = sum(part.values for part in some if not part.is_stripped)
    if len(some) < len(whole) or len(unsealed) == ROWS_AT_ONCE:
        lasts = _lasts(tx, asked, kinds, gone=some, cut={})
        return Step(turn, kinds, concerned, gone=some, readings=readings, unsealed=unsealed, lasts=lasts)
    borders = [part for part in touched if part not in whole]
    cut = _cut_out(tx, borders, kinds, (first, last))
    taken = [*some, *(part for part in borders if part.id in cut.replaced)]
    lasts = _lasts(tx, asked, kinds, gone=taken, cut=cut.newest)
    return Step(
        turn, kinds, concerned, gone=some, replaced=cut.replaced, new=cut.new, readings=readings + cut.readings,
        unsealed=unsealed, is_last=True, lasts=lasts,
    )  # fmt: skip


def _device_ids(tx: Tx, asked: Any) -> Sequence[int]:
    if asked.device_id is None:
        return devices.ids_of(tx, asked.home_id)
    return [asked.device_id]


@dataclass(slots=True)
class Cut:
    """Chunks that change, what replaces them, how many readings go, and of each series the newest value that stays."""

    replaced: list[int] = field(default_factory=list[int])
    new: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    readings: int = 0
    newest: dict[int, Newest] = field(default_factory=dict[int, Newest])


def _cut_out(tx: Tx, borders: Sequence[Part], kinds: Mapping[int, Kind], span: tuple[int, int]) -> Cut:
    """Of chunks that reach over an end of the range; they come in order of time."""
    packed = telemetry_store.contents(tx, [part.id for part in borders if not part.is_stripped])
    by_hour = telemetry_store.hours_of(tx, [part.id for part in borders if part.is_stripped])
    cut = Cut()
    for part in borders:
        kind = kinds[part.series_id]
        if part.id in packed:
            run = codec.decode(packed[part.id])
            kept = outside(run, *span)
            rows = [seal.row_of(part.series_id, some, kind) for some in kept]
            gone = len(run) - sum(len(some) for some in kept)
            cut.readings += gone
            if gone and kept:
                cut.newest[part.series_id] = _newest(kept[-1], kind)
        else:
            rows, gone = _hours_outside(part, hours.unpack(by_hour[part.id]), span)
        if gone:
            cut.replaced.append(part.id)
            cut.new += rows
    return cut


def _newest(run: Run, kind: Kind) -> Newest:
    stamp, value = int(run.stamps[-1]), run.values[-1]
    return (stamp, None, value) if kind == Kind.TEXT else (stamp, float(value), None)


def _lasts(
    tx: Tx, asked: Any, kinds: Mapping[int, Kind], *, gone: Sequence[Part], cut: Mapping[int, Newest]
) -> dict[int, Newest | None]:
    """The newest sealed values of those series whose last one goes with these chunks."""
    ends: dict[int, int] = {}
    for part in gone:
        ends[part.series_id] = max(ends.get(part.series_id, part.last), part.last)
    ids = [part.id for part in gone]
    found: dict[int, Newest | None] = {}
    for series_id in stored.lasts_in(tx, ends, asked.first_stamp, asked.last_stamp):
        packed = stored.newest_chunk(tx, series_id, but=ids)
        left = [] if packed is None else [_newest(codec.decode(packed), kinds[series_id])]
        left += [cut[series_id]] if series_id in cut else []
        found[series_id] = max(left, key=lambda newest: newest[0], default=None)
    return found


def outside(run: Run, first: int, last: int) -> list[Run]:
    """What is before and what is behind the range, as far as there is any."""
    start, end = run.stamps.searchsorted((first, last + 1)).tolist()
    return [some for some in (run.part(slice(start)), run.part(slice(end, None))) if len(some)]


def _hours_outside(part: Part, whole: hours.Hours, span: tuple[int, int]) -> tuple[list[tuple[Any, ...]], int]:
    """Of a chunk without values: an hour with any part in the range goes as a whole."""
    first, last = (stamp >> SOURCE_BITS for stamp in span)
    before, behind = whole.ends < first, whole.starts > last
    rows = [_stripped(part.series_id, whole.part(which)) for which in (before, behind) if which.any()]
    return rows, int(np.count_nonzero(~(before | behind)))


def _stripped(series_id: int, some: hours.Hours) -> tuple[Any, ...]:
    """In the order of store.NEW_CHUNK. Stamps lose their lowest byte: nothing but time is known of them any more."""
    first, last = int(some.starts[0]) << SOURCE_BITS, (int(some.ends[-1]) << SOURCE_BITS) + 255
    total = float(some.sums.sum())
    facts = float(some.least.min()), float(some.greatest.max()), total if np.isfinite(total) else None
    return series_id, first, last, int(some.counts.sum()), *facts, b"", hours.pack(some)


def _take_away(tx: Tx, asked: Any, step: Step) -> None:
    if not pass_turn(tx, step.turn):
        raise _NotNow
    if not telemetry_store.replace_chunks(tx, [*(part.id for part in step.gone), *step.replaced], step.new):
        raise _NotNow
    readings = asked.readings + step.readings + stored.drop_tail(tx, step.unsealed)
    values: dict[str, Any] = {"readings": readings}
    if step.is_last:
        done = min(asked.series, asked.series_done + len(step.kinds))
        values |= {"last_series": max(step.kinds), "series_done": done}
    if not store.advance_deletion(tx, asked, **values):
        raise _NotNow
    for series_id, newest in step.lasts.items():
        stored.set_last(tx, series_id, newest)
