"""The table of tags; every statement on it."""

import sqlalchemy as sa

from waystation.devices.model import Device
from waystation.devices.store import DEVICE_COLUMNS, device
from waystation.kernel.db import Tx, metadata, type_of_id

device_tag = sa.Table(
    "device_tag",
    metadata,
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag", sa.Text, primary_key=True),
    sa.Index("device_tag_tag", "tag"),
)


def add(tx: Tx, device_id: int, tag: str) -> bool:
    """False when it has the tag already."""
    row = tx.insert(device_tag).values(device_id=device_id, tag=tag)
    return tx.changed(row.on_conflict_do_nothing())


def remove(tx: Tx, device_id: int, tag: str) -> bool:
    return tx.changed(device_tag.delete().where(device_tag.c.device_id == device_id, device_tag.c.tag == tag))


def tags_of(tx: Tx, device_id: int) -> list[str]:
    """In alphabetical order."""
    mine = sa.select(device_tag.c.tag).where(device_tag.c.device_id == device_id).order_by(device_tag.c.tag)
    return [row.tag for row in tx.all(mine)]


def tags_of_home(tx: Tx, home_id: int) -> dict[str, int]:
    """How many devices of the home have which tag, in alphabetical order."""
    many = sa.select(device_tag.c.tag, sa.func.count().label("many")).join_from(device_tag, device)
    mine = many.where(device.c.home_id == home_id).group_by(device_tag.c.tag).order_by(device_tag.c.tag)
    return {row.tag: row.many for row in tx.all(mine)}


def by_tag(tx: Tx, home_id: int, tag: str) -> list[Device]:
    """By name."""
    tagged = sa.select(*DEVICE_COLUMNS).join_from(device, device_tag)
    mine = tagged.where(device.c.home_id == home_id, device_tag.c.tag == tag)
    return [Device(*row) for row in tx.all(mine.order_by(sa.func.lower(device.c.name), device.c.id))]
