"""What is watched: every enabled rule with each of its devices, their state, and the series that feed them."""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from waystation import devices
from waystation.alerts import machine, store
from waystation.alerts.machine import MayFire, Phase, State
from waystation.alerts.model import NUMERIC, Condition, Rule, Scope, Wish
from waystation.devices import Device
from waystation.kernel.clock import from_micros, micros
from waystation.kernel.db import Tx
from waystation.telemetry import Kind, Series, first_from, follow, series_of

Target = tuple[int, Scope, str]
MOST_DEVICES = 1_000_000
AGAIN = 30_000_000  # microseconds until a schedule that was closed is looked at again
SHORT_GAP, LONG_GAP = timedelta(seconds=20), timedelta(minutes=2)
KINDS: Mapping[Condition, tuple[Kind, ...]] = {
    **dict.fromkeys(NUMERIC, (Kind.NUMBER,)),
    Condition.TEXT: (Kind.TEXT,),
    Condition.IS: (Kind.BOOLEAN, Kind.NUMBER),
    Condition.SILENT: tuple(Kind),
    Condition.FAULT: (),
}


@dataclass(slots=True, eq=False)
class Watch:
    """One rule for one device."""

    rule: Rule
    device: Device
    state: State
    incident_id: int | None = None
    cleared_at: datetime | None = None
    is_kept: bool = False  # there is a row of it
    is_dirty: bool = False
    is_passed: bool = False  # only its stamp is newer than what was kept
    unit: str = ""
    quiet: tuple[float, float] | None = None
    waits_until: int | None = None  # its place among the timers

    @property
    def may_fire(self) -> MayFire:
        schedule = self.rule.wish.schedule
        return (lambda at: schedule.covers(from_micros(at))) if schedule.windows else machine.always

    def enter(self, state: State) -> None:
        if state is not self.state:
            self.state, self.is_dirty = state, True
            self.quiet = machine.quiet_between(self.rule.wish.when, state)

    def pass_by(self, stamp: int) -> None:
        """Readings that change nothing."""
        if stamp > self.state.stamp:
            self.state = replace(self.state, stamp=stamp)
            self.is_dirty, self.is_passed = self.is_dirty or not self.is_kept, self.is_kept


