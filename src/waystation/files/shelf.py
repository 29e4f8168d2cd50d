"""The hub's files from a command beside it: the same folder and rows, without its parts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from waystation.files import model, service
from waystation.files.model import File
from waystation.files.receiving import WHOLE, durable
from waystation.files.service import Content, Sender
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.blobs import PIECE_BYTES, Drafts, LocalBlobs
from waystation.kernel.desk import Desk
from waystation.kernel.errors import NotFound

Tell = Callable[[int], None]
"""Hears how many bytes are done."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Whoever may run commands on the data folder is under no plan; the disk's reserve is kept."""

    at: Desk

    @property
    def blobs(self) -> LocalBlobs:
        return LocalBlobs(self.at.settings.data / "blobs")

    @property
    def drafts(self) -> Drafts:
        return Drafts(self.at.settings.data / "blobs" / "drafts", self.at.settings.min_free_bytes)

    def taken_in(self, pieces: Iterator[bytes], size_bytes: int, tell: Tell) -> Content:
        """Durable; somebody must refer to it within the hour."""
        model.check_size(size_bytes, self.at.settings.max_file_bytes)
        self.drafts.check_free(size_bytes)
        with self.drafts.open(WHOLE + model.new_uid(), new=True) as draft:
            try:
                for piece in pieces:
                    draft.append(piece)
                    tell(draft.size)
                return durable(self.at.database, self.blobs, draft, self.at.now())
            finally:
                draft.discard()

    def put(self, path: Path, name: str, tell: Tell) -> File:
        name = model.check_name(name)
        content = self.taken_in(pieces_of(path), size_of(path), tell)
        with self.at.database.write() as tx:
            sender = Sender(self.at.home_id, COMMAND_LINE)
            return service.keep(tx, sender, self.at.now(), name=name, content=content)

    def copy(self, sha256: str, into: BinaryIO, tell: Tell) -> None:
        with self.blobs.open(sha256) as source:
            while piece := source.read(PIECE_BYTES):
                into.write(piece)
                tell(source.tell())


def pieces_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while piece := source.read(PIECE_BYTES):
            yield piece


def size_of(path: Path) -> int:
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    return path.stat().st_size
