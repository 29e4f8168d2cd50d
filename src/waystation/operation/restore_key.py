"""What opens a backup's keys: what the owner gives, what this machine still has, or what a person types."""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from waystation.kernel.errors import Conflict, Invalid
from waystation.kernel.settings import Settings
from waystation.operation import archive_lock, backup_code
from waystation.operation.archive_lock import Lock, Locked

MOST_FOLDERS = 5
SAY_HOW = {
    "code": "the keys in this backup are locked: give its recovery code with --code, or leave them out --without-keys",
    "passphrase": "the keys in this backup are locked with a passphrase: name a file that has it with "
    "--passphrase-file, or leave them out --without-keys",
}


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says; at most one of the three."""

    code: str | None = None
    passphrase_file: Path | None = None
    without_keys: bool = False

    def check(self) -> None:
        if (self.code is not None) + (self.passphrase_file is not None) + self.without_keys > 1:
            raise Invalid("--code, --passphrase-file and --without-keys exclude each other; give one of them")


def key_of(lock: Lock, given: Given, *, here: Settings, target: Path, ask: Callable[[Lock], str]) -> bytes | None:
    """None when the keys shall be left out. `here` are the settings without --data: where this machine's hub is."""
    if given.without_keys:
        return None
    if given.code is not None:
        if lock.by != "code":
            raise Locked(SAY_HOW["passphrase"])
        return _opened(lock, given.code)
    if given.passphrase_file is not None:
        return _opened(lock, backup_code.passphrase_in(given.passphrase_file))
    for secret in dict.fromkeys(_found(lock, here, target)):
        with suppress(Locked):
            return _opened(lock, secret)
    return _opened(lock, ask(lock))


def _opened(lock: Lock, secret: str) -> bytes:
    return archive_lock.opened(lock, backup_code.plain(secret) if lock.by == "code" else secret)


def _found(lock: Lock, here: Settings, target: Path) -> Iterator[str]:
    """Of the hub's usual folder, and of those beside the new one: an old one is often moved aside."""
    if lock.by == "passphrase":
        if passphrase := here.backup_passphrase.get_secret_value():
            yield passphrase
        return
    with suppress(OSError):
        beside = [path.parent.parent for path in target.resolve().parent.glob("*/keys/backup.key")]
        for folder in (here.data, *sorted(beside)[:MOST_FOLDERS]):
            with suppress(Conflict):
                if (code := backup_code.known(folder)) is not None:
                    yield code


def typed(lock: Lock) -> str:
    """From the terminal, if there is one."""
    import typer  # noqa: PLC0415

    if not sys.stdin.isatty():
        raise Locked(SAY_HOW[lock.by])
    if lock.by == "code":
        return typer.prompt("The backup's recovery code", err=True)
    return typer.prompt("The backup's passphrase", hide_input=True, err=True)
