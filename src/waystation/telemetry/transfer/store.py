"""What exports read of chunks and tail, and the table of exports."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation.kernel.db import Moment, Tx, metadata, type_of_id
from waystation.telemetry.store import among, chunk, series

# An export that was ordered over HTTP. Bytes, rows and SHA-256 are of what had been made when it was last noted.
transfer = sa.Table(
    "transfer",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("home_id", sa.BigInteger, nullable=False),
    sa.Column("wanted", sa.JSON, nullable=False),
    sa.Column("expected", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("cursor", sa.Text, nullable=False),
    sa.Column("is_done", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("noted_at", Moment, nullable=False),
    sa.Index("transfer_by_age", "created_at"),
    sqlite_autoincrement=True,
)


def ends(tx: Tx, series_ids: Collection[int], first: int, last: int) -> dict[int, list[int]]:
    """By series the last stamps of its chunks that reach into the range, ascending; read from the index alone."""
    within = (chunk.c.last_stamp >= first, chunk.c.first_stamp <= last, among(tx, chunk.c.series_id, series_ids))
    query = sa.select(chunk.c.series_id, chunk.c.last_stamp).where(*within)
    found: dict[int, list[int]] = {}
    for row in tx.all(query.order_by(chunk.c.series_id, chunk.c.last_stamp)):
        found.setdefault(row.series_id, []).append(row.last_stamp)
    return found


def sealed(tx: Tx, series_ids: Collection[int], first: int, last: int) -> Sequence[Sequence[Any]]:
    """(series id, data) of chunks that reach into the range, by series and time; none whose values are gone."""
    within = (chunk.c.last_stamp >= first, chunk.c.first_stamp <= last, among(tx, chunk.c.series_id, series_ids))
    query = sa.select(chunk.c.series_id, chunk.c.data).where(*within, chunk.c.data != b"")
    return tx.all(query.order_by(chunk.c.series_id, chunk.c.last_stamp))


def expected(tx: Tx, series_ids: Collection[int], first: int, last: int) -> int:
    """About how many sealed values there are: chunks that reach over the range count whole."""
    within = (chunk.c.last_stamp >= first, chunk.c.first_stamp <= last, among(tx, chunk.c.series_id, series_ids))
    return int(tx.scalar(sa.select(sa.func.coalesce(sa.func.sum(chunk.c.count), 0)).where(*within)))


def newest_series(tx: Tx) -> int:
    return tx.scalar(sa.select(sa.func.coalesce(sa.func.max(series.c.id), 0)))


def add(tx: Tx, home_id: int, wanted: Any, now: datetime, *, expected: int) -> int:
    row = {"home_id": home_id, "wanted": wanted, "expected": expected, "created_at": now, "noted_at": now}
    nothing = {"bytes": 0, "rows": 0, "sha256": "", "cursor": "", "is_done": False}
    return tx.scalar(transfer.insert().values(**row, **nothing).returning(transfer.c.id))


def find(tx: Tx, home_id: int, transfer_id: int) -> sa.Row[Any] | None:
    return tx.first(transfer.select().where(transfer.c.id == transfer_id, transfer.c.home_id == home_id))


def note(tx: Tx, transfer_id: int, now: datetime, **reached: Any) -> bool:
    """False when it had got farther before, by somebody who fetches the same."""
    behind = sa.and_(transfer.c.id == transfer_id, transfer.c.bytes <= reached["bytes"], ~transfer.c.is_done)
    return tx.changed(transfer.update().where(behind).values(noted_at=now, **reached))


def forget(tx: Tx, before: datetime, most: int = 500) -> int:
    old = sa.select(transfer.c.id).where(transfer.c.created_at < before).limit(most)
    return tx.execute(transfer.delete().where(transfer.c.id.in_(old))).rowcount
