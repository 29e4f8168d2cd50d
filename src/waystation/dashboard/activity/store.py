"""What no other feature keeps: devices that fell silent or came back, and packages that arrived; every statement."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation.kernel.db import Moment, Tx, metadata, type_of_id

happening = sa.Table(
    "happening",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("device_key", sa.Text, nullable=False),
    sa.Column("did", sa.Text, nullable=False),
    sa.Column("of", sa.Text, nullable=False),
    sa.Column("of_uid", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Index("happening_home", "home_id", "id"),
    sa.Index("happening_at", "at"),
    sqlite_autoincrement=True,
)

presence = sa.Table(
    "presence",
    metadata,
    sa.Column(
        "device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    sa.Column("is_online", sa.Boolean, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Happening:
    """What a device did, to what; `of_uid` is that thing's id, if it has one."""

    id: int
    home_id: int
    at: datetime
    kind: str
    device_key: str
    did: str
    of: str = ""
    of_uid: str = ""
    severity: str = ""


HAPPENING = [happening.c[field.name] for field in fields(Happening)]


def add(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    blank = {"of": "", "of_uid": "", "severity": ""}
    tx.execute(happening.insert(), [blank | dict(row) for row in rows])


def newest(tx: Tx, home_id: int, kinds: Collection[str], *, before: int | None, most: int) -> list[Happening]:
    found = sa.select(*HAPPENING).where(happening.c.home_id == home_id, happening.c.kind.in_(kinds))
    if before is not None:
        found = found.where(happening.c.id < before)
    return [Happening(*row) for row in tx.all(found.order_by(happening.c.id.desc()).limit(most))]


def forget(tx: Tx, before: datetime, most: int = 500) -> int:
    old = sa.select(happening.c.id).where(happening.c.at < before).limit(most)
    return tx.execute(happening.delete().where(happening.c.id.in_(old))).rowcount


def known(tx: Tx) -> dict[int, bool]:
    """Which devices were online when it was looked last."""
    return {row.device_id: row.is_online for row in tx.all(sa.select(presence))}


def come_online(tx: Tx, device_id: int) -> bool:
    """False when another look has noted it already."""
    insert = tx.insert(presence).values(device_id=device_id, is_online=True)
    return tx.changed(insert.on_conflict_do_nothing()) or _turn(tx, device_id, is_online=True)


def fall_silent(tx: Tx, device_id: int) -> bool:
    """False when another look has noted it already."""
    return _turn(tx, device_id, is_online=False)


def _turn(tx: Tx, device_id: int, *, is_online: bool) -> bool:
    was = presence.c.is_online.is_not(is_online)
    return tx.changed(presence.update().where(presence.c.device_id == device_id, was).values(is_online=is_online))
