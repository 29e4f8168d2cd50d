"""Fetches the members of a package: each resumed where it was broken off, and believed by its hash only."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from waystation_agent.caller import Caller, Declined
from waystation_agent.link import Download
from waystation_agent.packages.model import Member, Unsound
from waystation_agent.packages.shelf import FILE_MODE, FOLDER_MODE, PROGRAM_MODE
from waystation_agent.tus import digest

TRIES = 3
PARTIAL = 206
PART_BYTES = 1_048_576


class Fetcher:
    """`progress` is told of every part that has come, and may raise to break off."""

    def __init__(self, caller: Caller, progress: Callable[[int], None]) -> None:
        self._caller = caller
        self._progress = progress
        self._verified: set[tuple[Path, int]] = set()

    def fetch(self, member: Member, folder: Path, known: Mapping[str, Path], *, is_program: bool) -> None:
        """Bring one member into the folder, from what is here already if it is. Raises Unsound, Later, OSError."""
        path = folder / member.name
        self._make_folders(path.parent, folder)
        for _ in range(TRIES):
            if not self._is_whole(path, member) and not self._copy(member, path, known):
                self._download(member, path)
            if self._is_whole(path, member):
                path.chmod(PROGRAM_MODE if is_program else FILE_MODE)
                return
            path.unlink(missing_ok=True)
        raise Unsound(f"{member.name} does not match its hash, {TRIES} times over")

    def _make_folders(self, wanted: Path, folder: Path) -> None:
        for below in [*reversed(wanted.relative_to(folder).parents), wanted.relative_to(folder)]:
            with suppress(FileExistsError):
                (folder / below).mkdir(mode=FOLDER_MODE)

    def _is_whole(self, path: Path, member: Member) -> bool:
        try:
            found = path.lstat()
        except FileNotFoundError:
            return False
        mark = (path, found.st_mtime_ns)
        if found.st_size != member.size:
            return False
        if mark not in self._verified and digest(path) != member.sha256:
            return False
        self._verified.add(mark)
        return True

    def _copy(self, member: Member, path: Path, known: Mapping[str, Path]) -> bool:
        """Take over what the version in use has already; a byte that rotted there is found by the hash."""
        source = known.get(member.sha256)
        if source is None or path.exists():
            return False
        with source.open("rb") as old, path.open("xb") as file:
            while part := old.read(PART_BYTES):
                file.write(part)
                self._progress(len(part))
            _settle(file)
        return self._is_whole(path, member)

    def _download(self, member: Member, path: Path) -> None:
        """Append what is missing. A hub that begins anew, or has other bytes by now, makes the file begin anew."""
        size = path.stat().st_size if path.exists() else 0
        if size >= member.size:
            path.unlink(missing_ok=True)
            size = 0
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if size:
            headers |= {"Range": f"bytes={size}-", "If-Range": f'"{member.sha256}"'}
        try:
            with self._caller.download(f"/api/blobs/{member.sha256}", headers) as coming:
                self._write(coming, path, member)
        except Declined as error:
            raise Unsound(f"the hub does not give {member.name}: {error}") from error

    def _write(self, coming: Download, path: Path, member: Member) -> None:
        with path.open("ab" if coming.status == PARTIAL else "wb") as file:
            left = member.size - file.tell()
            for part in coming.parts():
                left -= len(part)
                if left < 0:
                    raise Unsound(f"{member.name} is larger than announced")
                file.write(part)
                self._progress(len(part))
            _settle(file)


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def on_disk(folder: Path) -> dict[str, Path]:
    """Return the files of a folder by their hash."""
    found: dict[str, Path] = {}
    for below, _, names in os.walk(folder):
        for name in names:
            path = Path(below) / name
            if path.is_file() and not path.is_symlink():
                found[digest(path)] = path
    return found
