"""Tables of commands, their batches and their history; every statement on them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation.commands import model
from waystation.commands.model import Command, Event, State, Step, What
from waystation.kernel.db import Moment, Tx, metadata, type_of_id

batch = sa.Table(
    "command_batch",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False, unique=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("parameters", sa.Text),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("left_out", sa.JSON, nullable=False),  # keys of devices whose queue was full
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("wanted", sa.LargeBinary, nullable=False),  # digest of what was asked under that key
    sa.Column("retry_of", sa.Text),
    sa.Index("command_batch_home", "home_id", "id"),
    sa.Index("command_batch_key", "home_id", "idempotency_key", unique=True),
    sqlite_autoincrement=True,
)

command = sa.Table(
    "command",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False, unique=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE"), nullable=False),
    sa.Column("device_key", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("parameters", sa.Text),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("is_once", sa.Boolean, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("link", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("not_before", Moment),
    sa.Column("expires_at", Moment),
    sa.Column("leased_until", Moment),
    sa.Column("settles_at", Moment),
    sa.Column("sent_at", Moment),
    sa.Column("finished_at", Moment),
    sa.Column("result", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("batch_uid", sa.Text),
    sa.Column("retry_of", sa.Text),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("wanted", sa.LargeBinary, nullable=False),
    sa.Index("command_home", "home_id", "id"),
    sa.Index("command_device", "device_id", "id"),
    sa.Index("command_batch_uid", "batch_uid"),
    sa.Index("command_key", "device_id", "idempotency_key", unique=True),
    sa.Index("command_settles", "settles_at"),
    sa.Index("command_finished", "finished_at"),
    sqlite_autoincrement=True,
)
IS_OPEN = command.c.finished_at.is_(None)
sa.Index("command_open", command.c.device_id, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN)

command_event = sa.Table(
    "command_event",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("command_id", type_of_id, sa.ForeignKey("command.id", ondelete="CASCADE"), nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("link", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("detail", sa.Text),
    sa.Index("command_event_command", "command_id", "id"),
)

listening = sa.Table(
    "command_listener",
    metadata,
    sa.Column(
        "device_id",
        type_of_id,
        sa.ForeignKey("device.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("since", Moment, nullable=False),
)
"""Devices that said over MQTT that they take commands, until one is found not to listen."""

COMMAND = [command.c["id" if field.name == "number" else field.name] for field in fields(Command)]
EVENT = [command_event.c[field.name] for field in fields(Event)]


@dataclass(frozen=True, slots=True)
class Batch:
    """One command for many devices. `left_out` are keys of devices whose queue was full."""

    uid: str
    home_id: int
    name: str
    parameters: dict[str, Any] | None
    target: dict[str, Any]
    total: int
    left_out: list[str]
    created_at: datetime
    by: str
    retry_of: str | None


BATCH = [batch.c[field.name] for field in fields(Batch)]


# Commands.


def add(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Their numbers, in the rows' order."""
    insert = command.insert().returning(command.c.id, sort_by_parameter_order=True)
    return [row.id for row in tx.connection.execute(insert, rows)]


BY_UID = sa.select(*COMMAND).where(command.c.uid == sa.bindparam("uid"))
BY_NUMBER = sa.select(*COMMAND).where(command.c.id == sa.bindparam("number"))


def by_uid(tx: Tx, uid: str) -> Command | None:
    return _one(tx.first(BY_UID, {"uid": uid}))


def by_number(tx: Tx, number: int) -> Command | None:
    return _one(tx.first(BY_NUMBER, {"number": number}))


def by_key(tx: Tx, device_id: int, idempotency_key: str) -> tuple[Command, bytes] | None:
    """With the digest of what was asked under this key."""
    mine = (command.c.device_id == device_id, command.c.idempotency_key == idempotency_key)
    row = tx.first(sa.select(*COMMAND, command.c.wanted).where(*mine))
    return None if row is None else (_command(row[:-1]), row[-1])


def open_of(tx: Tx, device_id: int) -> list[Command]:
    """All that are not finished, the oldest first; there are few (model.MOST_WAITING)."""
    return open_of_each(tx, [device_id]).get(device_id, [])


THEIRS = command.c.device_id.in_(sa.bindparam("device_ids", expanding=True))
OPEN_OF_EACH = sa.select(*COMMAND).where(THEIRS, IS_OPEN).order_by(command.c.id)


def open_of_each(tx: Tx, device_ids: Sequence[int]) -> dict[int, list[Command]]:
    """As `open_of`, by device; those that have none are left out."""
    found: dict[int, list[Command]] = {}
    for row in tx.all(OPEN_OF_EACH, {"device_ids": device_ids}):
        found.setdefault(row.device_id, []).append(_command(row))
    return found


