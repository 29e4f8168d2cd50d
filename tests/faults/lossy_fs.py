"""The volume as a file system: `python -m tests.faults.lossy_fs BACKING MOUNT`. kill -9 it to cut the power."""

import argparse
import errno
import os
from pathlib import Path
from typing import Any

import mfusepy
from tests.faults.volume import PAGE_BYTES, SECTOR_BYTES, File, Folder, Node, Volume


class LossyFS(mfusepy.Operations):
    """FUSE's calls as verbs of the volume. Open files are held by handle, so that they outlive their names."""

    use_ns = True

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._opened: dict[int, File] = {}

    def _file(self, path: str | None, handle: int | None = None) -> File:
        if handle in self._opened:
            return self._opened[handle]
        if path is None:
            raise OSError(errno.EBADF, "neither path nor handle")
        return self._volume.file(path)

    def _open(self, file: File) -> int:
        handle = max(self._opened, default=0) + 1
        self._opened[handle] = file
        file.opened += 1
        return handle

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        node = self._opened[fh] if fh in self._opened else self._volume.find(path)
        return attributes(node)

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        """With inode numbers: a name without one is passed over by the C library, and the folder looks empty."""
        folder = self._volume.folder(path)
        names = {".": folder.number, "..": folder.number, **folder.entries}
        return [(name, {"st_ino": number}, 0) for name, number in names.items()]

    def mkdir(self, path: str, mode: int) -> int:
        self._volume.make_folder(path, mode | 0o040000)
        return 0

    def rmdir(self, path: str) -> int:
        self._volume.remove_folder(path)
        return 0

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return self._open(self._volume.make_file(path, mode | 0o100000))

    def open(self, path: str, flags: int) -> int:
        file = self._volume.file(path)
        if flags & os.O_TRUNC:
            self._volume.truncate(file, 0)
        return self._open(file)

    def release(self, path: str, fh: int) -> int:
        self._volume.closed(self._opened.pop(fh))
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return bytes(self._file(path, fh).content[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self._volume.write(self._file(path, fh), data, offset)
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        self._volume.truncate(self._file(path, fh), length)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        self._volume.sync(self._file(path, fh))
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        self._volume.sync_folder(self._volume.folder(path))
        return 0

    def link(self, target: str, source: str) -> int:
        self._volume.link(source, target)
        return 0

    def unlink(self, path: str) -> int:
        self._volume.unlink(path)
        return 0

    def rename(self, old: str, new: str) -> int:
        self._volume.rename(old, new)
        return 0

    def chmod(self, path: str, mode: int) -> int:
        node = self._volume.find(path)
        node.mode = node.mode & ~0o7777 | mode & 0o7777
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        if times is not None:
            self._volume.find(path).changed_at = times[1] / 1e9
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        free = max(self._volume.quota_bytes - self._volume.used_bytes, 0) // PAGE_BYTES
        blocks = self._volume.quota_bytes // PAGE_BYTES
        return {
            "f_bsize": PAGE_BYTES,
            "f_frsize": PAGE_BYTES,
            "f_blocks": blocks,
            "f_bfree": free,
            "f_bavail": free,
            "f_namemax": 255,
        }


def attributes(node: Node) -> dict[str, Any]:
    length = 0 if isinstance(node, Folder) else len(node.content)
    at = int(node.changed_at * 1e9)
    return {
        "st_ino": node.number,
        "st_mode": node.mode,
        "st_nlink": 2 if isinstance(node, Folder) else node.links,
        "st_size": length,
        "st_blocks": -(-length // SECTOR_BYTES),
        "st_uid": os.getuid(),
        "st_gid": os.getgid(),
        "st_atime": at,
        "st_mtime": at,
        "st_ctime": at,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backing", type=Path)
    parser.add_argument("mount")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--early", type=float, default=0.2)
    parser.add_argument("--quota-bytes", type=int, default=1 << 30)
    given = parser.parse_args()
    volume = Volume(given.backing, seed=given.seed, early=given.early, quota_bytes=given.quota_bytes)
    shown = {"foreground": True, "nothreads": True, "fsname": "lossy"}
    mfusepy.FUSE(LossyFS(volume), given.mount, **shown, kernel_cache=True, use_ino=True, hard_remove=True)


if __name__ == "__main__":
    main()
