"""A database for a bench: a file of SQLite, or a PostgreSQL of its own with fsync as it comes."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from waystation.app import LOG_PAGES, PACKAGE
from waystation.kernel import migrations
from waystation.kernel.checkpoints import Checkpoints
from waystation.kernel.db import Database, sqlite_url

sys.path.append(str(Path(__file__).parents[1]))
from tests.postgresql import running_cluster

DURABLE = ("listen_addresses=", "shared_buffers=256MB", "max_wal_size=4GB")


@contextmanager
def opened(folder: Path, *, postgresql: bool) -> Generator[Database]:
    """With all tables, empty; SQLite's log is brought in as a hub that serves does it."""
    if not postgresql:
        with _made(sqlite_url(folder / "ours.db")) as database:
            yield database
        return
    with running_cluster(DURABLE) as cluster, _made(cluster.new_database()) as database:
        yield database


@contextmanager
def _made(url: str) -> Generator[Database]:
    database = Database(url, log_pages=LOG_PAGES)
    migrations.bring_up_to_date(database, PACKAGE)  # the tables as a hub has them, with how PostgreSQL keeps chunks
    checkpoints = Checkpoints(database)
    checkpoints.start()
    try:
        yield database
    finally:
        checkpoints.close()
        database.close()


def tidy(database: Database) -> None:
    """Gives the room of rows that were deleted from the tail to the next ones, as autovacuum does every minute."""
    _tell_postgres(database, "vacuum tail")


def settle(database: Database) -> None:
    """A checkpoint of PostgreSQL, as it makes one every five minutes: from then on it writes over old files of its log.
    Before the first, each 16 MB of log wait until a new file is filled with zeros.
    """
    _tell_postgres(database, "checkpoint")


def _tell_postgres(database: Database, words: str) -> None:
    if not database.is_sqlite:
        with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(words)


def size_bytes(database: Database) -> int:
    """Of the file, or of telemetry's tables with their indexes, after all is written out."""
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
            assert database.url.database
            return Path(database.url.database).stat().st_size
        connection.exec_driver_sql("vacuum (analyze) chunk, tail, last_value")  # as autovacuum does in time
        tables = ("chunk", "tail", "last_value", "series")
        sizes = (sa.select(sa.func.pg_total_relation_size(name)) for name in tables)
        return sum(connection.execute(size).scalar_one() for size in sizes)


def word(*, postgresql: bool) -> str:
    return "PostgreSQL" if postgresql else "SQLite"
