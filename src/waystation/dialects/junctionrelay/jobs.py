"""The watch over missed health reports (JR-26)."""

from collections.abc import Sequence
from datetime import datetime

from waystation import devices, telemetry
from waystation.devices import Alert, Device, Step, Wish
from waystation.dialects.junctionrelay import wire
from waystation.kernel.clock import from_micros
from waystation.kernel.db import Database, Tx

AT_ONCE = 500


def watch_health(database: Database, now: datetime) -> int:
    """Looks at every device, page by page; what has to be told takes a transaction each. Never asks to run again."""
    after, page = 0, [0]
    while page:
        with database.read() as tx:
            found = devices.relays(tx, after, AT_ONCE)
            due = _due(tx, found, now)
        for device, step, alert, wish, heard_at in due:
            with database.write() as tx:
                devices.health.take(tx, device, step, wish, alert=alert, since=heard_at, now=now)
        page = [device.id for device in found]
        after = page[-1] if page else after
    return 0


def _due(tx: Tx, found: Sequence[Device], now: datetime) -> list[tuple[Device, Step, Alert | None, Wish, datetime]]:
    """A device that was never heard is not missed yet, and one that was disabled is not missed any more."""
    heard = last_reports(tx, [device.id for device in found])
    alerts = devices.health.alerts_of(tx, [device.id for device in found])
    wishes = {home_id: devices.health.wish_of(tx, home_id) for home_id in {device.home_id for device in found}}
    steps = (
        (device, devices.health.next_step(heard[device.id], alerts.get(device.id), wishes[device.home_id], now))
        for device in found
        if device.id in heard and device.disabled_at is None
    )
    return [
        (device, step, alerts.get(device.id), wishes[device.home_id], heard[device.id])
        for device, step in steps
        if step is not Step.NONE
    ]


def last_reports(tx: Tx, device_ids: Sequence[int]) -> dict[int, datetime]:
    """When the last health report of each device arrived."""
    last = telemetry.last_values(tx, device_ids, [wire.STATUS])
    return {one.series.device_id: from_micros(telemetry.at_of(one.stamp)) for one in last}
