"""Old readings: their raw values go first, and later the roll-ups; chunk by chunk, a little in each transaction.

What is stripped or deleted, how far a round has come and from where on a series is kept change in one transaction, so
whatever happens between two of them leaves nothing half-done: the next call reads where the last one ended.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from waystation import devices, homes
from waystation.kernel.clock import EPOCH
from waystation.kernel.db import Database, Tx
from waystation.telemetry import codec, hours, seal
from waystation.telemetry import store as telemetry_store
from waystation.telemetry.codec import Run
from waystation.telemetry.keeping import store
from waystation.telemetry.keeping.model import DAY, Cuts, Limits, Plan, cuts_of, limits_for
from waystation.telemetry.keeping.quota import Plans
from waystation.telemetry.keeping.sweeps import store as stored
from waystation.telemetry.keeping.sweeps.store import Part
from waystation.telemetry.model import EARLIEST, SOURCE_BITS, Kind
from waystation.telemetry.store import Turn

EVERY = timedelta(hours=1)
SERIES_AT_ONCE = 200
CHUNKS_AT_ONCE = 16
BYTES_AT_ONCE = 128 * 1024
SPLIT_AT_ONCE = 8
SPLIT_AFTER = DAY << SOURCE_BITS  # a chunk that reaches over the limit is divided once a day of it is too old


@dataclass(frozen=True, slots=True)
class Found:
    """Some chunks whose time has come, read outside of the transaction that takes them away."""

    turn: Turn | None
    gone: Sequence[Part] = ()
    stripped: Mapping[int, bytes | None] = field(default_factory=dict[int, bytes | None])
    replaced: Sequence[int] = ()
    new: Sequence[tuple[Any, ...]] = ()
    floors: Mapping[int, int] = field(default_factory=dict[int, int])
    readings: int = 0

    @property
    def chunks(self) -> int:
        return len(self.gone) + len(self.stripped) + len(self.replaced)


@dataclass(frozen=True, slots=True)
class Members:
    """The next series of the round, and what is kept of each."""

    last: int
    kinds: Mapping[int, Kind]
    by_cuts: Mapping[Cuts, Sequence[int]]


class _NotNow(Exception):
    """Somebody sealed or deleted meanwhile: nothing happens, and the next call reads again."""


def expire(database: Database, now: datetime) -> int:
    """One step of a round; 0 when the round is over, or nothing is ever to go. A round begins once an hour."""
    with database.read() as tx:
        begun = store.round_now(tx)
        if begun is not None and begun.ended_at is not None and timedelta() <= now - begun.ended_at < EVERY:
            return 0
        is_new = begun is None or begun.ended_at is not None
        after = 0 if begun is None or is_new else begun.series_id
        members = _members(tx, after, now)
        found = None if members is None else _found(tx, members)
    if members is None:
        return _ended(database, now) if not is_new else 0
    counts = (0, 0) if begun is None or is_new else (begun.readings, begun.chunks)
    values = {"began_at": now if begun is None or is_new else begun.began_at, "ended_at": None}
    try:
        with database.write() as tx:
            if found is None:
                store.set_round(tx, series_id=members.last, readings=counts[0], chunks=counts[1], **values)
            else:
                _take_away(tx, found)
                so_far = {"readings": counts[0] + found.readings, "chunks": counts[1] + found.chunks}
                store.set_round(tx, series_id=after, **so_far, **values)
    except _NotNow:
        return 0
    return 1


def _ended(database: Database, now: datetime) -> int:
    with database.write() as tx:
        begun = store.round_now(tx)
        if begun is not None:
            values = {"began_at": begun.began_at, "readings": begun.readings, "chunks": begun.chunks}
            store.set_round(tx, series_id=0, ended_at=now, **values)
    return 0


def _members(tx: Tx, after: int, now: datetime) -> Members | None:
    """None behind the last series, and where nothing has a limit."""
    rules, most = store.rules(tx), allowed(tx)
    if not rules and all(limits == Limits() for limits in most.values()):
        return None
    rows = stored.series_after(tx, after, SERIES_AT_ONCE)
    if not rows:
        return None
    placed = devices.placed(tx, {row.device_id for row in rows})
    by_cuts: dict[Cuts, list[int]] = {}
    for row in rows:
        device = placed.get(row.device_id)
        if device is None:
            continue
        limits = limits_for(rules, device, row.metric, most.get(device.home_id, Limits()))
        if limits.raw_days is not None:
            by_cuts.setdefault(cuts_of(limits, now), []).append(row.id)
    return Members(rows[-1].id, {row.id: Kind(row.kind) for row in rows}, by_cuts)


def allowed(tx: Tx) -> dict[int, Limits]:
    """By home, the longest that its owner's plan keeps anything."""
    plans = Plans(tx)
    return {home_id: _limits_of(plans.of(owner)) for home_id, owner in homes.first_owners(tx).items()}


