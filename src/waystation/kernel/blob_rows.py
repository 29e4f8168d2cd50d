"""Which blobs there are. Whoever uses one has a foreign key to its row here; what nobody uses goes by a sweep.

A sweep cannot race an upload: the upload renews the row before its bytes take their place, and the sweep takes only
rows that have rested for longer than any upload needs from there to its end, and their bytes in the same transaction.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from waystation.kernel.blobs import Blobs, Draft
from waystation.kernel.db import Database, Moment, Tx, metadata

REST = timedelta(hours=1)
AT_ONCE = 200

blob = sa.Table(
    "blob",
    metadata,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("renewed_at", Moment, nullable=False),
    sa.Index("blob_renewed", "renewed_at"),
)


def keep(database: Database, blobs: Blobs, draft: Draft, now: datetime) -> str:
    """The draft's bytes are durable under the hash returned. Its user has an hour to refer to it: then it is swept."""
    sha256 = draft.sha256
    with database.write() as tx:
        renew(tx, sha256, draft.size, now)
    blobs.keep(draft)
    return sha256


def renew(tx: Tx, sha256: str, size_bytes: int, now: datetime) -> None:
    row = tx.insert(blob).values(sha256=sha256, size_bytes=size_bytes, renewed_at=now)
    tx.execute(row.on_conflict_do_update(index_elements=["sha256"], set_={"renewed_at": now}))


def rest(tx: Tx, sha256s: Collection[str], now: datetime) -> None:
    """Somebody has just ceased to use these: they stay for an hour more, so that a backup that is being made finds what
    its copy of the database tells of.
    """
    tx.execute(blob.update().where(blob.c.sha256.in_(sha256s)).values(renewed_at=now))


def size_of(tx: Tx, sha256: str) -> int | None:
    """None when there is no such blob."""
    return tx.scalar(sa.select(blob.c.size_bytes).where(blob.c.sha256 == sha256))


def sweep(database: Database, blobs: Blobs, now: datetime) -> int:
    """Takes away blobs that nobody uses; how many."""
    unused = _unused(now - REST)
    with database.read() as tx:
        found = [row.sha256 for row in tx.all(sa.select(blob.c.sha256).where(*unused).limit(AT_ONCE))]
    if not found:
        return 0
    with database.write() as tx:
        gone = tx.all(blob.delete().where(blob.c.sha256.in_(found), *unused).returning(blob.c.sha256))
        for row in gone:
            blobs.remove(row.sha256)
    return len(gone)


def adopt(database: Database, blobs: Blobs, now: datetime) -> int:
    """Bytes without a row, as a crash leaves them, get one, and are swept later unless somebody uses them by then."""
    adopted = 0
    for some in _parts(blobs.stored(), AT_ONCE):
        with database.read() as tx:
            known = {row.sha256 for row in tx.all(sa.select(blob.c.sha256).where(blob.c.sha256.in_(some)))}
        if strays := [sha256 for sha256 in some if sha256 not in known]:
            with database.write() as tx:
                for sha256 in strays:
                    row = tx.insert(blob).values(sha256=sha256, size_bytes=0, renewed_at=now)
                    tx.execute(row.on_conflict_do_nothing())
            adopted += len(strays)
    return adopted


def _unused(before: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """No column of any table that refers to blobs holds it."""
    return (blob.c.renewed_at < before, *(~sa.exists().where(column == blob.c.sha256) for column in _users()))


def _users() -> Sequence[sa.Column[Any]]:
    return [
        column
        for table in metadata.tables.values()
        for column in table.columns
        if any(key.column is blob.c.sha256 for key in column.foreign_keys)
    ]


def _parts(given: Iterator[str], most: int) -> Iterator[list[str]]:
    part: list[str] = []
    for one in given:
        part.append(one)
        if len(part) == most:
            yield part
            part = []
    if part:
        yield part
