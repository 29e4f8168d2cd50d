"""Storing lines of devices, and reading them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from waystation.devices import DeviceDeleted
from waystation.kernel import room
from waystation.kernel.db import Tx
from waystation.messages import store
from waystation.messages.events import Logged, MessageWritten
from waystation.messages.folding import Folded, Line, folded
from waystation.messages.model import KIND, Message, NewMessage, Severity, size_of
from waystation.messages.store import Going, Share, Wanted


class Writer(Protocol):
    """A device, however it is known."""

    @property
    def id(self) -> int: ...
    @property
    def home_id(self) -> int: ...


def write(tx: Tx, device: Writer, now: datetime, messages: Sequence[NewMessage]) -> int:
    """How many were not there before: stored in a row of their own, or counted as a repeat."""
    return write_lines(tx, [_line(device, now, message) for message in messages], now).stored


def write_one(tx: Tx, device: Writer, now: datetime, message: NewMessage) -> int:
    """The number of the row that holds it."""
    return write_lines(tx, [_line(device, now, message)], now).rows[0].number


def _line(device: Writer, now: datetime, message: NewMessage) -> Line:
    return Line.of(device.home_id, device.id, now, message.checked())


def write_lines(tx: Tx, lines: Sequence[Line], now: datetime) -> Folded:
    """Lines of any devices, which have been checked, in the order in which they arrived."""
    if not lines:
        return Folded()
    first_number = store.take_numbers(tx, len(lines))  # first, so that nobody else folds meanwhile
    newest = store.newest_of(tx, {line.device_id for line in lines})
    told = [line for line in lines if line.is_told]
    alike = store.alike(tx, {line.digest for line in told}, min(line.at for line in told)) if told else []
    done = folded(lines, newest, alike, first_number=first_number)
    _store(tx, done)
    _tell(tx, done, now)
    return done


def _store(tx: Tx, done: Folded) -> None:
    if done.repeated:
        store.repeat(tx, done.repeated.values())
    if not done.new:
        return
    store.add(tx, done.new)
    shares: dict[int, Share] = {}
    for row in done.new:
        share = shares.setdefault(row.line.device_id, Share(row.line.home_id))
        share.add(row.number, size_of(row.line.message.content))
    store.note(tx, shares)
    for home_id, size_bytes in sorted(_by_home(shares.values()).items()):
        room.add(tx, home_id, KIND, size_bytes)


def _by_home(shares: Iterable[Share]) -> dict[int, int]:
    """Bytes."""
    sizes: dict[int, int] = {}
    for share in shares:
        sizes[share.home_id] = sizes.get(share.home_id, 0) + share.size_bytes
    return sizes


def _tell(tx: Tx, done: Folded, now: datetime) -> None:
    for row in done.new:
        if row.line.message.severity.is_grave:
            tx.tell(MessageWritten(row.message), now)
    newest = {row.line.home_id: row.number for row in done.new}
    repeated: dict[int, list[Message]] = {}
    for row in done.repeated.values():
        repeated.setdefault(row.line.home_id, []).append(row.message)
    for home_id in newest.keys() | repeated.keys():
        tx.tell(Logged(home_id, newest.get(home_id, 0), repeated.get(home_id, ())), now)


def of_device(tx: Tx, device: Writer, *, before: int | None = None, most: int = 50) -> list[Message]:
    """Newest first; `before` is the number that the page before ended at."""
    return store.newest(tx, Wanted(device.home_id, device.id), before=before, most=most)


def newest(
    tx: Tx, home_id: int, *, least: Severity = Severity.DEBUG, before: int | None = None, most: int = 50
) -> list[Message]:
    """Of all devices of the home, newest first."""
    return store.newest(tx, Wanted(home_id, least=least), before=before, most=most)


# What goes


def forget_device(tx: Tx, told: DeviceDeleted, now: datetime) -> None:
    """Nobody sees a deleted device's lines any more; a sweep takes them, a little at a time."""
    room.add(tx, told.home_id, KIND, -store.mark_gone(tx, told.device_id, now))


def remove(tx: Tx, going: Sequence[Going]) -> int:
    """How many they were."""
    shares: dict[int, Share] = {}
    for one in going:
        shares.setdefault(one.device_id, Share(one.home_id)).add(one.number, one.size_bytes)
    store.remove(tx, [one.number for one in going])
    alive = [share for device_id, share in sorted(shares.items()) if store.note_removed(tx, device_id, share)]
    for home_id, size_bytes in sorted(_by_home(alive).items()):
        room.add(tx, home_id, KIND, -size_bytes)
    return len(going)
