"""The samples on disk: written and fsynced before they are sent, gone only after the hub has them for good.

Every statement of the agent's SQLite file is here. Each thread opens its own `Spool` on the same file.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from waystation_agent import durable
from waystation_agent.clock import GuardedClock, iso, next_at_us
from waystation_agent.logs import LOG, facts
from waystation_agent.sensors import Value

LIMIT_BYTES = 64 * 1024 * 1024
QUARANTINE_LIMIT = 1_000
DROP_AT_ONCE = 64
"""Samples given up together when the spool is full; a handful of pages, so that the next appends find room."""

Values = Mapping[str, float | bool | str]
Note = Literal[
    "dropped_total",
    "undatable_total",
    "quarantined_total",
    "delivered_total",
    "delivered_newest_us",
    "delivered_at_us",
    "sampled_at_us",
    "link_state",
    "last_error",
    "last_error_at_us",
]

SCHEMA = """
create table if not exists sample (
    id integer primary key autoincrement,
    at_us integer,          -- null while the time is not known
    boot text,              -- then: which boot …
    monotonic_us integer,   -- … and when in it
    readings text not null  -- JSON: metric -> value
);
create index if not exists undated on sample (id) where at_us is null;
create table if not exists quarantine (
    id integer primary key autoincrement, at_us integer not null, readings text not null, reason text not null
);
create table if not exists given (metric text primary key, value text not null) without rowid;
create table if not exists note (name text primary key, value) without rowid;
"""


@dataclass(frozen=True)
class Sample:
    id: int
    at_us: int
    values: dict[str, float | bool | str]

    def wire(self) -> dict[str, object]:
        return {"at": iso(self.at_us), "values": self.values}


class Spool:
    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._db = durable.open_file(path, SCHEMA)
        self._limit_bytes = limit_bytes
        self._newest_monotonic_us: int | None = None

    def close(self) -> None:
        self._db.close()

    # Sampling

    def give(self, metric: str, value: Value) -> None:
        """Save a value from another program; the next sample carries it, and it alone (JR-A26)."""
        with self._transaction():
            self._db.execute("insert or replace into given values (?, ?)", (metric, json.dumps(value, allow_nan=False)))

    def _take_given(self) -> dict[str, Value]:
        found = self._db.execute("select metric, value from given").fetchall()
        if found:
            self._db.execute("delete from given")
        return {metric: json.loads(value) for metric, value in found}

    def append(self, values: Values, clock: GuardedClock, monotonic_us: int) -> int:
        """Save a sample taken at `monotonic_us`, and return its time. The clock must be known."""
        with self._transaction():
            at_us = self._stamp(clock, monotonic_us)
            self._insert(values, at_us=at_us)
            self._put("sampled_at_us", at_us)
        return at_us

    def hold(self, values: Values, boot: str, monotonic_us: int) -> None:
        """Save a sample whose time is not known yet. It is not sent before `date_held` has dated it."""
        with self._transaction():
            self._insert(values, boot=boot, monotonic_us=monotonic_us)

    def date_held(self, clock: GuardedClock, boot: str) -> tuple[int, int]:
        """Date the samples held in this boot; give up those of earlier boots, whose time nobody can know any more.

        Returns how many were dated and how many were given up.
        """
        with self._transaction():
            lost = self._db.execute("delete from sample where at_us is null and boot <> ?", (boot,)).rowcount
            if lost:
                self._add("undatable_total", lost)
            held = self._db.execute("select id, monotonic_us from sample where at_us is null order by id").fetchall()
            for sample, monotonic_us in held:
                at_us = self._stamp(clock, monotonic_us)
                self._db.execute("update sample set at_us = ? where id = ?", (at_us, sample))
                self._put("sampled_at_us", at_us)
        return len(held), lost

    def newest_us(self) -> int:
        """Return the newest time that a sample has, in the spool or at the hub; 0 before the first.

        Quarantined samples do not count: a time that the hub has refused must not push later times into the future.
        """
        waiting = self._one("select at_us from sample where at_us is not null order by id desc limit 1")
        return max(waiting, int(self.note("delivered_newest_us") or 0))

    def has_held(self) -> bool:
        return bool(self._one("select exists(select 1 from sample where at_us is null)"))

    def _stamp(self, clock: GuardedClock, monotonic_us: int) -> int:
        believed_us = clock.time_us(monotonic_us)
        if believed_us is None:
            raise ValueError("the time is not known")
        elapsed_us = monotonic_us - (self._newest_monotonic_us or monotonic_us)
        self._newest_monotonic_us = monotonic_us
        return next_at_us(believed_us, self.newest_us(), elapsed_us)

    def _insert(
        self, values: Values, *, at_us: int | None = None, boot: str | None = None, monotonic_us: int | None = None
    ) -> None:
        if self._used_bytes() > self._limit_bytes:
            self._drop_oldest()
        values = {**values, **self._take_given()}
        readings = json.dumps(values, separators=(",", ":"), allow_nan=False)
        self._db.execute(
            "insert into sample (at_us, boot, monotonic_us, readings) values (?, ?, ?, ?)",
            (at_us, boot, monotonic_us, readings),
        )

    def _drop_oldest(self) -> None:
        doomed = "delete from sample where id in (select id from sample order by id limit ?)"
        dropped = self._db.execute(doomed, (DROP_AT_ONCE,)).rowcount
        self._add("dropped_total", dropped)
        LOG.warning("spool is full, dropped the oldest %s", facts(samples=dropped))

    def _used_bytes(self) -> int:
        used = self._one("pragma page_count") - self._one("pragma freelist_count")
        return used * self._one("pragma page_size")

    # Delivery

    def oldest(self, most: int) -> list[Sample]:
        """Return the next samples to send, oldest first."""
        rows = self._db.execute(
            "select id, at_us, readings from sample where at_us is not null order by id limit ?", (most,)
        )
        return [Sample(row[0], row[1], json.loads(row[2])) for row in rows]

    def newest(self) -> Sample | None:
        """Return the newest sample to send; None if there is none."""
        query = "select id, at_us, readings from sample where at_us is not null order by id desc limit 1"
        row = self._db.execute(query).fetchone()
        return None if row is None else Sample(row[0], row[1], json.loads(row[2]))

    def delivered(self, samples: Sequence[Sample], now_us: int) -> None:
        """Forget samples that the hub has made durable."""
        with self._transaction():
            self._forget(samples)
            self._add("delivered_total", len(samples))
            self._note_newest(samples[-1].at_us)
            self._put("delivered_at_us", now_us)
            self._put("link_state", "delivering")

    def quarantine(self, sample: Sample, refused: Mapping[str, str], *, now_us: int) -> None:
        """Set aside the refused values of a sample, each with the hub's reason; its other values were delivered."""
        with self._transaction():
            self._forget([sample])
            for metric, reason in refused.items():
                readings = json.dumps({metric: sample.values[metric]})
                self._db.execute(
                    "insert into quarantine (at_us, readings, reason) values (?, ?, ?)",
                    (sample.at_us, readings, reason),
                )
            self._add("quarantined_total", len(refused))
            surplus = "delete from quarantine where id <= (select max(id) from quarantine) - ?"
            self._db.execute(surplus, (QUARANTINE_LIMIT,))
            if len(refused) < len(sample.values):
                self._add("delivered_total", 1)
                self._note_newest(sample.at_us)
                self._put("delivered_at_us", now_us)

    def quarantined(self) -> list[tuple[str, str, str]]:
        """Return time, readings and reason of what was set aside, oldest first."""
        rows = self._db.execute("select at_us, readings, reason from quarantine order by id")
        return [(iso(row[0]), row[1], row[2]) for row in rows]

    def _note_newest(self, at_us: int) -> None:
        """Where the newest goes first, the backlog that follows is older."""
        self._put("delivered_newest_us", max(at_us, self.count("delivered_newest_us")))

    def depth(self) -> int:
        return self._one("select count(*) from sample")

    def _forget(self, samples: Sequence[Sample]) -> None:
        self._db.executemany("delete from sample where id = ?", [(sample.id,) for sample in samples])

    # Notes: counters and facts that `status` shows

    def note(self, name: Note) -> int | str | None:
        row = self._db.execute("select value from note where name = ?", (name,)).fetchone()
        return None if row is None else cast("int | str", row[0])

    def count(self, name: Note) -> int:
        return int(self.note(name) or 0)

    def note_error(self, sentence: str, state: str, *, now_us: int) -> None:
        """Record what went wrong and what is done about it; a repetition costs no write to the card."""
        if (self.note("last_error"), self.note("link_state")) != (sentence, state):
            with self._transaction():
                self._put("last_error", sentence)
                self._put("last_error_at_us", now_us)
                self._put("link_state", state)

    def _put(self, name: Note, value: int | str) -> None:
        self._db.execute("insert or replace into note (name, value) values (?, ?)", (name, value))

    def _add(self, name: Note, more: int) -> None:
        self._put(name, self.count(name) + more)

    # SQLite

    def damage(self) -> str | None:
        """Return what is wrong with the file; None if it is sound. Reads all of it."""
        return durable.damage(self._db)

    def _one(self, query: str) -> int:
        row = self._db.execute(query).fetchone()
        return 0 if row is None else int(row[0])

    def _transaction(self) -> AbstractContextManager[None]:
        return durable.transaction(self._db)


def make_sound(path: Path) -> None:
    """See to it that a sound spool is there; a damaged one is set aside whole."""
    durable.make_sound(path, SCHEMA)
