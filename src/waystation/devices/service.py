"""Register, claim, rename, disable and delete devices; give and take their credentials."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from waystation.devices import model, store
from waystation.devices.events import AccessChanged, DeviceDeleted
from waystation.devices.model import CredentialKind, Device, NewClaim, Provisioned
from waystation.homes import HomeDeleted
from waystation.kernel import audit, outbox, secrets
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, Invalid, NotFound

EXTERNAL_KINDS = ("serial", "mac")
REPEAT_HOURS = 24  # how long the same claim may be asked again after its answer was lost


def register(
    tx: Tx,
    by: Actor,
    home_id: int,
    now: datetime,
    *,
    name: str,
    model_text: str = "",
    serial: str = "",
    days: float = model.API_KEY_DAYS,
) -> Provisioned:
    """A new device with its first API key, good for so many days. Without a serial its key serves as one."""
    device = add_device(tx, home_id, now, name=name, model_text=model_text, serial=serial)
    api_key = _give_key(tx, device.id, now, expires_at=now + timedelta(days=days))
    audit.note(tx, by, "registered a device", f"device:{device.key}", now=now, name=device.name)
    announce(tx, device, "registered", now)
    return Provisioned(device.key, device.serial, device.name, api_key)


def offer_claim(
    tx: Tx,
    by: Actor,
    home_id: int,
    now: datetime,
    *,
    name: str,
    model_text: str = "",
    hours: float = model.CLAIM_HOURS,
    device: Device | None = None,
) -> NewClaim:
    """A one-time code for a device that will introduce itself; for an existing `device` it pairs that one anew."""
    if not 0 < hours <= model.MOST_CLAIM_HOURS:
        raise Invalid(f"a claim code is good for up to {model.MOST_CLAIM_HOURS} hours")
    code, expires_at = model.new_code(), now + timedelta(hours=hours)
    claim_id = store.add_claim(
        tx,
        home_id=home_id,
        digest=secrets.digest(model.plain_code(code)),
        name=model.check_name(name) if name.strip() else "",
        model=model.check_model(model_text),
        created_at=now,
        expires_at=expires_at,
        device_id=device.id if device else None,
    )
    audit.note(tx, by, "made a claim code", f"home:{home_id}", now=now, name=name)
    return NewClaim(str(claim_id), code, name, expires_at)


def claim(
    tx: Tx,
    now: datetime,
    *,
    code: str,
    name: str = "",
    model_text: str = "",
    external_ids: Mapping[str, str],
    api_key: str = "",
) -> Provisioned:
    """Exchanges the code for a device's credential.

    The same code with the same `api_key`, made by the device itself, gets the same answer again: a lost answer strands
    nobody. Anything else about a code that is not open is NotFound.
    """
    api_key = model.check_api_key(api_key) if api_key else secrets.new_secret()
    digest = secrets.digest(api_key)
    found = store.claim_by_digest(tx, secrets.digest(model.plain_code(code)))
    if found is not None and found.used_at is not None:
        return _claimed_before(tx, found, api_key, now)
    if found is None or found.expires_at <= now:
        raise NotFound("this claim code is unknown, used or expired; make a new one on the devices page")
    if store.digest_is_known(tx, digest):
        raise Conflict("this api_key is in use already; make a new one and claim again")
    device = store.by_id(tx, found.device_id) if found.device_id is not None else None
    device = device or add_device(
        tx,
        found.home_id,
        now,
        name=found.name or name,
        model_text=found.model or model_text,
        serial=_free_serial(tx, external_ids),
    )
    for kind in EXTERNAL_KINDS:
        if external_ids.get(kind):
            value = model.check_external_id(str(external_ids[kind])[:128])
            store.add_external_id(tx, device.home_id, device.id, kind=kind, value=value)
    _give_key(tx, device.id, now, api_key)
    if not store.use_claim(tx, found.id, now, device_id=device.id, credential_digest=digest):
        raise NotFound("this claim code was used a moment ago; make a new one on the devices page")
    itself = Actor(f"device:{device.key}", home_id=device.home_id)
    audit.note(tx, itself, "claimed", f"device:{device.key}", now=now, name=device.name)
    announce(tx, device, "claimed", now, claim=str(found.id))
    return Provisioned(device.key, device.serial, device.name, api_key)


def _claimed_before(tx: Tx, found: Any, api_key: str, now: datetime) -> Provisioned:
    again = secrets.same(secrets.digest(api_key), found.credential_digest) and now - found.used_at < timedelta(
        hours=REPEAT_HOURS
    )
    device = store.by_id(tx, found.device_id) if again else None
    if device is None:
        raise NotFound("this claim code is unknown, used or expired; make a new one on the devices page")
    return Provisioned(device.key, device.serial, device.name, api_key)


def new_credential(
    tx: Tx,
    by: Actor,
    device: Device,
    now: datetime,
    *,
    kind: CredentialKind = CredentialKind.API_KEY,
    days: float | None = None,
) -> Provisioned:
    """One more key or secret, shown this once; those before it stay good until they are revoked."""
    if kind is CredentialKind.REFRESH_TOKEN:
        raise Invalid("a refresh token is given to the device itself when it registers")
    if days is not None and not 0 < days <= model.API_KEY_DAYS:
        raise Invalid(f"a credential is good for up to {model.API_KEY_DAYS} days")
    days = model.API_KEY_DAYS if days is None else days
    secret = _give_key(tx, device.id, now, kind=kind, expires_at=now + timedelta(days=days))
    audit.note(tx, by, f"made {kind.words}", f"device:{device.key}", now=now)
    return Provisioned(device.key, device.serial, device.name, secret, kind)


def rotate(
    tx: Tx,
    by: Actor,
    device: Device,
    now: datetime,
    *,
    credential_id: int,
    overlap: timedelta = model.OVERLAP,
    days: float = model.API_KEY_DAYS,
) -> Provisioned:
    """A successor of one key, shown this once. The old one is good until the new one's first use or the overlap's end.

    NotFound when the device has no live credential of that number, Conflict when the device renews it by itself.
    """
    found = next((one for one in store.credentials(tx, device.id) if one.id == credential_id), None)
    if found is None or not found.is_live(now):
        raise NotFound("there is no live credential of that number on this device")
    if found.kind is CredentialKind.REFRESH_TOKEN:
        raise Conflict("the device renews this credential by itself; revoke it and pair the device again instead")
    if not timedelta() <= overlap <= timedelta(days=model.API_KEY_DAYS):
        raise Invalid("the overlap cannot be negative, nor longer than a key lives")
    until = now + timedelta(days=days)
    secret = _give_key(tx, device.id, now, kind=found.kind, lineage=found.lineage, expires_at=until)
    store.shorten(tx, found.id, now + overlap)
    audit.note(tx, by, f"rotated {found.kind.words}", f"device:{device.key}", now=now, credential=found.id)
    access_changed(tx, device, now, kick=False)  # caches hold when the old one ends
    return Provisioned(device.key, device.serial, device.name, secret, found.kind)


def revoke(tx: Tx, by: Actor, device: Device, now: datetime, *, credential_id: int | None = None) -> int:
    """One credential, or all. They open nothing any more, and live connections end."""
    retired = store.retire(tx, device.id, now, credential_id=credential_id)
    if not retired:
        raise NotFound("there is no live credential of that number on this device")
    store.end_registrations(tx, device.id, now)
    audit.note(tx, by, "revoked a credential", f"device:{device.key}", now=now, credential=credential_id or "all")
    access_changed(tx, device, now)
    return retired


def rename(tx: Tx, by: Actor, device: Device, now: datetime, *, name: str, model_text: str) -> None:
    name, model_text = model.check_name(name), model.check_model(model_text)
    store.rename(tx, device.id, name, model_text)
    audit.note(tx, by, "renamed a device", f"device:{device.key}", now=now, name=name, model=model_text)
    announce(tx, device, "renamed", now)
    access_changed(tx, device, now, kick=False)  # caches hold its name


def disable(tx: Tx, by: Actor, device: Device, now: datetime) -> None:
    """It is refused and disconnected until it is enabled; its data stays."""
    if not store.set_disabled(tx, device.id, now):
        raise Conflict(f"{device.name} is disabled already")
    audit.note(tx, by, "disabled a device", f"device:{device.key}", now=now)
    announce(tx, device, "disabled", now)
    access_changed(tx, device, now)


def enable(tx: Tx, by: Actor, device: Device, now: datetime) -> None:
    if not store.set_disabled(tx, device.id, None):
        raise Conflict(f"{device.name} is enabled already")
    audit.note(tx, by, "enabled a device", f"device:{device.key}", now=now)
    announce(tx, device, "enabled", now)


def delete(tx: Tx, by: Actor, device: Device, now: datetime, *, typed_name: str) -> None:
    """With all its data, for good; the person types its name to say that this one is meant."""
    if typed_name.strip() != device.name:
        raise Invalid(f"type the device's name, {device.name}, to delete it")
    access_changed(tx, device, now)
    tx.tell(DeviceDeleted(device.id, device.key, device.home_id), now)
    store.delete(tx, device.id)
    audit.note(tx, by, "deleted a device", f"device:{device.key}", now=now, name=device.name)
    announce(tx, device, "deleted", now)


def delete_all(tx: Tx, told: HomeDeleted, now: datetime) -> None:
    """Of a home that goes."""
    for device in store.search(tx, told.home_id, "", 1_000_000):
        delete(tx, told.by, device, now, typed_name=device.name)


def announce(tx: Tx, device: Device, event: str, now: datetime, **more: Any) -> None:
    """Pages of the home hear of it on the bus."""
    body = {"key": device.key, "name": device.name, "event": event, **more}
    outbox.notice(tx, f"devices.{device.home_id}.{device.key}", body, now)


def access_changed(tx: Tx, device: Device, now: datetime, *, kick: bool = True) -> None:
    """What was proven is forgotten in every process; with `kick` live connections end."""
    tx.tell(AccessChanged(device.id), now)
    outbox.notice(tx, f"access.{device.key}", {"device_id": device.id, "kick": kick}, now)


def find(tx: Tx, home_id: int, key: str) -> Device:
    device = store.by_key(tx, home_id, key)
    if device is None:
        raise NotFound(f"there is no device {key[:20]}")
    return device


def find_any(tx: Tx, home_id: int, name: str) -> Device:
    """By key or serial."""
    device = store.by_key(tx, home_id, name) or store.by_serial(tx, home_id, name)
    if device is None:
        raise NotFound(f"there is no device with the key or serial {name[:64]}")
    return device


def add_device(
    tx: Tx,
    home_id: int,
    now: datetime,
    *,
    name: str,
    model_text: str,
    serial: str,
    online_seconds: int | None = None,
) -> Device:
    key = model.new_key()
    serial = model.check_serial(serial) if serial else key
    if not store.serial_is_free(tx, serial):
        raise Conflict(f"there is a device with the serial {serial} already")
    values = {
        "key": key,
        "serial": serial,
        "name": model.check_name(name or key),
        "model": model.check_model(model_text),
    }
    device_id = store.add(tx, home_id=home_id, created_at=now, online_seconds=online_seconds, **values)
    device = store.by_id(tx, device_id)
    assert device is not None
    return device


def _free_serial(tx: Tx, external_ids: Mapping[str, str]) -> str:
    """The serial that a device gives of itself, when it can be one and no other device has it."""
    serial = str(external_ids.get("serial") or "")
    return serial if model.SERIAL.fullmatch(serial) and store.serial_is_free(tx, serial) else ""


def _give_key(
    tx: Tx,
    device_id: int,
    now: datetime,
    secret: str = "",
    *,
    kind: CredentialKind = CredentialKind.API_KEY,
    lineage: int | None = None,
    expires_at: datetime | None = None,
) -> str:
    """The first of a lineage, or the successor of the one that is in force in `lineage`."""
    secret = secret or secrets.new_secret()
    until = expires_at or now + timedelta(days=model.API_KEY_DAYS)
    store.add_credential(tx, device_id, secret, now, kind=kind, lineage=lineage, expires_at=until)
    return secret
