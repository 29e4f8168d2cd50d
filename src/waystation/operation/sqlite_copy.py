"""A copy of a SQLite database that others go on writing, and the proof that it is sound."""

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from waystation.kernel.errors import Conflict

PAGES_AT_ONCE = 2_000
ROWS_AT_ONCE = 500
MOST_WAIT_SECONDS = 30.0

Progress = Callable[[int, int], None]
"""Pages done, pages in all."""


def copy(source: Path, target: Path, tell: Progress) -> None:
    """One moment of the database, however long it takes: a reading transaction holds the moment, so writers go on
    (into the write-ahead log, which grows meanwhile) and the copy never has to begin anew.
    """
    with _opened(source) as original, _opened(target) as made:
        original.isolation_level = None
        original.execute("BEGIN")
        original.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        original.backup(made, pages=PAGES_AT_ONCE, progress=lambda _, left, total: tell(total - left, total), sleep=0)
        original.execute("ROLLBACK")


def check(path: Path) -> None:
    """Conflict unless SQLite finds the whole file sound."""
    with as_it_is(path) as database:
        faults = [row[0] for row in database.execute("PRAGMA integrity_check(5)")]
        broken = database.execute("PRAGMA foreign_key_check").fetchone()
    if faults != ["ok"] or broken:
        raise Conflict(f"the database {path.name} is not sound: {'; '.join(map(str, faults))}")


def row_counts(path: Path) -> dict[str, int]:
    with as_it_is(path) as database:
        tables = database.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
        )
        return {
            name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608  names of our own tables
            for (name,) in tables.fetchall()
        }


def scalar(path: Path, query: str) -> str:
    """The first column of the first row; empty when there is none."""
    with as_it_is(path) as database:
        row = database.execute(query).fetchone()
    return "" if row is None else str(row[0])


def column(path: Path, query: str) -> list[str]:
    """The first column of every row."""
    with as_it_is(path) as database:
        return [str(row[0]) for row in database.execute(query)]


def rewrite(path: Path, table: str, column: str, change: Callable[[str, bytes], bytes]) -> None:
    """Every value of the column, all or none. `change` hears which it is (`table 12`), and what was there is wiped."""
    with _opened(path) as database:
        database.isolation_level = None
        database.execute("PRAGMA secure_delete=ON")
        database.execute("BEGIN")
        last = -1
        read = f'SELECT rowid, "{column}" FROM "{table}" WHERE rowid > ? ORDER BY rowid LIMIT {ROWS_AT_ONCE}'  # noqa: S608  our own names
        while rows := database.execute(read, (last,)).fetchall():
            changed = [(change(f"{table} {number}", value), number) for number, value in rows]
            database.executemany(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', changed)  # noqa: S608
            last = rows[-1][0]
        database.execute("COMMIT")


def emptied(path: Path, tables: tuple[str, ...]) -> dict[str, int]:
    """How many rows each had; an older database may have fewer tables."""
    with _opened(path) as database:
        database.isolation_level = None
        there = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        found = [name for name in tables if name in there]
        return {name: database.execute(f'DELETE FROM "{name}"').rowcount for name in found}  # noqa: S608  our own names


@contextmanager
def as_it_is(path: Path) -> Generator[sqlite3.Connection]:
    """Read-only, and without the files that SQLite lays beside a database that others may write."""
    with _opened(path, "?immutable=1") as database:
        yield database


@contextmanager
def _opened(path: Path, how: str = "") -> Generator[sqlite3.Connection]:
    database = sqlite3.connect(f"file:{_quoted(path)}{how}", uri=True, timeout=MOST_WAIT_SECONDS)
    try:
        yield database
    except sqlite3.Error as fault:
        raise Conflict(f"the database {path.name} is not sound, or cannot be read or written: {fault}") from fault
    finally:
        database.close()


def _quoted(path: Path) -> str:
    return str(path.resolve()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
