"""What the sketch calls all day: ping, heartbeat, commands, messages, status, its files (4.3); and the oldest paths."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

from waystation import commands, messages
from waystation.commands import Command, State
from waystation.devices import by_id
from waystation.dialects.dropsync import journal, model, rebooting, shelf, store, wire
from waystation.dialects.dropsync.asked import Asked
from waystation.dialects.dropsync.pace import Pace
from waystation.dialects.dropsync.pulse import Pulse, Told
from waystation.dialects.dropsync.wire import Fields, Given
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import NotFound
from waystation.messages import NewMessage, Severity

T = TypeVar("T")
NONE: Fields = {"command": "none", "message": "No pending commands"}
NOTHING: Fields = {"command": "none"}
LINK = "poll"
RECENT = 5
MOST_STATUS = 64
MOST_RESULT = 3_000  # characters: of three bytes each at most two are cut off
SHORTEST_CONTENT = 20
Completion = tuple[int, str]


def nothing(_given: Given) -> None:
    """For calls that bring nothing but a token."""


# Ping, heartbeat, status.


async def ping(asked: Asked, _: None) -> Fields:
    await Pace.of(asked.parts).check_ping(asked.device)
    named = {"device_id": asked.name, "timestamp": wire.when(asked.now)}
    return {"status": "ok", **named, "message": "Device ping successful"}


def beat(given: Given) -> Told:
    status = wire.line(given.optional("status", "online"), MOST_STATUS)
    version, ip = given.optional("firmware_version"), given.optional("ip_address")
    return Told(status, wire.line(version, MOST_STATUS) or None, wire.line(ip, MOST_STATUS) or None)


async def heartbeat(asked: Asked, told: Told) -> Fields:
    await asked.parts.get(Pulse).told(asked.device, asked.now, asked.request.client_ip, told)
    return {"status": "acknowledged", "device_id": asked.name, "server_time": wire.when(asked.now)}


async def status(asked: Asked, _: None) -> Fields:
    return await in_thread(asked, _status)


def _status(tx: Tx, asked: Asked) -> Fields:
    own = store.said_by(tx, [asked.device.id]).get(asked.device.id, model.Said())
    device = by_id(tx, asked.device.id)
    waiting = [one for one in commands.open_of(tx, asked.device.id) if one.state is State.QUEUED]
    recent = messages.of_device(tx, asked.device, most=RECENT)
    answer: Fields = {
        "device_id": asked.name,
        "status": own.shown,
        "last_seen": wire.when_known(device.last_seen_at if device else None),
        "firmware_version": own.firmware_version,
        "pending_commands": len(waiting),
        "recent_messages": [_recent(one) for one in recent],
    }
    return _shortened(answer)


def _recent(one: messages.Message) -> Fields:
    severity = one.said_severity or one.severity.value
    return {"type": one.type, "content": one.content, "severity": severity, "timestamp": wire.when(one.last_at)}


def _shortened(answer: Fields) -> Fields:
    """Long contents are cut before whole messages are left out."""
    longest = max((len(one["content"]) for one in answer["recent_messages"]), default=0)
    while longest > SHORTEST_CONTENT and model.device_cost(answer) > model.DEVICE_BYTES:
        longest = max(SHORTEST_CONTENT, longest * 3 // 4)
        short = [{**one, "content": one["content"][:longest]} for one in answer["recent_messages"]]
        answer = {**answer, "recent_messages": short}
    return model.fitted(answer, "recent_messages")


# Commands.


async def poll(asked: Asked, _: None) -> Fields:
    """Most polls are answered from memory; what is handed out is leased, and so comes again (DS-10)."""
    command = await _next_command(asked)
    if command is None:
        return NONE
    priority, at = model.priority_out(command.priority), wire.when(command.created_at)
    return model.delivered(command.number, command.name, command.parameters, priority=priority, at=at)


async def legacy_poll(asked: Asked, _: None) -> Fields:
    command = await _next_command(asked)
    return NOTHING if command is None else {"command": command.name, "command_id": command.number}


async def _next_command(asked: Asked) -> Command | None:
    delivery = asked.parts.get(commands.Delivery)
    return await delivery.take(asked.device.id, link=LINK, is_gone=asked.request.is_gone)


def completion(given: Given) -> Completion:
    return given.integer("command_id"), given.optional("result")


async def complete(asked: Asked, done: Completion) -> Fields:
    """A command that was never handed out is as unknown as another's (DS-12); one that has ended stays as it is."""
    delivery = asked.parts.get(commands.Delivery)
    return await delivery.run(asked.device.id, lambda tx, now: _complete(tx, asked.device.id, now, done=done))