class Timers:
    """Watches by when time alone may change them."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Watch]] = []
        self._number = count()

    def set(self, watch: Watch, at: int | None) -> None:
        if at is not None and (watch.waits_until is None or at < watch.waits_until):
            watch.waits_until = at
            heapq.heappush(self._heap, (at, next(self._number), watch))

    def put_off(self, watch: Watch, until: int) -> None:
        watch.waits_until = None
        self.set(watch, until)

    def due(self, now: int) -> Iterable[Watch]:
        """Those whose time has come by their state of now; each is set again by who ticks it."""
        while self._heap and self._heap[0][0] <= now:
            at, _, watch = heapq.heappop(self._heap)
            if watch.waits_until == at:
                watch.waits_until = None
                ripe = machine.due(watch.rule.wish.when, watch.state)
                if ripe is not None and ripe <= now:
                    yield watch
                else:
                    self.set(watch, ripe)


@dataclass(slots=True)
class Watched:
    """A copy of all rules, devices and states, as of one view of the database."""

    rules: dict[int, list[Rule]]  # by home
    known: dict[tuple[int, int], store.Known]
    windows: dict[tuple[int, str], store.Window]
    watches: dict[tuple[int, int], Watch] = field(default_factory=dict[tuple[int, int], Watch])
    by_target: dict[Target, list[Rule]] = field(default_factory=dict[Target, list[Rule]])
    by_device: dict[int, list[Watch]] = field(default_factory=dict[int, list[Watch]])
    by_series: dict[int, list[Watch]] = field(default_factory=dict[int, list[Watch]])
    passed: dict[int, int] = field(default_factory=dict[int, int])  # by series: the last stamp that changed nothing
    silences: dict[int, list[Watch]] = field(default_factory=dict[int, list[Watch]])  # of whole devices
    faults: dict[int, list[Watch]] = field(default_factory=dict[int, list[Watch]])
    timers: Timers = field(default_factory=Timers)
    newest_series: int = 0

    def rules_for(self, device: Device) -> list[Rule]:
        targets = ((Scope.HOME, ""), (Scope.MODEL, device.model), (Scope.DEVICE, device.key))
        return [rule for target in targets for rule in self.by_target.get((device.home_id, *target), ())]

    def catch_up(self, series_id: int) -> None:
        """What was passed by goes into the states; a great many readings then cost a watch one step."""
        stamp = self.passed.pop(series_id, None)
        if stamp is not None:
            for watch in self.by_series[series_id]:
                watch.pass_by(stamp)

    @property
    def dirty(self) -> list[Watch]:
        return [watch for watch in self.watches.values() if watch.is_dirty]

    @property
    def only_passed(self) -> list[Watch]:
        return [watch for watch in self.watches.values() if watch.is_passed and not watch.is_dirty]


def load(tx: Tx, now: datetime, *, gap: timedelta) -> Watched:
    """`gap` is how long nobody looked: timers of silence do not run while the hub is away."""
    rules: dict[int, list[Rule]] = {}
    for rule in store.enabled_rules(tx):
        rules.setdefault(rule.home_id, []).append(rule)
    found = Watched(rules, store.states(tx), store.windows(tx))
    for rule in (one for some in rules.values() for one in some):
        found.by_target.setdefault((rule.home_id, rule.wish.scope, rule.wish.target), []).append(rule)
    for home_id in rules:
        for device in devices.search(tx, home_id, "", MOST_DEVICES):
            _watch(found, device)
    for watch in found.watches.values():
        _wait_anew(watch, now, gap)
        found.timers.set(watch, machine.due(watch.rule.wish.when, watch.state))
    _feed(tx, found)
    return found


def adopt(tx: Tx, found: Watched, now: datetime) -> None:
    """Series that are new, and their devices if these are, too."""
    for series in follow.series_after(tx, found.newest_series):
        found.newest_series = series.id
        device = devices.by_id(tx, series.device_id)
        if device is not None:
            for watch in _watch(found, device):
                _wait_anew(watch, now, timedelta())
                found.timers.set(watch, machine.due(watch.rule.wish.when, watch.state))
            _join(found, series)


def wants(wish: Wish, device: Device) -> bool:
    return wish.scope is Scope.HOME or wish.target == (device.key if wish.scope is Scope.DEVICE else device.model)


def _watch(found: Watched, device: Device) -> list[Watch]:
    """The new ones."""
    new: list[Watch] = []
    if device.disabled_at is not None or device.pending_since is not None:
        return new
    for rule in found.rules_for(device):
        key = (rule.id, device.id)
        if key in found.watches:
            continue
        known = found.known.get(key)
        armed = micros(rule.armed_at)
        state = known.state if known else State(first_from(armed) - 1, heard=max(armed, micros(device.created_at)))
        watch = Watch(rule, device, state, is_kept=known is not None)
        watch.quiet = machine.quiet_between(rule.wish.when, state)
        if known:
            watch.incident_id, watch.cleared_at = known.incident_id, known.cleared_at
        found.watches[key] = watch
        found.by_device.setdefault(device.id, []).append(watch)
        new.append(watch)
        if rule.wish.when.kind is Condition.FAULT:
            found.faults.setdefault(device.id, []).append(watch)
        elif rule.wish.when.kind is Condition.SILENT and not rule.wish.metric:
            found.silences.setdefault(device.id, []).append(watch)
    return new


def _wait_anew(watch: Watch, now: datetime, gap: timedelta) -> None:
    if watch.rule.wish.when.kind is not Condition.SILENT or watch.state.phase is not Phase.CALM or gap < SHORT_GAP:
        return
    later = micros(now) if gap > LONG_GAP else min(micros(now), watch.state.heard + micros_of(gap))
    watch.enter(replace(watch.state, heard=max(watch.state.heard, later)))


def micros_of(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _feed(tx: Tx, found: Watched) -> None:
    metrics = {rule.wish.metric for rules in found.rules.values() for rule in rules if rule.wish.metric}
    ids = {watch.device.id for watch in found.watches.values() if watch.rule.wish.metric}
    for series in series_of(tx, ids, metrics):
        _join(found, series)
    found.newest_series = follow.newest_series(tx)


def _join(found: Watched, series: Series) -> None:
    for watch in found.by_device.get(series.device_id, ()):
        wish = watch.rule.wish
        if wish.metric == series.metric and series.kind in KINDS[wish.when.kind]:
            fed = found.by_series.setdefault(series.id, [])
            if watch not in fed:
                fed.append(watch)
                watch.unit = series.unit or watch.unit
