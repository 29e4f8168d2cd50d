"""Tables of packages, their members and what became of them on devices; every statement on them."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation.files.packages.model import OPEN, By, Delivery, Kind, Member, Package, State, Target
from waystation.kernel.db import Moment, Tx, metadata, type_of_id

package = sa.Table(
    "package",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False, unique=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("manifest_sha256", sa.Text),  # once it is staged
    sa.UniqueConstraint("home_id", "name", "version"),
    sqlite_autoincrement=True,
)

package_member = sa.Table(
    "package_member",
    metadata,
    sa.Column("package_id", type_of_id, sa.ForeignKey("package.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, sa.ForeignKey("blob.sha256"), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Index("package_member_blob", "sha256"),
)

package_target = sa.Table(
    "package_target",
    metadata,
    sa.Column("package_id", type_of_id, sa.ForeignKey("package.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
)

package_delivery = sa.Table(
    "package_delivery",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("package_id", type_of_id, sa.ForeignKey("package.id", ondelete="CASCADE"), nullable=False),
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE"), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("done_bytes", sa.BigInteger, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("staged_at", Moment, nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
    sa.UniqueConstraint("package_id", "device_id"),
    sa.Index("package_delivery_device", "device_id", "state"),
    sqlite_autoincrement=True,
)

PACKAGE_COLUMNS = [package.c[field.name] for field in fields(Package)]
DELIVERY_COLUMNS = [package_delivery.c[field.name] for field in fields(Delivery)]


def _package(row: Any) -> Package:
    facts: dict[str, Any] = row._asdict()
    facts["kind"] = Kind(facts["kind"])
    return Package(**facts)


def _delivery(row: Any) -> Delivery:
    facts: dict[str, Any] = row._asdict()
    facts["state"] = State(facts["state"])
    return Delivery(**facts)


def add(tx: Tx, **values: Any) -> Package:
    return _package(tx.execute(package.insert().values(**values).returning(*PACKAGE_COLUMNS)).one())


def by_uid(tx: Tx, home_id: int, uid: str) -> Package | None:
    row = tx.first(sa.select(*PACKAGE_COLUMNS).where(package.c.uid == uid, package.c.home_id == home_id))
    return _package(row) if row else None


def by_id(tx: Tx, package_id: int) -> Package | None:
    row = tx.first(sa.select(*PACKAGE_COLUMNS).where(package.c.id == package_id))
    return _package(row) if row else None


def by_name(tx: Tx, home_id: int, name: str, version: str) -> Package | None:
    same = (package.c.home_id == home_id, package.c.name == name, package.c.version == version)
    row = tx.first(sa.select(*PACKAGE_COLUMNS).where(*same))
    return _package(row) if row else None


def named(tx: Tx, home_id: int, name: str) -> list[Package]:
    """All versions, the newest first."""
    same = (package.c.home_id == home_id, package.c.name == name)
    return [_package(row) for row in tx.all(sa.select(*PACKAGE_COLUMNS).where(*same).order_by(package.c.id.desc()))]


def of_home(tx: Tx, home_id: int, *, before: int | None = None, most: int = 50) -> list[Package]:
    """Newest first."""
    found = sa.select(*PACKAGE_COLUMNS).where(package.c.home_id == home_id)
    if before is not None:
        found = found.where(package.c.id < before)
    return [_package(row) for row in tx.all(found.order_by(package.c.id.desc()).limit(most))]


def delete(tx: Tx, package_id: int) -> bool:
    return tx.changed(package.delete().where(package.c.id == package_id))


def seal(tx: Tx, package_id: int, manifest_sha256: str) -> bool:
    """Compare-and-set: from now on its members stay as they are."""
    loose = (package.c.id == package_id, package.c.manifest_sha256.is_(None))
    return tx.changed(package.update().where(*loose).values(manifest_sha256=manifest_sha256))


# Members


def put_member(tx: Tx, package_id: int, member: Member) -> None:
    """In place of another one of the name."""
    row = tx.insert(package_member).values(package_id=package_id, **member._asdict())
    new = {"sha256": member.sha256, "size_bytes": member.size_bytes}
    tx.execute(row.on_conflict_do_update(index_elements=["package_id", "name"], set_=new))


def remove_member(tx: Tx, package_id: int, name: str) -> bool:
    same = (package_member.c.package_id == package_id, package_member.c.name == name)
    return tx.changed(package_member.delete().where(*same))


def members(tx: Tx, package_id: int, *, first: int = 0, most: int | None = None) -> list[Member]:
    """By name, as bytes: PostgreSQL's own order is its language's."""
    columns = (package_member.c.name, package_member.c.size_bytes, package_member.c.sha256)
    in_order = sa.collate(package_member.c.name, "BINARY" if tx.is_sqlite else "C")
    found = sa.select(*columns).where(package_member.c.package_id == package_id).order_by(in_order)
    return [Member(*row) for row in tx.all(found.offset(first).limit(most))]


def sizes(tx: Tx, package_ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """How many members and bytes, by package; without an entry for one that is empty."""
    total = (sa.func.count().label("members"), sa.func.sum(package_member.c.size_bytes).label("total"))
    found = sa.select(package_member.c.package_id, *total).where(package_member.c.package_id.in_(package_ids))
    rows = tx.all(found.group_by(package_member.c.package_id))
    return {row.package_id: (row.members, int(row.total)) for row in rows}


# Targets and deliveries


def add_target(tx: Tx, package_id: int, target: Target) -> None:
    row = tx.insert(package_target).values(package_id=package_id, kind=target.by, value=target.value)
    tx.execute(row.on_conflict_do_nothing())


def targets(tx: Tx, package_id: int) -> list[Target]:
    found = sa.select(package_target.c.kind, package_target.c.value).where(package_target.c.package_id == package_id)
    return [Target(By(row.kind), row.value) for row in tx.all(found.order_by(*package_target.c))]


def stage(tx: Tx, package_id: int, device_id: int, now: datetime) -> bool:
    """Also one that was finished begins anew, at the end of the line; False for one that is under way."""
    fresh = {"state": State.STAGED, "done_bytes": 0, "detail": "", "staged_at": now, "changed_at": now}
    ended = (
        package_delivery.c.package_id == package_id,
        package_delivery.c.device_id == device_id,
        package_delivery.c.state.not_in(OPEN),
    )
    if tx.changed(package_delivery.update().where(*ended).values(**fresh)):
        return True
    row = tx.insert(package_delivery).values(package_id=package_id, device_id=device_id, **fresh)
    return tx.changed(row.on_conflict_do_nothing(index_elements=["package_id", "device_id"]))


def move(tx: Tx, delivery_id: int, among: Sequence[State], **values: Any) -> bool:
    """Compare-and-set."""
    same = (package_delivery.c.id == delivery_id, package_delivery.c.state.in_(among))
    return tx.changed(package_delivery.update().where(*same).values(**values))


def next_of(tx: Tx, device_id: int) -> Delivery | None:
    """The oldest that is staged for the device and not finished."""
    mine = (package_delivery.c.device_id == device_id, package_delivery.c.state.in_(OPEN))
    oldest = sa.select(*DELIVERY_COLUMNS).where(*mine)
    row = tx.first(oldest.order_by(package_delivery.c.staged_at, package_delivery.c.package_id).limit(1))
    return _delivery(row) if row else None


def delivery(tx: Tx, package_id: int, device_id: int) -> Delivery | None:
    same = (package_delivery.c.package_id == package_id, package_delivery.c.device_id == device_id)
    row = tx.first(sa.select(*DELIVERY_COLUMNS).where(*same))
    return _delivery(row) if row else None


def deliveries(tx: Tx, package_id: int) -> list[Delivery]:
    """In the order in which they were staged."""
    of_it = sa.select(*DELIVERY_COLUMNS).where(package_delivery.c.package_id == package_id)
    return [_delivery(row) for row in tx.all(of_it.order_by(package_delivery.c.staged_at, package_delivery.c.id))]


def of_device(tx: Tx, device_id: int, *, most: int = 50) -> list[tuple[Package, Delivery]]:
    """Last staged first."""
    found = sa.select(package_delivery.c.package_id).where(package_delivery.c.device_id == device_id)
    rows = tx.all(found.order_by(package_delivery.c.staged_at.desc(), package_delivery.c.id.desc()).limit(most))
    pairs = ((by_id(tx, row.package_id), delivery(tx, row.package_id, device_id)) for row in rows)
    return [(one, its) for one, its in pairs if one is not None and its is not None]


def states(tx: Tx, package_ids: Collection[int]) -> dict[int, dict[State, int]]:
    """On how many devices in which state, by package."""
    columns = (package_delivery.c.package_id, package_delivery.c.state, sa.func.count().label("devices"))
    found = sa.select(*columns).where(package_delivery.c.package_id.in_(package_ids))
    counted: dict[int, dict[State, int]] = {}
    for row in tx.all(found.group_by(package_delivery.c.package_id, package_delivery.c.state)):
        counted.setdefault(row.package_id, {})[State(row.state)] = row.devices
    return counted


def is_for(tx: Tx, device_id: int, sha256: str) -> int | None:
    """The size of the blob when a package that is staged for the device and not finished has it, else None."""
    member = package_member.join(package_delivery, package_delivery.c.package_id == package_member.c.package_id)
    mine = (package_delivery.c.device_id == device_id, package_delivery.c.state.in_(OPEN))
    found = sa.select(package_member.c.size_bytes).select_from(member)
    return tx.scalar(found.where(*mine, package_member.c.sha256 == sha256).limit(1))
