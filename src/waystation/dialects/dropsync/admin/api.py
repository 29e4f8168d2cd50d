"""`/api/v1/admin/…`, as the command-line tool, curl and scripts call it (4.3, 5.2)."""

from datetime import datetime
from typing import Any

from starlette.responses import Response

from waystation import commands, messages
from waystation.commands import Command, NewCommand, State
from waystation.devices import Device
from waystation.dialects.dropsync import journal, model, service, shelf, store, wire
from waystation.dialects.dropsync.edge import AdminHere, GivenFields, Route, json, served
from waystation.dialects.dropsync.service import Known
from waystation.dialects.dropsync.wire import Fields, Given
from waystation.kernel import db
from waystation.kernel.audit import Actor
from waystation.kernel.routes import Now, Router, Tx

router = Router(tags=["dropsync"], route_class=Route)
ADMIN = "/api/v1/admin"
DEVICE = f"{ADMIN}/devices/{{device_id}}"
STATUS = {State.QUEUED: "pending", State.LEASED: "sent", State.RUNNING: "sent", State.DONE: "completed"}
MOST_TITLE, MOST_TYPE = 120, 50
PAGE = 200
MOST_PAGES = 50


@served(router, "GET", f"{ADMIN}/devices")
def list_devices(me: AdminHere, given: GivenFields, tx: Tx, now: Now) -> Response:
    wants_all = given.boolean("include_inactive", default=False)
    given.check()
    found = [one for one in service.all_known(tx, me.home_id) if wants_all or one.device.disabled_at is None]
    return json({"devices": [_device(one, now) for one in found]})


@served(router, "POST", f"{ADMIN}/devices/register")
def register(me: AdminHere, given: GivenFields, tx: Tx, now: Now) -> Response:
    """The token is shown this once. A known device gets a new one, and the old one ends."""
    name = given.text("device_id").strip()
    title = wire.line(given.optional("name"), MOST_TITLE)
    device_type = wire.line(given.optional("device_type"), MOST_TYPE)
    if name and not model.is_device_id(name):
        given.refuse("device_id", "A device id has 1 to 64 of the characters A-Z a-z 0-9 . _ : - and no ..")
    given.check()
    made = service.register(tx, me.actor, me.home_id, now, name=name, title=title, device_type=device_type)
    shown = {"device_id": name, "token": made.token, "name": made.device.name}
    device_type = made.device.model or model.DEVICE_TYPE
    return json({**shown, "device_type": device_type, "status": "registered"}, headers={"cache-control": "no-store"})


@served(router, "POST", f"{DEVICE}/revoke-token")
def revoke(me: AdminHere, device_id: str, tx: Tx, now: Now) -> Response:
    service.revoke(tx, me.actor, me.home_id, now, name=device_id)
    return json({"status": "revoked", "device_id": device_id})


@served(router, "POST", f"{DEVICE}/command")
def send_command(me: AdminHere, device_id: str, given: GivenFields, tx: Tx, now: Now) -> Response:
    name, priority = given.text("command").strip(), given.integer("priority", 1)
    given.check()
    device, parameters = service.find(tx, me.home_id, device_id), model.parameters_of(given.fields.get("parameters"))
    command = queue(tx, me.actor, device, now, name=name, parameters=parameters, priority=priority)
    said = {"device_id": device_id, "command": command.name, "parameters": command.parameters}
    priority = model.priority_out(command.priority)
    return json({"command_id": command.number, **said, "priority": priority, "status": "queued"})


def queue(
    tx: db.Tx,
    by: Actor,
    device: Device,
    now: datetime,
    *,
    name: str,
    parameters: Fields | None = None,
    priority: int = 1,
) -> Command:
    """TooMany when a hundred wait already (DS-24); Invalid for what the device could not read (DS-9)."""
    wanted = NewCommand(name, parameters, model.priority_in(priority))
    return commands.send(tx, by, device.id, now, home_id=device.home_id, wanted=wanted)


@served(router, "GET", f"{DEVICE}/commands")
def list_commands(me: AdminHere, device_id: str, given: GivenFields, tx: Tx) -> Response:
    most = _limit(given)
    device = service.find(tx, me.home_id, device_id)
    rows = [_command(one) for one in commands.of_device(tx, device.id, most=most)]
    return json({"device_id": device_id, "commands": rows})


@served(router, "GET", f"{DEVICE}/messages")
def list_messages(me: AdminHere, device_id: str, given: GivenFields, tx: Tx) -> Response:
    """Of an unknown device none, as the original answers."""
    most, severity = _limit(given), given.optional("severity")
    found = [one for one in service.all_known(tx, me.home_id) if one.name == device_id]
    rows = [_message(one) for one in _messages(tx, found[0].device, severity, most)] if found else []
    return json({"device_id": device_id, "messages": rows})


