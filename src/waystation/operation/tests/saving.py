"""Saving and bringing back, as the commands do it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from waystation import app
from waystation.kernel.settings import load
from waystation.operation import backup, restore, restore_key
from waystation.operation.archive import Contents
from waystation.operation.restore import Restored
from waystation.operation.restore_key import Given


def unheard(_step: str, _done: int, _total: int) -> None:
    """Nobody looks at the progress."""


def unheard_code(_code: str) -> None:
    """Nobody writes it down."""


def saved(data: Path, file: Path, *, replace: bool = False, passphrase: str = "") -> Contents:
    wanted = backup.Wanted(path=file, replace=replace, passphrase=passphrase, hear_code=unheard_code)
    return backup.make(*load({"data": data}, {}), wanted, unheard)


def brought_back(file: Path, data: Path) -> Contents:
    """On the machine that made it, where the code lies beside the new folder."""
    return opened_with(Given(), file, data).contents


def opened_with(given: Given, file: Path, data: Path) -> Restored:
    here, _ = load({"data": data.parent / "nowhere"}, {})
    lock = restore.look(file, data).lock
    key = None if lock is None else restore_key.key_of(lock, given, here=here, target=data, ask=restore_key.typed)
    return restore.restore(file, data, app.PACKAGE, key=key, tell=unheard)


def names_of_devices(data: Path) -> list[str]:
    with closing(sqlite3.connect(data / "waystation.db")) as database:
        return [row[0] for row in database.execute("SELECT name FROM device ORDER BY id")]


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