def count_open(tx: Tx, device_id: int) -> int:
    mine = sa.select(sa.func.count()).select_from(command).where(command.c.device_id == device_id, IS_OPEN)
    return tx.scalar(mine)


def count_in(tx: Tx, device_ids: Collection[int], state: State) -> int:
    """Of all these devices together."""
    mine = sa.and_(command.c.device_id.in_(device_ids), command.c.state == state)
    return int(tx.scalar(sa.select(sa.func.count()).select_from(command).where(mine)))


def full(tx: Tx, home_id: int) -> set[int]:
    """Devices of the home that cannot take one more."""
    many = sa.select(command.c.device_id).where(command.c.home_id == home_id, IS_OPEN).group_by(command.c.device_id)
    return {row.device_id for row in tx.all(many.having(sa.func.count() >= model.MOST_WAITING))}


ANEW = ("state", "attempt", "leased_until", "settles_at", "reason")
IF_SAID = ("link", "sent_at", "result", "finished_at")
STEP: dict[str, Any] = {
    **{name: sa.bindparam(name) for name in ANEW},
    **{name: sa.func.coalesce(sa.bindparam(name, type_=command.c[name].type), command.c[name]) for name in IF_SAID},
}
UNMOVED = (
    command.c.id == sa.bindparam("number"),
    command.c.state == sa.bindparam("state_before"),
    command.c.attempt == sa.bindparam("attempt_before"),
    command.c.leased_until.is_not_distinct_from(sa.bindparam("leased_before")),
)
MOVE = command.update().where(*UNMOVED).values(STEP).returning(*COMMAND)


def move(tx: Tx, before: Command, step: Step, now: datetime) -> Command | None:
    """Compare-and-set, and the command as it is then: None when it was moved since it was read."""
    said = None if step.result is None else model.written(step.result, model.MOST_RESULT_BYTES, "result")
    values = {
        "number": before.number,
        "state_before": before.state,
        "attempt_before": before.attempt,
        "leased_before": before.leased_until,
        "state": step.state,
        "attempt": step.attempt,
        "leased_until": step.leased_until,
        "settles_at": model.settles_at(step.state, step.leased_until, before.expires_at),
        "reason": step.reason,
        "link": step.link,
        "sent_at": None if step.link is None else before.sent_at or now,
        "result": said,
        "finished_at": now if step.state.is_final else None,
    }
    return _one(tx.first(MOVE, values))


