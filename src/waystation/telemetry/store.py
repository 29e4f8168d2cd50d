"""Telemetry's tables and every statement on them."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from waystation.kernel.clock import EPOCH, Clock, SystemClock
from waystation.kernel.db import Moment, Tx, metadata, type_of_id
from waystation.kernel.prepared import Prepared, Rows, many
from waystation.kernel.prepared import among as one_of
from waystation.telemetry.model import TEXT, Kind, Series, Stamped

series = sa.Table(
    "series",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("device_id", sa.BigInteger, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("unit", sa.Text),
    sa.Column("created_at", Moment, nullable=False),
    sa.UniqueConstraint("device_id", "metric", "kind"),
    sqlite_autoincrement=True,  # rows in the tail may outlive their series: an id is never given again
)

# What has arrived, in order of arrival. Nothing but appends and the sealer's deletes from its old end; no index.
tail = sa.Table(
    "tail",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("series_id", sa.BigInteger, nullable=False),
    sa.Column("stamp", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("text", sa.Text),
)

# Sealed runs of one series; the chunks of a series never overlap. Sums are null for text, and where they overflow.
# `hours` is null where they would cost much beside the data, which is empty where only the hours were kept. They come
# before it, for SQLite reads a row from its front.
chunk = sa.Table(
    "chunk",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("series_id", sa.BigInteger, nullable=False),
    sa.Column("first_stamp", sa.BigInteger, nullable=False),
    sa.Column("last_stamp", sa.BigInteger, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("min", sa.Double),
    sa.Column("max", sa.Double),
    sa.Column("sum", sa.Double),
    sa.Column("hours", sa.LargeBinary),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Index("chunk_by_series_and_time", "series_id", "last_stamp", "first_stamp"),
)

# The newest sealed value of every series, written by the sealer only; a newer one may be in the tail.
last_value = sa.Table(
    "last_value",
    metadata,
    sa.Column("series_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("stamp", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("text", sa.Text),
)

# One row. Whoever takes rows away from the tail or chunks first moves `turn` from what it saw: only one can.
seal_turn = sa.Table(
    "seal_turn",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("turn", sa.BigInteger, nullable=False),
    sa.Column("sealed_at", Moment, nullable=False),
)

SeriesKey = tuple[int, str, int]
"""device id, metric, kind"""

MOST_REMEMBERED = 500_000


class SeriesIds:
    """What this process knows of the ids of series. It learns an id only after the commit that made it."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._known: dict[SeriesKey, int] = {}
        self._clock = clock or SystemClock()

    @property
    def known(self) -> Mapping[SeriesKey, int]:
        return self._known

    def found(self, tx: Tx, keys: Collection[SeriesKey]) -> Mapping[SeriesKey, int]:
        """The id of every key; series that do not exist are made."""
        missing = [key for key in keys if key not in self._known]
        found = {key: self._known[key] for key in keys if key in self._known}
        if missing:
            made = _made(tx, missing, self._clock.now())
            tx.after_commit(lambda: self._learn(made))
            found.update(made)
        return found

    def _learn(self, made: Mapping[SeriesKey, int]) -> None:
        if len(self._known) + len(made) > MOST_REMEMBERED:
            self._known = {}
        self._known.update(made)


def append(tx: Tx, ids: SeriesIds, arrived: Sequence[Stamped]) -> None:
    """Stores all rows behind the tail; nothing is looked up, so a duplicate is stored and disappears later."""
    try:
        _append(tx, ids.known, arrived)
    except KeyError:
        keys = {(stamped.device_id, metric, kind) for stamped in arrived for metric, kind, _, _ in stamped.rows}
        _append(tx, ids.found(tx, keys), arrived)


def _append(tx: Tx, ids: Mapping[SeriesKey, int], arrived: Sequence[Stamped]) -> None:
    numbers: list[Sequence[Any]] = []
    texts: list[Sequence[Any]] = []
    for stamped in arrived:
        device_id = stamped.device_id
        for metric, kind, stamp, value in stamped.rows:
            (texts if kind == TEXT else numbers).append((ids[device_id, metric, kind], stamp, value))
    _insert(tx, (tail.c.series_id, tail.c.stamp, tail.c.value), numbers)
    _insert(tx, (tail.c.series_id, tail.c.stamp, tail.c.text), texts)


def _made(tx: Tx, keys: Collection[SeriesKey], now: datetime) -> dict[SeriesKey, int]:
    rows = [
        {"device_id": device_id, "metric": metric, "kind": int(kind), "created_at": now}
        for device_id, metric, kind in sorted(keys)  # in one order everywhere, so that two processes cannot deadlock
    ]
    tx.execute(tx.insert(series).on_conflict_do_nothing(), rows)
    of_devices = sa.select(series).where(among(tx, series.c.device_id, {device_id for device_id, _, _ in keys}))
    ids = {(row.device_id, row.metric, row.kind): row.id for row in tx.all(of_devices)}
    return {key: ids[key] for key in keys}


