"""The site's NATS account key: it signs who may connect, and its public half is what a server trusts."""

import base64
import binascii
import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from nacl.signing import SigningKey

ACCOUNT_PREFIX = b"\x00"  # so that the text begins with A, as an account's does


class AccountKey:
    """An Ed25519 key of the 32 random bytes that a KeyRing key's 43 URL-safe characters stand for."""

    def __init__(self, key: bytes) -> None:
        self._key = SigningKey(base64.urlsafe_b64decode(key + b"="))
        self.public = _nkey(ACCOUNT_PREFIX + self._key.verify_key.encode())

    def signed(self, claims: Mapping[str, Any]) -> str:
        """A JWT as NATS has them: algorithm `ed25519-nkey`, `jti` a hash of the claims."""
        claims = {**claims, "iss": self.public, "iat": int(time.time())}
        claims["jti"] = _base32(hashlib.sha256(json.dumps(claims).encode()).digest())
        told = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(claims)}"
        return f"{told}.{_base64url(self._key.sign(told.encode()).signature)}"


def claims_of(token: bytes) -> dict[str, Any]:
    """Read, not verified: who sent it is known by the subject it came on."""
    part = token.split(b".")[1]
    return json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))


def _nkey(prefixed: bytes) -> str:
    """NATS's text form of a key: base32 of prefix, key and a CRC-16 (XMODEM, little-endian)."""
    return _base32(prefixed + binascii.crc_hqx(prefixed, 0).to_bytes(2, "little"))


def _part(claims: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(claims).encode())


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).rstrip(b"=").decode()


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
