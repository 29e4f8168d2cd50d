"""The table of followers, and every statement about what is new to them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from waystation.kernel.clock import micros
from waystation.kernel.db import Moment, Tx, metadata
from waystation.kernel.prepared import Prepared, many
from waystation.kernel.prepared import among as one_of
from waystation.telemetry.follow.model import (
    GONE,
    HOLE_SECONDS,
    MOST_BEHIND,
    MOST_HOLES,
    MOST_ROWS,
    Hole,
    Place,
    Stretch,
    Summary,
)
from waystation.telemetry.model import Kind, Series
from waystation.telemetry.store import Span, among, series, tail, tail_span

follower = sa.Table(
    "follower",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("holes", sa.JSON, nullable=False),
    sa.Column("turn", sa.BigInteger, nullable=False),
    sa.Column("read_at", Moment, nullable=False),
)


def begin(tx: Tx, name: str, now: datetime) -> None:
    """It follows from here on. One that follows already finds out that its orders have changed."""
    last = _newest_id(tx)
    first = tx.insert(follower).values(name=name, position=last, holes=[], turn=1, read_at=now)
    tx.execute(first.on_conflict_do_update(index_elements=[follower.c.name], set_={"turn": follower.c.turn + 1}))


def _newest_id(tx: Tx) -> int:
    if tx.is_sqlite:
        return tx.scalar(sa.select(sa.func.max(tail.c.id))) or 0
    return tx.scalar(sa.text("select case when is_called then last_value else 0 end from tail_id_seq"))


def disturb(tx: Tx, name: str) -> None:
    """Its orders have changed: what it is about to keep is not kept, and it reads them again."""
    tx.execute(follower.update().where(follower.c.name == name).values(turn=follower.c.turn + 1))


def end(tx: Tx, name: str) -> None:
    tx.execute(follower.delete().where(follower.c.name == name))


def place(tx: Tx, name: str) -> Place | None:
    row = tx.first(follower.select().where(follower.c.name == name))
    if row is None:
        return None
    return Place(row.name, row.position, tuple(Hole(*hole) for hole in row.holes), row.turn, row.read_at)


def move(tx: Tx, before: Place, after: Place, now: datetime) -> Place | None:
    """Compare-and-set: None when somebody else moved it, or changed its orders, since `before` was read."""
    moved = replace(after, turn=before.turn + 1, read_at=now)
    mine = follower.update().where(follower.c.name == before.name, follower.c.turn == before.turn)
    values = {"position": moved.position, "holes": [list(hole) for hole in moved.holes]}
    return moved if tx.changed(mine.values(turn=moved.turn, read_at=now, **values)) else None


def look(tx: Tx, before: Place, now: datetime, most: int = MOST_ROWS) -> Stretch:
    """What has come since, at most `most` rows."""
    span = tail_span(tx) or Span(1, 0)
    if span.hi < before.position and tx.is_sqlite:  # the sealer emptied the tail, and ids begin again; see `restart`
        before = replace(before, position=0, holes=())
    last = min(span.hi, max(before.position, span.lo - 1) + most)
    young = [hole for hole in before.holes if micros(now) - hole.since < HOLE_SECONDS * 1_000_000]
    fresh = Span(before.position + 1, last)
    if tx.is_sqlite:  # one writer: ids are seen in order
        return Stretch((fresh,) * (fresh.lo <= fresh.hi), replace(before, position=max(last, before.position)))
    ranges = (*(Span(hole.lo, hole.hi) for hole in young), *(fresh,) * (fresh.lo <= fresh.hi))
    filled = [hole for old in young for hole in _holes_in(tx, Span(old.lo, old.hi), old.since)]
    new = _holes_in(tx, fresh, micros(now)) if fresh.lo <= fresh.hi else []
    return _stretch(before, ranges, [*filled, *new], last)


def _stretch(before: Place, ranges: tuple[Span, ...], holes: list[Hole], last: int) -> Stretch:
    """With too many holes the follower stops in front of what it cannot keep in mind, and comes again."""
    if len(holes) > MOST_HOLES:
        last = max(before.position, holes[MOST_HOLES].lo - 1)
        holes = [hole for hole in holes if hole.lo <= last]
        ranges = tuple(Span(one.lo, min(one.hi, last)) for one in ranges if one.lo <= last)
    return Stretch(ranges, replace(before, position=max(last, before.position), holes=tuple(holes)))


def _holes_in(tx: Tx, span: Span, since: int) -> list[Hole]:
    inside = tail.c.id.between(*span)
    if tx.scalar(sa.select(sa.func.count()).select_from(tail).where(inside)) == span.rows:
        return []
    following = sa.func.lead(tail.c.id, 1, span.hi + 1).over(order_by=tail.c.id).label("following")
    ids = sa.select(tail.c.id, following).where(inside).subquery()
    jumps = sa.select(ids.c.id, ids.c.following).where(ids.c.following > ids.c.id + 1).order_by(ids.c.id)
    first = tx.scalar(sa.select(sa.func.min(tail.c.id)).where(inside))
    if first is None:
        return [Hole(span.lo, span.hi, since)]
    before = [Hole(span.lo, first - 1, since)] if first > span.lo else []
    return before + [Hole(row.id + 1, row.following - 1, since) for row in tx.all(jumps.limit(MOST_HOLES + 1))]


FACTS = (
    tail.c.series_id,
    sa.func.count(),
    sa.func.min(tail.c.value),
    sa.func.max(tail.c.value),
    sa.func.min(tail.c.stamp),
    sa.func.max(tail.c.stamp),
)
NEW = tail.c.id.between(sa.bindparam("lo"), sa.bindparam("hi"))
SUMMARIES = Prepared(
    lambda on: sa.select(*FACTS).where(NEW, one_of(on, tail.c.series_id, "series")).group_by(tail.c.series_id)
)
ROWS = Prepared(
    lambda on: sa.select(tail.c.id, tail.c.series_id, tail.c.stamp, tail.c.value, tail.c.text).where(
        NEW, one_of(on, tail.c.series_id, "series")
    )
)


def summaries(tx: Tx, stretch: Stretch, series_ids: Collection[int]) -> list[Summary]:
    """Of every one of these series that has something new."""
    if not stretch.ranges or not series_ids:
        return []
    if len(stretch.ranges) == 1:  # always on SQLite
        [(lo, hi)] = stretch.ranges
        return [Summary(*row) for row in SUMMARIES.rows(tx, lo=lo, hi=hi, series=many(tx, series_ids))]
    new = sa.or_(*(tail.c.id.between(*span) for span in stretch.ranges))
    wanted = sa.select(*FACTS).where(new, among(tx, tail.c.series_id, series_ids))
    return [Summary(*row) for row in tx.all(wanted.group_by(tail.c.series_id))]


def rows(tx: Tx, stretch: Stretch, series_ids: Collection[int]) -> Sequence[Sequence[Any]]:
    """(series id, stamp, value, text) of these series, by stamp and then in order of arrival."""
    if not series_ids:
        return []
    series_ = many(tx, series_ids)
    found = [row for lo, hi in stretch.ranges for row in ROWS.rows(tx, lo=lo, hi=hi, series=series_)]
    return [row[1:] for row in sorted(found, key=itemgetter(2, 0))]


# What there is to follow


def series_after(tx: Tx, series_id: int, most: int = 10_000) -> list[Series]:
    """Those made since, by id."""
    columns = (series.c.id, series.c.device_id, series.c.metric, series.c.kind, series.c.unit)
    found = tx.all(sa.select(*columns).where(series.c.id > series_id).order_by(series.c.id).limit(most))
    return [Series(row.id, row.device_id, row.metric, Kind(row.kind), row.unit) for row in found]


def newest_series(tx: Tx) -> int:
    """Its id; 0 without any."""
    return tx.scalar(sa.select(sa.func.max(series.c.id))) or 0


# For the sealer


def unread(tx: Tx, span: Span, now: datetime) -> int:
    """The least id that may not be sealed yet, because a follower has not read it; beyond the span when all have."""
    least = span.hi + 1
    for row in tx.all(follower.select()):
        first = min((hole[0] for hole in row.holes), default=row.position + 1)
        if tx.is_sqlite and row.position > span.hi:
            first = span.lo
        if abs(now - row.read_at) < GONE:
            least = min(least, max(first, span.hi - MOST_BEHIND))
    return least


def restart(tx: Tx) -> None:
    """After the tail was cut: on SQLite ids begin again at 1 once it is empty, so that followers must as well."""
    if tx.is_sqlite and tx.scalar(sa.select(sa.func.max(tail.c.id))) is None:
        tx.execute(follower.update().values(position=0, turn=follower.c.turn + 1))
