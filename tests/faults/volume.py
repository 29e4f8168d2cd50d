"""What a disk keeps when the power goes: bytes and names that were synced, and a seeded part of what was not.

A file's bytes survive when the file was synced after the write. A name (new, moved, removed) survives when its folder
was synced. What was not synced is usually lost; but the disk may also have written any page or folder early, in any
order, a page perhaps only in its first sectors. The backing folder always holds exactly what would survive a power cut
now, so a cut is a kill -9 of the process that holds the volume.
"""

import errno
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

PAGE_BYTES = 4096
SECTOR_BYTES = 512
ROOT = 1


@dataclass(slots=True)
class File:
    number: int
    mode: int
    content: bytearray = field(default_factory=bytearray)
    links: int = 0
    opened: int = 0
    unsynced: set[int] = field(default_factory=set[int])  # page numbers
    cut_to: int | None = None  # the shortest it was since the last sync
    changed_at: float = field(default_factory=time.time)


@dataclass(slots=True)
class Folder:
    number: int
    mode: int
    entries: dict[str, int] = field(default_factory=dict[str, int])
    moved_with: set[int] = field(default_factory=set[int])  # folders on the other end of a rename: one journal entry
    changed_at: float = field(default_factory=time.time)


Node = File | Folder


class Volume:
    """`early`: how likely an unsynced write is already on the disk. `quota_bytes`: its size."""

    def __init__(self, backing: Path, *, seed: int = 0, early: float = 0.2, quota_bytes: int = 1 << 30) -> None:
        self._contents, self._folders = backing / "contents", backing / "folders"
        self._contents.mkdir(parents=True, exist_ok=True)
        self._folders.mkdir(exist_ok=True)
        self._random, self._early = Random(seed), early
        self.quota_bytes = quota_bytes
        self.nodes: dict[int, Node] = {}
        self._load_folder(ROOT)
        self._drop_unreachable()
        self._next = max(self.nodes) + 1  # an empty folder is known by its name alone
        self.used_bytes = sum(len(node.content) for node in self.nodes.values() if isinstance(node, File))

    # Finding

    def find(self, path: str) -> Node:
        node: Node = self.nodes[ROOT]
        for name in filter(None, path.split("/")):
            if not isinstance(node, Folder):
                raise OSError(errno.ENOTDIR, path)
            if name not in node.entries:
                raise OSError(errno.ENOENT, path)
            node = self.nodes[node.entries[name]]
        return node

    def file(self, path: str) -> File:
        node = self.find(path)
        if isinstance(node, Folder):
            raise OSError(errno.EISDIR, path)
        return node

    def folder(self, path: str) -> Folder:
        node = self.find(path)
        if isinstance(node, File):
            raise OSError(errno.ENOTDIR, path)
        return node

    # Names

    def make_file(self, path: str, mode: int) -> File:
        file = File(self._number(), mode)
        self._add(path, file)
        return file

    def make_folder(self, path: str, mode: int) -> None:
        self._add(path, Folder(self._number(), mode))

    def link(self, existing: str, path: str) -> None:
        self._add(path, self.file(existing))

    def unlink(self, path: str) -> None:
        folder, name = self._place(path)
        file = self.file(path)
        del folder.entries[name]
        self._released(file, links=1)
        self._entries_changed(folder)

    def remove_folder(self, path: str) -> None:
        parent, name = self._place(path)
        folder = self.folder(path)
        if folder.entries:
            raise OSError(errno.ENOTEMPTY, path)
        del parent.entries[name], self.nodes[folder.number]
        self._entries_changed(parent)

    def rename(self, old: str, new: str) -> None:
        node = self.find(old)
        (source, old_name), (target, new_name) = self._place(old), self._place(new)
        replaced = self.nodes.get(target.entries.get(new_name, 0))
        if replaced is node:
            return
        if isinstance(replaced, Folder):
            self.remove_folder(new)
        elif replaced is not None:
            self._released(replaced, links=1)
        del source.entries[old_name]
        target.entries[new_name] = node.number
        if source is not target:
            source.moved_with.add(target.number)
            target.moved_with.add(source.number)
        self._entries_changed(target)

    # Bytes

    def write(self, file: File, written: bytes, offset: int) -> None:
        end = offset + len(written)
        self._claim_space(end - len(file.content))
        if offset > len(file.content):
            file.content.extend(bytes(offset - len(file.content)))
        file.content[offset:end] = written
        file.changed_at = time.time()
        pages = range(offset // PAGE_BYTES, (end - 1) // PAGE_BYTES + 1) if written else range(0)
        file.unsynced.update(pages)
        for page in pages:
            if self._random.random() < self._early:
                self._write_early(file, page)

    def truncate(self, file: File, length: int) -> None:
        self._claim_space(length - len(file.content))
        if length < len(file.content):
            self.used_bytes -= len(file.content) - length
            file.cut_to = min(length, length if file.cut_to is None else file.cut_to)
            del file.content[length:]
            file.unsynced = {page for page in file.unsynced if page * PAGE_BYTES < length}
        file.content.extend(bytes(length - len(file.content)))
        file.changed_at = time.time()

    def sync(self, file: File) -> None:
        """Every byte and the size of the file are on the disk when this returns; its name need not be."""
        with self._content_of(file) as handle:
            if file.cut_to is not None:
                os.ftruncate(handle, min(file.cut_to, os.fstat(handle).st_size))
            for page in file.unsynced:
                start = page * PAGE_BYTES
                os.pwrite(handle, bytes(file.content[start : start + PAGE_BYTES]), start)
            os.ftruncate(handle, len(file.content))
            os.fchmod(handle, stat.S_IMODE(file.mode))
        file.unsynced.clear()
        file.cut_to = None

    def sync_folder(self, folder: Folder) -> None:
        """The folder's names are on the disk when this returns; a move between folders never half."""
        for number in (*folder.moved_with, folder.number):
            partner = self.nodes.get(number)
            if isinstance(partner, Folder):
                self._write_folder(partner)
                partner.moved_with.clear()

    def closed(self, file: File) -> None:
        file.opened -= 1
        self._released(file, links=0)

    # What is behind it

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    def _place(self, path: str) -> tuple[Folder, str]:
        parent, _, name = path.rpartition("/")
        return self.folder(parent), name

    def _add(self, path: str, node: Node) -> None:
        folder, name = self._place(path)
        if name in folder.entries:
            raise OSError(errno.EEXIST, path)
        folder.entries[name] = node.number
        self.nodes[node.number] = node
        if isinstance(node, File):
            node.links += 1
        self._entries_changed(folder)

    def _released(self, file: File, *, links: int) -> None:
        file.links -= links
        if file.links <= 0 and file.opened <= 0:
            self.used_bytes -= len(file.content)
            self.nodes.pop(file.number, None)

    def _claim_space(self, more_bytes: int) -> None:
        if more_bytes > 0 and self.used_bytes + more_bytes > self.quota_bytes:
            raise OSError(errno.ENOSPC, "the volume is full")
        self.used_bytes += max(more_bytes, 0)

    def _entries_changed(self, folder: Folder) -> None:
        folder.changed_at = time.time()
        if self._random.random() < self._early:
            self.sync_folder(folder)

    def _write_early(self, file: File, page: int) -> None:
        """A page reaches the disk before anybody asked, perhaps torn after some of its sectors."""
        start = page * PAGE_BYTES
        length = SECTOR_BYTES * self._random.choice((1, 3, 5, PAGE_BYTES // SECTOR_BYTES))
        with self._content_of(file) as handle:
            os.pwrite(handle, bytes(file.content[start : start + min(length, PAGE_BYTES)]), start)

    def _content_of(self, file: File) -> "Opened":
        return Opened(self._contents / str(file.number))

    def _write_folder(self, folder: Folder) -> None:
        kept = {name: [number, isinstance(self.nodes[number], Folder)] for name, number in folder.entries.items()}
        for number in folder.entries.values():
            node = self.nodes[number]
            if isinstance(node, File) and not (self._contents / str(number)).exists():
                (self._contents / str(number)).touch(stat.S_IMODE(node.mode))
        draft = self._folders / f"{folder.number}.draft"
        draft.write_text(json.dumps({"mode": folder.mode, "entries": kept}))
        draft.replace(self._folders / f"{folder.number}.json")

    def _load_folder(self, number: int) -> None:
        path = self._folders / f"{number}.json"
        kept = json.loads(path.read_text()) if path.exists() else {"mode": stat.S_IFDIR | 0o755, "entries": {}}
        folder = Folder(number, kept["mode"])
        self.nodes[number] = folder
        for name, (child, is_folder) in kept["entries"].items():
            folder.entries[name] = child
            if is_folder:
                self._load_folder(child)
            else:
                self._load_file(child)

    def _load_file(self, number: int) -> None:
        node = self.nodes.get(number)
        if not isinstance(node, File):
            path = self._contents / str(number)
            node = self.nodes[number] = File(number, stat.S_IFREG | stat.S_IMODE(path.stat().st_mode))
            node.content = bytearray(path.read_bytes())
        node.links += 1

    def _drop_unreachable(self) -> None:
        for path in (*self._contents.iterdir(), *self._folders.iterdir()):
            if path.suffix == ".draft" or int(path.stem) not in self.nodes:
                path.unlink()


class Opened:
    """A file handle for the length of a with block; the file is made when it is not there."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def __enter__(self) -> int:
        return self._handle

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


def walk(volume: Volume, number: int = ROOT, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every path in the volume as it is now."""
    node = volume.nodes[number]
    yield path or "/", node
    if isinstance(node, Folder):
        for name, child in sorted(node.entries.items()):
            yield from walk(volume, child, f"{path}/{name}")