def lapsing(tx: Tx, now: datetime, most: int) -> list[Command]:
    """Those whose lease has ended or that have expired, the longest over first."""
    over = sa.select(*COMMAND).where(command.c.settles_at <= now)
    return [_command(row) for row in tx.all(over.order_by(command.c.settles_at, command.c.id).limit(most))]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which commands of a home."""

    home_id: int
    device_id: int | None = None
    states: Sequence[State] = ()
    name: str = ""
    batch_uid: str = ""
    in_batch: bool | None = None


def newest(tx: Tx, wanted: Wanted, *, before: int | None = None, most: int = 50) -> list[Command]:
    """Newest first; `before` is the number that the page before ended at."""
    found = sa.select(*COMMAND).where(*_those(wanted))
    if before is not None:
        found = found.where(command.c.id < before)
    return [_command(row) for row in tx.all(found.order_by(command.c.id.desc()).limit(most))]


def of_device(tx: Tx, device_id: int, *, before: int | None, most: int) -> list[Command]:
    found = sa.select(*COMMAND).where(command.c.device_id == device_id)
    if before is not None:
        found = found.where(command.c.id < before)
    return [_command(row) for row in tx.all(found.order_by(command.c.id.desc()).limit(most))]


def names_of(tx: Tx, home_id: int, most: int = 50) -> list[str]:
    """Names that this home has used, the newest first."""
    last = sa.func.max(command.c.id)
    used = sa.select(command.c.name).where(command.c.home_id == home_id).group_by(command.c.name)
    return [row.name for row in tx.all(used.order_by(last.desc()).limit(most))]


def forget(tx: Tx, finished_before: datetime, most: int = 500) -> int:
    old = sa.select(command.c.id).where(command.c.finished_at < finished_before).limit(most)
    return tx.execute(command.delete().where(command.c.id.in_(old))).rowcount


def forget_device(tx: Tx, device_id: int) -> int:
    return tx.execute(command.delete().where(command.c.device_id == device_id)).rowcount


def _one(row: Any) -> Command | None:
    return None if row is None else _command(row)


def _those(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    those: list[sa.ColumnElement[bool]] = [command.c.home_id == wanted.home_id]
    if wanted.device_id is not None:
        those.append(command.c.device_id == wanted.device_id)
    if wanted.states:
        those.append(command.c.state.in_(wanted.states))
    if wanted.name:
        those.append(command.c.name == wanted.name)
    if wanted.batch_uid:
        those.append(command.c.batch_uid == wanted.batch_uid)
    if wanted.in_batch is not None:
        those.append(command.c.batch_uid.is_not(None) if wanted.in_batch else command.c.batch_uid.is_(None))
    return those


def _command(row: Any) -> Command:
    facts = dict(zip(FIELDS, row, strict=True))
    facts["state"] = State(facts["state"])
    facts["parameters"], facts["result"] = model.read(facts["parameters"]), model.read(facts["result"])
    return Command(**facts)


FIELDS = [field.name for field in fields(Command)]


# History.


NOTE = command_event.insert()


def note(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    tx.execute(NOTE, rows)


def events(tx: Tx, number: int) -> list[Event]:
    """The oldest first."""
    mine = sa.select(*EVENT).where(command_event.c.command_id == number).order_by(command_event.c.id)
    return [
        Event(row.at, What(row.what), row.by, row.link, row.attempt, model.read(row.detail)) for row in tx.all(mine)
    ]


# Batches.


def add_batch(tx: Tx, **values: Any) -> bool:
    """False when the home has a batch of this idempotency key."""
    return tx.changed(tx.insert(batch).values(**values).on_conflict_do_nothing())


def batch_by_uid(tx: Tx, home_id: int, uid: str) -> Batch | None:
    row = tx.first(sa.select(*BATCH).where(batch.c.uid == uid, batch.c.home_id == home_id))
    return _batch(row) if row else None


def batch_by_key(tx: Tx, home_id: int, idempotency_key: str) -> tuple[Batch, bytes] | None:
    """With the digest of what was asked under this key."""
    mine = (batch.c.home_id == home_id, batch.c.idempotency_key == idempotency_key)
    row = tx.first(sa.select(*BATCH, batch.c.wanted).where(*mine))
    return None if row is None else (_batch(row[:-1]), row[-1])


def batches(tx: Tx, home_id: int, *, before: str, most: int) -> list[Batch]:
    """Newest first; `before` is the uid that the page before ended at, or empty."""
    found = sa.select(*BATCH).where(batch.c.home_id == home_id)
    if before:
        found = found.where(batch.c.id < sa.select(batch.c.id).where(batch.c.uid == before).scalar_subquery())
    return [_batch(row) for row in tx.all(found.order_by(batch.c.id.desc()).limit(most))]


def by_state(tx: Tx, batch_uids: Sequence[str]) -> dict[str, dict[State, int]]:
    """How many commands of each batch are in which state."""
    counted = sa.select(command.c.batch_uid, command.c.state, sa.func.count().label("many"))
    found: dict[str, dict[State, int]] = {uid: {} for uid in batch_uids}
    mine = counted.where(command.c.batch_uid.in_(batch_uids)).group_by(command.c.batch_uid, command.c.state)
    for row in tx.all(mine):
        found[row.batch_uid][State(row.state)] = row.many
    return found


def of_batch(tx: Tx, batch_uid: str, states: Sequence[State]) -> list[Command]:
    mine = sa.select(*COMMAND).where(command.c.batch_uid == batch_uid, command.c.state.in_(states))
    return [_command(row) for row in tx.all(mine.order_by(command.c.id))]


def forget_batches(tx: Tx, made_before: datetime, most: int = 200) -> int:
    """Those of which no command is left."""
    kept = sa.exists().where(command.c.batch_uid == batch.c.uid)
    old = sa.select(batch.c.id).where(batch.c.created_at < made_before, ~kept).limit(most)
    return tx.execute(batch.delete().where(batch.c.id.in_(old))).rowcount


def _batch(row: Any) -> Batch:
    facts = dict(zip((field.name for field in fields(Batch)), row, strict=True))
    facts["parameters"], facts["target"] = model.read(facts["parameters"]), model.read(facts["target"])
    return Batch(**facts)


# Who listens over MQTT.


def listens(tx: Tx, device_id: int) -> bool:
    return tx.first(listening.select().where(listening.c.device_id == device_id)) is not None


def begin_listening(tx: Tx, device_id: int, now: datetime) -> None:
    tx.execute(tx.insert(listening).values(device_id=device_id, since=now).on_conflict_do_nothing())


def end_listening(tx: Tx, device_id: int) -> None:
    tx.execute(listening.delete().where(listening.c.device_id == device_id))


def due_to_listeners(tx: Tx, now: datetime, most: int) -> list[int]:
    """Devices that listen, and for which something may be handed out now."""
    may_start = sa.or_(command.c.not_before.is_(None), command.c.not_before <= now)
    waiting = sa.exists().where(
        command.c.device_id == listening.c.device_id, IS_OPEN, command.c.state == State.QUEUED, may_start
    )
    return [row.device_id for row in tx.all(sa.select(listening.c.device_id).where(waiting).limit(most))]
