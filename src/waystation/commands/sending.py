"""Ask one device or many to do something; ask again what did not work; see how far a batch has got."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from waystation import devices
from waystation.commands import model, service, store
from waystation.commands.events import CommandQueued
from waystation.commands.model import Command, NewCommand, State, What
from waystation.commands.store import Batch
from waystation.devices import Device
from waystation.kernel import audit, outbox
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, Invalid, NotFound, TooMany

MOST_TARGETS = 10_000
NOTICE_DEVICES = 1_000
AGAIN_AFTER = timedelta(seconds=1)
AGAIN = (State.FAILED, State.REJECTED, State.EXPIRED, State.CANCELLED)
"""What may be asked once more."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Who is meant: devices by key or serial, or all of a model, of a tag, or of the home. One of them."""

    devices: Sequence[str] = ()
    model: str = ""
    tag: str = ""
    home: bool = False

    def checked(self) -> "Targets":
        if sum((bool(self.devices), bool(self.model), bool(self.tag), self.home)) != 1:
            raise Invalid("say to whom: devices, a model, a tag, or the home")
        return self

    @property
    def words(self) -> str:
        if self.home:
            return "home"
        if self.model or self.tag:
            return f"model:{self.model}" if self.model else f"tag:{self.tag}"
        return ", ".join(self.devices[:3]) + (" …" if len(self.devices) > 3 else "")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch has got. `failed` counts rejected ones too; `gone` are those of deleted devices."""

    total: int
    waiting: int = 0
    delivered: int = 0
    done: int = 0
    failed: int = 0
    expired: int = 0
    cancelled: int = 0
    gone: int = 0

    @property
    def is_over(self) -> bool:
        return not self.waiting and not self.delivered


def send(tx: Tx, by: Actor, device_id: int, now: datetime, *, home_id: int, wanted: NewCommand) -> Command:
    """One command for one device. With the same idempotency key again it is the one that was sent before.

    TooMany when a hundred wait for the device, Invalid when its model's schema does not allow it.
    """
    device = devices.by_id(tx, device_id)
    if device is None or device.home_id != home_id:
        raise NotFound("there is no such device in this home")
    return _send(tx, by, device, now, wanted=wanted)


def _send(
    tx: Tx, by: Actor, device: Device, now: datetime, *, wanted: NewCommand, retry_of: str | None = None
) -> Command:
    known = _sent_before(tx, device.id, wanted)
    if known is not None:
        return known
    wanted = wanted.checked(now)
    devices.models.check(tx, device.home_id, [device.model], name=wanted.name, parameters=wanted.parameters)
    if store.count_open(tx, device.id) >= model.MOST_WAITING:
        raise TooMany(_full(device.name), retry_after_seconds=60)
    (number,) = _queue(tx, by, [device], now, wanted=wanted, retry_of=retry_of)
    audit.note(tx, by, "sent a command", f"device:{device.key}", now=now, name=wanted.name)
    found = store.by_number(tx, number)
    assert found is not None
    return found


def send_to_many(tx: Tx, by: Actor, home_id: int, now: datetime, *, to: Targets, wanted: NewCommand) -> Batch:
    """The same command for each of them, as one batch. Devices whose queue is full are left out, and named in it.

    With the same idempotency key again it is the batch that was made before. NotFound when a device is not the home's,
    or when nobody is meant; TooMany when all their queues are full.
    """
    digest = _digest(asdict(to.checked()), wanted)
    known = _batch_made_before(tx, home_id, wanted.idempotency_key, digest)
    if known is not None:
        return known
    return _batch(tx, by, meant(tx, home_id, to), now, wanted=wanted, target=asdict(to), digest=digest)


def meant(tx: Tx, home_id: int, to: Targets) -> list[Device]:
    """The devices, each once."""
    if to.home:
        found = devices.search(tx, home_id, "", MOST_TARGETS + 1)
    elif to.tag:
        found = devices.by_tag(tx, home_id, to.tag)
    elif to.model:
        found = devices.of_model(tx, home_id, to.model)
    else:
        found = list({one.id: one for one in (devices.find_any(tx, home_id, name) for name in to.devices)}.values())
    if not found:
        raise NotFound(f"there is no device to send this to ({to.words})")
    if len(found) > MOST_TARGETS:
        raise Invalid(f"a batch is for at most {MOST_TARGETS:,} devices")
    return found


def _batch(
    tx: Tx,
    by: Actor,
    to: Sequence[Device],
    now: datetime,
    *,
    wanted: NewCommand,
    target: Mapping[str, Any],
    digest: bytes,
    retry_of: str | None = None,
) -> Batch:
    wanted = wanted.checked(now)
    home_id = to[0].home_id
    models = sorted({one.model for one in to})
    devices.models.check(tx, home_id, models, name=wanted.name, parameters=wanted.parameters)
    full = store.full(tx, home_id)
    able = [one for one in to if one.id not in full]
    if not able:
        raise TooMany(_full(to[0].name if len(to) == 1 else f"each of these {len(to)} devices"), retry_after_seconds=60)
    uid = model.new_uid()
    made = store.add_batch(
        tx,
        uid=uid,
        home_id=home_id,
        name=wanted.name,
        parameters=model.written(wanted.parameters, model.MOST_PARAMETERS_BYTES, "parameters"),
        target=model.written(target, 1_000_000, "target"),
        total=len(able),
        left_out=[one.key for one in to if one.id in full],
        created_at=now,
        by=by.who,
        idempotency_key=wanted.idempotency_key or None,
        wanted=digest,
        retry_of=retry_of,
    )
    if not made:  # another process was first with this key
        raise Conflict("the same is being sent already; ask again in a moment")
    _queue(tx, by, able, now, wanted=replace(wanted, idempotency_key=""), batch_uid=uid)
    audit.note(tx, by, "sent a command to many", f"home:{home_id}", now=now, name=wanted.name, devices=len(able))
    return find_batch(tx, home_id, uid)


# Again.


def retry(tx: Tx, by: Actor, command: Command, now: datetime) -> Command:
    """The same for the same device under a new id. Asked twice, it is the same new command; Conflict unless it ended
    without being done.
    """
    if command.state not in AGAIN:
        raise Conflict(f"command {command.uid} is {command.state}, so it is not sent again")
    wanted = replace(_again(command), idempotency_key=f"retry:{command.uid}")
    device = devices.by_id(tx, command.device_id)
    assert device is not None  # its commands go with it
    return _send(tx, by, device, now, wanted=wanted, retry_of=command.uid)


def retry_batch(tx: Tx, by: Actor, batch: Batch, now: datetime) -> Batch:
    """A new batch of those that ended without being done; asked twice, it is the same new batch."""
    key = f"retry:{batch.uid}"
    digest = hashlib.sha256(key.encode()).digest()
    known = _batch_made_before(tx, batch.home_id, key, digest)
    if known is not None:
        return known
    again = store.of_batch(tx, batch.uid, AGAIN)
    if not again:
        raise Conflict("nothing of this batch has failed, so there is nothing to send again")
    to = [one for one in (devices.by_id(tx, command.device_id) for command in again) if one is not None]
    wanted = replace(_again(again[0]), idempotency_key=key)
    return _batch(tx, by, to, now, wanted=wanted, target=batch.target, digest=digest, retry_of=batch.uid)


def _again(command: Command) -> NewCommand:
    """Without its times, which have passed."""
    return NewCommand(command.name, command.parameters, command.priority, once=command.is_once)


# Batches.


def find_batch(tx: Tx, home_id: int, uid: str) -> Batch:
    found = store.batch_by_uid(tx, home_id, uid)
    if found is None:
        raise NotFound("there is no batch of that id here")
    return found


def progress(tx: Tx, batches: Sequence[Batch]) -> dict[str, Progress]:
    """By the batch's uid."""
    found = store.by_state(tx, [one.uid for one in batches])
    return {one.uid: progress_of(one.total, found[one.uid]) for one in batches}


