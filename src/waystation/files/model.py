"""Files and uploads: words and rules. A name is a label that people read, never a path."""

import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

from waystation.kernel.errors import Invalid, TooLarge

LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
MOST_NAME = 255
REST = timedelta(days=1)
"""An upload that nobody goes on with for so long ends."""
UNSEEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
"""Control and format characters (zero-width, bidi), private and unassigned ones, separators of lines."""
KIND = "files"


@dataclass(frozen=True, slots=True)
class File:
    """`device_id` is None for what a person uploaded."""

    id: int
    uid: str
    home_id: int
    device_id: int | None
    name: str
    sha256: str
    size_bytes: int
    media_type: str
    at: datetime
    by: str

    def shown(self) -> dict[str, object]:
        """What the wire says of it (docs/reference/device-api.md)."""
        return {"id": self.uid, "name": self.name, "size_bytes": self.size_bytes, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Upload:
    """What is under way: of `size_bytes` so many as `offset_bytes` are on the disk. `file_uid` once it is a file."""

    id: int
    uid: str
    home_id: int
    device_id: int | None
    by: str
    name: str
    told: str
    size_bytes: int
    offset_bytes: int
    file_uid: str | None
    touched_at: datetime

    @property
    def ends_at(self) -> datetime:
        return self.touched_at + REST


def new_uid() -> str:
    """Sixteen letters: 80 random bits."""
    return "".join(secrets.choice(LETTERS) for _ in range(16))


def check_name(name: str) -> str:
    """One line of visible characters, composed (NFC). Invalid for what could pass for another name or for a path."""
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > MOST_NAME or len(name.encode(errors="surrogatepass")) > 4 * MOST_NAME:
        raise Invalid(f"a file's name has 1 to {MOST_NAME} characters")
    if any(unicodedata.category(letter) in UNSEEN for letter in name):
        raise Invalid("a file's name has visible characters only: no control, direction or zero-width ones")
    if "/" in name or "\\" in name or name in (".", ".."):
        raise Invalid("a file's name is no path: leave out slashes and ..")
    return name


def suffix(name: str) -> str:
    """After the last dot, in small letters; empty without one."""
    return name.rpartition(".")[2].lower() if "." in name else ""


def check_type(name: str, allowed: tuple[str, ...]) -> None:
    """`allowed` are endings of names without the dot; none allows all."""
    if allowed and suffix(name) not in allowed:
        raise Invalid(f"files of this type are not taken here; take one of {', '.join(allowed)}")


def check_size(size_bytes: int, most_bytes: int) -> None:
    if size_bytes > most_bytes:
        raise TooLarge(f"a file may have {most_bytes:,} bytes here (max_file_bytes); this one is larger")
