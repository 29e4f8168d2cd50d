"""Brings SQLite's log into its file beside those who commit, not within one of their commits.

SQLite does it by itself in the commit that makes the log long enough, which then takes ten times as long as others do.
"""

import os
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from waystation.kernel.db import Database

log = structlog.get_logger(__name__)

EVERY_SECONDS = 0.5
ENOUGH_PAGES = 4096  # 16 MB, from which on writers wait for a moment, so that the log can begin anew
FEW_PAGES = 250
LONG_PAGES = 8192
DESCRIPTORS = Path("/proc/self/fd")
WAIT_MS = 20  # for a reader who keeps a long log from beginning anew


class Length(NamedTuple):
    """Of the log, in pages, and how much of that is in the file as well."""

    log: int
    done: int


class Checkpoints:
    """A thread. PostgreSQL has its own, so there it does nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def start(self) -> None:
        if self._database.is_sqlite:
            self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._database.is_sqlite:
            self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(EVERY_SECONDS):
            if self._seen != self._database.commits:
                self._seen = self._database.commits
                self._attempt()

    def _attempt(self) -> None:
        try:
            with self._database.outside_transactions() as connection:
                checkpoint(connection, self._database)
        except Exception as fault:  # noqa: BLE001  a commit does it when the log gets far too long
            log.warning("the database's log is brought in later", fault=repr(fault))


def checkpoint(connection: sqlite3.Connection, database: Database) -> None:
    """Most of it while others write, then the rest in a turn of our own, so that the log can begin anew."""
    before = 0
    length = _passive(connection)
    while length.log - before > FEW_PAGES and length.done > before:
        before = length.done
        length = _passive(connection)
    if length.log < ENOUGH_PAGES:
        return
    _sync(os.path.realpath(str(database.url.database)))
    with database.turn():
        if length.log < LONG_PAGES:
            _passive(connection)
            return
        connection.execute(f"pragma busy_timeout = {WAIT_MS}")
        try:
            connection.execute("pragma wal_checkpoint(restart)").fetchone()
        finally:
            connection.execute("pragma busy_timeout = 15000")


def _sync(path: str) -> None:
    """What SQLite leaves for when all of the log is in the file, so that nobody waits for it then.

    By a descriptor that SQLite has open: to close one of our own would give up its locks on the file. Where there is no
    /proc, the last step takes longer.
    """
    for one in DESCRIPTORS.iterdir() if DESCRIPTORS.is_dir() else ():
        with suppress(OSError):  # closed meanwhile
            if str(one.readlink()) == path:
                os.fsync(int(one.name))
                return


def _passive(connection: sqlite3.Connection) -> Length:
    _, pages, done = connection.execute("pragma wal_checkpoint(passive)").fetchone()
    return Length(pages, done)
