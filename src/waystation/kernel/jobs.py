"""Sweeps: background jobs that one process of a site owns at a time, by a lease in the database."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError

from waystation.kernel.clock import Clock
from waystation.kernel.db import Database, Moment, Tx, metadata

log = structlog.get_logger(__name__)

LEASE_SECONDS = 30
SWEEPS = "sweeps"

lease = sa.Table(
    "lease",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("until", Moment, nullable=False),
)


@dataclass(slots=True)
class Job:
    """`work()` opens its own transactions and returns how much it did; more than nothing means "again at once"."""

    name: str
    seconds: float
    work: Callable[[], int]
    due: float = 0.0


def take(tx: Tx, name: str, holder: str, now: datetime) -> bool:
    """Whether `holder` has the lease from now on; it is renewed for its holder and taken over when it has run out."""
    until = now + timedelta(seconds=LEASE_SECONDS)
    mine = sa.or_(lease.c.holder == holder, lease.c.until < now)
    if tx.changed(lease.update().where(lease.c.name == name, mine).values(holder=holder, until=until)):
        return True
    if tx.first(lease.select().where(lease.c.name == name)) is not None:
        return False
    try:
        with tx.connection.begin_nested():
            tx.execute(lease.insert().values(name=name, holder=holder, until=until))
    except IntegrityError:  # another process was first
        return False
    return True


def held(tx: Tx, name: str, holder: str, now: datetime) -> bool:
    """Whether the lease is still `holder`'s, and stays so until this transaction ends: who slept finds out."""
    mine = lease.select().where(lease.c.name == name, lease.c.holder == holder, lease.c.until > now)
    return tx.first(mine.with_for_update()) is not None


def give_up(tx: Tx, name: str, holder: str) -> None:
    tx.execute(lease.delete().where(lease.c.name == name, lease.c.holder == holder))


class Sweeper:
    """One thread that runs the jobs while this process holds the lease."""

    def __init__(self, database: Database, clock: Clock, jobs: Sequence[Job]) -> None:
        # A SQLite hub is one process (its folder is locked), so after a crash it finds its own lease at once.
        self.holder = "hub" if database.is_sqlite else f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.owns = False
        self._database = database
        self._clock = clock
        self.jobs = jobs
        self._renew_at = 0.0
        self._closing = False
        self.wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeps", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing = True
        self.wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            self._keep_lease()
            ran = self._run_due() if self.owns else 0
            if not ran:
                self.wake.wait(self._pause())
            self.wake.clear()
        if self.owns:
            self._attempt("give up lease", self._release)

    def _keep_lease(self) -> None:
        if time.monotonic() < self._renew_at:
            return
        self._renew_at = time.monotonic() + (LEASE_SECONDS / 3 if self.owns else 2)
        owned, self.owns = self.owns, bool(self._attempt("take lease", self._take))
        if self.owns != owned:
            log.info("sweeps are ours" if self.owns else "sweeps belong to another process")
            self._renew_at = time.monotonic() + (LEASE_SECONDS / 3 if self.owns else 2)

    def _take(self) -> int:
        with self._database.write() as tx:
            return int(take(tx, SWEEPS, self.holder, self._clock.now()))

    def _release(self) -> int:
        with self._database.write() as tx:
            give_up(tx, SWEEPS, self.holder)
        return 0

    def _run_due(self) -> int:
        done = 0
        for job in self.jobs:
            now = time.monotonic()
            if now >= job.due and not self._closing:
                did = self._attempt(job.name, job.work)
                job.due = now if did else time.monotonic() + job.seconds
                done += did
        return done

    def _pause(self) -> float:
        ends = [self._renew_at, *(job.due for job in self.jobs if self.owns)]
        return max(0.0, min(ends) - time.monotonic())

    def _attempt(self, name: str, work: Callable[[], int]) -> int:
        try:
            return work()
        except Exception as fault:  # noqa: BLE001  a sweep that failed runs again; the others go on
            log.error("sweep failed", sweep=name, fault=repr(fault))
            return 0
