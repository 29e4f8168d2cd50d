"""Sweeps: lines that are old, more than a device may have, or of devices that are gone."""

from datetime import datetime, timedelta

from waystation.kernel.db import Database, Tx
from waystation.kernel.parts import Parts
from waystation.kernel.settings import Settings
from waystation.messages import service, store

AT_ONCE = 1000


def forget(parts: Parts, now: datetime) -> int:
    """DS-24: by default 30 days, and 10,000 lines of each device."""
    settings = parts.get(Settings)
    with parts.get(Database).write() as tx:
        return (
            _gone(tx)
            or service.remove(tx, store.arrived_before(tx, now - timedelta(days=settings.messages_days), AT_ONCE))
            or _too_many(tx, settings.messages_per_device)
        )


def _gone(tx: Tx) -> int:
    device_id = store.gone(tx)
    if device_id is None:
        return 0
    going = store.oldest_of(tx, device_id, AT_ONCE)
    if not going:
        store.forget(tx, device_id)
        return 1
    return service.remove(tx, going)


def _too_many(tx: Tx, most_rows: int) -> int:
    found = store.fullest(tx, most_rows)
    if found is None:
        return 0
    device_id, excess = found
    return service.remove(tx, store.oldest_of(tx, device_id, min(excess, AT_ONCE)))
