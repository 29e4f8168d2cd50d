"""Hand commands out, take their outcomes, cancel them, and let time do its part. Sending them is in sending.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from waystation.commands import model, store
from waystation.commands.events import CommandFinished, CommandMoved, CommandQueued
from waystation.commands.model import Command, Outcome, State, Step, What
from waystation.devices import DeviceDeleted
from waystation.kernel import audit
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, NotFound

DEVICE, HUB = "device", "hub"


@dataclass(frozen=True, slots=True)
class Look:
    """Whether anything is due for a device, and when time alone may change that; None is never."""

    is_due: bool
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Settled:
    """The command as it is now. With a `refusal` the outcome was not taken, only kept as evidence."""

    command: Command
    refusal: Conflict | None = None


# Handing out.


def look(tx: Tx, device_ids: Sequence[int], now: datetime) -> dict[int, Look]:
    """Of those that have commands at all. Reads only, so that most polls need no writing transaction."""
    return {device_id: _look(found, now) for device_id, found in store.open_of_each(tx, device_ids).items()}


def _look(found: Sequence[Command], now: datetime) -> Look:
    is_due = bool(model.in_turn(found, now)) or any(model.lapse(one, now) is not None for one in found)
    return Look(is_due, model.next_at(found, now))


def take(tx: Tx, device_id: int, now: datetime, *, link: str, one_by_one: bool = False) -> Command | None:
    """Hand the device its next command, or None. It is leased, not given: unanswered, it comes back.

    `one_by_one`: nothing while the device has not said what became of the last one that it got over this link.
    """
    found = [_lapsed(tx, one, now) for one in store.open_of(tx, device_id)]
    if one_by_one and model.is_busy(found, link, now):
        return None
    for one in model.in_turn(found, now):
        step = model.lease(one, now, link)
        if step is not None and (leased := _move(tx, one, step, now, by=HUB, link=link)):
            return leased
    return None


def take_listening(tx: Tx, device_id: int, now: datetime, *, link: str) -> Command | None:
    """As `take`, one by one, for a device that said on this link that it listens; else None."""
    return take(tx, device_id, now, link=link, one_by_one=True) if store.listens(tx, device_id) else None


def begin_listening(tx: Tx, device_id: int, now: datetime, *, link: str) -> Command | None:
    """From now on its commands come by themselves; the first of them, or None."""
    store.begin_listening(tx, device_id, now)
    return take(tx, device_id, now, link=link)


def end_listening(tx: Tx, command: Command, now: datetime) -> bool:
    """The device was found not to listen: its command goes back into the queue."""
    store.end_listening(tx, command.device_id)
    return give_back(tx, command, now)


def give_back(tx: Tx, command: Command, now: datetime) -> bool:
    """Undo the lease of a command that certainly reached nobody. False when it moved meanwhile.

    Whoever else waits for the device's commands looks again.
    """
    step = model.give_back(command)
    if step is None or not _move(tx, command, step, now, by=HUB, link=command.link):
        return False
    tx.tell(CommandQueued(command.home_id, (command.device_id,)), now)
    return True


def lapse(tx: Tx, now: datetime, most: int = 200) -> int:
    """A sweep: ends leases and what has expired."""
    found = store.lapsing(tx, now, most)
    for one in found:
        _lapsed(tx, one, now)
    return len(found)


def _lapsed(tx: Tx, command: Command, now: datetime) -> Command:
    """What time has made of it by now."""
    step = model.lapse(command, now)
    return command if step is None else _move(tx, command, step, now, by=HUB) or command


# Outcomes.


def finish(
    tx: Tx,
    device_id: int,
    now: datetime,
    *,
    uid: str = "",
    number: int | None = None,
    state: State,
    result: Any = None,
    lease_seconds: float | None = None,
    link: str = "",
) -> Command:
    """What became of a command of this device, named by its uid or its number. The same said again changes nothing.

    NotFound when it is no command of this device, Conflict when it ended differently: `settle` keeps that as evidence.
    """
    outcome = Outcome(state, result, lease_seconds)
    settled = settle(tx, device_id, now, uid=uid, number=number, outcome=outcome, link=link)
    if settled.refusal is not None:
        raise settled.refusal
    return settled.command


def settle(
    tx: Tx,
    device_id: int,
    now: datetime,
    *,
    uid: str = "",
    number: int | None = None,
    outcome: Outcome,
    link: str = "",
) -> Settled:
    """As `finish`, but an outcome that comes too late is answered instead of raised, so that its evidence is kept."""
    outcome = outcome.checked()
    while True:
        command = _of_device(tx, device_id, uid, number)
        try:
            step = model.say(command, outcome, now)
        except Conflict as fault:
            _keep_late(tx, command, outcome, now, link=link)
            return Settled(command, fault)
        if step is None:
            return Settled(command)
        if moved := _move(tx, command, step, now, by=DEVICE, link=link):
            return Settled(moved)


def _of_device(tx: Tx, device_id: int, uid: str, number: int | None) -> Command:
    found = store.by_uid(tx, uid) if number is None else store.by_number(tx, number)
    if found is None or found.device_id != device_id:
        raise NotFound("there is no command of that id for this device")
    return found


def _keep_late(tx: Tx, command: Command, outcome: Outcome, now: datetime, *, link: str) -> None:
    """The first of its kind only: a device may repeat itself for ever."""
    said = {"state": outcome.state, "result": outcome.result}
    known = [one.detail["state"] for one in store.events(tx, command.number) if one.what is What.LATE]
    if outcome.state not in known:
        _note(tx, command, What.LATE, now, by=DEVICE, link=link, detail=said)


# People.


def find(tx: Tx, home_id: int, uid: str) -> Command:
    found = store.by_uid(tx, uid)
    if found is None or found.home_id != home_id:
        raise NotFound("there is no command of that id here")
    return found


def cancel(tx: Tx, by: Actor, command: Command, now: datetime) -> Command:
    """It is not handed out any more. Conflict when it has ended; what a device is doing already, it may still do."""
    while (step := model.cancel(command)) is not None:
        if moved := _move(tx, command, step, now, by=by.who):
            audit.note(tx, by, "cancelled a command", f"device:{command.device_key}", now=now, command=command.uid)
            return moved
        command = find(tx, command.home_id, command.uid)
    raise Conflict(f"command {command.uid} is {command.state}, so it cannot be cancelled")


def of_device(tx: Tx, device_id: int, *, before: int | None = None, most: int = 50) -> list[Command]:
    """Newest first; `before` is the number that the page before ended at."""
    return store.of_device(tx, device_id, before=before, most=most)


def waiting(tx: Tx, device_id: int) -> int:
    """How many are not finished."""
    return store.count_open(tx, device_id)


def forget_device(tx: Tx, told: DeviceDeleted, _now: datetime) -> None:
    store.forget_device(tx, told.device_id)
    store.end_listening(tx, told.device_id)


# Steps.


def _move(tx: Tx, command: Command, step: Step, now: datetime, *, by: str, link: str = "") -> Command | None:
    """Carries a step out and writes it down; None when somebody else has moved the command meanwhile."""
    moved = store.move(tx, command, step, now)
    if moved is None:
        return None
    if step.what is not None:
        detail = step.result if step.result is not None else step.reason or None
        _note(tx, moved, step.what, now, by=by, link=link, detail=detail)
        tx.tell(CommandMoved(moved), now)
    if step.state.is_final:
        tx.tell(CommandFinished(moved), now)
    return moved


def _note(tx: Tx, command: Command, what: What, now: datetime, *, by: str, link: str, detail: Any) -> None:
    text = model.written(detail, model.MOST_RESULT_BYTES + 100, "detail")
    row = {"command_id": command.number, "at": now, "what": what, "by": by, "link": link, "attempt": command.attempt}
    store.note(tx, [{**row, "detail": text}])