def progress_of(total: int, many: Mapping[State, int]) -> Progress:
    return Progress(
        total,
        waiting=many.get(State.QUEUED, 0),
        delivered=many.get(State.LEASED, 0) + many.get(State.RUNNING, 0),
        done=many.get(State.DONE, 0),
        failed=many.get(State.FAILED, 0) + many.get(State.REJECTED, 0),
        expired=many.get(State.EXPIRED, 0),
        cancelled=many.get(State.CANCELLED, 0),
        gone=total - sum(many.values()),
    )


def cancel_batch(tx: Tx, by: Actor, batch: Batch, now: datetime) -> int:
    """What has not ended yet; how many there were."""
    those = store.of_batch(tx, batch.uid, sorted(model.OPEN))
    for one in those:
        service.cancel(tx, by, one, now)
    return len(those)


# Rows.


def _queue(
    tx: Tx,
    by: Actor,
    to: Sequence[Device],
    now: datetime,
    *,
    wanted: NewCommand,
    batch_uid: str | None = None,
    retry_of: str | None = None,
) -> list[int]:
    """The commands with the first line of their history, and word to every process that something waits."""
    same = {
        "home_id": to[0].home_id,
        "name": wanted.name,
        "parameters": model.written(wanted.parameters, model.MOST_PARAMETERS_BYTES, "parameters"),
        "priority": wanted.priority,
        "is_once": wanted.is_once,
        "state": State.QUEUED,
        "attempt": 0,
        "link": "",
        "created_at": now,
        "not_before": wanted.not_before,
        "expires_at": wanted.expires_at,
        "settles_at": model.settles_at(State.QUEUED, None, wanted.expires_at),
        "reason": "",
        "batch_uid": batch_uid,
        "retry_of": retry_of,
        "by": by.who,
        "idempotency_key": wanted.idempotency_key or None,
        "wanted": _digest({}, wanted),
    }
    own = [{**same, "uid": model.new_uid(), "device_id": one.id, "device_key": one.key} for one in to]
    numbers = store.add(tx, own)
    line = {"at": now, "what": What.QUEUED, "by": by.who, "link": "", "attempt": 0, "detail": None}
    store.note(tx, [{**line, "command_id": number} for number in numbers])
    _tell(tx, to, now, batch_uid)
    return numbers


