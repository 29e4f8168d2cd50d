"""An export into a file, which a crash may interrupt at any moment: what is done is noted beside it."""

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from waystation.kernel.db import Database
from waystation.kernel.errors import Conflict, NotFound
from waystation.telemetry.model import Cursor
from waystation.telemetry.transfer import export
from waystation.telemetry.transfer.export import Plan, Point, Wanted

Tell = Callable[[Point], None]
NOTE_SECONDS = 1.0
HASHED_AT_ONCE = 1_048_576


class Note(msgspec.Struct, frozen=True):
    """What lies in the part that is written: so many bytes and rows, up to the cursor."""

    wanted: Wanted
    bytes: int = 0
    rows: int = 0
    cursor: str = ""
    sha256: str = ""


def part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part.json")


def write(database: Database, plan: Plan, path: Path, tell: Tell) -> Point:
    """The whole export, from its beginning; the file has its name only when it is whole."""
    for old in (part_of(path), note_of(path)):
        old.unlink(missing_ok=True)
    return _go_on(database, plan, path, export.start(plan), tell=tell)


def resume(database: Database, plan: Plan, path: Path, tell: Tell) -> Point:
    """From where an earlier run was interrupted; the plan is of what was noted then. NotFound when nothing was."""
    return _go_on(database, plan, path, _found(part_of(path), noted(path)), tell=tell)


def noted(path: Path) -> Note:
    try:
        return msgspec.json.decode(note_of(path).read_bytes(), type=Note)
    except (FileNotFoundError, msgspec.MsgspecError) as fault:
        raise NotFound(f"there is no interrupted export of {path} to go on with; begin it without --resume") from fault


def _found(part: Path, note: Note) -> Point:
    """The point at the end of what was noted; what was written behind it is dropped."""
    digest = hashlib.sha256()
    left = note.bytes
    with part.open("rb") as file:
        while left and (read := file.read(min(left, HASHED_AT_ONCE))):
            digest.update(read)
            left -= len(read)
    if left or (note.bytes and digest.hexdigest() != note.sha256):
        raise Conflict(f"{part} is not what was written there; begin without --resume")
    os.truncate(part, note.bytes)
    return Point(note.bytes, note.rows, Cursor.parse(note.cursor) if note.cursor else None, digest)


def _go_on(database: Database, plan: Plan, path: Path, begin: Point, *, tell: Tell) -> Point:
    last, noted_at = begin, 0.0
    part = part_of(path)
    with part.open("ab") as file:
        for body, last in export.parts(database, plan, begin):
            file.write(body)
            tell(last)
            if time.monotonic() - noted_at > NOTE_SECONDS:
                _sync(file)
                _note(path, plan.wanted, last)
                noted_at = time.monotonic()
        _sync(file)
    part.replace(path)
    with suppress(FileNotFoundError):
        note_of(path).unlink()
    return last


def _note(path: Path, wanted: Wanted, point: Point) -> None:
    cursor = "" if point.cursor is None else point.cursor.text()
    fresh = note_of(path).with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(Note(wanted, point.size, point.rows, cursor, point.sha256)))
        _sync(file)
    fresh.replace(note_of(path))


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
