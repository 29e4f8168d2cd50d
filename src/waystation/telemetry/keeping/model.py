"""Plans, how long readings are kept, what a forecast is worth, and the phrases that somebody types to delete."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import numpy as np

from waystation.kernel.clock import micros
from waystation.kernel.errors import Invalid, StorageFull
from waystation.telemetry.model import EARLIEST, first_from

GIBIBYTE = 1 << 30
DAY = 86_400_000_000  # microseconds
MOST_DAYS = 36_500
MOST_BYTES = 1 << 60
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
VALUE_BYTES = 4  # what a value takes once it is sealed, or a little more; a text its length besides
CHUNK_BYTES = 100  # of a chunk besides its contents: its facts and its place in the index
POST = "raw_payload"
POST_BYTES = 300
POSTED = "device_ts mode output temp_inside_c temp_outside_c setpoint_c hysteresis_c humidity_percent"
POST_METRICS = frozenset((POST, *POSTED.split()))
"""A device with texts called POST is charged by post, as the thermostat's contract has it (5.4), for these metrics."""
WARN_AT = (80, 95)  # percent
CALM_BELOW = 75  # a warning is told again only after less than this
ALL_PHRASE = "DELETE ALL MY DATA"
RANGE_PHRASE = "DELETE THIS RANGE"


@dataclass(frozen=True, slots=True)
class Plan:
    """What an owner may use, over all homes that are theirs; None is no limit."""

    name: str
    storage_bytes: int | None = None
    ingest_per_minute: int | None = None
    raw_days: int | None = None
    rollup_days: int | None = None


UNLIMITED = "unlimited"
BUILT_IN: Mapping[str, Plan] = {
    plan.name: plan
    for plan in (
        Plan(UNLIMITED),
        Plan("free", 2 * GIBIBYTE),
        Plan("standard", 10 * GIBIBYTE),
        Plan("premium", 1024 * GIBIBYTE),
    )
}


def check_plan(plan: Plan) -> Plan:
    if not NAME.fullmatch(plan.name):
        raise Invalid("a plan's name is up to 32 small letters, digits and hyphens")
    if plan.storage_bytes is not None and not 1024 <= plan.storage_bytes <= MOST_BYTES:
        raise Invalid("a plan's storage is 1 KiB or more; leave it empty for no limit")
    if plan.ingest_per_minute is not None and not 1 <= plan.ingest_per_minute <= 10**9:
        raise Invalid("a plan's calls a minute are 1 or more; leave them empty for no limit")
    check_limits(Limits(plan.raw_days, plan.rollup_days))
    return plan


class QuotaReached(StorageFull):
    """The owner of the home has used all that their plan gives."""

    word = "quota_reached"

    def __init__(self, limit_bytes: int) -> None:
        self.size = size_text(limit_bytes)
        super().__init__(f"Storage limit reached ({self.size}). Please delete old telemetry data or upgrade your plan.")


def size_text(size_bytes: int) -> str:
    """`2 GB` for 2 GiB, as the thermostat's contract writes it; the largest unit that leaves at least 1."""
    size = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} TB"


SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*(|[kmgt](?:i?b)?|b)", re.IGNORECASE)


def parse_size(text: str) -> int | None:
    """`2 GB`, `10GiB`, `1048576`; empty and `unlimited` are no limit. Units count in steps of 1,024."""
    if text.strip().lower() in ("", "unlimited"):
        return None
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise Invalid("write a size as in 2 GB, or leave it empty for no limit")
    return round(float(match[1]) * 1024 ** ("bkmgt".index(match[2][:1].lower() or "b")))


# How long


class Limits(NamedTuple):
    """Days; None is for ever."""

    raw_days: int | None = None
    rollup_days: int | None = None


FOR_EVER = Limits()


def check_limits(limits: Limits) -> Limits:
    raw, rollups = limits
    for days in (raw, rollups):
        if days is not None and not 1 <= days <= MOST_DAYS:
            raise Invalid(f"keep readings for 1 to {MOST_DAYS:,} days, or leave the field empty to keep them for ever")
    if rollups is not None and (raw is None or rollups < raw):
        raise Invalid("hourly roll-ups are kept at least as long as the readings they are made of")
    return limits


@dataclass(frozen=True, slots=True)
class Rule:
    """Of a home, or more narrowly of a device, a device model, a metric; the narrowest rule that fits counts."""

    id: int
    home_id: int
    device_id: int | None
    model: str
    metric: str
    limits: Limits

    @property
    def rank(self) -> int:
        return 4 * (self.device_id is not None) + 2 * bool(self.model) + bool(self.metric)

    def fits(self, device_id: int, model: str, metric: str) -> bool:
        mine = self.device_id in (None, device_id) and self.model in ("", model)
        return mine and self.metric in ("", metric)


class Placed(Protocol):
    """A device, as its home and its model matter to what is kept of it."""

    @property
    def id(self) -> int: ...
    @property
    def home_id(self) -> int: ...
    @property
    def model(self) -> str: ...


def limits_for(rules: Collection[Rule], device: Placed, metric: str, most: Limits) -> Limits:
    """Of the narrowest rule that fits; never longer than `most`, which the owner's plan allows."""
    fitting = [rule for rule in rules if rule.home_id == device.home_id and rule.fits(device.id, device.model, metric)]
    own = max(fitting, key=lambda rule: rule.rank).limits if fitting else FOR_EVER
    return Limits(_shorter(own.raw_days, most.raw_days), _shorter(own.rollup_days, most.rollup_days))


def _shorter(first: int | None, second: int | None) -> int | None:
    return min((days for days in (first, second) if days is not None), default=None)


class Cuts(NamedTuple):
    """Stamps: older readings lose their raw values, or all that is left of them."""

    raw: int
    rollups: int


def cuts_of(limits: Limits, now: datetime) -> Cuts:
    return Cuts(*(EARLIEST if days is None else first_from(micros(now) - days * DAY) for days in limits))


# Forecast


@dataclass(frozen=True, slots=True)
class Forecast:
    """When storage is full if it grows as in the last seven days. `full_in_days` is None while it does not grow."""

    full_in_days: float | None = None
    is_known: bool = False
    bytes_a_day: float = 0.0


WEEK = timedelta(days=7)
LEAST_SPAN = timedelta(hours=20)


def forecast(samples: Sequence[tuple[datetime, int]], used: int, limit: int | None, now: datetime) -> Forecast:
    """From the straight line that fits the last week's sizes best; unknown before there is a day of them."""
    recent = [(at, size) for at, size in samples if now - WEEK <= at < now] + [(now, used)]
    if len(recent) < 2 or now - recent[0][0] < LEAST_SPAN:
        return Forecast()
    days = np.array([(at - now) / timedelta(days=1) for at, _ in recent])
    sizes = np.array([float(size) for _, size in recent])
    centred = days - days.mean()
    pace = float((centred * (sizes - sizes.mean())).sum() / (centred**2).sum())
    if limit is None or pace <= 0:
        return Forecast(None, is_known=True, bytes_a_day=pace)
    return Forecast(max(0.0, limit - used) / pace, is_known=True, bytes_a_day=pace)


# Deleting


class Range(NamedTuple):
    """Stamps, both included."""

    first: int
    last: int


def check_phrase(typed: str, wanted: str) -> None:
    if typed.strip() != wanted:
        raise Invalid(f"type {wanted} to delete this; nothing was deleted")
