"""What DropSync devices said of themselves, tokens of the file, syncs and the system's log; every statement."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation.dialects.dropsync.model import Said
from waystation.kernel.db import Moment, Tx, metadata, type_of_id

said = sa.Table(
    "dropsync_device",
    metadata,
    sa.Column(
        "device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("at", Moment),
    sa.Column("trouble_since", Moment),
    sa.Column("polled_at", Moment),
    sa.Column("firmware_version", sa.Text),
    sa.Column("ip", sa.Text),
)

entry = sa.Table(
    "dropsync_entry",
    metadata,
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("credential_id", sa.BigInteger),  # None when the file lost against somebody's later deed
)

sync = sa.Table(
    "dropsync_sync",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE"), nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("sync_type", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text),
    sa.Column("file_uid", sa.Text),
    sa.Column("at", Moment, nullable=False),
    sa.Column("completed_at", Moment),
    sa.Column("error", sa.Text),
    sa.Index("dropsync_sync_device", "device_id", "id"),
    sa.Index("dropsync_sync_at", "at"),
    sqlite_autoincrement=True,
)

log = sa.Table(
    "dropsync_log",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Index("dropsync_log_home", "home_id", "id"),
    sa.Index("dropsync_log_at", "at"),
    sqlite_autoincrement=True,
)

meant = sa.Table(
    "dropsync_package",  # packages made here, and what is known of those without files, which the house cannot stage
    metadata,
    sa.Column(
        "package_id", type_of_id, sa.ForeignKey("package.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE"), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
    sa.Index("dropsync_package_device", "device_id"),
)

imported = sa.Table(
    "dropsync_import",
    metadata,
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("mark", sa.LargeBinary, primary_key=True),  # a digest of the old row
)

SAID_COLUMNS = [said.c[one.name] for one in fields(Said)]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the token file, as it was last read."""

    name: str
    digest: bytes
    credential_id: int | None


@dataclass(frozen=True, slots=True)
class Sync:
    id: int
    device_id: int
    filename: str
    sync_type: str
    status: str
    size_bytes: int
    sha256: str | None
    file_uid: str | None
    at: datetime
    completed_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Meant:
    """For which device a package was made, and how far it is as long as it has no files."""

    package_id: int
    device_id: int
    state: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the system's log."""

    id: int
    home_id: int
    at: datetime
    event: str
    source: str
    message: str
    severity: str
    detail: Any


def said_by(tx: Tx, device_ids: Collection[int]) -> dict[int, Said]:
    rows = tx.all(sa.select(said.c.device_id, *SAID_COLUMNS).where(said.c.device_id.in_(device_ids)))
    return {row[0]: Said(*row[1:]) for row in rows}


def keep_said(tx: Tx, device_id: int, now: Said) -> None:
    values = {one.name: getattr(now, one.name) for one in fields(Said)}
    row = tx.insert(said).values(device_id=device_id, **values)
    tx.execute(row.on_conflict_do_update(index_elements=[said.c.device_id], set_=values))


def note_polls(tx: Tx, polls: Iterable[tuple[int, datetime]]) -> None:
    """Of devices that have said something; never turned back by a late writer."""
    known = said.update().where(said.c.device_id == sa.bindparam("of"))
    later = known.where(sa.or_(said.c.polled_at.is_(None), said.c.polled_at < sa.bindparam("polled")))
    rows = [{"of": device_id, "polled": at} for device_id, at in polls]
    if rows:
        tx.execute(later.values(polled_at=sa.bindparam("polled")), rows)


def entries(tx: Tx, home_id: int) -> dict[str, Entry]:
    rows = tx.all(sa.select(entry.c.name, entry.c.digest, entry.c.credential_id).where(entry.c.home_id == home_id))
    return {row.name: Entry(*row) for row in rows}


def keep_entry(tx: Tx, home_id: int, kept: Entry) -> None:
    values = {"digest": kept.digest, "credential_id": kept.credential_id}
    row = tx.insert(entry).values(home_id=home_id, name=kept.name, **values)
    tx.execute(row.on_conflict_do_update(index_elements=[entry.c.home_id, entry.c.name], set_=values))


