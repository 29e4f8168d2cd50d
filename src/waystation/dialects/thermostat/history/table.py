"""A device's samples as lines of a table (TH-14)."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from waystation.dialects.thermostat import wire
from waystation.kernel.clock import from_micros
from waystation.kernel.csv import plain_cell
from waystation.telemetry import Value, at_of

NUMBERS = ("temp_inside_c", "temp_outside_c", "setpoint_c", "hysteresis_c", "humidity_percent")
TEXTS = ("mode", "output")
METRICS = (*NUMBERS, *TEXTS, "device_ts")
HEADER = ("server_ts_utc", "server_ts_local", "device_ts_utc", "device_ts_local", *NUMBERS, *TEXTS)
LINES_AT_ONCE = 500


def zone(name: str | None) -> tzinfo:
    """The IANA zone of that name; UTC for one that there is not."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC


def lines(rows: Iterable[tuple[int, Mapping[str, Value]]], local: tzinfo) -> Iterator[bytes]:
    """The header at once, then some lines at a time."""
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(HEADER)
    yield out.getvalue().encode()
    out.seek(0)
    out.truncate()
    waiting = 0
    for stamp, values in rows:
        if not is_sample(values):
            continue
        table.writerow(_cells(at_of(stamp), values, local))
        waiting += 1
        if waiting == LINES_AT_ONCE:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
            waiting = 0
    if waiting:
        yield out.getvalue().encode()


def is_sample(values: Mapping[str, Value]) -> bool:
    """Whether it came over this dialect, whose samples all have these."""
    return all(name in values for name in wire.REQUIRED)


def _cells(at: int, values: Mapping[str, Value], local: tzinfo) -> list[Any]:
    said = wire.moment(str(values["device_ts"])) if "device_ts" in values else None
    numbers = [values.get(name, "") for name in NUMBERS]
    texts = [plain_cell(str(values.get(name, ""))) for name in TEXTS]
    return [wire.server_ts(at), _local(from_micros(at), local), *_said(said, local), *numbers, *texts]


def _said(said: datetime | None, local: tzinfo) -> tuple[str, str]:
    return ("", "") if said is None else (said.isoformat(), _local(said, local))


def _local(at: datetime, zone_: tzinfo) -> str:
    try:
        return at.astimezone(zone_).strftime("%Y-%m-%d %H:%M:%S")
    except OverflowError:
        return ""
