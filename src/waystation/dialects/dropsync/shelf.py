"""The files of a device as it sees them: the newest of each name, what it has not fetched first (DS-8, DS-18)."""

from collections.abc import Sequence

from waystation import files
from waystation.dialects.dropsync import model, store
from waystation.dialects.dropsync.wire import Fields, when
from waystation.files import File
from waystation.kernel.db import Tx
from waystation.kernel.errors import NotFound

MOST_FILES = 10_000
MOST_SHOWN = 6
MOST_SHOWN_NAME = 48
UNKNOWN = "File not found"


def of_device(tx: Tx, device_id: int) -> Sequence[File]:
    """The newest of each name, newest first; older ones of the name are kept beside it (DS-15)."""
    newest: dict[str, File] = {}
    for file in files.of_device(tx, device_id, most=MOST_FILES):
        newest.setdefault(file.name, file)
    return list(newest.values())


def named(tx: Tx, device_id: int, name: str) -> list[File]:
    """All of that name, newest first; NotFound for none, as for a name that no file can have."""
    found = [file for file in files.of_device(tx, device_id, most=MOST_FILES) if file.name == name]
    if not found:
        raise NotFound(UNKNOWN)
    return found


def is_for_device(file: File) -> bool:
    """Whether somebody else has put it there for the device to fetch."""
    return not file.by.startswith("device:")


def listed(tx: Tx, device_id: int, name: str) -> Fields:
    """`file_count` is exact; of the files only the first few are named, so that the device can read the answer."""
    found, fetched = of_device(tx, device_id), store.fetched(tx, device_id)
    shown = sorted(found, key=lambda file: not _is_new(file, fetched))[:MOST_SHOWN]
    answer: Fields = {
        "device_id": name,
        "file_count": len(found),
        "files": [_entry(file, is_new=_is_new(file, fetched)) for file in shown],
    }
    return model.fitted(answer, "files")


def _is_new(file: File, fetched: set[str]) -> bool:
    return is_for_device(file) and file.uid not in fetched


def _entry(file: File, *, is_new: bool) -> Fields:
    """`path` is below `/api/v1/files/files/<device>/`, where the bytes are."""
    name = file.name[:MOST_SHOWN_NAME]
    entry: Fields = {"filename": name, "size": file.size_bytes, "modified": when(file.at), "path": name}
    return {**entry, "new": True} if is_new else entry