def _limits_of(plan: Plan) -> Limits:
    return Limits(plan.raw_days, plan.rollup_days)


def _found(tx: Tx, members: Members) -> Found | None:
    """Something to do for these series, or None."""
    turn = telemetry_store.turn(tx)
    for cuts, series_ids in members.by_cuts.items():
        if cuts.rollups != EARLIEST and (
            gone := few(stored.wholly_before(tx, series_ids, cuts.rollups, CHUNKS_AT_ONCE))
        ):
            return Found(turn, gone=gone, floors=_ends(gone), readings=_readings(gone))
        if old := few(stored.with_values_before(tx, series_ids, cuts.raw, CHUNKS_AT_ONCE)):
            return _stripping(tx, turn, old, members.kinds)
        wide = stored.reaching_over(tx, series_ids, cuts.raw - SPLIT_AFTER, cut=cuts.raw, most=SPLIT_AT_ONCE)
        if wide:
            return _dividing(tx, turn, wide, kinds=members.kinds, cut=cuts.raw)
    return None


def few(parts: Sequence[Part]) -> Sequence[Part]:
    """As many from the first on as one transaction takes away without keeping others waiting; at least one."""
    size = 0
    for number, part in enumerate(parts):
        size += part.size
        if number and (size > BYTES_AT_ONCE or number >= CHUNKS_AT_ONCE):
            return parts[:number]
    return parts


def _ends(parts: Collection[Part]) -> dict[int, int]:
    """The stamp behind the last of each series."""
    ends: dict[int, int] = {}
    for part in parts:
        ends[part.series_id] = max(ends.get(part.series_id, EARLIEST), part.last + 1)
    return ends


def _readings(parts: Collection[Part]) -> int:
    return sum(part.values for part in parts if not part.is_stripped)


def _stripping(tx: Tx, turn: Turn | None, old: Sequence[Part], kinds: Mapping[int, Kind]) -> Found:
    texts = [part for part in old if kinds[part.series_id] == Kind.TEXT]
    others = [part for part in old if kinds[part.series_id] != Kind.TEXT]
    packed = telemetry_store.contents(tx, [part.id for part in others if not part.has_hours])
    made = {part.id: _hours(codec.decode(packed[part.id])) if part.id in packed else None for part in others}
    return Found(turn, gone=texts, stripped=made, floors=_ends(old), readings=_readings(old))


def _dividing(tx: Tx, turn: Turn | None, wide: Sequence[Part], *, kinds: Mapping[int, Kind], cut: int) -> Found:
    packed = telemetry_store.contents(tx, [part.id for part in wide])
    new: list[tuple[Any, ...]] = []
    readings = 0
    for part in wide:
        run, kind = codec.decode(packed[part.id]), kinds[part.series_id]
        old, young = halves(run, cut)
        readings += len(old)
        new += [seal.row_of(part.series_id, young, kind)]
        if kind != Kind.TEXT and len(old):
            new.append(stripped_row(part.series_id, old, kind))
    return Found(
        turn, replaced=[part.id for part in wide], new=new, floors={p.series_id: cut for p in wide}, readings=readings
    )


def halves(run: Run, cut: int) -> tuple[Run, Run]:
    at = int(run.stamps.searchsorted(cut))
    return run.part(slice(at)), run.part(slice(at, None))


def stripped_row(series_id: int, run: Run, kind: Kind) -> tuple[Any, ...]:
    """In the order of store.NEW_CHUNK: the facts and the hours of a run, without its values."""
    *facts, _values, _hours_of_many = seal.row_of(series_id, run, kind)
    return (*facts, b"", _hours(run))


def _hours(run: Run) -> bytes:
    return hours.pack(hours.of_run(run))


def _take_away(tx: Tx, found: Found) -> None:
    if not pass_turn(tx, found.turn):
        raise _NotNow
    if not stored.strip(tx, found.stripped):
        raise _NotNow
    if not telemetry_store.replace_chunks(tx, [*(part.id for part in found.gone), *found.replaced], found.new):
        raise _NotNow
    store.keep_from(tx, found.floors)
    for series_id in stored.without_chunks(tx, {part.series_id for part in found.gone}):
        stored.set_last(tx, series_id, None)


def pass_turn(tx: Tx, seen: Turn | None) -> bool:
    """As the sealer takes it, without saying that something was sealed now."""
    return telemetry_store.take_turn(tx, seen, EPOCH if seen is None else seen.sealed_at)
