"""The table of models; every statement on it."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from waystation.devices.model import Device
from waystation.devices.models.model import DeviceModel
from waystation.devices.store import DEVICE_COLUMNS, device
from waystation.kernel.db import Tx, metadata, type_of_id

device_model = sa.Table(
    "device_model",
    metadata,
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("command_schema", sa.JSON, nullable=False),
)


def put(tx: Tx, home_id: int, name: str, command_schema: dict[str, Any]) -> None:
    row = tx.insert(device_model).values(home_id=home_id, name=name, command_schema=command_schema)
    new = {"command_schema": row.excluded.command_schema}
    tx.execute(row.on_conflict_do_update(index_elements=["home_id", "name"], set_=new))


def remove(tx: Tx, home_id: int, name: str) -> bool:
    return tx.changed(device_model.delete().where(device_model.c.home_id == home_id, device_model.c.name == name))


def schemas(tx: Tx, home_id: int, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of those models that have one."""
    mine = device_model.select().where(device_model.c.home_id == home_id, device_model.c.name.in_(names))
    return {row.name: row.command_schema for row in tx.all(mine)}


def all_of(tx: Tx, home_id: int) -> list[DeviceModel]:
    """Models that devices of the home have or that have a schema, in alphabetical order."""
    many = sa.select(device.c.model, sa.func.count().label("many")).where(device.c.home_id == home_id)
    counts = {row.model: row.many for row in tx.all(many.group_by(device.c.model)) if row.model}
    known = {
        row.name: row.command_schema for row in tx.all(device_model.select().where(device_model.c.home_id == home_id))
    }
    return [DeviceModel(name, counts.get(name, 0), known.get(name)) for name in sorted(counts.keys() | known.keys())]


def of_model(tx: Tx, home_id: int, name: str) -> list[Device]:
    """By name."""
    mine = sa.select(*DEVICE_COLUMNS).where(device.c.home_id == home_id, device.c.model == name)
    return [Device(*row) for row in tx.all(mine.order_by(sa.func.lower(device.c.name), device.c.id))]
