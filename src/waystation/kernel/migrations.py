"""Brings the database to the newest shape at start: one Alembic chain over the dated files of all feature folders."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from waystation.kernel.db import Database, Tx, metadata

log = structlog.get_logger(__name__)

CHAIN_LOCK = 0x57415953  # any number that no other program locks on the same PostgreSQL


def folders(package: Path) -> list[Path]:
    return sorted(path for path in package.glob("**/migrations") if path.is_dir())


def head(package: Path) -> str:
    """The newest revision. File names are revisions and sort in the chain's order (a test holds them to it)."""
    return max(file.stem for folder in folders(package) for file in folder.glob("[0-9]*.py"))


def current(tx: Tx) -> str | None:
    if not sa.inspect(tx.connection).has_table("alembic_version"):
        return None
    return tx.scalar(sa.text("select version_num from alembic_version"))


def bring_up_to_date(database: Database, package: Path) -> bool:
    """Whether anything had to be done. Of two processes that start at once one does it, the other waits."""
    newest = head(package)
    with database.read() as tx:
        if current(tx) == newest:
            return False
    with _locked(database) as tx:
        before = current(tx)
        if before == newest:
            return False
        _refuse_newer(before, package)
        log.info("database is brought up to date", before=before or "empty", to=newest)
        _upgrade(tx.connection, folders(package))
    return True


@contextmanager
def _locked(database: Database) -> Generator[Tx]:
    with database.write() as tx:
        if not tx.is_sqlite:
            tx.execute(sa.select(sa.func.pg_advisory_xact_lock(CHAIN_LOCK)))
        yield tx


def _refuse_newer(revision: str | None, package: Path) -> None:
    known = {file.stem for folder in folders(package) for file in folder.glob("[0-9]*.py")}
    if revision is not None and revision not in known:
        raise SystemExit(
            f"waystation: the database is at {revision}, which is newer than this program; install the newer version"
        )


def _upgrade(connection: sa.Connection, locations: Sequence[Path]) -> None:
    from alembic.config import Config  # noqa: PLC0415  20 MB and 0.2 s that an up-to-date start does without
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    script = ScriptDirectory(str(locations[0].parent), version_locations=[str(path) for path in locations])

    def steps(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs("head", revision)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
        environment.run_migrations()
