"""The system's log under the names that DropSync gave its events (DS-29), whichever way a thing was done."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from waystation import devices, messages
from waystation.commands import CommandFinished, CommandMoved, CommandQueued, State, open_of
from waystation.dialects.dropsync import model, store
from waystation.dialects.dropsync.model import KIND
from waystation.dialects.dropsync.wire import Fields, when, when_known
from waystation.files import File, FileDeleted, FileStored
from waystation.kernel.db import Tx

AT_ONCE = 500
LONG_AGO = timedelta(days=1)
UPLOAD, DOWNLOAD, DELETE = "upload", "download", "delete"


def note(
    tx: Tx, home_id: int, now: datetime, event: str, *, source: str, said: str, severity: str = "info", **detail: Any
) -> None:
    words = {"event": event, "source": source, "message": said[:1000], "severity": severity, "detail": detail}
    store.add_lines(tx, [{"home_id": home_id, "at": now, **words}])


def note_of(tx: Tx, device_id: int, now: datetime, event: str, *, said: str, **more: Any) -> None:
    """Of a DropSync device; of others there is nothing to tell here."""
    found = devices.name_of(tx, device_id, KIND)
    if found is not None:
        note(tx, found[0], now, event, source=found[1], said=said.replace("{device}", found[1]), **more)


# What the house tells.


def check_queued(tx: Tx, told: CommandQueued, now: datetime) -> None:
    """Nothing is queued for a sketch that it could not read: refused now, and not lost later (DS-9)."""
    for device_id in devices.names_of(tx, told.device_ids, KIND):
        device = devices.by_id(tx, device_id)
        is_small = device is not None and model.is_small(device.model)
        for command in open_of(tx, device_id):
            if command.created_at == now and command.state is State.QUEUED:
                model.check_command(command.name, command.parameters, is_small=is_small)
                note_of(tx, device_id, now, "command_queued", said=f"Command '{command.name}' queued for {{device}}")


def command_moved(tx: Tx, told: CommandMoved, now: datetime) -> None:
    command = told.command
    if command.state is State.LEASED:
        words = f"Command '{command.name}' sent to {{device}}"
        note_of(
            tx, command.device_id, now, "command_sent", said=words, command_id=command.number, attempt=command.attempt
        )


def command_finished(tx: Tx, told: CommandFinished, now: datetime) -> None:
    command = told.command
    if command.state is State.DONE:
        words, severity = f"Command '{command.name}' completed by {{device}}", "info"
    else:
        words, severity = f"Command '{command.name}' of {{device}} {command.state}: {command.reason}", "warning"
    event = "command_completed" if command.state is State.DONE else f"command_{command.state}"
    note_of(tx, command.device_id, now, event, said=words, severity=severity, command_id=command.number)


def message_written(tx: Tx, told: messages.MessageWritten, now: datetime) -> None:
    one = told.message
    if now - one.at > LONG_AGO:  # brought in from an older hub, or written down by a device that was away
        return
    note_of(tx, one.device_id, now, "device_alert", said=one.content, severity=one.severity.value, type=one.type)


def file_stored(tx: Tx, told: FileStored, now: datetime) -> None:
    file = told.file
    if file.device_id is None or devices.name_of(tx, file.device_id, KIND) is None:
        return
    note_of(
        tx, file.device_id, now, "file_uploaded", said=f"File {file.name} uploaded for {{device}}", size=file.size_bytes
    )
    add_sync(tx, file, UPLOAD, now)


def file_deleted(tx: Tx, told: FileDeleted, now: datetime) -> None:
    file = told.file
    if file.device_id is None or devices.name_of(tx, file.device_id, KIND) is None:
        return
    note_of(tx, file.device_id, now, "file_deleted", said=f"File {file.name} of {{device}} deleted")
    add_sync(tx, file, DELETE, now)


# Syncs.


def add_sync(tx: Tx, file: File, sync_type: str, now: datetime, *, device_id: int | None = None) -> None:
    """Something that has happened: it is complete."""
    store.add_sync(
        tx,
        device_id=device_id or file.device_id,
        filename=file.name,
        sync_type=sync_type,
        status="completed",
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        file_uid=file.uid,
        at=now,
        completed_at=now,
    )


def sync_rows(tx: Tx, device_id: int, most: int) -> Sequence[Fields]:
    return [
        {
            "id": one.id,
            "filename": one.filename,
            "sync_type": one.sync_type,
            "status": one.status,
            "size": one.size_bytes,
            "timestamp": when(one.at),
            "completed_at": when_known(one.completed_at),
        }
        for one in store.syncs(tx, [device_id], most)
    ]


def forget(tx: Tx, now: datetime) -> int:
    """A sweep: 30 days, and 10,000 lines of a home (DS-24)."""
    before = now - timedelta(days=model.LOG_DAYS)
    return store.forget_lines(tx, before, model.MOST_LOG, AT_ONCE) + store.forget_syncs(tx, before, AT_ONCE)