def _insert(tx: Tx, columns: Sequence[sa.Column[Any]], rows: Sequence[Sequence[Any]], *, then: str = "") -> None:
    """As fast as the drivers can: `executemany` for SQLite, one array per column for PostgreSQL."""
    if not rows:
        return
    into = f"insert into {columns[0].table} ({', '.join(column.name for column in columns)})"
    if tx.is_sqlite:
        tx.connection.exec_driver_sql(f"{into} values ({', '.join('?' * len(columns))}) {then}", rows)
        return
    arrays = ", ".join(f"%s::{column.type.compile(tx.connection.dialect)}[]" for column in columns)
    by_column = tuple(list(column) for column in zip(*rows, strict=True))
    tx.connection.exec_driver_sql(f"{into} select * from unnest({arrays}) {then}", by_column)  # noqa: S608 no input


def among(tx: Tx, column: sa.ColumnElement[Any], ids: Iterable[int]) -> sa.ColumnElement[bool]:
    """`column in (…)` with one parameter, however many ids there are."""
    if tx.is_sqlite:
        return column.in_(sa.select(sa.func.json_each(str(list(ids))).table_valued("value").c.value))
    return column == sa.any_(sa.cast(list(ids), sa.ARRAY(sa.BigInteger)))


# Series

KINDS = tuple(Kind)
SERIES = sa.select(series.c.id, series.c.device_id, series.c.metric, series.c.kind, series.c.unit).order_by(
    series.c.device_id, series.c.metric, series.c.kind
)


class OfDevices:
    """What a statement has of all series of some devices, or of some metrics of them."""

    def __init__(self, statement: sa.Select[*tuple[Any, ...]]) -> None:
        self._all = Prepared(lambda on: statement.where(one_of(on, series.c.device_id, "devices")))
        both = (series.c.device_id, "devices"), (series.c.metric, "metrics")
        self._named = Prepared(lambda on: statement.where(*(one_of(on, *one) for one in both)))

    def rows(self, tx: Tx, device_ids: Collection[int], metrics: Collection[str] | None) -> Rows:
        devices = many(tx, device_ids)
        if metrics is None:
            return self._all.rows(tx, devices=devices)
        return self._named.rows(tx, devices=devices, metrics=many(tx, metrics))


SERIES_OF = OfDevices(SERIES)


def series_of(tx: Tx, device_ids: Collection[int], metrics: Collection[str] | None = None) -> list[Series]:
    """By device and metric; with `metrics` only those."""
    rows = SERIES_OF.rows(tx, device_ids, metrics)
    return [
        Series(series_id, device_id, metric, KINDS[kind], unit) for series_id, device_id, metric, kind, unit in rows
    ]


def kinds_of(tx: Tx, series_ids: Collection[int]) -> dict[int, Kind]:
    """Of those that still exist."""
    query = sa.select(series.c.id, series.c.kind).where(among(tx, series.c.id, series_ids))
    return {row.id: Kind(row.kind) for row in tx.all(query)}


def forget_device(tx: Tx, device_id: int) -> None:
    """Its series go at once, and with them all that is known of it; their chunks go bit by bit, in a sweep.

    The rows of last_value tell the sweep whose chunks these are. Rows in the tail have no series any more: the sealer
    drops them.
    """
    ids = [row.id for row in tx.all(sa.select(series.c.id).where(series.c.device_id == device_id))]
    _insert(tx, tuple(last_value.c), [(one, 0, None, None) for one in ids], then="on conflict do nothing")
    tx.execute(sa.delete(series).where(series.c.device_id == device_id))
    _pass_turn(tx)


# The tail

TAIL_ROW = (tail.c.series_id, tail.c.stamp, tail.c.value, tail.c.text)


class Span(NamedTuple):
    lo: int
    hi: int

    @property
    def rows(self) -> int:
        """At least as many as there are; exactly on SQLite."""
        return self.hi - self.lo + 1


class Columns(NamedTuple):
    """Rows of the tail, column by column; of value and text the one that the kind does not use is NaN or None."""

    series_ids: NDArray[np.int64]
    stamps: NDArray[np.int64]
    values: NDArray[np.float64]
    texts: NDArray[Any]


BLOCK_ROWS = 256  # as tuples these still lie in the processor's cache when their columns are made
MOST_CHARACTERS = 8_000_000


TAIL_SPAN = Prepared(
    lambda _: sa.select(*(sa.select(of(tail.c.id)).scalar_subquery() for of in (sa.func.min, sa.func.max)))
)


def tail_span(tx: Tx) -> Span | None:
    [(lo, hi)] = TAIL_SPAN.rows(tx)
    return None if lo is None else Span(lo, hi)