@served(router, "GET", f"{DEVICE}/sync-history")
def list_syncs(me: AdminHere, device_id: str, given: GivenFields, tx: Tx) -> Response:
    most = _limit(given)
    device = service.find(tx, me.home_id, device_id)
    return json({"device_id": device_id, "sync_history": journal.sync_rows(tx, device.id, most)})


@served(router, "GET", f"{DEVICE}/files")
def list_files(me: AdminHere, device_id: str, tx: Tx) -> Response:
    """All of them, with their hashes; the bytes are on the page of files."""
    device = service.find(tx, me.home_id, device_id)
    rows = [
        {
            "id": one.uid,
            "filename": one.name,
            "size": one.size_bytes,
            "sha256": one.sha256,
            "modified": wire.when(one.at),
            "from": "hub" if shelf.is_for_device(one) else "device",
        }
        for one in shelf.of_device(tx, device.id)
    ]
    return json({"device_id": device_id, "file_count": len(rows), "files": rows})


@served(router, "GET", f"{ADMIN}/system/stats")
def stats(me: AdminHere, tx: Tx, now: Now) -> Response:
    found = service.all_known(tx, me.home_id)
    ids = [one.device.id for one in found]
    active = [one for one in found if one.device.disabled_at is None]
    counted = {"total": len(found), "active": len(active), "online": sum(one.is_online(now) for one in active)}
    pending = commands.count_in(tx, ids, State.QUEUED)
    return json(
        {
            "devices": counted,
            "commands": {"pending": pending},
            "messages": {"total": messages.count_of(tx, ids)},
        }
    )


@served(router, "GET", f"{ADMIN}/system/logs")
def logs(me: AdminHere, given: GivenFields, tx: Tx) -> Response:
    """What happened, newest first: `event_type` and `severity` choose (DS-29)."""
    most = _limit(given)
    event, severity = given.optional("event_type"), given.optional("severity")
    found = store.lines(tx, me.home_id, event=event, severity=severity, most=most)
    return json({"logs": [_line(one) for one in found]})


def _limit(given: Given) -> int:
    """DS-23."""
    most = given.integer("limit", 50, least=1, most=100)
    given.check()
    return most


def _messages(tx: db.Tx, device: Device, severity: str, most: int) -> list[messages.Message]:
    """Newest first; an unknown severity is looked for as it was said."""
    found: list[messages.Message] = []
    before: int | None = None
    for _ in range(MOST_PAGES):
        page = messages.of_device(tx, device, before=before, most=PAGE if severity else most)
        found += [one for one in page if not severity or severity in (one.said_severity, one.severity.value)]
        if not severity or len(found) >= most or len(page) < PAGE:
            break
        before = page[-1].number
    return found[:most]


def _device(one: Known, now: datetime) -> Fields:
    """Name, type and status are never null: the command-line tool pads them (DS-1)."""
    device = one.device
    return {
        "id": device.id,
        "device_id": one.name,
        "name": device.name,
        "device_type": device.model or model.DEVICE_TYPE,
        "status": one.status(now),
        "reported_status": one.said.status or None,
        "last_seen": wire.when_known(device.last_seen_at),
        "ip_address": one.said.ip or device.last_ip,
        "firmware_version": one.said.firmware_version,
        "created_at": wire.when(device.created_at),
        "is_active": device.disabled_at is None,
        "is_online": one.is_online(now),
    }


def _command(one: Command) -> Fields:
    return {
        "id": one.number,
        "command": one.name,
        "parameters": model.parameters_text(one.parameters),
        "status": STATUS.get(one.state, "failed"),
        "priority": model.priority_out(one.priority),
        "timestamp": wire.when(one.created_at),
        "sent_at": wire.when_known(one.sent_at),
        "completed_at": wire.when_known(one.finished_at),
        "result": _result(one),
    }


def _result(one: Command) -> Any:
    """What the device said; of one that failed without its word, why."""
    if one.result is None:
        return one.reason or None
    return one.result if isinstance(one.result, str) else wire.compact(one.result)


def _message(one: messages.Message) -> Fields:
    said = {"id": one.number, "type": one.type, "content": one.content}
    severity = one.said_severity or one.severity.value
    last = {"count": one.count, "last_at": wire.when(one.last_at)} if one.count > 1 else {}
    return {**said, "severity": severity, "timestamp": wire.when(one.at), "acknowledged": False, **last}


def _line(one: store.Line) -> Fields:
    return {
        "id": one.id,
        "event_type": one.event,
        "source": one.source,
        "message": one.message,
        "severity": one.severity,
        "timestamp": wire.when(one.at),
        "additional_data": one.detail or None,
    }
