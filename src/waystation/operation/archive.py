"""The file of a backup: a tar whose first member names, counts and hashes all others."""

import errno
import gzip
import hashlib
import io
import os
import secrets
import tarfile
import zlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO

import msgspec

from waystation.kernel.errors import Conflict, Invalid, StorageFull
from waystation.kernel.secrets import sync_folder
from waystation.operation import archive_lock
from waystation.operation.archive_lock import Lock

FORMAT = 2
IN_CLEAR = 1  # the format that had no lock: keys.tar and queue.tar as they are
CONTENTS, DATABASE, KEYS, QUEUE, BLOBS = "backup.json", "waystation.db", "keys.tar", "queue.tar", "blobs.tar"
LOCKED = ".locked"
LETTERS = ("outbox", "body")  # the column whose values are locked in the copy: a mail may hold a link that signs in
SQUEEZED = (".tar.gz", ".tgz")
FULL = (errno.ENOSPC, errno.EDQUOT)
PIECE_BYTES = 1 << 20
MOST_CONTENTS_BYTES = 1 << 20
PRIVATE = 0o600

Tell = Callable[[str, int, int], None]
"""Hears of progress: the step in words, how much of it is done, and of how much (0 when nobody knows)."""


@dataclass(frozen=True, slots=True)
class Member:
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Contents:
    """`rows` by table. `queue` says what became of MQTT messages that were acknowledged and not yet readings: `stored`
    before the copy was made, `included`, or `none` without a queue of ours. `lock` holds the key to members that end in
    `.locked` and to the outbox's bodies; archives of the first format have none.
    """

    format: int
    program: str
    made_at: str
    revision: str
    home: str
    queue: str
    rows: Mapping[str, int]
    settings: Mapping[str, str]
    members: Mapping[str, Member]
    lock: Lock | None = None


class Damaged(Conflict):
    """The file is not whole, or not as it was written."""


def check_name(path: Path) -> None:
    """Invalid unless the name says that the file is a tar, plain or compressed."""
    if not path.name.endswith((".tar", *SQUEEZED)):
        raise Invalid(f"{path.name}: name the file something.tar, or something.tar.gz to have it compressed")


@contextmanager
def draft_of(path: Path) -> Generator[Path]:
    """A private folder beside `path`, on the same disk; gone afterwards."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.mkdir(mode=0o700)
    try:
        yield draft
    finally:
        for left in sorted(draft.rglob("*"), reverse=True) if draft.exists() else ():
            left.rmdir() if left.is_dir() else left.unlink()
        with suppress(FileNotFoundError):
            draft.rmdir()


def write(path: Path, contents: Contents, files: Mapping[str, Path], tell: Tell) -> None:
    """Durable when it returns; readable by its owner only."""
    total = sum(member.size_bytes for member in contents.members.values())
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE), "wb") as file:
        with _squeezing(path, file) as squeezed, tarfile.open(fileobj=squeezed, mode="w") as tar:
            _add(tar, CONTENTS, io.BytesIO(msgspec.json.format(msgspec.json.encode(contents), indent=1)))
            done = 0
            for name, source in files.items():
                with source.open("rb") as opened:
                    _add(tar, name, Watched(opened, lambda more, so_far=done: tell("writing", so_far + more, total)))
                done += source.stat().st_size
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _squeezing(path: Path, file: BinaryIO) -> Generator[Any]:
    """Fast rather than small: chunks of readings are compressed already."""
    if not path.name.endswith(SQUEEZED):
        yield file
        return
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=3) as squeezed:
        yield squeezed


def _add(tar: tarfile.TarFile, name: str, source: Any) -> None:
    member = tarfile.TarInfo(name)
    member.mode = PRIVATE
    source.seek(0, os.SEEK_END)
    member.size = source.tell()
    source.seek(0)
    tar.addfile(member, source)


class Watched:
    """A file that tells how much of it has been read."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], None]) -> None:
        self._file = file
        self._tell = tell
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._tell(self._file.tell())
        return piece


