"""`reboot` is handed out once and never says that it is done: the device's return is what completes it (DS-11)."""

from datetime import datetime

from waystation import commands, devices
from waystation.commands import State
from waystation.dialects.dropsync.model import AWAY, BOOTED, REBOOT, WRITTEN_LATE
from waystation.kernel.db import Tx

IS_OUT = frozenset({State.LEASED, State.RUNNING})
MOST_LOOKED_AT = 100


def is_boot_message(content: str) -> bool:
    return BOOTED.search(content) is not None


def came_back(tx: Tx, device_id: int, now: datetime, *, evidence: str) -> None:
    for one in commands.of_device(tx, device_id, most=MOST_LOOKED_AT):
        if one.name == REBOOT and one.state in IS_OUT:
            commands.finish(tx, device_id, now, number=one.number, state=State.DONE, result=evidence)


def heard(tx: Tx, device_id: int, now: datetime, *, before: datetime | None) -> None:
    """A heartbeat after a pause that is longer than any between two calls of a device that runs (`before` is the last
    call, None when only the database knows, which is told of it a little late).
    """
    if before is not None and now - before < AWAY:
        return
    if before is None:
        device = devices.by_id(tx, device_id)
        seen_at = None if device is None else device.last_seen_at
        if seen_at is None or now - seen_at < AWAY + WRITTEN_LATE:
            return
    came_back(tx, device_id, now, evidence="heard again after a pause")
