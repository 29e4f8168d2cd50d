"""Registration tokens: a line that an owner pastes into a device, which gets tokens of its own for it, and approval.

A device belongs to the token that it came with and not to the id that it says of itself, so that two with one MAC
address never meet (JR-14). Inside its window a token may be used again by the device that used it first: a lost answer
strands nobody (JR-12).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from waystation.devices import keypair, model, renewal, service, store
from waystation.devices.model import Device
from waystation.devices.renewal import Lifetimes, Pair
from waystation.kernel import audit, secrets
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, Invalid, NotFound
from waystation.kernel.jwt import Tokens
from waystation.kernel.sealing import Sealing
from waystation.kernel.settings import Settings

MINUTES = 15
MOST_MINUTES = 24 * 60
UNNAMED = "New device"
MOST_SAID_ID = 128
TRIAL = Lifetimes(access=timedelta(seconds=360), refresh=timedelta(seconds=1080))
"""JR-25: for a device that is being tried out, whose renewals a person wants to watch."""
ONLINE_SECONDS = 180
"""JR-19: such a device sends about once a minute, and one lost message makes nobody offline."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an owner wants of a registration. Without a `public_key` the home's own is used."""

    name: str = ""
    minutes: float = MINUTES
    is_on_trial: bool = False
    is_approved: bool = False
    public_key: str = ""
    device: Device | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A token with all that the device must be told, shown this once."""

    id: int
    token: str
    name: str
    public_key: str
    expires_at: datetime

    @property
    def line(self) -> str:
        """The one line to paste (contract 4.7), under 1024 bytes whatever the name."""
        named = {"deviceName": self.name, "publicKey": self.public_key, "token": self.token}
        return json.dumps(named, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a device says when it registers; `said_id` is usually its MAC address, and proves nothing."""

    token: str
    said_id: str
    name: str
    model: str = ""


def offer(tx: Tx, sealing: Sealing, by: Actor, home_id: int, *, wanted: Wanted, now: datetime) -> Offer:
    """A token for one device; with `wanted.device` it pairs that one anew, and its history goes on."""
    if not 1 <= wanted.minutes <= MOST_MINUTES:
        raise Invalid(f"a registration is open for 1 to {MOST_MINUTES} minutes")
    name = wanted.device.name if wanted.device else model.check_name(wanted.name) if wanted.name.strip() else ""
    given = keypair.check_public_key(wanted.public_key) if wanted.public_key.strip() else ""
    public_key = given or keypair.public_key(tx, sealing, home_id, now)
    token, expires_at = f"reg-{secrets.new_secret()}", now + timedelta(minutes=wanted.minutes)
    made = store.add_registration(
        tx,
        home_id=home_id,
        digest=secrets.digest(token),
        name=name,
        is_on_trial=wanted.is_on_trial,
        is_approved=wanted.is_approved,
        created_at=now,
        expires_at=expires_at,
        device_id=wanted.device.id if wanted.device else None,
    )
    audit.note(tx, by, "offered a registration", f"home:{home_id}", now=now, name=name, trial=wanted.is_on_trial)
    return Offer(made, token, name or UNNAMED, public_key, expires_at)


def withdraw(tx: Tx, by: Actor, home_id: int, registration_id: int, *, now: datetime) -> None:
    name = store.revoke_registration(tx, home_id, registration_id, now)
    if name is None:
        raise NotFound("this registration is used, expired or withdrawn already")
    audit.note(tx, by, "withdrew a registration", f"home:{home_id}", now=now, name=name)


def register(
    tx: Tx, tokens: Tokens, given: Introduction, now: datetime, *, lifetimes: Callable[[Device], Lifetimes]
) -> tuple[Device, Pair] | None:
    """None when the token is unknown, withdrawn, expired, or used by another device."""
    found = store.registration_by_digest(tx, secrets.digest(given.token))
    if found is None or found.revoked_at is not None or found.expires_at <= now:
        return None
    if found.said_id is None:
        device = _first_use(tx, found, given, now)
    else:
        device = store.by_id(tx, found.device_id) if secrets.same(found.said_id, given.said_id) else None
    if device is None or device.disabled_at is not None:
        return None
    return device, renewal.sign_on(tx, tokens, device, now, lifetimes=lifetimes(device))