def _tell(tx: Tx, to: Sequence[Device], now: datetime, batch_uid: str | None) -> None:
    """`commands.<home>.<device key, or the batch's uid>` on the bus, with the devices' ids.

    A hub says it at once by itself (notices.py), and its row waits a moment: else to be rid of it would be one more
    commit, for which handing out the command would have to wait. A command line has but the row.
    """
    home_id = to[0].home_id
    due_at = now + AGAIN_AFTER if tx.has_listener(CommandQueued) else None
    for first in range(0, len(to), NOTICE_DEVICES):
        ids = [one.id for one in to[first : first + NOTICE_DEVICES]]
        outbox.notice(tx, f"commands.{home_id}.{batch_uid or to[0].key}", {"device_ids": ids}, now, due_at=due_at)
        tx.tell(CommandQueued(home_id, tuple(ids)), now)


# Asked before.


def _sent_before(tx: Tx, device_id: int, wanted: NewCommand) -> Command | None:
    known = store.by_key(tx, device_id, wanted.idempotency_key) if wanted.idempotency_key else None
    if known is None:
        return None
    if known[1] != _digest({}, wanted):
        raise Conflict("this idempotency key was used for another command")
    return known[0]


def _batch_made_before(tx: Tx, home_id: int, key: str, digest: bytes) -> Batch | None:
    known = store.batch_by_key(tx, home_id, key) if key else None
    if known is None:
        return None
    if known[1] != digest:
        raise Conflict("this idempotency key was used for another command")
    return known[0]


def _digest(to: Mapping[str, Any], wanted: NewCommand) -> bytes:
    """Of what is asked, without its times: `expires_in_seconds` gives another time at every call."""
    asked = (to, wanted.name, wanted.parameters, wanted.priority, wanted.once)
    try:
        return hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).digest()
    except (TypeError, ValueError, RecursionError, OverflowError) as fault:
        raise Invalid("parameters: this cannot be written as JSON") from fault


def _full(whose: str) -> str:
    return f"{model.MOST_WAITING} commands wait for {whose} already; cancel some, or wait until they are done"
