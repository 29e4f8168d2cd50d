"""What files tell their siblings, inside the transaction in which it happens."""

from dataclasses import dataclass

from waystation.files.model import File


@dataclass(frozen=True, slots=True)
class FileStored:
    """Somebody's upload has become a file."""

    file: File


@dataclass(frozen=True, slots=True)
class FileDeleted:
    file: File
