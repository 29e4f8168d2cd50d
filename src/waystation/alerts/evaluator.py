"""The evaluator: follows what was committed, and keeps states, incidents and notices in one transaction.

Between two transactions it is ahead of the database in memory only. Whatever goes wrong, it forgets what it knew and
reads on from where the last transaction left it, so a crash anywhere neither loses an alert nor tells of it twice.
"""

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from waystation import devices
from waystation.alerts import machine, store, telling, watching
from waystation.alerts.machine import Happening
from waystation.alerts.model import Condition
from waystation.alerts.service import FOLLOWER
from waystation.alerts.watching import Watch, Watched
from waystation.kernel.clock import EPOCH, Clock, micros
from waystation.kernel.db import Database, Tx
from waystation.telemetry import at_of, follow

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5
PAUSE_SECONDS = 0.25  # between two looks: what comes meanwhile is read together
KEEP = timedelta(seconds=10)
FAR_ROWS = 250_000  # the sealer waits for what was kept
RELOAD = timedelta(seconds=60)
LATE = timedelta(days=1)  # readings that come so much after their time make no alert
AWAY = timedelta(minutes=10)
SEEN_LAG = timedelta(seconds=15)
MOST_REFUSALS = 1000


class Evaluator:
    """`step` does all there is to do at a time; `run` is its thread, in the process that owns the sweeps."""

    def __init__(self, database: Database, clock: Clock, *, may_run: Callable[[], bool] = lambda: True) -> None:
        self._database = database
        self._clock = clock
        self._may_run = may_run
        self._watched: Watched | None = None
        self._place: follow.Place | None = None
        self._gap = timedelta()
        self._kept_position = 0
        self._loaded_at = self._kept_at = self._seen_until = EPOCH
        self._happened: list[tuple[Watch, Happening]] = []
        self._refusals: deque[tuple[int, int]] = deque(maxlen=100_000)
        self._refused: dict[int, deque[int]] = {}
        self._nudged = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._nudged.set()
        self._thread.join()

    def nudge(self) -> None:
        self._nudged.set()

    def refused(self, device_id: int) -> None:
        """A body of the device was refused; from any thread. Such counts are in memory only."""
        self._refusals.append((device_id, micros(self._clock.now())))

    def _run(self) -> None:
        while not self._closing.is_set():
            self._nudged.clear()
            more = self._attempt() if self._may_run() else self.forget()
            if not more:
                self._closing.wait(PAUSE_SECONDS)
                self._nudged.wait(LOOK_SECONDS)
        if self._may_run():
            self._attempt(last=True)

    def _attempt(self, *, last: bool = False) -> int:
        try:
            return self.step(keep=last)
        except Exception as fault:  # noqa: BLE001  what was not kept is read again
            log.error("alerts not evaluated", fault=repr(fault))
            return 0

    def forget(self) -> int:
        self._watched = self._place = None
        self._happened = []
        return 0

    def step(self, *, keep: bool = False) -> int:
        """How many rows more there may be to read at once."""
        try:
            return self._step(self._clock.now(), keep=keep)
        except BaseException:
            self.forget()
            raise

    def _step(self, now: datetime, *, keep: bool) -> int:
        if self._watched is not None and abs(now - self._loaded_at) >= RELOAD:
            self._keep(self._watched, now)
            self._watched = None
        with self._database.read() as tx:
            watched = self._current(tx, now)
            if watched is None or self._place is None:
                return self.forget()
            watching.adopt(tx, watched, now)
            stretch = follow.look(tx, self._place, now)
            self._read(tx, watched, stretch, now)
            self._hear_devices(tx, watched, now)
        rows = stretch.after.position - self._place.position
        self._place = stretch.after
        self._count_refusals(watched, now)
        self._tick(watched, micros(now))
        is_far = self._place.position - self._kept_position >= FAR_ROWS
        if keep or is_far or self._happened or abs(now - self._kept_at) >= KEEP or telling.ended(watched, now):
            self._keep(watched, now)
        return rows if rows >= follow.MOST_ROWS else 0

    def _current(self, tx: Tx, now: datetime) -> Watched | None:
        """What is known, or read anew when orders have changed; None when nothing is to be watched."""
        place = follow.place(tx, FOLLOWER)
        if place is None:
            return None
        if self._watched is None or self._place is None or place.turn != self._place.turn:
            self._place, self._happened = place, []
            self._kept_position = place.position
            self._gap = max(now - place.read_at, timedelta())
            self._watched = watching.load(tx, now, gap=self._gap)
            self._loaded_at, self._seen_until = now, EPOCH
        return self._watched

    # Reading

    def _read(self, tx: Tx, watched: Watched, stretch: follow.Stretch, now: datetime) -> None:
        loud: dict[int, list[Watch]] = {}
        for fresh in follow.summaries(tx, stretch, watched.by_series.keys()):
            listening = self._listening(watched, fresh, micros(now))
            if listening:
                loud[fresh.series_id] = listening
        assert self._place is not None
        horizon = micros(min(now, self._place.read_at) - LATE)
        for series_id, stamp, value, text in follow.rows(tx, stretch, loud):
            if at_of(stamp) >= horizon:
                for watch in loud[series_id]:
                    self._evaluate(watched, watch, stamp, value if text is None else text, now=now)

    def _listening(self, watched: Watched, fresh: follow.Summary, now: int) -> list[Watch]:
        """Those of its watches that have to look at every reading; the others are past it."""
        listening: list[Watch] = []
        passing: list[Watch] = []
        for watch in watched.by_series[fresh.series_id]:
            if watch.rule.wish.when.kind is Condition.SILENT:
                self._note(watched, watch, machine.heard(watch.state, now))
            elif at_of(fresh.last) <= now + machine.AHEAD and _is_quiet(watch, fresh):
                passing.append(watch)
            else:
                listening.append(watch)
        if not listening:
            watched.passed[fresh.series_id] = max(fresh.last, watched.passed.get(fresh.series_id, 0))
            return []
        watched.catch_up(fresh.series_id)
        for watch in passing:
            watch.pass_by(fresh.last)
        return listening

    def _evaluate(self, watched: Watched, watch: Watch, stamp: int, value: float | str, *, now: datetime) -> None:
        when = watch.rule.wish.when
        step = machine.read(when, watch.state, stamp, value, now=micros(now), may_fire=watch.may_fire)
        self._note(watched, watch, step)

    def _hear_devices(self, tx: Tx, watched: Watched, now: datetime) -> None:
        """Once a second, for rules about whole devices."""
        if not watched.silences or abs(now - self._seen_until) < timedelta(seconds=1):
            return
        since = self._seen_until - SEEN_LAG if self._seen_until > EPOCH else EPOCH
        for device_id, seen_at in devices.last_seen(tx, since).items():
            for watch in watched.silences.get(device_id, ()):
                self._note(watched, watch, machine.heard(watch.state, micros(seen_at)))
        self._seen_until = now

    def _count_refusals(self, watched: Watched, now: datetime) -> None:
        while self._refusals:
            device_id, at = self._refusals.popleft()
            if device_id in watched.faults:
                self._refused.setdefault(device_id, deque(maxlen=MOST_REFUSALS)).append(at)
                for watch in watched.faults[device_id]:
                    self._note(watched, watch, self._faulty(watch, micros(now)))

    def _faulty(self, watch: Watch, now: int) -> machine.Step:
        times = self._refused.get(watch.device.id, ())
        return machine.refused(watch.rule.wish.when, watch.state, list(times), now, may_fire=watch.may_fire)

    def _tick(self, watched: Watched, now: int) -> None:
        for watch in watched.timers.due(now):
            when = watch.rule.wish.when
            if when.kind is Condition.FAULT:
                step = self._faulty(watch, now)
            else:
                step = machine.tick(when, watch.state, now, may_fire=watch.may_fire)
            self._note(watched, watch, step)
            ripe = machine.due(when, watch.state)
            if ripe is not None and ripe <= now:  # its schedule is closed
                watched.timers.put_off(watch, now + watching.AGAIN)

    def _note(self, watched: Watched, watch: Watch, step: machine.Step) -> None:
        state, happened = step
        watch.enter(state)
        self._happened += [(watch, one) for one in happened]
        watched.timers.set(watch, machine.due(watch.rule.wish.when, state))

    # Keeping

    def _keep(self, watched: Watched, now: datetime) -> None:
        """All that is new, in one transaction; when somebody else was faster, nothing of it."""
        before = self._place
        assert before is not None
        for series_id in list(watched.passed):
            watched.catch_up(series_id)
        with self._database.write() as tx:
            moved = follow.move(tx, before, before, now)
            if moved is not None:
                self._write(tx, watched, now, number=moved.turn)
        if moved is None:
            self.forget()
            return
        self._place, self._kept_position, self._kept_at = moved, moved.position, now
        self._happened, self._gap = [], timedelta()
        for watch in watched.watches.values():
            watch.is_kept = watch.is_kept or watch.is_dirty
            watch.is_dirty = watch.is_passed = False

    def _write(self, tx: Tx, watched: Watched, now: datetime, *, number: int) -> None:
        if self._gap >= AWAY:
            for home_id in _homes_with_silence(watched):
                telling.tell_of_absence(tx, home_id, now, gap=self._gap)
        teller = telling.Teller(tx, watched, now, number)
        teller.end_windows()
        teller.tell(self._happened)
        kept = [(watch.rule.id, watch.device.id, watch.state, watch.incident_id) for watch in watched.dirty]
        store.keep_states(tx, sorted(kept, key=lambda one: one[:2]))
        store.keep_stamps(tx, sorted((one.rule.id, one.device.id, one.state.stamp) for one in watched.only_passed))


def _is_quiet(watch: Watch, fresh: follow.Summary) -> bool:
    if watch.quiet is None or fresh.least is None or fresh.greatest is None:
        return False
    return watch.quiet[0] < fresh.least and fresh.greatest < watch.quiet[1]


def _homes_with_silence(watched: Watched) -> list[int]:
    silent = Condition.SILENT
    return [home for home, rules in watched.rules.items() if any(rule.wish.when.kind is silent for rule in rules)]
