"""A sign-in that is under way, kept by the browser that began it: sealed, short-lived, and good for once."""

from datetime import datetime

import msgspec

from waystation.identity.oidc import store
from waystation.identity.oidc.model import ATTEMPT_LIFETIME, Attempt
from waystation.kernel import secrets
from waystation.kernel.db import Tx
from waystation.kernel.errors import Refused
from waystation.kernel.secrets import KeyRing

COOKIE = "signin_attempt"
NOT_BEGUN_HERE = "this sign-in was not begun in this browser, or more than ten minutes ago; begin again"
USED = "this sign-in has been used already; begin again"


def seal(attempt: Attempt, keys: KeyRing, now: datetime) -> str:
    """The cookie's value: only we can read or make it."""
    return _fernet(keys).encrypt_at_time(msgspec.json.encode(attempt), int(now.timestamp())).decode()


def begun_here(cookie: str | None, state: str, keys: KeyRing, now: datetime) -> Attempt:
    """The attempt that this browser began under this state; else Refused: somebody else's link was followed."""
    from cryptography.fernet import InvalidToken  # noqa: PLC0415

    try:
        lifetime = int(ATTEMPT_LIFETIME.total_seconds())
        opened = _fernet(keys).decrypt_at_time(cookie or "", lifetime, int(now.timestamp()))
        attempt = msgspec.json.decode(opened, type=Attempt)
    except (InvalidToken, ValueError, msgspec.DecodeError) as fault:  # ValueError: signs that no cookie of ours has
        raise Refused(NOT_BEGUN_HERE) from fault
    if not secrets.same(attempt.state, state):
        raise Refused(NOT_BEGUN_HERE)
    return attempt


def use_up(tx: Tx, attempt: Attempt, now: datetime) -> None:
    """Whoever comes first; Refused for everybody after."""
    if not store.use_state(tx, secrets.digest(attempt.state), now + 2 * ATTEMPT_LIFETIME):
        raise Refused(USED)


def _fernet(keys: KeyRing):  # noqa: ANN202  # pyright: ignore[reportUnknownParameterType]
    from cryptography.fernet import Fernet  # noqa: PLC0415  slow to load, needed by hubs with a provider only

    return Fernet(keys.get("signin-attempts") + b"=")
