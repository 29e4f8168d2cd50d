"""The disk that readings are kept on: how full it is, and what a database file holds that is not used."""

import os
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import Conflict, StorageFull
from waystation.telemetry.keeping import store

SCOPE = "disk"
MARGIN_BYTES = 64 << 20


class Disk(NamedTuple):
    used_bytes: int
    free_bytes: int

    @property
    def total_bytes(self) -> int:
        """What others may not use left out."""
        return self.used_bytes + self.free_bytes


def look(folder: Path) -> Disk:
    found = os.statvfs(folder)
    return Disk((found.f_blocks - found.f_bfree) * found.f_frsize, found.f_bavail * found.f_frsize)


def note_disk(database: Database, folder: Path, now: datetime) -> None:
    """For the forecast."""
    used = look(folder).used_bytes
    with database.write() as tx:
        store.note_size(tx, SCOPE, used, now)


class DatabaseFile(NamedTuple):
    """SQLite's: what is unused in it is filled again before it grows, but it does not shrink by itself."""

    size_bytes: int
    unused_bytes: int


def file_of(tx: Tx) -> DatabaseFile | None:
    """None for PostgreSQL, which looks after its files itself."""
    if not tx.is_sqlite:
        return None
    page, pages, free = store.sqlite_pages(tx)
    return DatabaseFile(page * pages, page * free)


def compact(database: Database) -> DatabaseFile:
    """Writes the file anew without what is unused. Nobody else may have it open; needs as much free disk as it has."""
    path = Path(str(database.url.database))
    with database.read() as tx:
        before = file_of(tx)
    if before is None:
        raise Conflict("PostgreSQL gives space back by itself (autovacuum); there is nothing to do")
    if look(path.parent).free_bytes < before.size_bytes - before.unused_bytes + MARGIN_BYTES:
        raise StorageFull("there is not enough free disk to write the database anew; free some space first")
    store.vacuum(database)
    with database.read() as tx:
        return file_of(tx) or before
