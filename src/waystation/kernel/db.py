"""The one seam to the database: SQLite or PostgreSQL, transactions opened where you can see them."""

import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from waystation.kernel.clock import from_micros, micros
from waystation.kernel.errors import Invalid, StorageFull, Unavailable
from waystation.kernel.turns import Turns

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

metadata = sa.MetaData()

type_of_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

UNSTORABLE = "a text has a character that no database takes, or a number is beyond 64 bits"
OUT_OF_RANGE, NO_CHARACTER, NO_JSON_CHARACTER = "22003", "22021", "22P05"  # PostgreSQL's states

Kept = TypeVar("Kept")
Listener = Callable[["Tx", Any, datetime], None]
Listeners = Mapping[type, Sequence[Listener]]


class Moment(sa.types.TypeDecorator[datetime]):
    """A zone-aware datetime, stored as microseconds since 1970, UTC."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else from_micros(value)


class Tx:
    """One open transaction: statements, events told inside it, and calls that wait for its commit."""

    def __init__(self, connection: sa.Connection, database: "Database", *, writes: bool) -> None:
        self.connection = connection
        self.is_sqlite = database.is_sqlite
        self.writes = writes
        self._database = database
        self._listeners = database.listeners
        self.follow_ups: list[Callable[[], None]] = []

    def insert(self, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
        """One that may say `on_conflict_do_nothing` and `on_conflict_do_update`, as both databases understand them."""
        if self.is_sqlite:
            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415  a hub on SQLite does without

        return postgresql.insert(table)

    def execute(self, statement: sa.Executable, rows: Any = None) -> sa.CursorResult[Any]:
        return self.connection.execute(statement, rows)

    def first(self, statement: sa.Executable, values: Mapping[str, Any] | None = None) -> sa.Row[Any] | None:
        """`values` are for a statement that was put together once, with `sa.bindparam`: that is half of its cost."""
        return self.connection.execute(statement, values).first()

    def all(self, statement: sa.Executable, values: Mapping[str, Any] | None = None) -> Sequence[sa.Row[Any]]:
        return self.connection.execute(statement, values).all()

    def scalar(self, statement: sa.Executable) -> Any:
        return self.connection.execute(statement).scalar()

    def changed(self, statement: sa.Executable) -> bool:
        """Whether the statement changed a row: a compare-and-set won."""
        kept = {"preserve_rowcount": True}  # else PostgreSQL does not say it of an INSERT
        return self.connection.execute(statement, execution_options=kept).rowcount > 0

    def tell(self, told: object, now: datetime) -> None:
        """Every listener acts on the event here and now, in this transaction, or the transaction fails as a whole."""
        for listener in self._listeners.get(type(told), ()):
            listener(self, told, now)

    def has_listener(self, kind: type) -> bool:
        """Whether anybody in this process hears of such events."""
        return bool(self._listeners.get(kind))

    def kept(self, kind: Callable[[], Kept]) -> Kept:
        """What this process remembers of the database, one of each kind. What it learns is shared at once: nothing from
        a transaction that writes may go into it, for that may still be rolled back.
        """
        kept = self._database.kept
        return kept[kind] if kind in kept else kept.setdefault(kind, kind())

    def after_commit(self, call: Callable[[], None]) -> None:
        """Runs in this thread once the transaction is durable, before its caller goes on; never after a roll-back."""
        self.follow_ups.append(call)


class Database:
    """SQLite: WAL, synchronous=FULL, our writers queue for one lock and other processes' wait on the busy time-out.

    With `log_pages` a commit leaves a log of so many pages to somebody else: see kernel.checkpoints.
    """

    def __init__(
        self, url: str, *, listeners: Listeners | None = None, pool_size: int = 12, log_pages: int = 1000
    ) -> None:
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.listeners: Listeners = {} if listeners is None else listeners
        self.kept: dict[Callable[[], Any], Any] = {}
        self.engine = sa.create_engine(
            self.url, **({} if self.is_sqlite else {"pool_pre_ping": True}), pool_size=pool_size
        )
        self.commits = 0
        self._write_turn = Turns()
        self._writing = self.engine.execution_options(writes=True)
        one_view = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}  # SQLite has no other
        self._reading = self.engine.execution_options(**one_view)
        if self.is_sqlite:
            event.listen(self.engine, "connect", partial(_prepare_sqlite, log_pages=log_pages))
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def write(self) -> Generator[Tx]:
        """One transaction that is durable when the block is left, or did not happen."""
        with self.turn(), _translated(), self._writing.begin() as connection:
            tx = Tx(connection, self, writes=True)
            yield tx
        self.commits += 1
        for call in tx.follow_ups:
            call()

    @contextmanager
    def read(self) -> Generator[Tx]:
        """One consistent view; nothing may be written in it."""
        with _translated(), self._reading.connect() as connection, connection.begin():
            yield Tx(connection, self, writes=False)

    @contextmanager
    def outside_transactions(self) -> Generator[sqlite3.Connection]:
        """The driver's own connection, to SQLite."""
        with self.engine.connect() as connection:
            kept: Any = connection.connection.driver_connection
            yield kept

    @contextmanager
    def turn(self) -> Generator[None]:
        """While the block lasts, none of our writers begins; at once on PostgreSQL, which needs no turns."""
        if not self.is_sqlite:
            yield
            return
        with self._write_turn:
            yield

    def close(self) -> None:
        self.engine.dispose()


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def _prepare_sqlite(connection: Any, _record: Any, *, log_pages: int) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, not by the driver's guess
    connection.execute(f"PRAGMA wal_autocheckpoint={log_pages}")
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except DBAPIError as fault:
        if _is_full(fault):
            raise StorageFull("the disk is full, so nothing was stored; free some space and send it again") from fault
        if _is_busy(fault):
            raise Unavailable("the database is busy or away; try again shortly", retry_after_seconds=2) from fault
        if _is_unstorable(fault):
            raise Invalid(UNSTORABLE) from fault
        raise
    except (OverflowError, UnicodeEncodeError) as fault:  # SQLite's and both drivers' own
        if "SQLite INTEGER" in str(fault) or "surrogates" in str(fault):
            raise Invalid(UNSTORABLE) from fault
        raise


def _is_unstorable(fault: DBAPIError) -> bool:
    """What somebody sent, rather than what we did with it: PostgreSQL refuses to look for it as well."""
    state = getattr(fault.orig, "sqlstate", None)
    return isinstance(fault, DataError) and state in (None, OUT_OF_RANGE, NO_CHARACTER, NO_JSON_CHARACTER)


def _is_full(fault: DBAPIError) -> bool:
    text = str(fault.orig)
    return "disk is full" in text or "No space left" in text or getattr(fault.orig, "sqlstate", None) == "53100"


def _is_busy(fault: DBAPIError) -> bool:
    text = str(fault.orig)
    return fault.connection_invalidated or (
        isinstance(fault, OperationalError) and ("locked" in text or "connect" in text)
    )
