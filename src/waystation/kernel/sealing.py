"""Secrets whose clear text is needed again: encrypted at rest with a key of the site that can be replaced."""

from typing import TYPE_CHECKING

from waystation.kernel.errors import Unavailable
from waystation.kernel.secrets import KeyRing

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

KEY = "sealing"


class Sealing:
    """Fernet (AES-128-CBC with HMAC-SHA256). What an earlier key sealed is still opened; `reseal` brings it to the
    newest. Keys are read anew each time, so that one process sees at once what another has replaced.
    """

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def seal(self, clear: bytes) -> bytes:
        return self._box().encrypt(clear)

    def open(self, sealed: bytes) -> bytes:
        """Unavailable when the key is no longer among ours: a database was restored without its keys."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415  slow to load, seldom asked

        try:
            return self._box().decrypt(sealed)
        except InvalidToken as fault:
            raise Unavailable("a stored secret cannot be read with this hub's keys; restore the keys folder") from fault

    def reseal(self, sealed: bytes) -> bytes:
        """The same secret under the newest key."""
        return self.seal(self.open(sealed))

    def replace_key(self) -> None:
        """From now on a new key seals. The earlier ones are kept, so call `reseal` for what they sealed."""
        self._keys.replace(KEY)

    def _box(self) -> "MultiFernet":
        from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415

        current = self._keys.get(KEY)
        return MultiFernet([Fernet(key + b"=") for key in (current, *self._keys.earlier(KEY))])
