"""How much of its storage a home has used for what is not readings, and who says whether there is room for more."""

from collections.abc import Mapping
from typing import Protocol

import sqlalchemy as sa

from waystation.kernel.db import Tx, metadata, type_of_id

room_used = sa.Table(
    "room_used",
    metadata,
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
)

CHANGED = "quota.changed"
"""The notice after which whoever keeps a count of what is used looks again."""


class Room(Protocol):
    """A part; telemetry's quota is it, because plans and most of what is stored are there."""

    def check(self, home_id: int, more_bytes: int = 0) -> None:
        """StorageFull when the plan of the home's owner does not give so much more."""
        ...


def add(tx: Tx, home_id: int, kind: str, more_bytes: int) -> None:
    """In the transaction in which it is stored, or deleted (less than 0): so the count is never wrong."""
    if not more_bytes:
        return
    insert = tx.insert(room_used).values(home_id=home_id, kind=kind, size_bytes=more_bytes)
    more = {"size_bytes": room_used.c.size_bytes + more_bytes}
    tx.execute(insert.on_conflict_do_update(index_elements=["home_id", "kind"], set_=more))


def used(tx: Tx) -> Mapping[int, int]:
    """Bytes by home, of those that have any."""
    total = sa.func.sum(room_used.c.size_bytes).label("total")
    found = sa.select(room_used.c.home_id, total).group_by(room_used.c.home_id)
    return {row.home_id: int(row.total) for row in tx.all(found)}


def used_by(tx: Tx, home_id: int) -> int:
    total = sa.func.coalesce(sa.func.sum(room_used.c.size_bytes), 0)
    return int(tx.scalar(sa.select(total).where(room_used.c.home_id == home_id)))
