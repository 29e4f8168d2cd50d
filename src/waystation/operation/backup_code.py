"""The recovery code: what opens the keys in a backup when the machine that made it is gone."""

import secrets
from pathlib import Path

from waystation.kernel.errors import Conflict, Invalid, NotFound
from waystation.kernel.secrets import write_private

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: nothing in it is taken for something else
GROUPS, GROUP = 6, 4  # 5 bits a character, 120 in all
LOOKALIKES = str.maketrans("OIL", "011", "- \t\r\n")
LEAST_PASSPHRASE = 12
MOST_FILE_BYTES = 4096


def kept_in(data: Path) -> Path:
    return data / "keys" / "backup.key"


def new_code() -> str:
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))


def plain(typed: str) -> str:
    """However it was written down and typed again."""
    return typed.upper().translate(LOOKALIKES)


def known(data: Path) -> str | None:
    """None when none was made yet."""
    path = kept_in(data)
    try:
        return path.read_text("ascii").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as fault:
        raise Conflict(f"{path} cannot be read; run this as the user that the hub runs as") from fault


def known_or_new(data: Path) -> tuple[str, bool]:
    """The folder's code, and whether it was made just now. Of two that make one, both get the first."""
    if (code := known(data)) is not None:
        return code, False
    made = new_code()
    write_private(kept_in(data), made.encode())
    code = known(data)
    if code is None:
        raise NotFound(f"{kept_in(data)} is gone again; try once more")
    return code, code == made


def passphrase_in(path: Path) -> str:
    """The file's first line."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_FILE_BYTES).decode()
    except (OSError, UnicodeDecodeError) as fault:
        raise Invalid(f"the passphrase in {path} cannot be read; it is one line of text in a file of yours") from fault
    if not (first := text.partition("\n")[0].strip()):
        raise Invalid(f"there is no passphrase in {path}; it is one line of text")
    return first


def check_strength(passphrase: str) -> str:
    if len(passphrase) < LEAST_PASSPHRASE:
        raise Invalid(f"a backup's passphrase needs {LEAST_PASSPHRASE} characters or more; several words are good")
    return passphrase
