"""Codes of an authenticator app (TOTP, RFC 6238): offered, confirmed by a first code, each good once."""

from datetime import datetime

from waystation.identity.factors import store
from waystation.identity.factors.model import matching_step
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, Invalid, NotFound
from waystation.kernel.sealing import Sealing

ISSUER = "Waystation"


def offer(tx: Tx, sealing: Sealing, person_id: int, now: datetime) -> str:
    """A new secret, in base 32 as apps take it. It counts only when a code of it has come back."""
    from pyotp import random_base32  # noqa: PLC0415  seldom asked

    secret = random_base32(32)
    if not store.offer_totp(tx, person_id, sealing.seal(secret.encode()), now):
        raise Conflict("an authenticator app is set up already; turn it off before you set up another")
    return secret


def offered(tx: Tx, sealing: Sealing, person_id: int) -> str:
    """The secret that waits for its first code."""
    row = store.totp_of(tx, person_id)
    if row is None or row.confirmed_at is not None:
        raise NotFound("no authenticator app is waiting for its first code; start again")
    return sealing.open(row.secret).decode()


def confirm(tx: Tx, sealing: Sealing, person_id: int, now: datetime, *, code: str) -> None:
    step = matching_step(offered(tx, sealing, person_id), code, now, after=0)
    if step is None:
        raise Invalid("that code does not fit; see that your phone's clock is right and type the code it shows now")
    if not store.confirm_totp(tx, person_id, step, now):
        raise Conflict("this authenticator app has been confirmed already")


def is_on(tx: Tx, person_id: int) -> bool:
    row = store.totp_of(tx, person_id)
    return row is not None and row.confirmed_at is not None


def fits(tx: Tx, sealing: Sealing, person_id: int, now: datetime, *, code: str) -> bool:
    """Whether the code is good; it is used up by that."""
    row = store.totp_of(tx, person_id)
    if row is None or row.confirmed_at is None:
        return False
    step = matching_step(sealing.open(row.secret).decode(), code, now, after=row.last_step)
    return step is not None and store.use_totp_step(tx, person_id, step)


def address(secret: str, email: str, site: str) -> str:
    """What the QR code says (the key URI format that authenticator apps share)."""
    from pyotp.totp import TOTP  # noqa: PLC0415

    return TOTP(secret).provisioning_uri(name=email, issuer_name=site)


def reseal(tx: Tx, sealing: Sealing) -> int:
    """Every secret under the newest key; how many."""
    done = 0
    for row in store.sealed_totps(tx):
        done += store.replace_sealed_totp(tx, row.person_id, row.secret, after=sealing.reseal(row.secret))
    return done
