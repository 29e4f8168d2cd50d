"""The facts of the system page, gathered from every part of the hub."""

import platform
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from waystation import __version__, devices, telemetry
from waystation.kernel import logs, mail
from waystation.kernel.db import Tx
from waystation.kernel.nats_server import EmbeddedNats
from waystation.kernel.parts import Parts
from waystation.kernel.settings import Settings, weakened

LIBRARIES = ("fastapi", "uvicorn", "sqlalchemy", "numpy", "nats-py")


def facts(parts: Parts, tx: Tx, now: datetime) -> dict[str, Any]:
    """As the template system.html wants them."""
    settings = parts.get(Settings)
    disk = shutil.disk_usage(settings.data)
    seen = devices.count_seen(tx, since=now - timedelta(seconds=settings.online_seconds))
    extent = telemetry.extent(tx)
    return {
        "versions": _versions(),
        "started_at": datetime.fromtimestamp(psutil.Process().create_time(), UTC),
        "data_folder": str(settings.data.resolve()),
        "data_bytes": _size(settings.data),
        "disk": {"total_bytes": disk.total, "free_bytes": disk.free},
        "database": _database(tx, settings),
        "devices": seen.all,
        "devices_online": seen.online,
        "series": extent.series,
        "values_stored": extent.values,
        **_rates(parts),
        "nats": _nats(parts, settings),
        "mail": _mail(tx, settings),
        "weakened": weakened(settings),
    }


def last_warnings() -> list[dict[str, Any]]:
    lines = logs.recent_warnings.newest_first()
    return [{"at": line.at, "level": line.level, "event": line.event, "text": line.detail} for line in lines]


def _versions() -> list[tuple[str, str]]:
    from importlib.metadata import version  # noqa: PLC0415  slow to load, seldom asked

    own = [
        ("Waystation", __version__),
        ("Python", platform.python_version()),
        ("System", f"{platform.system()} {platform.machine()}"),
    ]
    return own + [(name, version(name)) for name in LIBRARIES]


def _database(tx: Tx, settings: Settings) -> dict[str, Any]:
    if settings.is_sqlite:
        files = settings.data.glob("waystation.db*")
        return {
            "kind": "SQLite",
            "version": tx.scalar(sa.text("select sqlite_version()")),
            "size_bytes": sum(f.stat().st_size for f in files),
        }
    size = tx.scalar(sa.text("select pg_database_size(current_database())"))
    return {"kind": "PostgreSQL", "version": tx.scalar(sa.text("show server_version")), "size_bytes": size}


def _rates(parts: Parts) -> dict[str, Any]:
    ingest = parts.get(telemetry.Ingest)
    return {
        "readings_per_second": ingest.writer.pace.per_second(),
        "writer": {"queued": ingest.writer.waiting, "commit_seconds": ingest.writer.commit_seconds},
    }


def _nats(parts: Parts, settings: Settings) -> dict[str, Any]:
    if not parts.has(EmbeddedNats):
        external = bool(settings.nats_url.get_secret_value())
        note = "your own NATS" if external else "switched off by mqtt_port 0"
        return {"state": "external" if external else "off", "version": None, "connections": None, "note": note}
    state = parts.get(EmbeddedNats).state()
    note = state.trouble or f"{state.restarts} restarts, {state.memory_bytes // 2**20} MiB"
    return {
        "state": "running" if state.is_running else "down",
        "version": state.version,
        "connections": None,
        "note": note,
    }


def _mail(tx: Tx, settings: Settings) -> dict[str, Any]:
    found = mail.waiting(tx)
    given_up = [one for one in found if one.given_up_at is not None]
    faults = [one.fault for one in found if one.fault]
    return {
        "has_server": mail.is_on(settings),
        "waiting": len(found) - len(given_up),
        "given_up": len(given_up),
        "fault": faults[-1] if faults else None,
    }


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total
