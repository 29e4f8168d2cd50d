"""SQLite files that outlast a power cut: what a transaction has written is on the disk when it ends."""

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from waystation_agent.folder import sync_folder
from waystation_agent.logs import LOG, facts

PATIENCE_SECONDS = 10.0


def open_file(path: Path, schema: str) -> sqlite3.Connection:
    """Open a file, made if need be; its owner alone can read it. Every thread has a connection of its own."""
    db = sqlite3.connect(path, timeout=PATIENCE_SECONDS, isolation_level=None, cached_statements=32)
    try:
        _use_wal(db)
        db.execute("pragma synchronous = full")
        db.execute("pragma cache_size = -256")
        db.execute("pragma wal_autocheckpoint = 128")
        db.executescript(schema)
        _leave_to_owner(path)
    except BaseException:
        db.close()
        raise
    path.chmod(0o600)
    return db


def _leave_to_owner(path: Path) -> None:
    """By name: to open and close the file would take this process's locks from SQLite (howtocorrupt.html, 2.2)."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


@contextmanager
def transaction(db: sqlite3.Connection) -> Generator[None]:
    db.execute("begin immediate")
    try:
        yield
        db.execute("commit")
    except BaseException:
        if db.in_transaction:  # on a full disk SQLite has rolled back by itself
            db.execute("rollback")
        raise


def damage(db: sqlite3.Connection) -> str | None:
    """Return what is wrong with the file; None if it is sound. Reads all of it."""
    (found,) = db.execute("pragma quick_check(1)").fetchone()
    return None if found == "ok" else found


def make_sound(path: Path, schema: str) -> None:
    """See to it that a sound file is there. A damaged one is set aside whole: what comes next matters more."""
    try:
        with closing(open_file(path, schema)) as db:
            found = damage(db)
    except sqlite3.OperationalError:
        raise  # full disk, missing rights, locked: the file itself may be good
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found:
        aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
        path.rename(aside)
        for companion in ("-wal", "-shm"):
            path.with_name(path.name + companion).unlink(missing_ok=True)
        LOG.error("file is damaged, starting a new one %s", facts(file=path.name, damage=found, kept_as=aside))
        open_file(path, schema).close()
    sync_folder(path.parent)


def _use_wal(db: sqlite3.Connection) -> None:
    """Turn the write-ahead log on; for this one statement SQLite does not wait by itself while others hold the file."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            db.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(0.02)
        else:
            return
