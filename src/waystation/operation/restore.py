"""`waystation restore`: a data folder from a backup, whole or not at all."""

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from waystation.kernel import migrations
from waystation.kernel.errors import Conflict
from waystation.kernel.secrets import sync_folder
from waystation.operation import archive, archive_lock, sqlite_copy, start
from waystation.operation.archive import Contents, Damaged, Tell

SEALED = ("totp", "home_key")  # tables of secrets that only the site's keys open
LETTERS, _ = archive.LETTERS


@dataclass(frozen=True, slots=True)
class Restored:
    """`lost` counts what only the keys could have opened, by table, when they were left out."""

    contents: Contents
    lost: Mapping[str, int] = field(default_factory=dict[str, int])


def look(path: Path, data: Path) -> Contents:
    """What the backup says of itself, once it is certain that the folder may be filled."""
    _refuse(data)
    return archive.look(path)


def restore(path: Path, data: Path, package: Path, *, key: bytes | None, tell: Tell) -> Restored:
    """Everything is checked in a folder beside `data`, which then takes its place. Without the archive's key, what is
    locked in it is left out.
    """
    _refuse(data)
    data.parent.mkdir(parents=True, exist_ok=True)
    with archive.draft_of(data) as draft:
        staged = draft / "data"
        staged.mkdir(mode=0o700)
        contents = archive.read(path, tell, into=staged)
        tell("checking the database", 0, 0)
        _check(contents, staged, package)
        lost = _unlock(contents, staged, key)
        _unpack(staged, archive.KEYS, staged / "keys")
        _unpack(staged, archive.QUEUE, staged / "nats" / "jetstream")
        _unpack(staged, archive.BLOBS, staged / "blobs")
        sync_folder(staged)
        _take_place(staged, data)
    return Restored(contents, lost)


def _refuse(data: Path) -> None:
    if start.running(data) is not None:
        raise Conflict(f"a hub is running on {data}; stop it, and name an empty or new folder")
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise Conflict(
            f"{data} is not empty, and nothing in it is overwritten; name an empty or new folder with --data"
        )


def _check(contents: Contents, staged: Path, package: Path) -> None:
    for needed in (archive.DATABASE, archive.KEYS + (archive.LOCKED if contents.lock else "")):
        if not (staged / needed).exists():
            raise Damaged(f"the backup has no {needed}")
    database = staged / archive.DATABASE
    sqlite_copy.check(database)
    if sqlite_copy.row_counts(database) != contents.rows:
        raise Damaged("the database in the backup has not as many rows as were counted when it was made")
    if contents.revision > migrations.head(package):
        raise Conflict(f"the backup is of a newer Waystation ({contents.program}); install that version, then restore")


def _unlock(contents: Contents, staged: Path, key: bytes | None) -> dict[str, int]:
    """What was locked lies there in the clear, or is gone and counted."""
    if contents.lock is None:
        return {}
    locked = [staged / (name + archive.LOCKED) for name in (archive.KEYS, archive.QUEUE)]
    lost: dict[str, int] = {}
    if key is None:
        lost = sqlite_copy.emptied(staged / archive.DATABASE, (*SEALED, LETTERS))
    else:
        for path in filter(Path.exists, locked):
            archive_lock.unlock(path, path.with_suffix(""), key)
        sqlite_copy.rewrite(staged / archive.DATABASE, *archive.LETTERS, partial(archive_lock.unlock_row, key))
    for path in locked:
        path.unlink(missing_ok=True)
    return lost


def _unpack(staged: Path, name: str, folder: Path) -> None:
    if (staged / name).exists():
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        archive.unpack(staged / name, folder)
        (staged / name).unlink()


def _take_place(staged: Path, data: Path) -> None:
    try:
        staged.rename(data)
    except OSError as fault:
        if fault.errno in (errno.EBUSY, errno.EXDEV):
            raise Conflict(f"{data} is a mount point, which cannot be replaced; name a folder inside of it") from fault
        raise
    sync_folder(Path(os.path.realpath(data)).parent)
