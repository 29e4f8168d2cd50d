"""What telemetry does without being asked by a device or a person."""

from datetime import datetime

from waystation.devices import DeviceDeleted
from waystation.kernel.db import Tx
from waystation.telemetry import store


def forget_device(tx: Tx, told: DeviceDeleted, now: datetime) -> None:  # noqa: ARG001
    """A deleted device's history goes with it."""
    store.forget_device(tx, told.device_id)
