"""The keys and ids of a whole home, for who shows all of its devices at once."""

import sqlalchemy as sa

from waystation.devices.store import device
from waystation.kernel.db import Tx
from waystation.kernel.prepared import Prepared

KEYS_OF = Prepared(
    lambda _: (
        sa.select(device.c.id, device.c.key)
        .where(device.c.home_id == sa.bindparam("home_id"))
        .order_by(sa.func.lower(device.c.name), device.c.id)
        .limit(sa.bindparam("most"))
    )
)


def keys_of(tx: Tx, home_id: int, most: int) -> dict[int, str]:
    """Of the home's first devices by name, by id."""
    return dict(KEYS_OF.rows(tx, home_id=home_id, most=most))


def ids_of(tx: Tx, home_id: int) -> list[int]:
    return [row.id for row in tx.all(sa.select(device.c.id).where(device.c.home_id == home_id))]
