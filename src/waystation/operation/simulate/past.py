"""The history of a simulated fleet, written as imports are, beside a running hub."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from waystation import telemetry
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.desk import Desk
from waystation.kernel.errors import Invalid
from waystation.operation.archive import Tell
from waystation.operation.simulate.fleet import Member
from waystation.operation.simulate.kinds import Kind

LASTING = re.compile(r"(\d{1,5})([hd])")
HOURS = {"h": 1, "d": 24}
LONGEST_SECONDS = 3660 * 86_400
READINGS_AT_ONCE = 2_000


def seconds_of(text: str) -> int:
    """`365d` and `12h`; 0 for nothing."""
    if not text:
        return 0
    match = LASTING.fullmatch(text.strip().lower())
    seconds = int(match[1]) * HOURS[match[2]] * 3600 if match else 0
    if not 0 < seconds <= LONGEST_SECONDS:
        raise Invalid(f"--backfill {text}: a history is as long as 12h or 365d, ten years at most")
    return seconds


def write(
    desk: Desk, members: Sequence[Member], weather: int, *, seconds: float, step_seconds: float, tell: Tell
) -> Mapping[int, Kind]:
    """Everybody's physics as they are at the end, so that their lives go on from there."""
    until = time.time()
    count, done = int(seconds // step_seconds), 0
    alive: dict[int, Kind] = {}
    for member in members:
        first = until - count * step_seconds
        kind = alive[member.number] = member.kind(member.number + 1, weather, first)
        rules = telemetry.backfill.Rules(desk.home_id, COMMAND_LINE, member.serial)
        filling = telemetry.backfill.Backfill(desk.database, desk.clock, rules)
        for start in range(0, count, READINGS_AT_ONCE):
            numbers = range(start, min(start + READINGS_AT_ONCE, count))
            filling.feed(_lines(kind, (first + number * step_seconds for number in numbers)))
            done += len(numbers)
            tell("writing their history", done, count * len(members))
        filling.finish()
    return alive


def _lines(kind: Kind, moments: Iterable[float]) -> bytes:
    encode = msgspec.json.encode
    return b"".join(encode({"at": round(at * 1000), "values": kind.values(at)}) + b"\n" for at in moments)
