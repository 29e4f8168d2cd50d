"""Access and refresh tokens of devices: signed on once, refreshed for years, never stranded by a lost answer.

A refresh keeps the refresh token (JR-5); a renewal makes a successor that counts from its first use, or from the first
use of the access token that came with it. The rules are in kernel/succession.py. A refusal is None and not an error,
so that what it led to (a stolen lineage ends) is committed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from waystation.devices import store
from waystation.devices.events import CredentialStolen
from waystation.devices.model import CredentialKind, Device
from waystation.devices.service import access_changed, announce
from waystation.kernel import audit, secrets
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.jwt import Kind, Tokens
from waystation.kernel.succession import Verdict, judge, secret_of

ACCESS = Kind("at+jwt", "devices")


@dataclass(frozen=True, slots=True)
class Lifetimes:
    access: timedelta
    refresh: timedelta


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token that we once gave, and whose it is; whether it is still good is not said yet."""

    row: Any
    device: Device


@dataclass(frozen=True, slots=True)
class Pair:
    """`refresh` is shown once, or is the one that was presented and stays in force."""

    access: str
    access_expires_at: datetime
    refresh: str
    refresh_expires_at: datetime


def presented(tx: Tx, refresh: str) -> Presented | None:
    row = store.refresh_tokens.by_digest(tx, secrets.digest(refresh))
    if row is None or row.kind != CredentialKind.REFRESH_TOKEN:
        return None
    device = store.by_id(tx, row.device_id)
    return None if device is None or device.disabled_at is not None else Presented(row, device)


def sign_on(tx: Tx, tokens: Tokens, device: Device, now: datetime, *, lifetimes: Lifetimes) -> Pair:
    """The first pair of a device; or, when it asks again, one more that takes over once it is used (JR-12)."""
    refresh = secrets.new_secret()
    expires_at = now + lifetimes.refresh
    lineage = store.newest_lineage(tx, device.id, CredentialKind.REFRESH_TOKEN)
    kind, again = CredentialKind.REFRESH_TOKEN, lineage is not None
    made = store.add_credential(
        tx, device.id, refresh, now, kind=kind, lineage=lineage, expires_at=expires_at, second_chance=again
    )
    return _pair(tokens, device, made, now, lifetimes=lifetimes, refresh=(refresh, expires_at))


def unchanged(tokens: Tokens, given: Presented, refresh: str, *, now: datetime, lifetimes: Lifetimes) -> Pair | None:
    """As `refreshed` in the usual case, in which nothing is written: a full disk or a busy writer does not stop it.

    None says nothing about the token: ask `refreshed`.
    """
    if judge(secret_of(given.row), now) is not Verdict.GOOD:
        return None
    return _pair(tokens, given.device, given.row.id, now, lifetimes=lifetimes, refresh=(refresh, given.row.expires_at))


def refreshed(
    tx: Tx, tokens: Tokens, given: Presented, refresh: str, *, now: datetime, lifetimes: Lifetimes
) -> Pair | None:
    """A new access token; the refresh token stays what it is."""
    verdict = store.refresh_tokens.use(tx, given.row, now)
    _follow(tx, given.device, verdict, now)
    if not verdict.opens:
        return None
    return _pair(tokens, given.device, given.row.id, now, lifetimes=lifetimes, refresh=(refresh, given.row.expires_at))


def renewed(tx: Tx, tokens: Tokens, given: Presented, *, now: datetime, lifetimes: Lifetimes) -> Pair | None:
    """A new pair. The old refresh token stays good until the new one or its access token is first used (JR-13)."""
    refresh = secrets.new_secret()
    digest, expires_at = secrets.digest(refresh), now + lifetimes.refresh
    named = {"device_id": given.device.id, "kind": CredentialKind.REFRESH_TOKEN, "hint": f"{refresh[:4]}…"}
    verdict = store.refresh_tokens.renew(tx, given.row, now, digest, expires_at=expires_at, **named)
    _follow(tx, given.device, verdict, now)
    if not verdict.opens:
        return None
    made: Any = store.refresh_tokens.by_digest(tx, digest)
    return _pair(tokens, given.device, made.id, now, lifetimes=lifetimes, refresh=(refresh, expires_at))


def first_use(tx: Tx, credential_id: int, now: datetime) -> bool:
    """A candidate has proved that it arrived: it takes over. False when another has taken over meanwhile."""
    row = store.credential_by_id(tx, credential_id)
    device = None if row is None else store.by_id(tx, row.device_id)
    if row is None or device is None:
        return False
    family = store.refresh_tokens if row.kind == CredentialKind.REFRESH_TOKEN else store.keys
    verdict = family.use(tx, row, now)
    _follow(tx, device, verdict, now)
    return verdict.opens


def _pair(
    tokens: Tokens, device: Device, made: int, now: datetime, *, lifetimes: Lifetimes, refresh: tuple[str, datetime]
) -> Pair:
    access = tokens.make(ACCESS, now, lifetimes.access, {"sub": device.key, "cid": made})
    return Pair(access, now + lifetimes.access, *refresh)


def _follow(tx: Tx, device: Device, verdict: Verdict, now: datetime) -> None:
    """What others must hear: caches believe the predecessor no longer; a theft ends connections and is told."""
    if verdict is Verdict.FIRST_USE:
        access_changed(tx, device, now, kick=False)
    if verdict is Verdict.STOLEN:
        by = Actor(f"device:{device.key}")
        audit.note(tx, by, "ended credentials after a spent token came back", f"device:{device.key}", now=now)
        access_changed(tx, device, now)
        announce(tx, device, "stolen", now)
        tx.tell(CredentialStolen(device.id, device.key, device.home_id), now)
