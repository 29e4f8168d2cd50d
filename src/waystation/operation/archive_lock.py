"""What is secret in a backup, encrypted (AES-256-GCM) under a key of its own, which a code or passphrase opens."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from waystation.kernel.errors import Conflict

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext

N, R, P = 1 << 15, 8, 3  # scrypt at 32 MiB: a fraction of a second here, years for who guesses passphrases
MOST_MEMORY_BYTES, MOST_TIMES = 256 << 20, 16
KEY_BYTES, SALT_BYTES, NONCE_BYTES, TAG_BYTES = 32, 16, 12, 16
PIECE_BYTES = 1 << 20
PRIVATE = 0o600

By = Literal["code", "passphrase"]


class Locked(Conflict):
    """What is secret in the backup stays closed: the code or passphrase is missing or another one."""


@dataclass(frozen=True, slots=True)
class Lock:
    """As it stands in the list of contents. `n`, `r`, `p` and `salt` are scrypt's (RFC 7914); `wrapped` is the
    archive's key under what scrypt makes of the secret (AES key wrap, RFC 3394).
    """

    by: By
    n: int
    r: int
    p: int
    salt: bytes
    wrapped: bytes


def fastened(by: By, secret: str) -> tuple[Lock, bytes]:
    """A new lock and the archive's key behind it."""
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap  # noqa: PLC0415  slow to load, seldom asked

    key, salt = os.urandom(KEY_BYTES), os.urandom(SALT_BYTES)
    wrapped = aes_key_wrap(_derived(secret, Lock(by, N, R, P, salt, b"")), key)
    return Lock(by, N, R, P, salt, wrapped), key


def opened(lock: Lock, secret: str) -> bytes:
    """The archive's key; Locked when the secret is not the one it was locked with."""
    from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap  # noqa: PLC0415

    try:
        return aes_key_unwrap(_derived(secret, lock), lock.wrapped)
    except InvalidUnwrap as fault:
        known_as = "recovery code" if lock.by == "code" else "passphrase"
        raise Locked(f"this is not the {known_as} that the backup was made with; nothing was changed") from fault


def _derived(secret: str, lock: Lock) -> bytes:
    """A damaged or hostile archive cannot make us use more memory or time than we ever would."""
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt  # noqa: PLC0415

    if not (128 * lock.n * lock.r <= MOST_MEMORY_BYTES and 1 <= lock.p <= MOST_TIMES and lock.n > 0 < lock.r):
        raise Locked("the backup's lock asks for more memory or time than this program ever does; is it damaged?")
    try:
        return Scrypt(salt=lock.salt, length=KEY_BYTES, n=lock.n, r=lock.r, p=lock.p).derive(secret.encode())
    except ValueError as fault:
        raise Locked(f"the backup's lock is damaged: {fault}") from fault


class Locking:
    """A file that encrypts what is written to it: nonce, then ciphertext, then tag."""

    def __init__(self, file: BinaryIO, cipher: "AEADEncryptionContext") -> None:
        self._file = file
        self._cipher = cipher

    def write(self, clear: bytes) -> int:
        self._file.write(self._cipher.update(clear))
        return len(clear)


@contextmanager
def locking(path: Path, key: bytes) -> Generator[Any]:
    """The clear text never touches the disk, which may be a stick that gets lost."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

    nonce = os.urandom(NONCE_BYTES)
    cipher = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    cipher.authenticate_additional_data(path.name.encode())
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE), "wb") as file:
        file.write(nonce)
        yield Locking(file, cipher)
        file.write(cipher.finalize() + cipher.tag)


def unlock(path: Path, clear: Path, key: bytes) -> None:
    """Use nothing of `clear` unless this returns: only the end proves the whole."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

    left = path.stat().st_size - NONCE_BYTES - TAG_BYTES
    if left < 0:
        raise Locked(f"{path.name} in the backup is not whole; nothing was changed")
    with path.open("rb") as file, clear.open("xb") as written:
        clear.chmod(PRIVATE)
        cipher = Cipher(algorithms.AES(key), modes.GCM(file.read(NONCE_BYTES))).decryptor()
        cipher.authenticate_additional_data(path.name.encode())
        while left > 0:
            piece = file.read(min(left, PIECE_BYTES))
            written.write(cipher.update(piece))
            left -= len(piece)
        try:
            written.write(cipher.finalize_with_tag(file.read(TAG_BYTES)))
        except (InvalidTag, ValueError) as fault:
            raise Locked(f"{path.name} in the backup does not belong to its lock; nothing was changed") from fault


def lock_row(key: bytes, about: str, clear: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, clear, about.encode())


def unlock_row(key: bytes, about: str, locked: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    try:
        return AESGCM(key).decrypt(locked[:NONCE_BYTES], locked[NONCE_BYTES:], about.encode())
    except (InvalidTag, ValueError) as fault:
        raise Locked(f"{about} in the backup does not belong to its lock; nothing was changed") from fault
