"""What the hub has asked for and how far it has got: noted before it is acted upon, so that nothing is done twice.

Every statement of `journal.db` is here. Each thread opens its own `Journal` on the same file.
"""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waystation_agent import durable
from waystation_agent.commands.model import Command, End, Outcome, Step
from waystation_agent.packages.model import Package, Stage
from waystation_agent.tus import Sent

KEPT = 1_000
"""How many commands are remembered after the hub knows how they ended. It may hand one out again for a while."""
KEPT_OTHERS = 100

SCHEMA = """
create table if not exists command (
    number integer primary key autoincrement,
    id text not null unique,
    name text not null,
    parameters text not null,  -- JSON object
    once integer not null,
    step text not null,        -- received, begun, finished, told
    boot text not null default '',       -- the boot and the run of the agent …
    run text not null default '',        -- … in which it was begun …
    begun_us integer not null default 0, -- … and when in that boot
    ended text,                -- done, failed, rejected
    result text                -- JSON object
);
create index if not exists open_command on command (number) where step <> 'told';
create table if not exists upload (
    number integer primary key autoincrement,
    key text unique,           -- what asked for it, so that it is asked for once; null for a person
    path text not null, name text not null, size integer not null, modified_ns integer not null, sha256 text not null,
    ours integer not null,     -- the file is the agent's own and goes when it is sent
    location text not null default '', offset integer not null default 0,  -- at the hub
    ended text not null default '',      -- sent, refused
    reason text not null default ''
);
create table if not exists package (
    number integer primary key autoincrement,
    id text not null, name text not null, type text not null, version text not null, manifest_sha256 text not null,
    step text not null default 'fetching',
    former text not null default '',     -- the version that was there before the switch
    tries integer not null default 0,    -- how often its checks were begun
    reason text not null default '',
    told integer not null default 0
);
create table if not exists note (name text primary key, value) without rowid;
"""


@dataclass(frozen=True)
class Now:
    """When and in whose life something is begun."""

    boot: str
    run: str
    monotonic_us: int


@dataclass(frozen=True)
class Entry:
    command: Command
    step: Step
    begun: Now
    outcome: Outcome | None


@dataclass(frozen=True)
class Upload:
    """A file on its way to the hub. `ended` is empty until it was sent or refused."""

    number: int
    path: Path
    name: str
    size: int
    modified_ns: int
    sha256: str
    is_ours: bool
    sent: Sent
    ended: str
    reason: str


@dataclass(frozen=True)
class Deployment:
    """A package on its way to its place."""

    number: int
    package: Package
    stage: Stage
    former: str
    tries: int
    reason: str


