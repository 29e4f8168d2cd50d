"""DropSync devices of a home: found by the id that they call themselves, registered and revoked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from waystation import devices
from waystation.devices import CredentialKind, Device
from waystation.dialects.dropsync import journal, model, store
from waystation.dialects.dropsync.model import DEVICE_TYPE, KIND, ONLINE_SECONDS, Said
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import NotFound

UNKNOWN = "Device not found"


@dataclass(frozen=True, slots=True)
class Known:
    """A device with the id that it calls itself and what it last said."""

    name: str
    device: Device
    said: Said

    def is_online(self, now: datetime) -> bool:
        return self.device.presence(now, ONLINE_SECONDS) == "online"

    def status(self, now: datetime) -> str:
        """What it says of itself counts while it is heard (DS-13)."""
        if self.device.disabled_at is not None:
            return "disabled"
        return self.said.shown if self.is_online(now) else "offline"


@dataclass(frozen=True, slots=True)
class Registered:
    """With a token that is shown this once."""

    device: Device
    token: str


def find(tx: Tx, home_id: int, name: str, *, unknown: str = UNKNOWN) -> Device:
    found = devices.by_external_id(tx, home_id, KIND, name) if model.is_device_id(name) else None
    if found is None:
        raise NotFound(unknown)
    return found


def all_known(tx: Tx, home_id: int) -> Sequence[Known]:
    """In the order in which they were registered."""
    names = devices.called(tx, home_id, KIND)
    said = store.said_by(tx, list(names))
    found = [device for device in devices.search(tx, home_id, "", 100_000) if device.id in names]
    found.sort(key=lambda device: device.id)
    return [Known(names[device.id], device, said.get(device.id, Said())) for device in found]


def register(
    tx: Tx, by: Actor, home_id: int, now: datetime, *, name: str, title: str = "", device_type: str = ""
) -> Registered:
    """A new device, or a known one with a new token in place of those it had; a disabled one is enabled (DS-21)."""
    device = ensure(tx, by, home_id, now, name=name, title=title, device_type=device_type)
    devices.end_tokens(tx, by, device, now)
    made = devices.new_credential(tx, by, device, now, kind=CredentialKind.PRE_SHARED_TOKEN)
    journal.note(tx, home_id, now, "device_registered", source=name, said=f"Device {name} registered")
    return Registered(find(tx, home_id, name), made.api_key)


def ensure(
    tx: Tx, by: Actor, home_id: int, now: datetime, *, name: str, title: str = "", device_type: str = ""
) -> Device:
    """The device of that id, made if there is none, and enabled."""
    adopted = devices.adopt(
        tx,
        by,
        home_id,
        now,
        name=title.strip() or f"Device {name}",
        kind=KIND,
        value=name,
        model_text=device_type or DEVICE_TYPE,
        online_seconds=ONLINE_SECONDS,
    )
    device = adopted or find(tx, home_id, name)
    if device.disabled_at is not None:
        devices.enable(tx, by, device, now)
    if adopted is None and (title.strip() or device_type):
        devices.rename(tx, by, device, now, name=title.strip() or device.name, model_text=device_type or device.model)
    return device


def revoke(tx: Tx, by: Actor, home_id: int, now: datetime, *, name: str) -> None:
    """403 from now on, whatever it proves itself with; its history stays. Again it changes nothing."""
    device = find(tx, home_id, name)
    devices.end_tokens(tx, by, device, now)
    if device.disabled_at is None:
        devices.disable(tx, by, device, now)
    journal.note(
        tx, home_id, now, "device_revoked", source=name, said=f"Token of device {name} revoked", severity="warning"
    )
