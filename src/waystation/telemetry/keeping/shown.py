"""What is stored, as facts for programs: the API and the command line say the same."""

from dataclasses import asdict
from typing import Any

from waystation.kernel.clock import from_micros
from waystation.telemetry.keeping.disk import Disk
from waystation.telemetry.keeping.model import Forecast, Plan, Rule
from waystation.telemetry.keeping.service import Subscriber, Usage
from waystation.telemetry.model import EARLIEST, LATEST, at_of

Facts = dict[str, Any]


def usage(found: Usage, disk: Disk, of_disk: Forecast) -> Facts:
    return {
        "used_bytes": found.owner_bytes,
        "limit_bytes": found.plan.storage_bytes,
        "percent": found.percent,
        "plan": found.plan.name,
        "homes": found.owner_homes,
        "home": {"used_bytes": found.size_bytes, "readings": found.readings, "besides_bytes": found.besides_bytes},
        "forecast": forecast(found.forecast),
        "disk": {"used_bytes": disk.used_bytes, "free_bytes": disk.free_bytes, "forecast": forecast(of_disk)},
        "refused_calls": found.refused,
        "devices": [asdict(one) for one in found.devices],
    }


def forecast(found: Forecast) -> Facts:
    """`full_in_days` is null while it is not known, and while nothing grows."""
    days = found.full_in_days
    return {
        "is_known": found.is_known,
        "full_in_days": None if days is None else round(days, 1),
        "bytes_a_day": round(found.bytes_a_day),
    }


def rule(found: Rule, keys: dict[int, str]) -> Facts:
    device = None if found.device_id is None else keys.get(found.device_id)
    about = {"device": device, "model": found.model or None, "metric": found.metric or None}
    return {"id": found.id, **about, **found.limits._asdict()}


def plan(found: Plan) -> Facts:
    return asdict(found)


def subscriber(found: Subscriber) -> Facts:
    return asdict(found)


def deletion(row: Any) -> Facts:
    first = None if row.first_stamp == EARLIEST else from_micros(at_of(row.first_stamp))
    last = None if row.last_stamp == LATEST else from_micros(at_of(row.last_stamp))
    return {
        "id": row.id,
        "device": row.device_name or None,
        "from": first,
        "to": last,
        "asked_by": row.asked_by,
        "asked_at": row.asked_at,
        "state": state(row),
        "series": row.series,
        "series_done": row.series_done,
        "readings_deleted": row.readings,
        "ended_at": row.ended_at,
    }


def state(row: Any) -> str:
    if row.ended_at is None:
        return "running"
    return "cancelled" if row.was_cancelled else "done"