def _complete(tx: Tx, device_id: int, now: datetime, *, done: Completion) -> Fields:
    number, result = done
    outcome = commands.Outcome(State.DONE, result[:MOST_RESULT] or None)
    command = commands.by_number(tx, number)
    if command is None or command.device_id != device_id or not command.attempt:
        raise NotFound("Command not found")
    settled = commands.settle(tx, device_id, now, number=number, outcome=outcome, link=LINK)
    word = "completed" if settled.command.state is State.DONE else "failed"
    return {"status": word, "command_id": number}


# Messages.


def message(given: Given) -> NewMessage:
    content = given.text("content", may_be_empty=True)
    return said(given.text("msg_type"), content, given.optional("severity", "info"))


def legacy_message(given: Given) -> NewMessage:
    return said(given.text("msg_type"), given.text("content", may_be_empty=True), "info")


def said(kind: str, content: str, severity: str) -> NewMessage:
    """An unknown severity is kept as text and counts as info (DS-23); nothing that a sketch says is refused."""
    word = wire.line(severity, MOST_STATUS)
    known = word.lower() in set(Severity)
    counted = Severity(word.lower()) if known else Severity.INFO
    return NewMessage(None, counted, model.message_type(kind), content[:4096], None if known else word or None)


async def log(asked: Asked, line: NewMessage) -> Fields:
    number = await in_thread(asked, partial(_log, line=line), writes=True)
    return {"status": "logged", "message_id": number, "timestamp": wire.when(asked.now)}


async def legacy_log(asked: Asked, line: NewMessage) -> Fields:
    await in_thread(asked, partial(_log, line=line), writes=True)
    return {"status": "logged"}


def _log(tx: Tx, asked: Asked, *, line: NewMessage) -> int:
    if rebooting.is_boot_message(line.content):
        rebooting.came_back(tx, asked.device.id, asked.now, evidence=line.content[:MOST_STATUS])
    return messages.write_one(tx, asked.device, asked.now, line)


# Files.


async def list_files(asked: Asked, _: None) -> Fields:
    return await in_thread(asked, _list_files)


def _list_files(tx: Tx, asked: Asked) -> Fields:
    return shelf.listed(tx, asked.device.id, asked.name)


async def check_files(asked: Asked, _: None) -> Fields:
    return {"file_count": (await list_files(asked, None))["file_count"]}


def history_limit(given: Given) -> int:
    return given.integer("limit", 50, least=1, most=100)


async def sync_history(asked: Asked, most: int) -> Fields:
    answer = await in_thread(asked, partial(_sync_history, most=most))
    return model.fitted(answer, "sync_history") if asked.is_small else answer


def _sync_history(tx: Tx, asked: Asked, *, most: int) -> Fields:
    return {"device_id": asked.name, "sync_history": journal.sync_rows(tx, asked.device.id, most)}


async def in_thread(asked: Asked, work: Callable[[Tx, Asked], T], *, writes: bool = False) -> T:
    """In one transaction; what is written is durable when this returns."""

    def run() -> T:
        database = asked.parts.get(Database)
        with database.write() if writes else database.read() as tx:
            return work(tx, asked)

    return await asyncio.to_thread(run)
