"""What devices tell their siblings, inside the transaction in which it happens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceDeleted:
    """The device is gone; whoever keeps something of it deletes that too."""

    device_id: int
    key: str
    home_id: int


@dataclass(frozen=True, slots=True)
class AccessChanged:
    """Somebody's credential is no longer what caches may believe."""

    device_id: int


@dataclass(frozen=True, slots=True)
class CredentialStolen:
    """A spent refresh token came back, so two hold the device's tokens; all of them have been ended (JR-13)."""

    device_id: int
    key: str
    home_id: int
