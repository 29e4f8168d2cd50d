"""Reads an old hub's files and changes nothing there; both layouts of its database, by asking which columns it has."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from waystation.kernel.clock import parse_iso
from waystation.kernel.errors import Invalid, NotFound

DATABASES = ("dropsync.db", "app/dropsync.db", "data/dropsync.db", "instance/dropsync.db")
TOKEN_FILES = ("app/device_auth.json", "device_auth.json")
UPLOADS = ("uploads", "app/uploads")
TABLES = ("devices", "commands", "messages", "file_syncs", "sync_packages", "system_logs")
OTHER_NAMES: Mapping[str, Sequence[str]] = {
    "type": ("msg_type", "message_type"),
    "command": ("command_type", "name"),
    "timestamp": ("created_at", "time"),
    "file_size": ("size",),
    "additional_data": ("extra_data", "data"),
}
OF_DEVICE = "device-"


@dataclass(frozen=True, slots=True)
class Upload:
    device: str
    path: Path


@dataclass(frozen=True, slots=True)
class Source:
    """What was found of the three; None for what is not there."""

    database: Path | None
    token_file: Path | None
    uploads: Path | None


def look(path: Path) -> Source:
    """A database, a token file, or the folder that holds them; NotFound when there is nothing of them."""
    if path.is_file():
        is_tokens = path.suffix == ".json"
        return Source(None if is_tokens else path, path if is_tokens else None, None)
    found = Source(_first(path, DATABASES), _first(path, TOKEN_FILES), _first(path, UPLOADS))
    if found == Source(None, None, None):
        raise NotFound(f"{path} has no dropsync.db, no device_auth.json and no folder uploads")
    return found


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).exists()), None)


class OldDatabase:
    """Rows of the old tables as mappings by the newer layout's column names."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def tables(self) -> Mapping[str, int]:
        """Those that are there, with their number of rows; Invalid for what is no such database."""
        try:
            with closing(self._open()) as old:
                there = {row[0] for row in old.execute("select name from sqlite_master where type = 'table'")}
                counts = {name: f"select count(*) from {name}" for name in TABLES if name in there}  # noqa: S608
                found = {name: int(old.execute(count).fetchone()[0]) for name, count in counts.items()}
        except sqlite3.DatabaseError as fault:
            raise Invalid(f"{self._path} is no SQLite database: {fault}") from fault
        if "devices" not in found:
            raise Invalid(f"{self._path} is no database of DropSync: it has no table devices")
        return found

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """In the order of their ids."""
        with closing(self._open()) as old:
            old.row_factory = sqlite3.Row
            for row in old.execute(f"select * from {table} order by id"):  # noqa: S608  one of our own names
                yield _renamed(dict(row))

    def _open(self) -> sqlite3.Connection:
        old = sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True)
        old.text_factory = _decoded
        return old


def _decoded(given: bytes) -> str:
    return given.decode(errors="replace")


def _renamed(row: dict[str, Any]) -> dict[str, Any]:
    for name, others in OTHER_NAMES.items():
        if name not in row:
            row[name] = next((row[other] for other in others if other in row), None)
    return row


def uploads_in(folder: Path) -> Iterator[Upload]:
    """`device-<id>/<name>`, without what is hidden or no ordinary file."""
    for mine in sorted(folder.glob(f"{OF_DEVICE}*")):
        for path in sorted(mine.rglob("*")) if mine.is_dir() and not mine.is_symlink() else ():
            if path.is_file() and not path.is_symlink():
                yield Upload(mine.name.removeprefix(OF_DEVICE), path)


def moment(value: Any) -> datetime | None:
    """As SQLAlchemy wrote it for SQLite, naive UTC; None for nothing and for what is no time."""
    if not isinstance(value, str) or not value.strip():
        return None
    try:
        return parse_iso(value)
    except Invalid:
        return None