def forget_entry(tx: Tx, home_id: int, name: str) -> None:
    tx.execute(entry.delete().where(entry.c.home_id == home_id, entry.c.name == name))


def add_sync(tx: Tx, **values: Any) -> int:
    return tx.scalar(sync.insert().values(**values).returning(sync.c.id))


def syncs(tx: Tx, device_ids: Collection[int], most: int) -> list[Sync]:
    """Newest first."""
    wanted = sync.select().where(sync.c.device_id.in_(device_ids)).order_by(sync.c.id.desc()).limit(most)
    return [Sync(*row) for row in tx.all(wanted)]


def fetched(tx: Tx, device_id: int) -> set[str]:
    """The files that the device has had since they were put there."""
    done = sa.select(sync.c.file_uid).where(
        sync.c.device_id == device_id, sync.c.sync_type == "download", sync.c.file_uid.is_not(None)
    )
    return {row.file_uid for row in tx.all(done)}


def sync_of_file(tx: Tx, device_id: int, file_uid: str) -> int | None:
    """The line about its arrival; None when that is too old."""
    gone = sync.c.sync_type.in_(("download", "delete"))
    same = sa.and_(sync.c.device_id == device_id, sync.c.file_uid == file_uid, ~gone)
    return tx.scalar(sa.select(sa.func.max(sync.c.id)).where(same))


def set_sync_type(tx: Tx, sync_id: int, sync_type: str) -> None:
    tx.execute(sync.update().where(sync.c.id == sync_id).values(sync_type=sync_type))


def forget_syncs(tx: Tx, before: datetime, most: int) -> int:
    old = sa.select(sync.c.id).where(sync.c.at < before).limit(most)
    return tx.execute(sync.delete().where(sync.c.id.in_(old))).rowcount


def add_lines(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        tx.execute(log.insert(), rows)


def lines(tx: Tx, home_id: int, *, event: str = "", severity: str = "", most: int) -> list[Line]:
    """Newest first."""
    wanted = log.select().where(log.c.home_id == home_id)
    if event:
        wanted = wanted.where(log.c.event == event)
    if severity:
        wanted = wanted.where(log.c.severity == severity)
    return [Line(*row) for row in tx.all(wanted.order_by(log.c.id.desc()).limit(most))]


def forget_lines(tx: Tx, before: datetime, keep: int, most: int) -> int:
    """Those that are too old, and of each home those beyond the newest `keep`."""
    old = sa.select(log.c.id).where(log.c.at < before).limit(most)
    gone = tx.execute(log.delete().where(log.c.id.in_(old))).rowcount
    for row in tx.all(sa.select(log.c.home_id).group_by(log.c.home_id).having(sa.func.count() > keep)):
        mine = sa.select(log.c.id).where(log.c.home_id == row.home_id)
        edge = tx.scalar(mine.order_by(log.c.id.desc()).offset(keep).limit(1))
        beyond = mine.where(log.c.id <= edge).limit(most)
        gone += tx.execute(log.delete().where(log.c.id.in_(beyond))).rowcount
    return gone


def note_import(tx: Tx, home_id: int, kind: str, mark: bytes) -> bool:
    """False when the same row has been brought in before."""
    return tx.changed(tx.insert(imported).values(home_id=home_id, kind=kind, mark=mark).on_conflict_do_nothing())


def add_meant(tx: Tx, made: Meant) -> None:
    tx.execute(meant.insert().values(**asdict(made)))


def meant_for(tx: Tx, package_ids: Collection[int]) -> dict[int, Meant]:
    return {row.package_id: Meant(*row) for row in tx.all(meant.select().where(meant.c.package_id.in_(package_ids)))}


def set_meant(tx: Tx, package_id: int, state: str, now: datetime) -> bool:
    """False when it is so already."""
    other = meant.update().where(meant.c.package_id == package_id, meant.c.state != state)
    return tx.changed(other.values(state=state, changed_at=now))


def forget_import(tx: Tx, home_id: int, kind: str, mark: bytes) -> None:
    same = sa.and_(imported.c.home_id == home_id, imported.c.kind == kind, imported.c.mark == mark)
    tx.execute(imported.delete().where(same))