def _first_use(tx: Tx, found: Any, given: Introduction, now: datetime) -> Device | None:
    device = store.by_id(tx, found.device_id) if found.device_id is not None else None
    is_new = device is None
    if device is None:
        name = found.name or _fitting(given.name)
        device = service.add_device(tx, found.home_id, now, name=name, model_text=_fitting(given.model), serial="")
        store.set_pending(tx, device.id, None if found.is_approved else now)
    elif device.disabled_at is not None:
        return None
    elif found.is_approved:
        store.set_pending(tx, device.id, None)
    if not store.use_registration(tx, found.id, now, device_id=device.id, said_id=given.said_id):
        return None
    store.set_stolen(tx, device.id, None)
    store.set_relay(tx, device.id, said_id=given.said_id, is_on_trial=found.is_on_trial, online_seconds=ONLINE_SECONDS)
    did = "registered itself" if is_new else "was paired again"
    audit.note(
        tx,
        Actor(f"device:{device.key}", home_id=device.home_id),
        did,
        f"device:{device.key}",
        now=now,
        name=device.name,
    )
    service.announce(tx, device, "claimed", now, claim=f"registration-{found.id}")
    return store.by_id(tx, device.id)


def approve(tx: Tx, by: Actor, device: Device, now: datetime) -> None:
    if not store.set_pending(tx, device.id, None):
        raise Conflict(f"{device.name} is approved already")
    audit.note(tx, by, "approved a device", f"device:{device.key}", now=now, name=device.name)
    service.announce(tx, device, "approved", now)


def reject(tx: Tx, by: Actor, device: Device, now: datetime) -> None:
    """It is deleted with the little that it sent; Conflict once it has been approved."""
    if device.pending_since is None:
        raise Conflict(f"{device.name} is approved already; delete it instead")
    service.delete(tx, by, device, now, typed_name=device.name)


def adopt(
    tx: Tx,
    by: Actor,
    home_id: int,
    now: datetime,
    *,
    name: str,
    kind: str,
    value: str,
    model_text: str = "",
    online_seconds: int | None = None,
) -> Device | None:
    """A device known by an id of its own, without a credential yet; None when there is one of that id already."""
    if store.by_external_id(tx, home_id, kind, value) is not None:
        return None
    texts = {"name": _fitting(name), "model_text": _fitting(model_text), "serial": ""}
    device = service.add_device(tx, home_id, now, **texts, online_seconds=online_seconds)
    store.add_external_id(tx, home_id, device.id, kind=kind, value=value)
    audit.note(tx, by, "adopted a device", f"device:{device.key}", now=now, name=device.name)
    service.announce(tx, device, "registered", now)
    return device


def release(tx: Tx, by: Actor, home_id: int, now: datetime, *, kind: str, value: str) -> bool:
    """Nobody reports for it any more; its readings stay. False when there was none of that id."""
    device = store.by_external_id(tx, home_id, kind, value)
    if device is None or not store.forget_external_id(tx, home_id, kind, value):
        return False
    audit.note(tx, by, "released a device", f"device:{device.key}", now=now, name=device.name)
    return True


def lifetimes_of(device: Device, settings: Settings) -> Lifetimes:
    if device.is_on_trial:
        return TRIAL
    access, refresh = settings.device_access_seconds, settings.device_refresh_seconds
    return Lifetimes(timedelta(seconds=access), timedelta(seconds=refresh))


def check_said_id(said_id: str) -> str:
    said_id = said_id.strip()
    if not said_id or len(said_id) > MOST_SAID_ID or not said_id.isprintable():
        raise Invalid(f"a device's id has 1 to {MOST_SAID_ID} printable characters")
    return said_id


def _fitting(text: str) -> str:
    """A device's own name for itself, as far as it can be one."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[: model.MOST_NAME]
