"""Lines on their way to the hub: on the disk when `put` returns, gone only after the hub has them for good.

Every statement of `messages.db` is here. Whoever has something to say opens an outbox of its own on the same file.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from waystation_agent import durable
from waystation_agent.clock import iso
from waystation_agent.errors import BadInput
from waystation_agent.timekeeper import MachineTicks, Ticks

SEVERITIES = ("debug", "info", "warning", "error", "critical")
TYPE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
LONGEST_CONTENT = 4_096
MOST_WAITING = 5_000
DROP_AT_ONCE = 100
STEP_US = 1_000
"""Between two lines at least: a hub keeps milliseconds, and the same words of one millisecond are one line to it."""

SCHEMA = """
create table if not exists line (
    number integer primary key autoincrement,
    boot text not null, monotonic_us integer not null, wall_us integer not null,  -- when, by all clocks there are
    at_us integer,                                                                -- when, once that is settled
    severity text not null, type text not null, content text not null
);
create table if not exists note (name text primary key, value integer not null) without rowid;
"""


@dataclass(frozen=True)
class Line:
    """Raises BadInput for what no hub takes."""

    content: str
    severity: str = "info"
    type: str = "log"

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise BadInput(f"{self.severity[:80]!r} is no severity: there are {', '.join(SEVERITIES)}")
        if not TYPE.fullmatch(self.type):
            raise BadInput(f"{self.type[:80]!r} is no type: letters, digits and _ . : - only, at most 64")
        if not self.content.strip():
            raise BadInput("there is nothing to say")
        if len(self.content) > LONGEST_CONTENT:
            raise BadInput(f"a message has at most {LONGEST_CONTENT} characters, this has {len(self.content)}")
        if any("\ud800" <= letter <= "\udfff" for letter in self.content):
            raise BadInput("this is not UTF-8 text")


@dataclass(frozen=True)
class Said:
    """When, by the clocks of the machine at that moment; only within the same boot can `monotonic_us` be compared."""

    boot: str
    monotonic_us: int
    wall_us: int


@dataclass(frozen=True)
class Dated:
    number: int
    at_us: int
    line: Line

    def wire(self) -> dict[str, str]:
        line = self.line
        return {"at": iso(self.at_us), "severity": line.severity, "type": line.type, "content": line.content}


class Outbox:
    def __init__(self, path: Path, ticks: Ticks | None = None) -> None:
        self._db = durable.open_file(path, SCHEMA)
        self._ticks = ticks or MachineTicks()

    def close(self) -> None:
        self._db.close()

    def put(self, *lines: Line) -> None:
        """Of more than 5,000 that wait the oldest make room, and are counted."""
        ticks = self._ticks
        said = (ticks.boot, ticks.monotonic_us(), ticks.wall_us())
        rows = [(*said, line.severity, line.type, line.content) for line in lines]
        insert = "insert into line (boot, monotonic_us, wall_us, severity, type, content) values (?, ?, ?, ?, ?, ?)"
        with self._transaction():
            self._db.executemany(insert, rows)
            if (over := self.waiting() - MOST_WAITING) > 0:
                doomed = "delete from line where number in (select number from line order by number limit ?)"
                dropped = self._db.execute(doomed, (max(over, DROP_AT_ONCE),)).rowcount
                self._put("dropped", self.count("dropped") + dropped)

    def oldest(self, most: int, time_of: Callable[[Said], int]) -> list[Dated]:
        """Give each line its time before it is first sent; sent again, it has the same."""
        found = self._db.execute(
            "select number, at_us, boot, monotonic_us, wall_us, severity, type, content from line"
            " order by number limit ?",
            (most,),
        ).fetchall()
        if any(row[1] is None for row in found):
            with self._transaction():
                found = [(row[0], self._settle(row[0], row[1], Said(*row[2:5]), time_of), *row[2:]) for row in found]
        return [Dated(row[0], row[1], Line(row[7], row[5], row[6])) for row in found]

    def _settle(self, number: int, at_us: int | None, said: Said, time_of: Callable[[Said], int]) -> int:
        if at_us is not None:
            return at_us
        at_us = max(time_of(said), self.count("newest_us") + STEP_US)
        self._db.execute("update line set at_us = ? where number = ?", (at_us, number))
        self._put("newest_us", at_us)
        return at_us

    def delivered(self, lines: Sequence[Dated]) -> None:
        with self._transaction():
            self._db.execute("delete from line where number <= ?", (lines[-1].number,))

    def waiting(self) -> int:
        """Numbers have no gaps: only the oldest ever leave."""
        (newest, oldest) = self._db.execute("select max(number), min(number) from line").fetchone()
        return 0 if newest is None else newest - oldest + 1

    def count(self, name: str) -> int:
        found = self._db.execute("select value from note where name = ?", (name,)).fetchone()
        return found[0] if found else 0

    def _put(self, name: str, value: int) -> None:
        self._db.execute("insert or replace into note values (?, ?)", (name, value))

    def _transaction(self) -> AbstractContextManager[None]:
        return durable.transaction(self._db)


def make_sound(path: Path) -> None:
    durable.make_sound(path, SCHEMA)
