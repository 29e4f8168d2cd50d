"""Reads an ID token: its signature by the provider's keys, then every claim (OpenID Connect Core section 3.1.3.7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from waystation.kernel.errors import Refused

LEEWAY_SECONDS = 120
CLOCKS = "the clock of this hub and the provider's differ by minutes; set them right and try again"
NOT_SIGNED = "the provider's answer is not signed by its own key, so it was not believed"
NOT_FOR_US = "the provider's answer was not meant for this sign-in, so it was not believed; try again"


class UnknownKey(Exception):
    """Signed with a key that is not in the set: the provider may have changed its keys."""


@dataclass(frozen=True, slots=True)
class Expected:
    issuer: str
    client_id: str
    nonce: str
    algorithms: Sequence[str]
    access_token: str


def read(token: str, keys: Any, expected: Expected, now: datetime) -> Mapping[str, Any]:
    """The claims. UnknownKey when another key set is worth a try, else Refused; `keys` is a joserfc key set."""
    from joserfc import jwt  # noqa: PLC0415  slow to load, needed by hubs with a provider only
    from joserfc.errors import InvalidKeyIdError, JoseError  # noqa: PLC0415
    from joserfc.jws import JWSRegistry  # noqa: PLC0415

    registry = JWSRegistry(algorithms=expected.algorithms, strict_check_header=False)
    try:
        found = jwt.decode(token, keys, registry=registry)
    except InvalidKeyIdError as unknown:
        raise UnknownKey from unknown
    except (JoseError, ValueError, TypeError) as fault:
        raise Refused(NOT_SIGNED) from fault
    _check(found.claims, found.header, expected, now)
    return found.claims


def _check(claims: Any, header: Any, expected: Expected, now: datetime) -> None:
    from authlib.oidc.core import CodeIDToken  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]
    from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError  # noqa: PLC0415

    options = {
        "iss": {"essential": True, "value": expected.issuer},
        "aud": {"essential": True, "value": expected.client_id},
        "sub": {"essential": True},
    }
    facts = {"nonce": expected.nonce, "client_id": expected.client_id, "access_token": expected.access_token}
    token: Any = CodeIDToken(claims, header, options, facts)
    try:
        token.validate(now=int(now.timestamp()), leeway=LEEWAY_SECONDS)
    except ExpiredTokenError as late:
        raise Refused(CLOCKS) from late
    except (JoseError, ValueError, TypeError) as fault:
        in_future = isinstance(fault, InvalidClaimError) and fault.claim in ("iat", "nbf")
        raise Refused(CLOCKS if in_future else NOT_FOR_US) from fault
