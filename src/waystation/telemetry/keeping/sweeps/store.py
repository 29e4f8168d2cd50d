"""Statements of the sweeps on series, tail and chunks. Nothing here looks at more than its caller names."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from waystation.kernel.db import Tx
from waystation.telemetry.keeping.store import kept_from, usage
from waystation.telemetry.model import EARLIEST, Kind
from waystation.telemetry.store import among, chunk, last_value, series, tail

KINDS = tuple(Kind)


class Held(NamedTuple):
    """What the chunks, or the tail, hold of one series: values that can still be read, and bytes."""

    series_id: int
    device_id: int
    metric: str
    kind: Kind
    readings: int
    size: int


class Part(NamedTuple):
    """A chunk and what deleting or stripping it gives back."""

    id: int
    series_id: int
    first: int
    last: int
    values: int
    size: int
    is_stripped: bool
    has_hours: bool


def _length(tx: Tx, column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """Of bytes, without reading them."""
    return sa.func.coalesce(sa.func.length(column) if tx.is_sqlite else sa.func.octet_length(column), 0)


def _parts(tx: Tx) -> tuple[sa.ColumnElement[Any], ...]:
    c, size = chunk.c, _length(tx, chunk.c.data)
    stripped, has_hours = (size == 0).label("is_stripped"), c.hours.is_not(None).label("has_hours")
    both = (size + _length(tx, c.hours)).label("size")
    return (c.id, c.series_id, c.first_stamp, c.last_stamp, c.count, both, stripped, has_hours)


# Counting


def never_counted(tx: Tx, most: int) -> list[int]:
    """Devices that have series and no row of usage."""
    known = sa.select(usage.c.device_id).where(usage.c.device_id == series.c.device_id).exists()
    found = sa.select(series.c.device_id).where(~known).distinct().order_by(series.c.device_id).limit(most)
    return [row.device_id for row in tx.all(found)]


def sealed_of(tx: Tx, device_ids: Collection[int], chunk_bytes: int) -> list[Held]:
    has_values = _length(tx, chunk.c.data) > 0
    readings = sa.func.coalesce(sa.func.sum(chunk.c.count).filter(has_values), 0)
    size = sa.func.sum(_length(tx, chunk.c.data) + _length(tx, chunk.c.hours) + chunk_bytes)
    of = (series.c.id, series.c.device_id, series.c.metric, series.c.kind)
    found = sa.select(*of, readings, size).join(chunk, chunk.c.series_id == series.c.id).group_by(*of)
    return [_held(row) for row in tx.execute(found.where(among(tx, series.c.device_id, device_ids)))]


def unsealed_of(tx: Tx, device_ids: Collection[int], value_bytes: int) -> list[Held]:
    size = sa.func.sum(sa.func.coalesce(sa.func.length(tail.c.text), 0) + value_bytes)
    of = (series.c.id, series.c.device_id, series.c.metric, series.c.kind)
    found = sa.select(*of, sa.func.count(), size).join(tail, tail.c.series_id == series.c.id).group_by(*of)
    return [_held(row) for row in tx.execute(found.where(among(tx, series.c.device_id, device_ids)))]


def _held(row: Any) -> Held:
    series_id, device_id, metric, kind, readings, size = row
    return Held(series_id, device_id, metric, KINDS[kind], int(readings), int(size))


def newest_chunk(tx: Tx, series_id: int, *, but: Collection[int] = ()) -> bytes | None:
    """Of those that still have values."""
    mine = sa.select(chunk.c.data).where(chunk.c.series_id == series_id, _length(tx, chunk.c.data) > 0)
    if but:
        mine = mine.where(~among(tx, chunk.c.id, but))
    return tx.scalar(mine.order_by(chunk.c.last_stamp.desc()).limit(1))


def newest_texts_of_tail(tx: Tx, series_ids: Collection[int]) -> dict[int, list[str]]:
    """In order of arrival."""
    found: dict[int, list[str]] = {}
    wanted = among(tx, tail.c.series_id, series_ids)
    for row in tx.all(sa.select(tail.c.series_id, tail.c.text).where(wanted).order_by(tail.c.id)):
        found.setdefault(row.series_id, []).append(row.text)
    return found


# Which series


def series_after(tx: Tx, after: int, most: int) -> Sequence[sa.Row[Any]]:
    columns = (series.c.id, series.c.device_id, series.c.metric, series.c.kind)
    return tx.all(sa.select(*columns).where(series.c.id > after).order_by(series.c.id).limit(most))


def series_of_devices(tx: Tx, device_ids: Collection[int], after: int, most: int) -> Sequence[sa.Row[Any]]:
    mine = sa.select(series.c.id, series.c.device_id, series.c.kind).where(series.c.id > after)
    return tx.all(mine.where(among(tx, series.c.device_id, device_ids)).order_by(series.c.id).limit(most))


def count_series(tx: Tx, device_ids: Collection[int], after: int = 0) -> int:
    mine = sa.select(sa.func.count()).where(among(tx, series.c.device_id, device_ids), series.c.id > after)
    return tx.scalar(mine.select_from(series))


def last_series(tx: Tx) -> int:
    return tx.scalar(sa.select(sa.func.max(series.c.id))) or 0


# What goes


def with_values_before(tx: Tx, series_ids: Collection[int], cut: int, most: int) -> list[Part]:
    """Chunks that are wholly older, the oldest of each series first; those stripped already are not looked at."""
    floor = sa.func.coalesce(kept_from.c.stamp, EARLIEST)
    mine = sa.select(*_parts(tx)).outerjoin_from(chunk, kept_from, kept_from.c.series_id == chunk.c.series_id)
    mine = mine.where(among(tx, chunk.c.series_id, series_ids), chunk.c.last_stamp < cut, chunk.c.last_stamp >= floor)
    mine = mine.where(_length(tx, chunk.c.data) > 0)
    return [Part(*row) for row in tx.execute(mine.order_by(chunk.c.series_id, chunk.c.last_stamp).limit(most))]


def wholly_before(tx: Tx, series_ids: Collection[int], cut: int, most: int) -> list[Part]:
    mine = sa.select(*_parts(tx)).where(among(tx, chunk.c.series_id, series_ids), chunk.c.last_stamp < cut)
    return [Part(*row) for row in tx.execute(mine.order_by(chunk.c.series_id, chunk.c.last_stamp).limit(most))]


def reaching_over(tx: Tx, series_ids: Collection[int], began_before: int, *, cut: int, most: int) -> list[Part]:
    """Chunks with values that began before `began_before` and end at or after `cut`."""
    mine = sa.select(*_parts(tx)).where(among(tx, chunk.c.series_id, series_ids), chunk.c.last_stamp >= cut)
    mine = mine.where(chunk.c.first_stamp < began_before, _length(tx, chunk.c.data) > 0)
    return [Part(*row) for row in tx.execute(mine.order_by(chunk.c.series_id).limit(most))]


def between(tx: Tx, series_ids: Collection[int], first: int, last: int) -> list[Part]:
    """Chunks with a stamp in the range, the oldest of each series first."""
    mine = sa.select(*_parts(tx)).where(among(tx, chunk.c.series_id, series_ids))
    mine = mine.where(chunk.c.last_stamp >= first, chunk.c.first_stamp <= last)
    return [Part(*row) for row in tx.execute(mine.order_by(chunk.c.series_id, chunk.c.last_stamp))]


def strip(tx: Tx, made: Mapping[int, bytes | None]) -> bool:
    """Takes the values of chunks away; their hours stay, or become those given. False when one was gone already."""
    mine = chunk.update().where(chunk.c.id == sa.bindparam("old", type_=sa.BigInteger))
    kept = [{"old": one} for one, hours in made.items() if hours is None]
    new = [{"old": one, "made": hours} for one, hours in made.items() if hours is not None]
    gone = tx.execute(mine.values(data=b""), kept).rowcount if kept else 0
    gone += tx.execute(mine.values(data=b"", hours=sa.bindparam("made")), new).rowcount if new else 0
    return gone == len(made)


def drop_tail(tx: Tx, ids: Collection[int]) -> int:
    """How many rows went."""
    return tx.execute(tail.delete().where(among(tx, tail.c.id, ids))).rowcount if ids else 0


def tail_between(tx: Tx, series_ids: Collection[int], first: int, last: int, *, most: int) -> list[int]:
    """Rows of the tail, in order of arrival."""
    mine = sa.select(tail.c.id).where(among(tx, tail.c.series_id, series_ids), tail.c.stamp.between(first, last))
    return [row.id for row in tx.all(mine.order_by(tail.c.id).limit(most))]


def lasts_in(tx: Tx, ends: Mapping[int, int], first: int, last: int) -> list[int]:
    """Series whose newest sealed value has a stamp in the range, and none behind the one given for it."""
    mine = sa.select(last_value.c.series_id, last_value.c.stamp).where(among(tx, last_value.c.series_id, ends))
    found = tx.all(mine.where(last_value.c.stamp.between(first, last)))
    return [row.series_id for row in found if row.stamp <= ends[row.series_id]]


def without_chunks(tx: Tx, series_ids: Collection[int]) -> list[int]:
    some = sa.select(chunk.c.id).where(chunk.c.series_id == series.c.id).exists()
    return [row.id for row in tx.all(sa.select(series.c.id).where(among(tx, series.c.id, series_ids), ~some))]


def set_last(tx: Tx, series_id: int, newest: tuple[int, float | None, str | None] | None) -> None:
    """As the newest sealed value, or none."""
    mine = last_value.c.series_id == series_id
    if newest is None:
        tx.execute(last_value.delete().where(mine))
        return
    stamp, number, text = newest
    tx.execute(last_value.update().where(mine).values(stamp=stamp, value=number, text=text))


# What a deleted device left


def left_behind(tx: Tx, most: int) -> list[int]:
    """Series that are gone themselves, but have chunks or a last value."""
    gone = sa.select(last_value.c.series_id).outerjoin_from(last_value, series, series.c.id == last_value.c.series_id)
    return [row.series_id for row in tx.all(gone.where(series.c.id.is_(None)).limit(most))]


def oldest(tx: Tx, series_ids: Collection[int], most: int) -> list[Part]:
    mine = sa.select(*_parts(tx)).where(among(tx, chunk.c.series_id, series_ids))
    return [Part(*row) for row in tx.execute(mine.order_by(chunk.c.series_id, chunk.c.last_stamp).limit(most))]


def forget_lasts(tx: Tx, series_ids: Collection[int]) -> None:
    tx.execute(last_value.delete().where(among(tx, last_value.c.series_id, series_ids)))
