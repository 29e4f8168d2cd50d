"""A page of messages, newest first, and the cursors of what lies on either side of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from waystation import devices
from waystation.devices import Device
from waystation.kernel.clock import iso
from waystation.kernel.db import Tx
from waystation.kernel.errors import Invalid, NotFound
from waystation.messages import store
from waystation.messages.model import Message, Severity, cursor_of, number_at, severity_of
from waystation.messages.store import Wanted


@dataclass(frozen=True, slots=True)
class Page:
    """`older` is None when nothing is; `newer` goes on behind the newest that was seen, also when there is none yet."""

    messages: Sequence[Message]
    older: str | None
    newer: str
    is_newest: bool


def asked(tx: Tx, home_id: int, *, device: str = "", severity: str = "", kind: str = "", words: str = "") -> Wanted:
    """NotFound for a device that is not the home's, Invalid for a severity that is none."""
    found = find_device(tx, home_id, device) if device else None
    least = severity_of(severity) if severity else Severity.DEBUG
    return Wanted(home_id, None if found is None else found.id, least, kind, words)


def find_device(tx: Tx, home_id: int, name: str) -> Device:
    """By key or serial."""
    found = devices.by_key(tx, home_id, name) or devices.by_serial(tx, home_id, name)
    if found is None:
        raise NotFound(f"there is no device {name[:64]}")
    return found


def page(tx: Tx, wanted: Wanted, *, before: str = "", after: str = "", most: int) -> Page:
    """The newest, or what lies next to a cursor: the newest before it, or the oldest after it."""
    if before and after:
        raise Invalid("say before or after, not both")
    if after:
        return _after(tx, wanted, number_at(after), most)
    last = store.last_number(tx)
    number = number_at(before) if before else None
    found = store.newest(tx, wanted, before=number, most=most + 1)
    older = cursor_of(found[most - 1].number) if len(found) > most else None
    newest = last if number is None else found[0].number if found else max(number - 1, 0)
    return Page(found[:most], older, cursor_of(newest), is_newest=number is None)


def _after(tx: Tx, wanted: Wanted, number: int, most: int) -> Page:
    last = store.last_number(tx)
    found = store.oldest(tx, wanted, after=number, most=most + 1)
    is_newest = len(found) <= most
    found = found[:most][::-1]
    oldest = found[-1].number if found else number + 1
    return Page(found, cursor_of(oldest), cursor_of(last if is_newest else found[0].number), is_newest)


def shown(tx: Tx, messages: Collection[Message]) -> list[dict[str, Any]]:
    """As JSON shows them, with their devices' keys and names."""
    placed = devices.placed(tx, {one.device_id for one in messages})
    return [
        _shown(one, placed[one.device_id].key, placed[one.device_id].name)
        for one in messages
        if one.device_id in placed
    ]


def _shown(message: Message, key: str, name: str) -> dict[str, Any]:
    return {
        "id": message.number,
        "device": key,
        "name": name,
        "at": iso(message.at),
        "last_at": iso(message.last_at),
        "arrived_at": iso(message.arrived_at),
        "severity": message.severity,
        "said_severity": message.said_severity,
        "type": message.type,
        "content": message.content,
        "count": message.count,
    }
