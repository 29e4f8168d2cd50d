"""Registering thermostats, and replacing and ending their keys: on the devices' own service (section 5.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from waystation import devices, homes
from waystation.devices import Credential, CredentialKind, Device
from waystation.homes import Membership
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, Invalid, NotFound, Refused

KEY_DAYS = 365
UNKNOWN = "Device not found or not owned by this user."
UNKNOWN_KEY = "Key not found for this device."
TAKEN = "This device serial is already registered to another user."
NO_HOME = "you belong to no home here yet; ask somebody who owns one to let you in"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A device with a key, which is shown this once."""

    device: Device
    api_key: str
    expires_at: datetime


def register(tx: Tx, by: Membership, now: datetime, *, serial: str, name: str, overlap: timedelta) -> NewKey:
    """One's own serial again renames the device, when a name is given, and gives it a new key as a rotation does."""
    serial = serial.strip()
    found = _own(tx, by, serial)
    if found is not None:
        if name.strip() and name.strip() != found.name:
            devices.rename(tx, by.actor, found, now, name=name, model_text=found.model)
        return rotate(tx, by.actor, devices.find(tx, found.home_id, found.key), now, overlap=overlap)
    _check_may_manage(by)
    if not serial:
        raise Invalid("Field 'serial_number' is required")
    try:
        made = devices.register(
            tx, by.actor, by.home_id, now, name=name.strip() or serial, serial=serial, days=KEY_DAYS
        )
    except Conflict:
        raise Invalid(TAKEN) from None
    return NewKey(devices.find(tx, by.home_id, made.key), made.api_key, now + timedelta(days=KEY_DAYS))


def rotate(tx: Tx, by: Actor, device: Device, now: datetime, *, overlap: timedelta) -> NewKey:
    """The newest live key gets a successor. It stays good until that one's first use, and for the overlap at most;
    without an overlap every earlier key ends at once (TH-10).
    """
    live = [key for key in keys(tx, device) if key.is_live(now)]
    if not live:
        made = devices.new_credential(tx, by, device, now, days=KEY_DAYS)
    else:
        made = devices.rotate(tx, by, device, now, credential_id=live[0].id, overlap=overlap, days=KEY_DAYS)
        if not overlap:
            for key in live:
                devices.revoke(tx, by, device, now, credential_id=key.id)
    return NewKey(device, made.api_key, now + timedelta(days=KEY_DAYS))


def revoke(tx: Tx, by: Actor, device: Device, now: datetime, *, key_id: int) -> Credential:
    """Cuts at once; a key that has ended already stays so."""
    found = next((key for key in keys(tx, device) if key.id == key_id), None)
    if found is None:
        raise NotFound(UNKNOWN_KEY)
    if found.is_live(now):
        devices.revoke(tx, by, device, now, credential_id=key_id)
    return found


def keys(tx: Tx, device: Device) -> Sequence[Credential]:
    """API keys, the newest first."""
    return [key for key in devices.credentials(tx, device.id) if key.kind is CredentialKind.API_KEY]


def managed(tx: Tx, by: Membership, device_id: int) -> Device:
    """NotFound for a device of another home, in the same words as for none (TH-19)."""
    device = devices.by_id(tx, device_id)
    if device is None or device.home_id != by.home_id:
        raise NotFound(UNKNOWN)
    _check_may_manage(by)
    return device


def _own(tx: Tx, by: Membership, serial: str) -> Device | None:
    """Of the serial, in any home that the caller manages, this one first."""
    if by.user_id is None:
        return devices.by_serial(tx, by.home_id, serial)
    managed_homes = [home.id for home, role in homes.homes_of(tx, by.user_id) if role.may_manage]
    found = (devices.by_serial(tx, home_id, serial) for home_id in managed_homes)
    return next((device for device in found if device is not None), None)


def _check_may_manage(by: Membership) -> None:
    if not by.role.may_manage:
        raise Refused(f"this needs the role admin; yours is {by.role.word}")