class Journal:
    def __init__(self, path: Path) -> None:
        self._db = durable.open_file(path, SCHEMA)

    def close(self) -> None:
        self._db.close()

    # Commands

    def receive(self, command: Command) -> Entry:
        """Note a command that was handed out.

        One that is known is not begun again, but its outcome is told again. What was not wanted then, is now.
        """
        with self._transaction():
            self._db.execute(
                "insert or ignore into command (id, name, parameters, once, step) values (?, ?, ?, ?, 'received')",
                (command.id, command.name, json.dumps(command.parameters), command.is_once),
            )
            self._db.execute(
                "update command set step = case when ended is null then 'received' else 'finished' end"
                " where id = ? and step = 'told'",
                (command.id,),
            )
        entry = self.entry(command.id)
        assert entry is not None
        return entry

    def entry(self, command: str) -> Entry | None:
        return self._entry("select * from command where id = ?", command)

    def next_open(self) -> Entry | None:
        """Return the oldest command that is not over and told; None if there is none."""
        return self._entry("select * from command where step <> 'told' order by number limit 1")

    def begin(self, command: str, now: Now) -> None:
        """Note that it is acted upon from here. On disk when this returns."""
        with self._transaction():
            self._db.execute(
                "update command set step = 'begun', boot = ?, run = ?, begun_us = ? where id = ? and step = 'received'",
                (now.boot, now.run, now.monotonic_us, command),
            )

    def finish(self, command: str, outcome: Outcome) -> None:
        """Note how it ended; the first to say so has said it."""
        with self._transaction():
            self._db.execute(
                "update command set step = 'finished', ended = ?, result = ?"
                " where id = ? and step in ('received', 'begun')",
                (outcome.end, json.dumps(outcome.result), command),
            )

    def told(self, command: str) -> None:
        """Note that the hub knows the outcome, or has no use for one; the oldest of these are forgotten."""
        with self._transaction():
            self._db.execute("update command set step = 'told' where id = ?", (command,))
            self._db.execute(
                "delete from command where step = 'told' and number <= (select max(number) from command) - ?", (KEPT,)
            )

    def _entry(self, query: str, *values: object) -> Entry | None:
        row = self._db.execute(query, values).fetchone()
        if row is None:
            return None
        _, identifier, name, parameters, once, step, boot, run, begun_us, ended, result = row
        command = Command(identifier, name, json.loads(parameters), bool(once))
        outcome = Outcome(End(ended), json.loads(result)) if ended else None
        return Entry(command, Step(step), Now(boot, run, begun_us), outcome)

    def counts(self) -> Mapping[str, int]:
        """Return how many commands there are of each step."""
        return dict(self._db.execute("select step, count(*) from command group by step").fetchall())

    # Uploads

    def add_upload(self, upload: Upload, key: str | None = None) -> int:
        """Queue a file and return its number; that of the first, if the same key has asked before."""
        with self._transaction():
            self._db.execute(
                "insert or ignore into upload (key, path, name, size, modified_ns, sha256, ours)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                (
                    key,
                    str(upload.path),
                    upload.name,
                    upload.size,
                    upload.modified_ns,
                    upload.sha256,
                    upload.is_ours,
                ),
            )
            found = self._db.execute("select number from upload where key = ?", (key,)).fetchone()
            return int((found or self._db.execute("select last_insert_rowid()").fetchone())[0])

    def upload(self, number: int) -> Upload | None:
        return self._upload("select * from upload where number = ?", number)

    def upload_for(self, key: str) -> Upload | None:
        return self._upload("select * from upload where key = ?", key)

    def next_upload(self) -> Upload | None:
        return self._upload("select * from upload where ended = '' order by number limit 1")

    def put_sent(self, number: int, sent: Sent) -> None:
        with self._transaction():
            self._db.execute(
                "update upload set location = ?, offset = ? where number = ?", (sent.where, sent.offset, number)
            )

    def end_upload(self, number: int, ended: str, reason: str = "") -> None:
        with self._transaction():
            self._db.execute("update upload set ended = ?, reason = ? where number = ?", (ended, reason, number))
            self._db.execute(
                "delete from upload where ended <> '' and number <= (select max(number) from upload) - ?",
                (KEPT_OTHERS,),
            )

    def uploads_waiting(self) -> int:
        return int(self._db.execute("select count(*) from upload where ended = ''").fetchone()[0])

    def _upload(self, query: str, *values: object) -> Upload | None:
        row = self._db.execute(query, values).fetchone()
        if row is None:
            return None
        number, _, path, name, size, modified_ns, sha256, ours, location, offset, ended, reason = row
        sent = Sent(location, offset)
        return Upload(number, Path(path), name, size, modified_ns, sha256, bool(ours), sent, ended, reason)

    # Packages

    def begin_package(self, package: Package) -> None:
        with self._transaction():
            self._db.execute(
                "insert into package (id, name, type, version, manifest_sha256) values (?, ?, ?, ?, ?)",
                (package.id, package.name, package.type, package.version, package.manifest_sha256),
            )

    def open_package(self) -> Deployment | None:
        """Return the package that is under way; None if there is none."""
        return self._package("select * from package where not told order by number limit 1")

    def newest_packages(self) -> list[Deployment]:
        """Return the last package of each type."""
        query = "select * from package where number in (select max(number) from package group by type) order by type"
        return [_deployment(row) for row in self._db.execute(query).fetchall()]

    def put_stage(self, number: int, stage: Stage, *, reason: str = "") -> None:
        with self._transaction():
            self._db.execute("update package set step = ?, reason = ? where number = ?", (stage, reason, number))

    def put_former(self, number: int, former: str) -> None:
        """Note what the switch will replace, before it does; from here on the package is being checked."""
        with self._transaction():
            self._db.execute(
                "update package set step = 'checking', former = ? where number = ? and step = 'staged'",
                (former, number),
            )

    def put_tries(self, number: int, tries: int) -> None:
        with self._transaction():
            self._db.execute("update package set tries = ? where number = ?", (tries, number))

    def package_told(self, number: int) -> None:
        with self._transaction():
            self._db.execute("update package set told = 1 where number = ?", (number,))
            self._db.execute(
                "delete from package where told and number <= (select max(number) from package) - ?", (KEPT_OTHERS,)
            )

    def _package(self, query: str) -> Deployment | None:
        row = self._db.execute(query).fetchone()
        return None if row is None else _deployment(row)

    # Notes

    def note(self, name: str) -> object:
        row = self._db.execute("select value from note where name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def put(self, name: str, value: object) -> None:
        with self._transaction():
            self._db.execute("insert or replace into note (name, value) values (?, ?)", (name, value))

    def damage(self) -> str | None:
        """Return what is wrong with the file; None if it is sound. Reads all of it."""
        return durable.damage(self._db)

    def _transaction(self) -> AbstractContextManager[None]:
        return durable.transaction(self._db)


def _deployment(row: tuple[Any, ...]) -> Deployment:
    number, identifier, name, kind, version, manifest_sha256, step, former, tries, reason, _ = row
    package = Package(identifier, name, kind, version, manifest_sha256)
    return Deployment(number, package, Stage(step), former, tries, reason)


def make_sound(path: Path) -> None:
    durable.make_sound(path, SCHEMA)
