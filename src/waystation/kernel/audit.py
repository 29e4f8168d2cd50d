"""Who did what, when and from where: one row in the transaction of the deed itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation.kernel.db import Moment, Tx, metadata, type_of_id

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("did", sa.Text, nullable=False),
    sa.Column("on", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("ip", sa.Text),
    sa.Index("audit_at", "at"),
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who changes things: `person:ann@example.org`, `token:ci`, `device:abcdefgh`, `command line`."""

    who: str
    ip: str | None = None


COMMAND_LINE = Actor("command line")


def note(tx: Tx, by: Actor, did: str, on: str, *, now: datetime, **detail: Any) -> None:
    tx.execute(audit.insert().values(at=now, who=by.who, did=did, on=on, detail=detail, ip=by.ip))
