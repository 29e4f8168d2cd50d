"""What telemetry does without being asked by a device or a person."""

from datetime import datetime

from waystation.devices import DeviceDeleted
from waystation.kernel import outbox
from waystation.kernel.db import Tx
from waystation.telemetry import store
from waystation.telemetry.keeping.quota import CHANGED
from waystation.telemetry.keeping.store import forget_usage


def forget_device(tx: Tx, told: DeviceDeleted, now: datetime) -> None:
    """A deleted device's history goes with it, and its owner has that room again."""
    store.forget_device(tx, told.device_id)
    forget_usage(tx, [told.device_id])
    outbox.notice(tx, CHANGED, {}, now)
