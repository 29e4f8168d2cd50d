"""Commands that another hub sent in its time, as history: nothing of them is handed out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from waystation.commands import model, store
from waystation.commands.model import NewCommand, State
from waystation.devices import Device
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Invalid
from waystation.kernel.secrets import digest

MOST_NAME = 64


@dataclass(frozen=True, slots=True)
class Past:
    """`state` is one of the last ones; `reason` is why it ended when the device did not say so."""

    name: str
    parameters: Mapping[str, Any] | None
    priority: int
    state: State
    created_at: datetime
    sent_at: datetime | None
    finished_at: datetime
    result: Any = None
    reason: str = ""


def remember(tx: Tx, by: Actor, device: Device, past: Past) -> int:
    """Its number. Invalid for what is still open, and for what is too large to be kept."""
    if not past.state.is_final:
        raise Invalid("only a command that has ended is history")
    row = {
        "uid": model.new_uid(),
        "home_id": device.home_id,
        "device_id": device.id,
        "device_key": device.key,
        "name": past.name[:MOST_NAME],
        "parameters": model.written(past.parameters, model.MOST_PARAMETERS_BYTES, "parameters"),
        "priority": past.priority,
        "is_once": NewCommand(past.name).is_once,
        "state": past.state,
        "attempt": int(past.sent_at is not None),
        "link": "",
        "created_at": past.created_at,
        "sent_at": past.sent_at,
        "finished_at": past.finished_at,
        "result": model.written(past.result, model.MOST_RESULT_BYTES, "result"),
        "reason": past.reason,
        "by": by.who,
        "wanted": digest(past.name),
    }
    (number,) = store.add(tx, [row])
    return number
