"""What `waystation-agent status` knows: identity, spool and link, read from the files of a perhaps running agent."""

import sqlite3
from dataclasses import asdict, dataclass

from waystation_agent import identity
from waystation_agent.clock import iso
from waystation_agent.errors import Fault
from waystation_agent.folder import Folder
from waystation_agent.spool import Note, Spool


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

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def gather(folder: Folder) -> Status:
    device = identity.load(folder.identity).identity
    status = {"paired": device is not None, "running": folder.is_running()} | _spooled(folder)
    if device:
        status |= {"server": device.server.url, "device_key": device.key, "device_name": device.name}
    return Status(**status)  # pyright: ignore[reportArgumentType] the keys are the fields, as the test of `status` proves


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
    ]
    return "\n".join(f"{name + ':':<24}{value}" for name, value in lines)
