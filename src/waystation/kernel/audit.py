"""Who did what, when and from where: one row in the transaction of the deed itself."""

from collections.abc import Sequence
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
    sa.Column("home_id", type_of_id),  # no foreign key: what was done outlives the home
    sa.Index("audit_at", "at"),
    sa.Index("audit_home", "home_id", "at"),
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who changes things: `person:ann@example.org`, `token:ci`, `device:abcdefgh`, `command line`.

    With the home in which they do; what is done outside of any home is shown to the site's operators only.
    """

    who: str
    ip: str | None = None
    home_id: int | None = None


COMMAND_LINE = Actor("command line")


def note(tx: Tx, by: Actor, did: str, on: str, *, now: datetime, **detail: Any) -> None:
    values = {"at": now, "who": by.who, "did": did, "on": on, "detail": detail, "ip": by.ip, "home_id": by.home_id}
    tx.execute(audit.insert().values(**values))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows: of one home, or of the whole site when `home_id` is None; words are looked for in every column.

    With `deeds` only rows that say one of these.
    """

    home_id: int | None
    words: str = ""
    first: datetime | None = None
    last: datetime | None = None
    deeds: Sequence[str] = ()


def newest(tx: Tx, wanted: Wanted, *, before: int | None = None, most: int = 100) -> Sequence[sa.Row[Any]]:
    """Newest first; `before` is the id that the page before ended at."""
    found = audit.select()
    if wanted.home_id is not None:
        found = found.where(audit.c.home_id == wanted.home_id)
    if wanted.deeds:
        found = found.where(audit.c.did.in_(wanted.deeds))
    if wanted.first is not None:
        found = found.where(audit.c.at >= wanted.first)
    if wanted.last is not None:
        found = found.where(audit.c.at < wanted.last)
    if before is not None:
        found = found.where(audit.c.id < before)
    for word in wanted.words.lower().split():
        text = audit.c.who + " " + audit.c.did + " " + audit.c.on + " " + sa.func.coalesce(audit.c.ip, "")
        found = found.where(
            sa.func.lower(text + " " + sa.cast(audit.c.detail, sa.Text)).contains(word, autoescape=True)
        )
    return tx.all(found.order_by(audit.c.id.desc()).limit(most))
