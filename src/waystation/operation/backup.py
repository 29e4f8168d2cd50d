"""`waystation backup`: one verified file, made beside a running hub."""

import asyncio
import fcntl
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from waystation import __version__
from waystation.kernel import children
from waystation.kernel import settings as known_settings
from waystation.kernel.clock import SystemClock, iso
from waystation.kernel.errors import Conflict, NotFound, StorageFull, Unavailable
from waystation.kernel.secrets import sync_folder
from waystation.kernel.settings import Settings
from waystation.operation import archive, queue, sqlite_copy, start
from waystation.operation.archive import Contents, Tell

NOT_OURS = (
    "this hub keeps its data in PostgreSQL, whose own tools save it: `pg_dump --format=custom` for the database (its "
    "address is in DATABASE_URL); copy the folder {keys} with it, without which nobody stays signed in"
)


def make(settings: Settings, sources: dict[str, str], path: Path, *, replace: bool, tell: Tell) -> Contents:
    """Holds every reading that was acknowledged before it began. The file appears whole and verified, or not at all."""
    database = settings.data / archive.DATABASE
    _refuse(settings, database, path, replace=replace)
    with _nobody_starts(settings.data) as stopped, archive.draft_of(path) as draft:
        files = {archive.DATABASE: draft / archive.DATABASE, archive.KEYS: draft / archive.KEYS}
        began_at = SystemClock().now()
        kept = _save_queue(settings, draft, files, stopped=stopped, tell=tell)
        sqlite_copy.copy(
            database, files[archive.DATABASE], lambda done, total: tell("copying the database", done, total)
        )
        archive.pack(settings.data / "keys", files[archive.KEYS])
        tell("checking the copy", 0, 0)
        sqlite_copy.check(files[archive.DATABASE])
        contents = _contents(settings, sources, files, kept, began_at=began_at)
        written = draft / path.name
        try:
            archive.write(written, contents, files, tell)
        except OSError as fault:
            raise StorageFull(f"{path} cannot be written: {fault.strerror}") from fault
        if archive.read(written, tell) != contents:
            raise archive.Damaged(f"{path} could not be read back as it was written; is the disk sound?")
        written.replace(path)
        sync_folder(path.resolve().parent)
    return contents


def _refuse(settings: Settings, database: Path, path: Path, *, replace: bool) -> None:
    archive.check_name(path)
    if not settings.is_sqlite:
        raise Conflict(NOT_OURS.format(keys=settings.data / "keys"))
    if not database.exists():
        raise NotFound(f"there is no hub's data in {settings.data}; name its folder with --data")
    if path.exists() and not replace:
        raise Conflict(f"{path} exists; choose another name, or --force to replace it")
    if not path.resolve().parent.is_dir():
        raise NotFound(f"there is no folder {path.resolve().parent}")
    needed_bytes = 2 * database.stat().st_size + (1 << 20)
    if shutil.disk_usage(path.resolve().parent).free < needed_bytes:
        raise StorageFull(
            f"{path.resolve().parent} needs {needed_bytes >> 20} MiB of free space for a copy and the file"
        )


@contextmanager
def _nobody_starts(data: Path) -> Generator[bool]:
    """Whether no hub runs on the folder; then none starts while the block lasts, because we hold its lock."""
    with (data / "hub.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _save_queue(settings: Settings, draft: Path, files: dict[str, Path], *, stopped: bool, tell: Tell) -> str:
    """MQTT messages that were acknowledged and wait in NATS: a running hub stores them before we copy; of a stopped one
    the queue itself is copied.
    """
    waiting = settings.data / "nats" / "jetstream"
    if stopped and waiting.is_dir():
        children.end_leftover(settings.data / "nats" / "server.pid")  # of a hub that was killed; nothing writes then
        files[archive.QUEUE] = draft / archive.QUEUE
        archive.pack(waiting, files[archive.QUEUE])
        return "included"
    if stopped:
        return "none"
    running = start.running(settings.data)
    if running is None:
        raise Unavailable("the hub is just starting or stopping; try again in a moment")
    url = queue.url_of(settings, running)
    if url is None:
        return "none"
    tell("waiting for MQTT messages to be stored", 0, 0)
    asyncio.run(queue.drained(url))
    return "stored"


def _contents(
    settings: Settings, sources: dict[str, str], files: dict[str, Path], kept: str, *, began_at: datetime
) -> Contents:
    database = files[archive.DATABASE]
    return Contents(
        format=archive.FORMAT,
        program=__version__,
        made_at=iso(began_at),
        revision=sqlite_copy.scalar(database, "SELECT version_num FROM alembic_version"),
        home=sqlite_copy.scalar(database, "SELECT name FROM home ORDER BY id LIMIT 1"),
        queue=kept,
        rows=sqlite_copy.row_counts(database),
        settings={one.name: one.value for one in known_settings.known(settings, sources)},
        members={name: archive.member_of(path) for name, path in files.items()},
    )
