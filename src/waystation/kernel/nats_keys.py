"""The site's NATS account key: it signs who may connect, and its public half is what a server trusts."""

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

import nkeys


class AccountKey:
    """Made of a KeyRing key's 43 URL-safe characters, which stand for 32 random bytes."""

    def __init__(self, key: bytes) -> None:
        raw = base64.urlsafe_b64decode(key + b"=")
        self._pair = nkeys.from_seed(nkeys.encode_seed(raw, nkeys.PREFIX_BYTE_ACCOUNT))
        self.public: str = self._pair.public_key.decode()

    def signed(self, claims: Mapping[str, Any]) -> str:
        """A JWT as NATS has them: algorithm `ed25519-nkey`, `jti` a hash of the claims."""
        claims = {**claims, "iss": self.public, "iat": int(time.time())}
        claims["jti"] = base64.b32encode(hashlib.sha256(json.dumps(claims).encode()).digest()).rstrip(b"=").decode()
        head = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(claims)}"
        return f"{head}.{_base64url(self._pair.sign(head.encode()))}"


def claims_of(token: bytes) -> dict[str, Any]:
    """Read, not verified: who sent it is known by the subject it came on."""
    part = token.split(b".")[1]
    return json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))


def _part(claims: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(claims).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