def oldest_of_tail(tx: Tx, most: int, *, before: int) -> tuple[Span, Columns]:
    """The first rows to arrive with ids below `before`, in order of arrival, fewer with much text; at least one."""
    result = tx.execute(sa.select(tail).where(tail.c.id < before).order_by(tail.c.id).limit(most))
    rows = result.cursor
    assert rows is not None
    blocks: list[Columns] = []
    ids: list[int] = []
    characters = 0
    # The driver's own tuples, few at a time, are a fifth of the cost of all rows as Rows.
    while characters < MOST_CHARACTERS and (block := rows.fetchmany(BLOCK_ROWS)):
        ids += (block[0][0], block[-1][0])
        _, series_ids, stamps, values, texts = zip(*block, strict=True)
        characters += sum([len(text) for text in texts if text])
        blocks.append(_columns(series_ids, stamps, values, texts))
    result.close()
    return Span(ids[0], ids[-1]), Columns(*(np.concatenate(column) for column in zip(*blocks, strict=True)))


def _columns(series_ids: Sequence[int], stamps: Sequence[int], values: Sequence[Any], texts: Sequence[Any]) -> Columns:
    numbers = np.array(values, np.float64)
    return Columns(np.array(series_ids, np.int64), np.array(stamps, np.int64), numbers, np.array(texts, object))


def drop_tail(tx: Tx, span: Span) -> int:
    """How many rows went."""
    return tx.execute(sa.delete(tail).where(tail.c.id.between(*span))).rowcount


TAIL_OF = Prepared(
    lambda on: (
        sa.select(*TAIL_ROW).where(within(tail.c.stamp), one_of(on, tail.c.series_id, "series")).order_by(tail.c.id)
    )
)


