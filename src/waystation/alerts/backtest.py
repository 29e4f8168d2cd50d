"""What a rule would have done with the readings of the last days; nothing is stored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from waystation import devices
from waystation.alerts import machine
from waystation.alerts.machine import Happening, MayFire, Point, State
from waystation.alerts.model import Condition, When, Wish
from waystation.alerts.watching import KINDS, wants
from waystation.devices import Device
from waystation.kernel.clock import from_micros, micros
from waystation.kernel.db import Tx
from waystation.kernel.errors import Invalid
from waystation.telemetry import Series, first_from, last_until, query, series_of

MOST_DAYS = 366
MOST_DEVICES = 1000
MOST_VALUES = 5_000_000
MOST_FOUND = 500
PAGE = timedelta(days=7)
FOREVER = 2**62

Stamps = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Would:
    """An incident that would have been; `cleared_at` is None when it would still be open."""

    device_key: str
    device_name: str
    opened_at: datetime
    cleared_at: datetime | None
    value: float | str | None
    seen: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Tested:
    """`is_complete` is False when there were more readings or incidents than are looked at in one test."""

    incidents: Sequence[Would]
    devices: int
    readings: int
    is_complete: bool


def run(tx: Tx, home_id: int, now: datetime, *, wish: Wish, days: float = 30) -> Tested:
    """By time. What came late counts here as if it had come in time."""
    wish = wish.checked()
    if wish.when.kind is Condition.FAULT:
        raise Invalid("what was refused is not kept, so a rule about faults cannot be tested on the past")
    if not 0 < days <= MOST_DAYS:
        raise Invalid(f"a rule is tested on at most {MOST_DAYS} days")
    first = now - timedelta(days=days)
    found = [one for one in devices.search(tx, home_id, "", MOST_DEVICES + 1) if wants(wish, one)]
    by_device: dict[int, list[Series]] = {}
    for series in series_of(tx, [one.id for one in found], [wish.metric] if wish.metric else None):
        if series.kind in KINDS[wish.when.kind]:
            by_device.setdefault(series.device_id, []).append(series)
    would: list[Would] = []
    readings, tested = 0, 0
    for device in found[:MOST_DEVICES]:
        if readings >= MOST_VALUES or len(would) >= MOST_FOUND:
            break
        happened, count = _happened(tx, wish, by_device.get(device.id, ()), (first, now))
        would += _paired(device, happened)
        readings, tested = readings + count, tested + 1
    would.sort(key=lambda one: one.opened_at)
    return Tested(would[:MOST_FOUND], tested, readings, tested == len(found) and len(would) <= MOST_FOUND)


def _happened(
    tx: Tx, wish: Wish, series: Sequence[Series], span: tuple[datetime, datetime]
) -> tuple[list[Happening], int]:
    when, schedule = wish.when, wish.schedule
    may_fire: MayFire = (lambda at: schedule.covers(from_micros(at))) if schedule.windows else machine.always
    state = State(first_from(micros(span[0])) - 1, heard=micros(span[0]))
    happened: list[Happening] = []
    readings = 0
    for stamps, values in _pages(tx, series, span):
        readings += len(stamps)
        evaluate = _through_silence if when.kind is Condition.SILENT else _through
        state = evaluate(when, state, stamps, values, may_fire=may_fire, happened=happened)
    state, last = machine.tick(when, state, micros(span[1]), may_fire=may_fire)
    return [*happened, *last], readings


def _pages(tx: Tx, series: Sequence[Series], span: tuple[datetime, datetime]) -> Iterator[tuple[Stamps, NDArray[Any]]]:
    """All values of these series as one, by stamp, a week at a time."""
    start = span[0]
    ids = [one.id for one in series]
    while ids and start < span[1]:
        end = min(start + PAGE, span[1])
        runs = list(query.read(tx, ids, first_from(micros(start)), last_until(micros(end) - (end < span[1]))).values())
        start = end
        if runs:
            stamps = np.concatenate([run.stamps for run in runs])
            values = np.concatenate([run.values for run in runs])
            order = np.argsort(stamps, kind="stable")
            yield stamps[order], values[order]


def _through(
    when: When, state: State, stamps: Stamps, values: NDArray[Any], *, may_fire: MayFire, happened: list[Happening]
) -> State:
    """Skips what `quiet_between` says changes nothing."""
    at, found = 0, dict[tuple[float, float], NDArray[np.int64]]()
    while at < len(stamps):
        quiet = machine.quiet_between(when, state)
        if quiet is not None:
            loud = found[quiet] if quiet in found else found.setdefault(quiet, _not_between(quiet, values))
            behind = int(np.searchsorted(loud, at))
            at = int(loud[behind]) if behind < len(loud) else len(stamps)
            if at == len(stamps):
                return state
        value = values[at] if isinstance(values[at], str) else float(values[at])
        state, more = machine.read(when, state, int(stamps[at]), value, now=FOREVER, may_fire=may_fire)
        happened += more
        at += 1
    return state


def _not_between(quiet: tuple[float, float], values: NDArray[Any]) -> NDArray[np.int64]:
    return np.flatnonzero(~((values > quiet[0]) & (values < quiet[1])))


def _through_silence(
    when: When, state: State, stamps: Stamps, values: NDArray[Any], *, may_fire: MayFire, happened: list[Happening]
) -> State:
    """Only gaps that are long enough are looked at."""
    del values
    times = stamps >> 8
    gaps = np.flatnonzero(np.diff(times, prepend=state.heard) >= when.seconds * 1_000_000)
    for number in gaps.tolist():
        before = int(times[number - 1]) if number else state.heard
        state, _ = machine.heard(state, before)
        state, fired = machine.tick(when, state, int(times[number]), may_fire=may_fire)
        state, heard = machine.heard(state, int(times[number]))
        happened += [*fired, *heard]
    return machine.heard(state, int(times[-1]))[0]


def _paired(device: Device, happened: Sequence[Happening]) -> list[Would]:
    found: list[Would] = []
    opened: Happening | None = None
    for one in happened:
        if one.what == "fired":
            opened = one
        elif opened is not None:
            found.append(_would(device, opened, from_micros(one.at)))
            opened = None
    return found if opened is None else [*found, _would(device, opened, None)]


def _would(device: Device, opened: Happening, cleared_at: datetime | None) -> Would:
    return Would(device.key, device.name, from_micros(opened.at), cleared_at, opened.value, opened.seen)
