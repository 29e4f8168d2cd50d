"""Tries that all processes of a site count in their database: moving windows, for what happens seldom."""

import hashlib
from datetime import datetime

import sqlalchemy as sa

from waystation.kernel.clock import Clock, from_micros, micros
from waystation.kernel.db import Database, Moment, Tx, metadata
from waystation.kernel.errors import Unavailable

tries = sa.Table(
    "tries",
    metadata,
    sa.Column("who", sa.Text, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("forget_at", Moment, nullable=False),
    sa.Index("tries_forget", "forget_at"),
)

MOST_RACES = 20
MOST_FORGOTTEN = 1_000


def counted(times: list[int], now: int, most: int, window: int) -> tuple[list[int], int]:
    """The tries of the window up to now with this one, and how long it must wait; 0 is not at all, else it is not
    among them. Everything in microseconds.
    """
    recent = [at for at in times if now - window < at <= now]
    if len(recent) < most:
        return [*recent, now], 0
    return recent, recent[-most] + window - now


class Tries:
    """A row holds all tries of one name, and is changed by compare-and-set, so that no two processes give the last."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Who counts may have a transaction open: give it connections that nobody else waits for."""
        self._database = database
        self._clock = clock

    def close(self) -> None:
        self._database.close()

    def count(self, who: str, most: int, window_seconds: int) -> float | None:
        """None when this try is within the limit, else the seconds until one will be."""
        name = hashlib.sha256(who.encode()).hexdigest()
        for _ in range(MOST_RACES):
            now = micros(self._clock.now())
            with self._database.write() as tx:
                before = at_of(tx, name)
                times, wait = counted(_read(before), now, most, window_seconds * 1_000_000)
                if wait:
                    return wait / 1_000_000
                if note(tx, name, before, _written(times), forget_at=from_micros(now + window_seconds * 1_000_000)):
                    return None
        raise Unavailable("too many at once for one name", retry_after_seconds=1)


def at_of(tx: Tx, who: str) -> str | None:
    return tx.scalar(sa.select(tries.c.at).where(tries.c.who == who))


def note(tx: Tx, who: str, before: str | None, after: str, *, forget_at: datetime) -> bool:
    """Whether nobody else was faster."""
    if before is None:
        insert = tx.insert(tries)
        return tx.changed(insert.values(who=who, at=after, forget_at=forget_at).on_conflict_do_nothing())
    same = tries.update().where(tries.c.who == who, tries.c.at == before)
    return tx.changed(same.values(at=after, forget_at=forget_at))


def forget_tries(tx: Tx, now: datetime) -> int:
    old = sa.select(tries.c.who).where(tries.c.forget_at < now).limit(MOST_FORGOTTEN)
    return tx.execute(tries.delete().where(tries.c.who.in_(old))).rowcount


def _read(at: str | None) -> list[int]:
    return [int(one) for one in (at or "").split()]


def _written(times: list[int]) -> str:
    return " ".join(map(str, times))
