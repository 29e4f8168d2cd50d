"""Brings an old hub's rows in, each once however often it is asked, and says of every row that it leaves out why."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from waystation import commands, devices, messages
from waystation.commands import NewCommand, Past, State
from waystation.devices import Device
from waystation.dialects.dropsync import hot, journal, model, service, store, wire
from waystation.dialects.dropsync.exchange import packing
from waystation.dialects.dropsync.importing.report import Report
from waystation.dialects.dropsync.importing.source import moment
from waystation.dialects.dropsync.model import KIND, Said
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.db import Tx
from waystation.kernel.errors import DomainError
from waystation.kernel.secrets import digest

Row = Mapping[str, Any]
NO_DEVICE = "its device was not brought in"


class Importer:
    """Into one home, inside the transaction that each call is given."""

    def __init__(self, home_id: int, report: Report) -> None:
        self._home_id = home_id
        self.report = report
        self._names: dict[int, str] = {}

    def device(self, tx: Tx, row: Row, now: datetime) -> None:
        """With its token. A device that is here already keeps its name and its tokens."""
        name = str(row.get("device_id") or "")
        if isinstance(row.get("id"), int):
            self._names[row["id"]] = name
        if not model.is_device_id(name):
            self.report.skip("devices", name or row.get("id"), "a device id has 1 to 64 of A-Z a-z 0-9 . _ : -")
            return
        is_new = self._is_new(tx, "device", name)
        self.report.count("devices", is_new=is_new)
        if not is_new:
            return
        is_here = devices.by_external_id(tx, self._home_id, KIND, name) is not None
        device = service.ensure(
            tx,
            COMMAND_LINE,
            self._home_id,
            now,
            name=name,
            title="" if is_here else wire.line(str(row.get("name") or ""), 120),
            device_type="" if is_here else wire.line(str(row.get("device_type") or ""), 50),
        )
        if not is_here:
            self._dress(tx, device, name, row, now=now)

    def _dress(self, tx: Tx, device: Device, name: str, row: Row, *, now: datetime) -> None:
        token = row.get("auth_token")
        if isinstance(token, str) and token.strip():
            devices.keep_token(tx, COMMAND_LINE, device, now, token=token.strip()[:256], kind=KIND, value=name)
        seen_at = moment(row.get("last_seen"))
        if seen_at is not None:
            devices.seen(tx, [(device.id, min(seen_at, now), _text(row, "ip_address"))])
        version, ip = _text(row, "firmware_version"), _text(row, "ip_address")
        store.keep_said(tx, device.id, Said(_text(row, "status") or "", seen_at, None, None, version, ip))
        if row.get("is_active") in (0, False):
            devices.disable(tx, COMMAND_LINE, device, now)

    def token(self, tx: Tx, name: str, token: str, now: datetime) -> None:
        """Of the token file. The database's token, which the old hub's API asked for, wins over it."""
        device = devices.by_external_id(tx, self._home_id, KIND, name)
        if device is not None and devices.is_live_token(tx, device, token, kind=KIND, value=name):
            self.report.count("tokens", is_new=False)
            return
        if not self._is_new(tx, "token", name, token):
            self.report.count("tokens", is_new=False)
            return
        if device is not None and any(one.is_live(now) for one in devices.credentials(tx, device.id)):
            self.report.skip("tokens", name, "the device has another token already, which stays")
            return
        device = service.ensure(tx, COMMAND_LINE, self._home_id, now, name=name)
        devices.keep_token(tx, COMMAND_LINE, device, now, token=token, kind=KIND, value=name)
        self.report.count("tokens", is_new=True)

    def command(self, tx: Tx, row: Row, now: datetime) -> None:
        """What still waits is queued; what has been sent is history."""
        device = self._device_of(tx, "commands", row)
        if device is None or not self._once(tx, "commands", row):
            return
        name = str(row.get("command") or "")
        try:
            parameters = model.parameters_of(_text(row, "parameters"))
            if str(row.get("status") or "pending") == "pending":
                priority = row.get("priority")
                wanted = NewCommand(name, parameters, model.priority_in(priority if isinstance(priority, int) else 1))
                commands.send(tx, COMMAND_LINE, device.id, now, home_id=self._home_id, wanted=wanted)
            else:
                self._past(tx, device, name, parameters, row=row, now=now)
        except DomainError as fault:
            self._undo(tx, "commands", row, fault.sentence)

    def _past(self, tx: Tx, device: Device, name: str, parameters: Any, *, row: Row, now: datetime) -> None:
        is_done = row.get("status") == "completed"
        at, result = moment(row.get("timestamp")) or now, _text(row, "result")
        priority = row.get("priority")
        past = Past(
            name=name,
            parameters=parameters,
            priority=model.priority_in(priority if isinstance(priority, int) else 1),
            state=State.DONE if is_done else State.FAILED,
            created_at=at,
            sent_at=moment(row.get("sent_at")),
            finished_at=moment(row.get("completed_at")) or moment(row.get("sent_at")) or at,
            result=None if result is None else result[: hot.MOST_RESULT],
            reason="" if is_done else "the old hub has no word that it was done",
        )
        commands.remember(tx, COMMAND_LINE, device, past)

    def message(self, tx: Tx, row: Row, now: datetime) -> None:
        device = self._device_of(tx, "messages", row)
        if device is None or not self._once(tx, "messages", row):
            return
        kind, severity = str(row.get("type") or "log"), str(row.get("severity") or "info")
        line = hot.said(kind, wire.printable(str(row.get("content") or "")), severity)
        messages.write(tx, device, now, [replace(line, at=moment(row.get("timestamp")))])

    def sync(self, tx: Tx, row: Row, now: datetime) -> None:
        device = self._device_of(tx, "file_syncs", row)
        if device is None or not self._once(tx, "file_syncs", row):
            return
        size = row.get("file_size")
        store.add_sync(
            tx,
            device_id=device.id,
            filename=wire.line(str(row.get("filename") or "?"), 255),
            sync_type=wire.line(str(row.get("sync_type") or journal.UPLOAD), 32),
            status=wire.line(str(row.get("status") or "completed"), 32),
            size_bytes=size if isinstance(size, int) else 0,
            sha256=_text(row, "file_hash"),
            at=moment(row.get("timestamp")) or now,
            completed_at=moment(row.get("completed_at")),
            error=_text(row, "error_message"),
        )

    def package(self, tx: Tx, row: Row, now: datetime) -> None:
        """The old hub's packages had no files."""
        device = self._device_of(tx, "sync_packages", row, "target_device_id")
        if device is None or not self._once(tx, "sync_packages", row):
            return
        kind, state = str(row.get("package_type") or "data"), str(row.get("status") or "staged")
        try:
            made = packing.create(
                tx,
                COMMAND_LINE,
                device,
                now,
                name=wire.line(str(row.get("package_name") or "package"), 120) or "package",
                kind=kind if kind in model.PACKAGE_TYPES else "data",
                about=str(row.get("description") or ""),
                members=(),
            )
        except DomainError as fault:
            self._undo(tx, "sync_packages", row, fault.sentence)
            return
        if state != "staged":
            store.set_meant(tx, made.id, state, moment(row.get("deployed_at")) or now)

    def line(self, tx: Tx, row: Row, now: datetime) -> None:
        if not self._once(tx, "system_logs", row):
            return
        at = moment(row.get("timestamp")) or now
        event, source = _text(row, "event_type") or "log", _text(row, "source") or "old hub"
        severity, more = _text(row, "severity") or "info", _text(row, "additional_data")
        detail = {} if more is None else {"additional_data": more[:4000]}
        message = str(row.get("message") or "")
        journal.note(tx, self._home_id, at, event, source=source, said=message, severity=severity, **detail)

    # What they have in common.

    def _device_of(self, tx: Tx, kind: str, row: Row, column: str = "device_id") -> Device | None:
        """Old tables name it by its id, or by the number of its row."""
        given = row.get(column)
        name = self._names.get(given, "") if isinstance(given, int) else str(given or "")
        device = devices.by_external_id(tx, self._home_id, KIND, name) if model.is_device_id(name) else None
        if device is None:
            self.report.skip(kind, row.get("id"), NO_DEVICE)
        return device

    def _once(self, tx: Tx, kind: str, row: Row) -> bool:
        is_new = self._is_new(tx, kind, _canonical(row))
        self.report.count(kind, is_new=is_new)
        return is_new

    def _is_new(self, tx: Tx, kind: str, *words: str) -> bool:
        return store.note_import(tx, self._home_id, kind, digest("\0".join(words)))

    def _undo(self, tx: Tx, kind: str, row: Row, why: str) -> None:
        """It may come in another time."""
        store.forget_import(tx, self._home_id, kind, digest(_canonical(row)))
        self.report.of(kind).imported -= 1
        self.report.skip(kind, row.get("id"), why)


def _canonical(row: Row) -> str:
    return json.dumps(row, sort_keys=True, default=str)


def _text(row: Row, name: str) -> str | None:
    value = row.get(name)
    return None if value is None or value == "" else wire.printable(str(value))


def in_hundreds(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """So that a running hub gets its turn between them."""
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == 100:
            yield batch
            batch = []
    if batch:
        yield batch
