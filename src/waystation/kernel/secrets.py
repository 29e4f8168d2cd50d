"""Keys that this site makes for itself on first start, and what every secret has in common."""

import hashlib
import hmac
import os
import secrets as random
from pathlib import Path


def new_secret() -> str:
    """256 random bits as 43 characters of `[A-Za-z0-9_-]`."""
    return random.token_urlsafe(32)


def digest(secret: str | bytes) -> bytes:
    """SHA-256, for secrets that are random; passwords go through argon2id."""
    return hashlib.sha256(secret.encode() if isinstance(secret, str) else secret).digest()


def same(left: str | bytes, right: str | bytes) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(_bytes(left), _bytes(right))


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


class KeyRing:
    """A folder of random keys, one file each, mode 0600, made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> bytes:
        """The key's 43 URL-safe characters."""
        path = self._folder / f"{name}.key"
        if not path.exists():
            write_private(path, new_secret().encode())
        return path.read_bytes().strip()

    def replace(self, name: str) -> None:
        """A new key takes the name; the one that had it goes to the earlier ones."""
        self.get(name)
        count = len(self.earlier(name))
        path = self._folder / f"{name}.key"
        os.link(path, self._folder / f"{name}.{count + 1}.key")
        draft = self._folder / f"{name}.next.key"
        draft.unlink(missing_ok=True)
        write_private(draft, new_secret().encode())
        draft.replace(path)
        sync_folder(self._folder)

    def earlier(self, name: str) -> list[bytes]:
        """Keys that had the name before, the newest first."""
        numbers = (
            path.name.removeprefix(f"{name}.").removesuffix(".key") for path in self._folder.glob(f"{name}.*.key")
        )
        found = sorted((int(number) for number in numbers if number.isdecimal()), reverse=True)
        return [(self._folder / f"{name}.{number}.key").read_bytes().strip() for number in found]

    def forget_earlier(self, name: str) -> None:
        """For when nothing is left that needs them."""
        for path in self._folder.glob(f"{name}.*.key"):
            path.unlink()


def write_private(path: Path, content: bytes) -> None:
    """Whole or not at all, readable by the owner only, durable when it returns. The first of two that race wins."""
    make_folder(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{random.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """For the owner only, with those above it, and durable: a power cut cannot take it with what is synced inside."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True, mode=0o700)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
