"""Posts that a sender may repeat, and what is odd about a device; every statement on them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from waystation import devices
from waystation.kernel.db import Moment, Tx, metadata, type_of_id

post = sa.Table(
    "thermostat_post",
    metadata,
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("digest", sa.LargeBinary, primary_key=True),  # of the sender's key
    sa.Column("body", sa.LargeBinary, nullable=False),  # its digest
    sa.Column("at", sa.BigInteger, nullable=False, unique=True),
)

oddity = sa.Table(
    "thermostat_oddity",
    metadata,
    sa.Column(
        "device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    sa.Column("faults", sa.Integer, nullable=False, server_default="0"),
    sa.Column("fault_since", Moment),
    sa.Column("fault_at", Moment),
    sa.Column("addresses", sa.Text),
    sa.Column("addresses_at", Moment),
)

STEP = 16  # microseconds; what arrives without a key never has a remainder of zero (telemetry.Arrivals)
TRIES = 100


@dataclass(frozen=True, slots=True)
class Kept:
    """The arrival that a repeated post has for good, and what was posted then."""

    at: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Oddity:
    """`faults` bodies without a number came in a row from `fault_since` to `fault_at`; `addresses` took turns."""

    device_id: int
    faults: int = 0
    fault_since: datetime | None = None
    fault_at: datetime | None = None
    addresses: str | None = None
    addresses_at: datetime | None = None


def keep_post(tx: Tx, device_id: int, digest: bytes, body: bytes, *, now: int) -> Kept:
    """The same for the same digest for as long as the row is kept; no other post has its arrival."""
    at = now - now % STEP
    for attempt in range(TRIES):
        row = {"device_id": device_id, "digest": digest, "body": body, "at": at + attempt * STEP}
        tx.execute(tx.insert(post).values(**row).on_conflict_do_nothing())
        same = sa.select(post.c.at, post.c.body).where(post.c.device_id == device_id, post.c.digest == digest)
        if (found := tx.first(same)) is not None:
            return Kept(*found)
    raise AssertionError("a hundred posts in one moment")


def forget_posts(tx: Tx, before: int, most: int = 1000) -> int:
    old = sa.select(post.c.device_id, post.c.digest).where(post.c.at < before).limit(most)
    keys = [tuple(row) for row in tx.all(old)]
    return tx.execute(post.delete().where(sa.tuple_(post.c.device_id, post.c.digest).in_(keys))).rowcount if keys else 0


def oddities(tx: Tx, device_ids: Collection[int]) -> dict[int, Oddity]:
    rows = tx.all(oddity.select().where(oddity.c.device_id.in_(device_ids)))
    return {row.device_id: Oddity(*row) for row in rows}


def keep_oddity(tx: Tx, found: Oddity) -> None:
    """Nothing for a device that is gone."""
    if devices.by_id(tx, found.device_id) is None:
        return
    values = {column.name: getattr(found, column.name) for column in oddity.c}
    row = tx.insert(oddity).values(**values)
    changes = {name: value for name, value in values.items() if name != "device_id"}
    tx.execute(row.on_conflict_do_update(index_elements=[oddity.c.device_id], set_=changes))
