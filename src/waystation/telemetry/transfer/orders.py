"""Exports as people and programs ask for them, and what they are told of one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation import devices
from waystation.kernel.clock import iso, micros
from waystation.kernel.db import Tx
from waystation.kernel.errors import NotFound
from waystation.telemetry.span import span
from waystation.telemetry.transfer import cells, export, store
from waystation.telemetry.transfer.export import Wanted
from waystation.telemetry.transfer.shape import Format

STOPPED_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Asked:
    """Devices by key, none for all; times as telemetry.span takes them."""

    devices: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    ends: tuple[str, str] = ("", "now")
    format: Format = Format.CSV
    tz: str = ""


def wanted(tx: Tx, home_id: int, asked: Asked, now: datetime) -> Wanted:
    """NotFound for an unknown device, Invalid for times and zones that are none."""
    ids = tuple(devices.find(tx, home_id, key).id for key in asked.devices)
    first, last = span(*asked.ends, micros(now))
    if asked.tz:
        cells.zone(asked.tz)
    return Wanted(home_id, ids, asked.metrics, first, last, asked.format, tz=asked.tz)


def place(tx: Tx, home_id: int, asked: Asked, now: datetime) -> int:
    """The number of an export that begins when it is fetched."""
    number, _ = export.order(tx, wanted(tx, home_id, asked, now), now, estimate=True)
    return number


def find(tx: Tx, home_id: int, export_id: int) -> sa.Row[Any]:
    row = store.find(tx, home_id, export_id)
    if row is None:
        raise NotFound("there is no export of that number; they are forgotten after a week")
    return row


def shown(row: sa.Row[Any], now: datetime) -> dict[str, Any]:
    made = export.ordered(row.wanted)
    stopped = (now - row.noted_at).total_seconds() > STOPPED_SECONDS
    running = "waiting" if not row.bytes else "stopped" if stopped else "running"
    return {
        "id": row.id,
        "state": "done" if row.is_done else running,
        "format": made.format,
        "rows": row.rows,
        "expected_rows": row.expected if row.expected and made.format is not Format.WIDE else None,
        "bytes": row.bytes,
        "sha256": row.sha256 if row.is_done else None,
        "cursor": row.cursor or None,
        "content": f"/api/exports/{row.id}/content",
        "created_at": iso(row.created_at),
        "noted_at": iso(row.noted_at),
    }
