"""`waystation backup`: one verified file, made beside a running hub."""

import asyncio
import fcntl
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from waystation import __version__
from waystation.kernel import children
from waystation.kernel import settings as known_settings
from waystation.kernel.blobs import LocalBlobs
from waystation.kernel.clock import SystemClock, iso
from waystation.kernel.errors import Conflict, NotFound, StorageFull, Unavailable
from waystation.kernel.secrets import sync_folder
from waystation.kernel.settings import Settings
from waystation.operation import archive, archive_lock, backup_code, queue, sqlite_copy, start
from waystation.operation.archive import Contents, Tell
from waystation.operation.archive_lock import Lock

NOT_OURS = (
    "this hub keeps its data in PostgreSQL, whose own tools save it: `pg_dump --format=custom` for the database (its "
    "address is in DATABASE_URL); copy the folder {keys} with it, and keep that copy in another, private place: "
    "it opens what is sealed in the database"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """`passphrase` locks instead of the recovery code, whose making `hear_code` hears of."""

    path: Path
    replace: bool = False
    passphrase: str = ""
    hear_code: Callable[[str], None]


def make(settings: Settings, sources: dict[str, str], wanted: Wanted, tell: Tell) -> Contents:
    """Holds every reading that was acknowledged before it began. The file appears whole and verified, or not at all."""
    database, path = settings.data / archive.DATABASE, wanted.path
    _refuse(settings, database, path, replace=wanted.replace)
    lock, key = _locked(settings, wanted)
    with _nobody_starts(settings.data) as stopped, archive.draft_of(path) as draft:
        files = {archive.DATABASE: draft / archive.DATABASE}
        began_at = SystemClock().now()
        kept = _save_queue(settings, stopped=stopped, tell=tell)
        sqlite_copy.copy(
            database, files[archive.DATABASE], lambda done, total: tell("copying the database", done, total)
        )
        sqlite_copy.rewrite(files[archive.DATABASE], *archive.LETTERS, partial(archive_lock.lock_row, key))
        files |= _packed(settings.data / "keys", draft / archive.KEYS, key)
        if blobs := _blobs(settings, files[archive.DATABASE]):
            tell("copying files", 0, 0)
            archive.pack_in_clear(blobs, draft / archive.BLOBS)
            files[archive.BLOBS] = draft / archive.BLOBS
        if kept == "included":
            files |= _packed(_queue_of(settings), draft / archive.QUEUE, key)
        tell("checking the copy", 0, 0)
        sqlite_copy.check(files[archive.DATABASE])
        contents = _contents(settings, sources, files, kept, began_at=began_at, lock=lock)
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


def _locked(settings: Settings, wanted: Wanted) -> tuple[Lock, bytes]:
    """The lock, and the key behind it."""
    if passphrase := wanted.passphrase or settings.backup_passphrase.get_secret_value():
        return archive_lock.fastened("passphrase", backup_code.check_strength(passphrase))
    code, is_new = backup_code.known_or_new(settings.data)
    if is_new:
        wanted.hear_code(code)
    return archive_lock.fastened("code", backup_code.plain(code))


def _packed(folder: Path, into: Path, key: bytes) -> dict[str, Path]:
    """The locked member by its name."""
    locked = into.with_name(into.name + archive.LOCKED)
    archive.pack(folder, locked, key)
    return {locked.name: locked}


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
    needed_bytes = 2 * (database.stat().st_size + _bytes_of_blobs(database)) + (1 << 20)
    if shutil.disk_usage(path.resolve().parent).free < needed_bytes:
        raise StorageFull(
            f"{path.resolve().parent} needs {needed_bytes >> 20} MiB of free space for a copy and the file"
        )


def _blobs(settings: Settings, database: Path) -> dict[str, Path]:
    """What files and packages are made of, as far as the copy of the database knows of it; names as in the folder.
    What was deleted since the copy was made stays there for an hour, so it is in the backup as well.
    """
    blobs = LocalBlobs(settings.data / "blobs")
    places = (blobs.place(sha256) for sha256 in sqlite_copy.column(database, "SELECT sha256 FROM blob ORDER BY 1"))
    return {place.relative_to(blobs.folder).as_posix(): place for place in places if place.exists()}


def _bytes_of_blobs(database: Path) -> int:
    with suppress(Conflict):  # of a hub that had no files yet
        return int(sqlite_copy.scalar(database, "SELECT coalesce(sum(size_bytes), 0) FROM blob"))
    return 0


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


def _queue_of(settings: Settings) -> Path:
    return settings.data / "nats" / "jetstream"


def _save_queue(settings: Settings, *, stopped: bool, tell: Tell) -> str:
    """MQTT messages that were acknowledged and wait in NATS: a running hub stores them before we copy; of a stopped one
    the queue itself is copied.
    """
    if stopped and _queue_of(settings).is_dir():
        children.end_leftover(settings.data / "nats" / "server.pid")  # of a hub that was killed; nothing writes then
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
    settings: Settings, sources: dict[str, str], files: dict[str, Path], kept: str, *, began_at: datetime, lock: Lock
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
        lock=lock,
    )
