"""In which words a simulated device posts: ours, or those of the thermostat's firmware."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from waystation.operation.simulate.fleet import Member
from waystation.operation.simulate.kinds import Values

Body = Callable[[Member, int, Values], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Wording:
    """Where to, and the body of a reading of that time in milliseconds."""

    path: str
    body: Body


def _ours(_member: Member, at_ms: int, values: Values) -> dict[str, Any]:
    return {"at": at_ms, "values": values}


def _firmware(member: Member, at_ms: int, values: Values) -> dict[str, Any]:
    """As the third generation says it: the offset has no colon, and each knows its own address."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    place = f"10.77.{member.number // 250 % 250}.{member.number % 250 + 1}"
    return {**values, "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S%z"), "device_ip": place}


OURS = Wording("/api/readings", _ours)
FIRMWARE = Wording("/api/telemetry/ingest/", _firmware)
