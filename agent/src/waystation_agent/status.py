"""What `waystation-agent status` knows: read from the agent's files, and told by the agent itself where one runs."""

import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import cast

from waystation_agent import identity, live
from waystation_agent.clock import iso
from waystation_agent.commands.model import Step
from waystation_agent.errors import Fault
from waystation_agent.folder import Folder
from waystation_agent.identity import Paired
from waystation_agent.journal import Deployment, Journal
from waystation_agent.junctionrelay.account import Account, Token
from waystation_agent.messages.outbox import Outbox
from waystation_agent.spool import Note, Spool

Told = dict[str, object]


@dataclass(frozen=True)
class Status:
    paired: bool
    running: bool
    server: str | None = None
    device_key: str | None = None
    device_name: str | None = None
    link: str | None = None
    last_sample_at: str | None = None
    last_delivered_at: str | None = None
    spool_depth: int = 0
    delivered_total: int = 0
    dropped_total: int = 0
    quarantined_total: int = 0
    undatable_total: int = 0
    last_error: str | None = None
    last_error_at: str | None = None
    commands_open: int = 0
    """Taken from the hub and not yet over, or their outcome not yet told."""
    uploads_waiting: int = 0
    messages_waiting: int = 0
    messages_dropped: int = 0
    """Given up because 5,000 waited already."""
    packages: list[str] = field(default_factory=list[str])
    """The last of each type: type, name, how far it has got, and why it failed if it did."""
    jwt_expires_at: str | None = None
    refresh_token_expires_at: str | None = None
    running_seconds: int | None = None
    stuck: list[str] = field(default_factory=list[str])
    sensors: list[Told] = field(default_factory=list[Told])
    """Of each sensor name, kind, values, seconds_ago (since it was read) and fault; empty while no agent runs."""

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def gather(folder: Folder) -> Status:
    device = identity.load(folder.identity).identity
    status = (
        {"paired": device is not None, "running": folder.is_running()}
        | _spooled(folder)
        | _journaled(folder)
        | _said(folder)
    )
    if device:
        status |= _who(device)
    status |= _told(folder)
    return Status(**status)  # pyright: ignore[reportArgumentType] the keys are the fields, as the test of `status` proves


def _who(device: Paired) -> Told:
    found: Told = {"server": device.server.url, "device_key": device.key, "device_name": device.name}
    if isinstance(device, Account):
        found |= {"jwt_expires_at": _expiry(device.jwt), "refresh_token_expires_at": _expiry(device.refresh)}
    return found


def _expiry(token: Token) -> str | None:
    if token.expires_at is None or not token.text:
        return None
    return datetime.fromtimestamp(token.expires_at, UTC).isoformat(timespec="seconds")


def _told(folder: Folder) -> Told:
    """Return what a running agent says of itself; an agent of another version may say less."""
    said = live.ask(folder.live) or {}
    found = {"running_seconds": said.get("running_seconds"), "stuck": said.get("stuck"), "sensors": said.get("sensors")}
    return {name: value for name, value in found.items() if value is not None}


def _spooled(folder: Folder) -> dict[str, object]:
    if not folder.spool.exists():
        return {}
    try:
        spool = Spool(folder.spool)
    except sqlite3.DatabaseError as error:
        raise Fault(f"{folder.spool} cannot be read: {error}") from error
    try:
        return _figures(spool)
    finally:
        spool.close()


def _journaled(folder: Folder) -> Told:
    if not folder.journal.exists():
        return {}
    try:
        with closing(Journal(folder.journal)) as journal:
            steps = journal.counts()
            return {
                "commands_open": sum(steps.values()) - steps.get(Step.TOLD, 0),
                "uploads_waiting": journal.uploads_waiting(),
                "packages": [_package_line(one) for one in journal.newest_packages()],
            }
    except sqlite3.DatabaseError as error:
        raise Fault(f"{folder.journal} cannot be read: {error}") from error


def _said(folder: Folder) -> Told:
    if not folder.messages.exists():
        return {}
    try:
        with closing(Outbox(folder.messages)) as outbox:
            return {"messages_waiting": outbox.waiting(), "messages_dropped": outbox.count("dropped")}
    except sqlite3.DatabaseError as error:
        raise Fault(f"{folder.messages} cannot be read: {error}") from error


def _package_line(deployment: Deployment) -> str:
    package = deployment.package
    why = f" ({deployment.reason})" if deployment.reason else ""
    return f"{package.type} {package.name}: {deployment.stage}{why}"


def _figures(spool: Spool) -> dict[str, object]:
    return {
        "link": spool.note("link_state"),
        "last_sample_at": _time(spool, "sampled_at_us"),
        "last_delivered_at": _time(spool, "delivered_at_us"),
        "spool_depth": spool.depth(),
        "delivered_total": spool.count("delivered_total"),
        "dropped_total": spool.count("dropped_total"),
        "quarantined_total": spool.count("quarantined_total"),
        "undatable_total": spool.count("undatable_total"),
        "last_error": spool.note("last_error"),
        "last_error_at": _time(spool, "last_error_at_us"),
    }


def _time(spool: Spool, note: Note) -> str | None:
    at_us = spool.count(note)
    return iso(at_us) if at_us else None


def as_text(status: Status) -> str:
    device = f"{status.device_name} ({status.device_key}) at {status.server}" if status.paired else "not paired"
    lines = [
        ("device", device),
        ("agent", "running" if status.running else "not running"),
        ("link", status.link or "nothing sent yet"),
        ("last sample", status.last_sample_at or "none"),
        ("last delivered", status.last_delivered_at or "never"),
        ("in spool", f"{status.spool_depth} samples"),
        ("lost for want of space", f"{status.dropped_total} samples"),
        ("without a known time", f"{status.undatable_total} samples"),
        ("refused by the hub", f"{status.quarantined_total} readings"),
        ("last error", f"{status.last_error} ({status.last_error_at})" if status.last_error else "none"),
        *([("commands open", f"{status.commands_open}")] if status.commands_open else []),
        *([("files to send", f"{status.uploads_waiting}")] if status.uploads_waiting else []),
        *([("messages to send", f"{status.messages_waiting}")] if status.messages_waiting else []),
        *([("messages given up", f"{status.messages_dropped}")] if status.messages_dropped else []),
        *(("package", line) for line in status.packages),
        *_token_lines(status),
    ]
    return "\n".join([*(f"{name + ':':<24}{value}" for name, value in lines), *_sensor_lines(status)])


def _token_lines(status: Status) -> list[tuple[str, str]]:
    ends = {"token good until": status.jwt_expires_at, "refresh good until": status.refresh_token_expires_at}
    return [(name, at) for name, at in ends.items() if at]


def _sensor_lines(status: Status) -> list[str]:
    lines = [f"threads stuck:          {', '.join(status.stuck)}"] if status.stuck else []
    for sensor in status.sensors:
        ago = sensor.get("seconds_ago")
        read = "not read yet" if ago is None else f"{cast('float', ago):.0f} s ago"
        fault = sensor.get("fault")
        lines.append(f"sensor {sensor.get('name')}: {read}{f', FAULT: {fault}' if fault else ''}")
        lines += [
            f"  {metric:<38}{_number(value)}" for metric, value in cast("Told", sensor.get("values") or {}).items()
        ]
    return lines


def _number(value: object) -> str:
    if isinstance(value, bool | str):
        return str(value).lower() if isinstance(value, bool) else value
    number = cast("float", value)
    return f"{number:,.0f}" if abs(number) >= 100_000 else f"{number:g}"