def within(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return column.between(sa.bindparam("first"), sa.bindparam("last"))


def tail_of(tx: Tx, series_ids: Collection[int], first: int, last: int) -> Sequence[Sequence[Any]]:
    """What has not been sealed yet, in order of arrival; duplicates of each other and of chunks are in it."""
    return TAIL_OF.rows(tx, first=first, last=last, series=many(tx, series_ids))


# Chunks


@dataclass(frozen=True, slots=True)
class Sealed:
    """A chunk without its data."""

    id: int
    series_id: int
    first: int
    last: int
    count: int
    min: float | None
    max: float | None
    sum: float | None
    has_hours: bool = False
    is_stripped: bool = False  # its data are gone, only the hours are left


FACTS = (
    chunk.c.id,
    chunk.c.series_id,
    chunk.c.first_stamp,
    chunk.c.last_stamp,
    chunk.c.count,
    chunk.c.min,
    chunk.c.max,
    chunk.c.sum,
    chunk.c.hours.is_not(None).label("has_hours"),
    (sa.func.length(chunk.c.data) == 0).label("is_stripped"),
)
NEW_CHUNK = (*list(chunk.c)[1:-2], chunk.c.data, chunk.c.hours)
NEARBY = 8  # merging keeps a series' chunks in sizes that grow fourfold backwards: a run never reaches over so many

# The chunks of each run's series that end at or after its first stamp, and the few before them.
AROUND = """
    select c.id, c.series_id, c.first_stamp, c.last_stamp, c.count, c.min, c.max, c.sum,
        c.hours is not null, length(c.data) = 0
    from {runs} cross join chunk c
    where c.series_id = runs.series_id and c.last_stamp >= coalesce(
        (select min(near.last_stamp) from (
            select last_stamp from chunk
            where chunk.series_id = runs.series_id and chunk.last_stamp < runs.first_stamp
            order by last_stamp desc limit {nearby}
        ) near),
        runs.first_stamp)
    order by c.series_id, c.last_stamp
"""
SQLITE_RUNS = """(
    select json_extract(value, '$[0]') as series_id, json_extract(value, '$[1]') as first_stamp from json_each(:runs)
) runs"""
POSTGRES_RUNS = "unnest(cast(:ids as bigint[]), cast(:firsts as bigint[])) runs (series_id, first_stamp)"


def chunks_around(tx: Tx, runs: Mapping[int, int]) -> dict[int, list[Sealed]]:
    """For runs as {series id: first stamp}: by series, in order of time, the chunks that sealing them may touch."""
    if tx.is_sqlite:
        query = sa.text(AROUND.format(runs=SQLITE_RUNS, nearby=NEARBY)).bindparams(runs=json.dumps(list(runs.items())))
    else:
        query = sa.text(AROUND.format(runs=POSTGRES_RUNS, nearby=NEARBY))
        query = query.bindparams(ids=list(runs), firsts=list(runs.values()))
    found: dict[int, list[Sealed]] = {}
    for row in tx.all(query):
        found.setdefault(row.series_id, []).append(_sealed(row))
    return found


def chunks_between(tx: Tx, series_ids: Collection[int], first: int, last: int) -> list[Sealed]:
    """Those with a stamp in the range, by series and time."""
    rows = CHUNKS_BETWEEN.rows(tx, first=first, last=last, series=many(tx, series_ids))
    return [_sealed(row) for row in rows]


def _sealed(row: Sequence[Any]) -> Sealed:
    """SQLite's own truth values are numbers."""
    *facts, has_hours, is_stripped = row
    return Sealed(*facts, has_hours=bool(has_hours), is_stripped=bool(is_stripped))


CHUNKS_BETWEEN = Prepared(
    lambda on: (
        sa.select(*FACTS)
        .where(chunk.c.last_stamp >= sa.bindparam("first"), chunk.c.first_stamp <= sa.bindparam("last"))
        .where(one_of(on, chunk.c.series_id, "series"))
        .order_by(chunk.c.series_id, chunk.c.last_stamp)
    )
)
CONTENTS = Prepared(lambda on: sa.select(chunk.c.id, chunk.c.data).where(one_of(on, chunk.c.id, "chunks")))
HOURS_OF = Prepared(
    lambda on: sa.select(chunk.c.id, chunk.c.hours).where(one_of(on, chunk.c.id, "chunks"), chunk.c.hours.is_not(None))
)


def contents(tx: Tx, chunk_ids: Collection[int]) -> dict[int, bytes]:
    return dict(CONTENTS.rows(tx, chunks=many(tx, chunk_ids))) if chunk_ids else {}


def hours_of(tx: Tx, chunk_ids: Collection[int]) -> dict[int, bytes]:
    """Those that are kept."""
    return dict(HOURS_OF.rows(tx, chunks=many(tx, chunk_ids)))


def replace_chunks(tx: Tx, old: Collection[int], new: Sequence[Sequence[Any]]) -> bool:
    """`new` as rows of NEW_CHUNK. False when an old one was gone already; the caller must roll back then."""
    gone = tx.execute(sa.delete(chunk).where(among(tx, chunk.c.id, old))).rowcount if old else 0
    _insert(tx, NEW_CHUNK, new)
    return gone == len(old)


# Last values and the sealer's turn


def keep_newest(tx: Tx, rows: Sequence[Sequence[Any]]) -> None:
    """One row of (series id, stamp, value, text) per series; what is not newer than the kept value changes nothing."""
    newer = """
        on conflict (series_id) do update set stamp = excluded.stamp, value = excluded.value, text = excluded.text
        where excluded.stamp > last_value.stamp
    """
    _insert(tx, tuple(last_value.c), rows, then=newer)


class Turn(NamedTuple):
    turn: int
    sealed_at: datetime


def turn(tx: Tx) -> Turn | None:
    """None before the first sealing."""
    row = tx.first(sa.select(seal_turn.c.turn, seal_turn.c.sealed_at))
    return None if row is None else Turn(*row)


def _pass_turn(tx: Tx) -> None:
    """A sealer that is under way finds out, even the very first one."""
    first = tx.insert(seal_turn).values(id=1, turn=1, sealed_at=EPOCH)
    tx.execute(first.on_conflict_do_update(index_elements=[seal_turn.c.id], set_={"turn": seal_turn.c.turn + 1}))


def take_turn(tx: Tx, seen: Turn | None, now: datetime) -> bool:
    """Compare-and-set: False when somebody else has sealed or deleted since `seen` was read."""
    if seen is None:
        first = tx.insert(seal_turn).values(id=1, turn=1, sealed_at=now).on_conflict_do_nothing()
        return (
            tx.first(first.returning(seal_turn.c.id)) is not None
        )  # an insert's row count is not told by every driver
    mine = sa.update(seal_turn).where(seal_turn.c.turn == seen.turn)
    return tx.changed(mine.values(turn=seen.turn + 1, sealed_at=now))


# Counts for the system page


class Extent(NamedTuple):
    series: int
    values: int
    unsealed: int
    chunks: int
    chunk_bytes: int


def extent(tx: Tx) -> Extent:
    """Duplicates in the tail are counted until they are sealed."""
    span = tail_span(tx)
    unsealed = span.rows if span else 0
    sealed = sa.select(
        sa.func.count().label("chunks"),
        sa.func.coalesce(sa.func.sum(chunk.c.count), 0).label("total"),
        sa.func.coalesce(sa.func.sum(_length(tx)), 0).label("size"),
    ).select_from(chunk)
    found = tx.execute(sealed).one()
    known = tx.scalar(sa.select(sa.func.count()).select_from(series))
    return Extent(known, int(found.total) + unsealed, unsealed, found.chunks, int(found.size))


def _length(tx: Tx) -> sa.ColumnElement[int]:
    return sa.func.length(chunk.c.data) if tx.is_sqlite else sa.func.octet_length(chunk.c.data)
