"""Tables of files and uploads; every statement on them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation.files.model import File, Upload
from waystation.kernel.db import Moment, Tx, metadata, type_of_id

file = sa.Table(
    "file",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False, unique=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE")),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, sa.ForeignKey("blob.sha256"), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Index("file_home", "home_id", "id"),
    sa.Index("file_device", "device_id", "name"),
    sa.Index("file_blob", "sha256"),
    sa.Index("file_at", "at"),
    sqlite_autoincrement=True,
)

upload = sa.Table(
    "upload",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False, unique=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE")),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("told", sa.Text, nullable=False),  # Upload-Metadata as its client sent it, to be given back
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("offset_bytes", sa.BigInteger, nullable=False),
    sa.Column("file_uid", sa.Text),
    sa.Column("touched_at", Moment, nullable=False),
    sa.Index("upload_touched", "touched_at"),
    sa.Index("upload_device", "device_id"),
    sa.Index("upload_home", "home_id"),
)

FILE_COLUMNS = [file.c[field.name] for field in fields(File)]
UPLOAD_COLUMNS = [upload.c[field.name] for field in fields(Upload)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which files of a home; `words` are looked for in the name."""

    home_id: int
    device_id: int | None = None
    from_people: bool = False
    name: str = ""
    words: str = ""


def add(tx: Tx, **values: Any) -> File:
    return File(*tx.execute(file.insert().values(**values).returning(*FILE_COLUMNS)).one())


def by_uid(tx: Tx, home_id: int, uid: str) -> File | None:
    row = tx.first(sa.select(*FILE_COLUMNS).where(file.c.uid == uid, file.c.home_id == home_id))
    return File(*row) if row else None


def newest(tx: Tx, wanted: Wanted, *, before: int | None = None, most: int = 50) -> list[File]:
    """Newest first; `before` is the id that the page before ended at."""
    found = sa.select(*FILE_COLUMNS).where(*_fits(wanted))
    if before is not None:
        found = found.where(file.c.id < before)
    return [File(*row) for row in tx.all(found.order_by(file.c.id.desc()).limit(most))]


def count(tx: Tx, wanted: Wanted) -> tuple[int, int]:
    """How many, and their bytes."""
    total = sa.func.coalesce(sa.func.sum(file.c.size_bytes), 0).label("total")
    row = tx.execute(sa.select(sa.func.count().label("files"), total).where(*_fits(wanted))).one()
    return row.files, int(row.total)


def _fits(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    fitting = [file.c.home_id == wanted.home_id]
    if wanted.device_id is not None:
        fitting.append(file.c.device_id == wanted.device_id)
    if wanted.from_people:
        fitting.append(file.c.device_id.is_(None))
    if wanted.name:
        fitting.append(file.c.name == wanted.name)
    for word in wanted.words.lower().split():
        fitting.append(sa.func.lower(file.c.name).contains(word, autoescape=True))  # noqa: PERF401  it reads on
    return fitting


def delete(tx: Tx, file_id: int) -> bool:
    return tx.changed(file.delete().where(file.c.id == file_id))


def size_of_device(tx: Tx, device_id: int) -> int:
    """Bytes of its files, and those that its uploads have asked for."""
    files = sa.select(sa.func.coalesce(sa.func.sum(file.c.size_bytes), 0)).where(file.c.device_id == device_id)
    open_ = upload.c.file_uid.is_(None)
    asked = sa.select(sa.func.coalesce(sa.func.sum(upload.c.size_bytes), 0)).where(
        upload.c.device_id == device_id, open_
    )
    return int(tx.scalar(files)) + int(tx.scalar(asked))


def older(tx: Tx, before: datetime, most: int) -> list[File]:
    """Of devices, the oldest first."""
    old = sa.select(*FILE_COLUMNS).where(file.c.at < before, file.c.device_id.is_not(None))
    return [File(*row) for row in tx.all(old.order_by(file.c.at).limit(most))]


# Uploads


def add_upload(tx: Tx, **values: Any) -> Upload:
    return Upload(*tx.execute(upload.insert().values(**values).returning(*UPLOAD_COLUMNS)).one())


def upload_by_uid(tx: Tx, uid: str) -> Upload | None:
    row = tx.first(sa.select(*UPLOAD_COLUMNS).where(upload.c.uid == uid))
    return Upload(*row) if row else None


def open_uploads(tx: Tx, home_id: int, *, device_id: int | None) -> int:
    """How many somebody has begun and not ended: a device's own, or those of all people."""
    whose = upload.c.device_id.is_(None) if device_id is None else upload.c.device_id == device_id
    begun = (upload.c.home_id == home_id, whose, upload.c.file_uid.is_(None))
    return int(tx.scalar(sa.select(sa.func.count()).select_from(upload).where(*begun)))


def advance(tx: Tx, upload_id: int, *, before: int, offset: int, now: datetime) -> bool:
    """False when it has ended, or somebody else has gone on from `before`."""
    same = (upload.c.id == upload_id, upload.c.offset_bytes == before, upload.c.file_uid.is_(None))
    return tx.changed(upload.update().where(*same).values(offset_bytes=offset, touched_at=now))


def finish_upload(tx: Tx, upload_id: int, file_uid: str, now: datetime) -> bool:
    begun = (upload.c.id == upload_id, upload.c.file_uid.is_(None))
    return tx.changed(upload.update().where(*begun).values(file_uid=file_uid, touched_at=now))


def delete_upload(tx: Tx, upload_id: int) -> bool:
    return tx.changed(upload.delete().where(upload.c.id == upload_id))


def rested_uploads(tx: Tx, before: datetime, most: int) -> list[Upload]:
    old = sa.select(*UPLOAD_COLUMNS).where(upload.c.touched_at < before)
    return [Upload(*row) for row in tx.all(old.order_by(upload.c.touched_at).limit(most))]


def open_uids(tx: Tx, uids: Sequence[str]) -> set[str]:
    """Those of them that are uploads under way."""
    begun = (upload.c.uid.in_(uids), upload.c.file_uid.is_(None))
    return {row.uid for row in tx.all(sa.select(upload.c.uid).where(*begun))}