def member_of(path: Path) -> Member:
    with path.open("rb") as file:
        return Member(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def read(path: Path, tell: Tell, into: Path | None = None) -> Contents:
    """What it holds, once every member has proved whole; Damaged otherwise. With `into` the members are laid there."""
    with _whole(path), tarfile.open(path, "r|*") as tar:
        members = iter(tar)
        contents = _contents(tar, next(members, None))
        total = sum(member.size_bytes for member in contents.members.values())
        done = 0
        missing = dict(contents.members)
        for found in members:
            expected = missing.pop(found.name, None)
            source = tar.extractfile(found) if found.isreg() else None
            if expected is None or source is None:
                raise Damaged(f"{path} holds something that a backup does not: {found.name[:80]}")
            _check(
                found.name,
                _copied(source, into and into / found.name, done, lambda n: tell("reading", n, total)),
                expected,
            )
            done += expected.size_bytes
        if missing:
            raise Damaged(f"{path} is not whole: {', '.join(missing)} is missing")
    return contents


def look(path: Path) -> Contents:
    """What it says of itself; the members are not read."""
    with _whole(path), tarfile.open(path, "r|*") as tar:
        return _contents(tar, tar.next())


def _check(name: str, found: Member, expected: Member) -> None:
    if found != expected:
        raise Damaged(f"{name} in the backup is not as it was written, so nothing of it is used")


def _copied(source: IO[bytes], into: Path | None, done: int, tell: Callable[[int], None]) -> Member:
    digest, size = hashlib.sha256(), 0
    target = os.fdopen(os.open(into, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE), "wb") if into else io.BytesIO()
    with target:
        while piece := source.read(PIECE_BYTES):
            digest.update(piece)
            size += len(piece)
            if into:
                target.write(piece)
            tell(done + size)
        if into:
            target.flush()
            os.fsync(target.fileno())
    return Member(size, digest.hexdigest())


def _contents(tar: tarfile.TarFile, first: tarfile.TarInfo | None) -> Contents:
    source = tar.extractfile(first) if first and first.isreg() and first.size <= MOST_CONTENTS_BYTES else None
    if first is None or source is None or first.name != CONTENTS:
        raise Damaged("this is no backup of Waystation")
    raw = source.read()
    try:
        told = msgspec.json.decode(raw, type=dict[str, Any]).get("format")
        if told not in (IN_CLEAR, FORMAT):
            raise Damaged(f"this backup has the format {told}; this program reads {IN_CLEAR} and {FORMAT}: use a newer")
        contents = msgspec.json.decode(raw, type=Contents)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise Damaged(f"the backup's list of contents cannot be read: {fault}") from fault
    if (contents.lock is None) != (told == IN_CLEAR):
        raise Damaged("the backup's list of contents has no lock, or one that its format has not")
    return contents


@contextmanager
def _whole(path: Path) -> Generator[None]:
    """Turns what a cut or overwritten file causes into one sentence."""
    try:
        yield
    except FileNotFoundError:
        raise Conflict(f"there is no file {path}") from None
    except (tarfile.TarError, EOFError, zlib.error, OSError) as fault:
        if isinstance(fault, OSError) and fault.errno in FULL:
            raise StorageFull(f"the disk is full: {fault.filename or path.parent}") from fault
        raise Damaged(f"{path} cannot be read as a backup: {fault}") from fault


def pack(folder: Path, into: Path, key: bytes) -> None:
    """All regular files below the folder, encrypted on the way."""
    with archive_lock.locking(into, key) as locked, tarfile.open(fileobj=locked, mode="w|") as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
            with path.open("rb") as opened:
                _add(tar, path.relative_to(folder).as_posix(), opened)


def pack_in_clear(found: Mapping[str, Path], into: Path) -> None:
    """Files by their names in the tar; one that has gone meanwhile is left out."""
    private = os.fdopen(os.open(into, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE), "wb")
    with private as file, tarfile.open(fileobj=file, mode="w|") as tar:
        for name, path in found.items():
            with suppress(FileNotFoundError), path.open("rb") as opened:
                _add(tar, name, opened)


def unpack(packed: Path, folder: Path) -> None:
    """Regular files only, inside the folder only, private and durable."""
    folder.mkdir(mode=0o700, parents=True)
    with _whole(packed), tarfile.open(packed) as tar:
        for member in tar:
            place, source = PurePosixPath(member.name), tar.extractfile(member) if member.isreg() else None
            if source is None or place.is_absolute() or ".." in place.parts:
                raise Damaged(f"{packed.name} in the backup holds what it must not: {member.name[:80]}")
            (folder / place).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _copied(source, folder / place, 0, lambda _: None)
    for inner in (*(path for path in folder.rglob("*") if path.is_dir()), folder):
        sync_folder(inner)
