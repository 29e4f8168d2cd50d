"""Bytes stored once under their SHA-256: drafts that grow while they arrive, and the folder that they are kept in."""

import errno
import fcntl
import hashlib
import os
import re
import time
from collections import OrderedDict
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from waystation.kernel.errors import Conflict, DomainError, NotFound, StorageFull, Unavailable
from waystation.kernel.secrets import make_folder, sync_folder

SHA256 = re.compile(r"[0-9a-f]{64}")
PIECE_BYTES = 1 << 20
SYNC_BYTES = 32 << 20
"""So much is written before the disk must have it: else the last sync of a long draft would take as long as all."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
AWAY = (errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE)
PRIVATE = 0o600
YOUNG_SECONDS = 60
MOST_HASHES = 256


class Locked(DomainError):
    """Somebody else is just writing it."""

    status, word = 423, "locked"


class Blobs(Protocol):
    """Where whole blobs are kept. Rows of kernel.blob_rows say which there are; this only has their bytes."""

    def keep(self, draft: "Draft") -> None:
        """Its bytes are durable under their hash when this returns. The draft stays until who refers to them is durable
        too, so a crash between the two loses nothing. The same bytes again are no change.
        """
        ...

    def open(self, sha256: str) -> BinaryIO:
        """From its first byte, seekable; NotFound when it is not here. What is open stays readable until closed."""
        ...

    def remove(self, sha256: str) -> None:
        """Also when it is gone already."""
        ...

    def stored(self) -> Iterator[str]:
        """The hash of each, in no order."""
        ...


class Hashed(NamedTuple):
    """The hash of the first `size` bytes."""

    state: Any
    size: int


class Draft:
    """A file that grows from `size` on, under an exclusive lock; made by `Drafts.open`. Synchronous: use a thread."""

    def __init__(self, file: BinaryIO, path: Path, min_free_bytes: int) -> None:
        self._file = file
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._synced = 0
        self._min_free_bytes = min_free_bytes

    def cut(self, size: int) -> None:
        """What is behind `size` was never acknowledged; writing goes on there."""
        self._file.truncate(size)
        self._file.seek(size)
        self.size = self._synced = size
        if self._hashed > size:
            self._hash, self._hashed = hashlib.sha256(), 0

    @property
    def hashed(self) -> "Hashed":
        """What is known of its hash, for who goes on with it."""
        return Hashed(self._hash, self._hashed)

    def know(self, hashed: "Hashed") -> None:
        if hashed.size == self.size:
            self._hash, self._hashed = hashed

    def head(self, size: int) -> bytes:
        """Its first bytes."""
        return os.pread(self._file.fileno(), size, 0)

    def append(self, piece: bytes) -> None:
        """StorageFull when the disk is, or its reserve would be touched; what was appended before stays."""
        with _reached(self.path.parent), _disk_said():
            check_free(self.path.parent, self._min_free_bytes + len(piece))
            view = memoryview(piece)
            while view:
                view = view[self._file.write(view) :]
        if self._hashed == self.size:
            self._hash.update(piece)
            self._hashed += len(piece)
        self.size += len(piece)
        if self.size - self._synced >= SYNC_BYTES:
            self.sync()

    def sync(self) -> None:
        """Every byte is on the disk when this returns."""
        with _disk_said():
            os.fsync(self._file.fileno())
        self._synced = self.size

    @property
    def sha256(self) -> str:
        """Of all that it holds; what this process has not seen arrive is read."""
        if self._hashed != self.size:
            self._file.seek(0)
            self._hash = hashlib.sha256()
            while piece := self._file.read(PIECE_BYTES):
                self._hash.update(piece)
            self._hashed = self.size
            self._file.seek(self.size)
        return self._hash.hexdigest()

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


class Drafts:
    """The folder of what still arrives, made when it is first used. Where it is gone later, as with an unplugged disk,
    calls are Unavailable: nothing is made in its place, and nobody is told that what had arrived is lost.
    """

    def __init__(self, folder: Path, min_free_bytes: int = 0) -> None:
        self.folder = folder
        self._min_free_bytes = min_free_bytes
        self._is_made = False
        self._hashes: OrderedDict[str, Hashed] = OrderedDict()

    def check_free(self, more_bytes: int) -> None:
        """StorageFull unless so many more leave enough of the disk free."""
        with self._reached():
            check_free(self.folder, self._min_free_bytes + more_bytes)

    def make(self, name: str) -> None:
        """An empty one, durable, that `open` finds."""
        with self._reached(), _disk_said():
            os.close(os.open(self.folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))
            sync_folder(self.folder)

    @contextmanager
    def open(self, name: str, size: int = 0, *, new: bool = False) -> Generator[Draft]:
        """To go on at `size`. Locked while somebody else has it, NotFound when it is not there or shorter."""
        path = self.folder / name
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if new else 0)
        try:
            with self._reached(), _disk_said():
                handle = os.open(path, flags, PRIVATE)
        except FileNotFoundError:
            raise NotFound("what had arrived of this is gone; begin anew") from None
        with os.fdopen(handle, "r+b", buffering=0) as file:
            _lock(file, path)
            if os.fstat(handle).st_size < size:
                raise NotFound("what had arrived of this is gone; begin anew")
            draft = Draft(file, path, self._min_free_bytes)  # type: ignore[arg-type]
            draft.cut(size)
            draft.know(self._hashes.pop(name, Hashed(None, -1)))
            yield draft
            self._remember(name, draft.hashed)

    @contextmanager
    def _reached(self) -> Generator[None]:
        if not self._is_made:
            make_folder(self.folder)
            self._is_made = True
        with _reached(self.folder):
            yield

    def _remember(self, name: str, hashed: Hashed) -> None:
        """So that the last part of many need not read all that came before it."""
        self._hashes[name] = hashed
        if len(self._hashes) > MOST_HASHES:
            self._hashes.popitem(last=False)

    def remove(self, name: str) -> None:
        self._hashes.pop(name, None)
        (self.folder / name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        return [path.name for path in self.folder.glob("*")]

    def sweep(self, prefix: str) -> int:
        """Removes those of a name that begins so and that nobody writes any more: who wrote them has died."""
        removed = 0
        for path in self.folder.glob(f"{prefix}*"):
            with suppress(FileNotFoundError, Conflict, Locked, NotFound):
                if time.time() - path.stat().st_mtime > YOUNG_SECONDS:
                    with self.open(path.name):
                        path.unlink()
                    removed += 1
        return removed


class LocalBlobs:
    """`ab/cd/abcd…`: two levels of 256 folders, so that no folder grows long."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, sha256: str) -> Path:
        if not SHA256.fullmatch(sha256):
            raise NotFound("a SHA-256 is 64 of the characters 0-9 a-f")
        return self.folder / sha256[:2] / sha256[2:4] / sha256

    def keep(self, draft: Draft) -> None:
        place = self.place(draft.sha256)
        second_name = place.with_name(f".{draft.path.name}")
        with _reached(draft.path.parent), _disk_said():
            draft.sync()
            draft.path.stat()  # where it is gone nothing is made in its disk's place
            make_folder(place.parent)
            second_name.unlink(missing_ok=True)
            second_name.hardlink_to(draft.path)
            second_name.replace(place)
            second_name.unlink(missing_ok=True)  # it stays when both are the same file already
            sync_folder(place.parent)

    def open(self, sha256: str) -> BinaryIO:
        try:
            return self.place(sha256).open("rb")
        except FileNotFoundError:
            raise NotFound("the bytes of this are not here") from None

    def remove(self, sha256: str) -> None:
        self.place(sha256).unlink(missing_ok=True)

    def stored(self) -> Iterator[str]:
        for path in self.folder.glob("??/??/*"):
            if SHA256.fullmatch(path.name):
                yield path.name


def check_free(folder: Path, least_bytes: int) -> None:
    found = os.statvfs(folder)
    if found.f_bavail * found.f_frsize < least_bytes:
        raise StorageFull("the disk is full, so nothing was stored; free some space and send it again")


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Locked("this upload is being written by another call; ask how far it is", retry_after_seconds=1) from None
    try:
        is_same = os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        is_same = False
    if not is_same:
        raise Conflict("this upload has just ended")


@contextmanager
def _reached(folder: Path) -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        if folder.is_dir():
            raise
        raise Unavailable("the folder for uploads is gone, perhaps with its disk; try again later") from None


@contextmanager
def _disk_said() -> Generator[None]:
    try:
        yield
    except OSError as fault:
        if fault.errno in FULL:
            raise StorageFull("the disk is full, so nothing was stored; free some space and send it again") from fault
        if fault.errno in AWAY:
            raise Unavailable("the disk for uploads does not answer; try again later") from fault
        raise
