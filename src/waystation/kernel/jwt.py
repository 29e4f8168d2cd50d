"""Signed access tokens (RFC 7519), read so strictly that only our own, of the right kind and in time, get through."""

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, cast

from waystation.kernel.errors import Unauthenticated
from waystation.kernel.secrets import KeyRing

ALGORITHM: Final = "HS256"
LONGEST = 4096
WRONG = "this access token is not valid"
EXPIRED = "this access token has expired"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a token is for. It is worth nothing where another kind is asked for (RFC 8725 section 3.11)."""

    typ: str
    audience: str


class Tokens:
    """Makes and reads tokens with this site's own key. A new key file ends every token; renewing brings new ones."""

    def __init__(self, keys: KeyRing, issuer: str = "waystation") -> None:
        self._keys = keys
        self._issuer = issuer

    def make(self, kind: Kind, now: datetime, lifetime: timedelta, claims: Mapping[str, Any]) -> str:
        """`claims` beside `iss`, `aud`, `iat`, `exp` (whole seconds) and a random `jti`."""
        from joserfc import jws  # noqa: PLC0415  slow to load, not needed by hubs without tokens

        issued = int(now.timestamp())
        ours = {"iss": self._issuer, "aud": kind.audience, "iat": issued, "exp": issued + int(lifetime.total_seconds())}
        body = json.dumps({**claims, **ours, "jti": secrets.token_hex(8)}, separators=(",", ":")).encode()
        return jws.serialize_compact({"alg": ALGORITHM, "typ": kind.typ}, body, self._key, algorithms=[ALGORITHM])

    def read(self, kind: Kind, token: str, now: datetime) -> dict[str, Any]:
        """The claims, or Unauthenticated. What the header says is compared, never believed (RFC 8725 section 3.1)."""
        header, payload = self._verified(token)
        claims = _object(payload)
        whole = all(isinstance(claims.get(name), int) for name in ("exp", "iat"))
        ours = claims.get("iss") == self._issuer and claims.get("aud") == kind.audience
        if header != {"alg": ALGORITHM, "typ": kind.typ} or not ours or not whole:
            raise Unauthenticated(WRONG)
        if claims["exp"] <= now.timestamp():
            raise Unauthenticated(EXPIRED)
        return claims

    def _verified(self, token: str) -> tuple[dict[str, Any], bytes]:
        from joserfc import jws  # noqa: PLC0415
        from joserfc.errors import JoseError  # noqa: PLC0415

        if len(token) > LONGEST or not token.isascii() or token.count(".") != 2:
            raise Unauthenticated(WRONG)
        header = _object(_decoded(token.partition(".")[0]))
        if header.get("alg") != ALGORITHM:
            raise Unauthenticated(WRONG)
        try:
            return header, jws.deserialize_compact(token, self._key, algorithms=[ALGORITHM]).payload or b""
        except (JoseError, ValueError, TypeError) as fault:
            raise Unauthenticated(WRONG) from fault

    @cached_property
    def _key(self) -> Any:
        from joserfc.jwk import OctKey  # noqa: PLC0415

        return OctKey.import_key(self._keys.get("access-tokens"))


def looks_like_one(token: str) -> bool:
    """Our other secrets have no dots."""
    return token.count(".") == 2


def _decoded(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as fault:
        raise Unauthenticated(WRONG) from fault


def _object(text: bytes) -> dict[str, Any]:
    """One flat JSON object: a name twice, a fraction or a nested object is nothing that we ever wrote."""
    try:
        found = json.loads(text, object_pairs_hook=_no_doubles, parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError) as fault:
        raise Unauthenticated(WRONG) from fault
    claims = cast("dict[str, Any]", found) if isinstance(found, dict) else None
    if claims is None or any(isinstance(value, dict) for value in claims.values()):
        raise Unauthenticated(WRONG)
    return claims


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is not a whole number")
