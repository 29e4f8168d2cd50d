"""The state of one rule for one device, without clock or storage: (state, reading or time) → (state, what happened).

A value counts until the next one. Readings that are not newer than the last one evaluated change nothing, so the same
readings again, in other portions, end in the same state. Times are microseconds, stamps are telemetry's.
"""

import fnmatch
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from waystation.alerts.model import BY_RATE, PER_SECONDS, Condition, When
from waystation.telemetry import at_of

MICROSECONDS = 1_000_000
AHEAD = 5 * MICROSECONDS  # a device's clock may be so much fast without its readings having to wait
MOST_AHEAD = 200  # of one rule and device; what is further ahead is left out
MOST_SEEN = 20
PARTS_OF_WINDOW = 60
MOST_CHARACTERS = 1000
LEAST = math.nextafter(0.0, 1.0)

MayFire = Callable[[int], bool]


class Phase(StrEnum):
    CALM = "calm"
    PENDING = "pending"  # it holds, but not yet for long enough
    FIRING = "firing"


class Point(NamedTuple):
    at: int
    value: float | str


@dataclass(frozen=True, slots=True)
class State:
    stamp: int  # of the last reading evaluated
    phase: Phase = Phase.CALM
    since: int = 0  # when it began to hold
    value: float | str | None = None
    marks: tuple[int, ...] = ()  # of the last readings, for n of m: OVER, BETWEEN or HOLDS
    recent: tuple[Point, ...] = ()  # of a rate's window, thinned
    seen: tuple[Point, ...] = ()  # the last readings for which it held
    heard: int = 0  # when something came last
    ahead: tuple[tuple[int, float | str], ...] = ()  # readings of the future, by stamp


@dataclass(frozen=True, slots=True)
class Happening:
    what: Literal["fired", "recovered"]
    at: int
    value: float | str | None
    seen: tuple[Point, ...] = ()


Step = tuple[State, list[Happening]]
OVER, BETWEEN, HOLDS = 0, 1, 2


def always(_at: int) -> bool:
    return True


def read(when: When, state: State, stamp: int, value: float | str, *, now: int, may_fire: MayFire = always) -> Step:
    """One reading more. What is ahead of `now` waits until it is due."""
    if stamp <= state.stamp:
        return state, []
    if at_of(stamp) > now + AHEAD:
        return _waiting(state, stamp, value), []
    state, happened = _overtaken(when, state, stamp, may_fire)
    state, more = _evaluated(when, state, stamp, value, may_fire=may_fire)
    return state, [*happened, *more]


def tick(when: When, state: State, now: int, *, may_fire: MayFire = always) -> Step:
    """Time alone: readings that were ahead are due, it has held for long enough, or nothing came for too long."""
    happened: list[Happening] = []
    while state.ahead and at_of(state.ahead[0][0]) <= now:
        (stamp, value), *rest = state.ahead
        state, more = _evaluated(when, replace(state, ahead=tuple(rest)), stamp, value, may_fire=may_fire)
        happened += more
    if when.kind is Condition.SILENT:
        state, more = _silent(when, state, now, may_fire)
    else:
        state, more = _settled(when, state, now, still=True, may_fire=may_fire)
    return state, [*happened, *more]


def due(when: When, state: State) -> int | None:
    """When `tick` may have something to do; None when only a reading can."""
    ends: list[int] = [at_of(state.ahead[0][0])] if state.ahead else []
    if state.phase is Phase.PENDING:
        ends.append(state.since + _for(when))
    if when.kind is Condition.SILENT and state.phase is Phase.CALM:
        ends.append(state.heard + round(when.seconds * MICROSECONDS))
    if when.kind is Condition.FAULT and state.phase is Phase.FIRING:
        ends.append(state.heard + round(when.window_seconds * MICROSECONDS))
    return min(ends, default=None)


def heard(state: State, at: int) -> Step:
    """Something came from the device, for a rule about silence."""
    if at <= state.heard:
        return state, []
    ended = state.phase is Phase.FIRING
    state = replace(state, heard=at, phase=Phase.CALM)
    return state, [Happening("recovered", at, None)] if ended else []


def refused(when: When, state: State, times: Sequence[int], now: int, *, may_fire: MayFire = always) -> Step:
    """For a rule about faults; `times` are those of the device's refused bodies, rising."""
    recent = [at for at in times if at > now - round(when.window_seconds * MICROSECONDS)]
    state = replace(state, heard=max(recent, default=state.heard))
    if state.phase is Phase.FIRING:
        over = not recent and now >= state.heard + round(when.window_seconds * MICROSECONDS)
        return (replace(state, phase=Phase.CALM), [Happening("recovered", now, None)]) if over else (state, [])
    if len(recent) < when.count or not may_fire(recent[-1]):
        return state, []
    state = replace(state, phase=Phase.FIRING, since=recent[0])
    return state, [Happening("fired", recent[-1], float(len(recent)))]


def quiet_between(when: When, state: State) -> tuple[float, float] | None:
    """Values strictly between these change nothing but the stamp; None when every reading must be looked at."""
    fires = state.phase is Phase.FIRING
    if state.phase is Phase.PENDING or when.of or state.ahead or (state.seen and not fires):
        return None
    if when.kind is Condition.ABOVE and when.threshold is not None:
        return (math.nextafter(when.clear_at, -math.inf), math.inf) if fires else (-math.inf, when.threshold)
    if when.kind is Condition.BELOW and when.threshold is not None:
        return (-math.inf, math.nextafter(when.clear_at, math.inf)) if fires else (when.threshold, math.inf)
    if when.kind is Condition.IS:
        return (0.0, math.inf) if when.state is fires else (-LEAST, LEAST)
    return None


def _for(when: When) -> int:
    return round(when.for_seconds * MICROSECONDS)


def _waiting(state: State, stamp: int, value: float | str) -> State:
    if len(state.ahead) >= MOST_AHEAD or any(known == stamp for known, _ in state.ahead):
        return state
    return replace(state, ahead=tuple(sorted((*state.ahead, (stamp, value)), key=lambda one: one[0])))


def _overtaken(when: When, state: State, stamp: int, may_fire: MayFire) -> Step:
    """What was ahead of its time and comes before this reading."""
    happened: list[Happening] = []
    while state.ahead and state.ahead[0][0] <= stamp:
        (earlier, value), *rest = state.ahead
        state = replace(state, ahead=tuple(rest))
        if earlier < stamp:
            state, more = _evaluated(when, state, earlier, value, may_fire=may_fire)
            happened += more
    return state, happened


def _evaluated(when: When, state: State, stamp: int, value: float | str, *, may_fire: MayFire) -> Step:
    if stamp <= state.stamp:
        return state, []
    at = at_of(stamp)
    state, happened = _settled(when, state, at, still=False, may_fire=may_fire)
    point = Point(at, value)
    state, mark = _marked(when, replace(state, stamp=stamp, value=value), point)
    marks = (*state.marks, mark)[-when.of :] if when.of else (mark,)
    holds = marks.count(HOLDS) >= (when.times or 1)
    over = len(marks) - marks.count(OVER) < (when.times or 1)
    state = replace(state, marks=marks if when.of else ())
    state = _remembered(when, state, point, mark, over=over)
    if state.phase is Phase.FIRING:
        if over:
            happened.append(Happening("recovered", at, value))
            state = replace(state, phase=Phase.CALM, seen=())
        return state, happened
    if not holds:
        return replace(state, phase=Phase.CALM), happened
    if state.phase is Phase.CALM:
        state = replace(state, phase=Phase.PENDING, since=at)
    state, more = _settled(when, state, at, still=True, may_fire=may_fire)
    return state, [*happened, *more]


def _settled(when: When, state: State, at: int, *, still: bool, may_fire: MayFire) -> Step:
    """A pending state fires when its time has come by `at`; `still` says that it holds at `at` itself."""
    ripe = state.since + _for(when)
    if state.phase is not Phase.PENDING or ripe > at:
        return state, []
    if not may_fire(ripe) and not (still and may_fire(at)):
        return state, []
    fires_at = ripe if may_fire(ripe) else at
    return replace(state, phase=Phase.FIRING), [Happening("fired", fires_at, state.value, state.seen)]


def _silent(when: When, state: State, now: int, may_fire: MayFire) -> Step:
    ripe = state.heard + round(when.seconds * MICROSECONDS)
    if state.phase is not Phase.CALM or ripe > now:
        return state, []
    if not may_fire(now):
        return state, []
    fires_at = ripe if may_fire(ripe) else now
    return replace(state, phase=Phase.FIRING, since=state.heard), [Happening("fired", fires_at, None)]


def _marked(when: When, state: State, point: Point) -> tuple[State, int]:
    if when.kind in BY_RATE:
        state = _with_recent(when, state, point)
        rate = rate_of(when, (*state.recent, point))
        if rate is None:
            return state, BETWEEN if state.phase is Phase.FIRING else OVER
        return state, _compared(rate if when.kind is Condition.RISES else -rate, when)
    return state, mark_of(when, point.value)


def mark_of(when: When, value: float | str) -> int:
    """How one value stands to the condition by itself."""
    if when.kind is Condition.TEXT:
        return HOLDS if matches(when, str(value)) else OVER
    if isinstance(value, str):
        return OVER
    if when.kind is Condition.IS:
        return HOLDS if (value != 0) is when.state else OVER
    sign = -1 if when.kind is Condition.BELOW else 1
    return _compared(value, when, sign)


def _compared(value: float, when: When, sign: int = 1) -> int:
    assert when.threshold is not None
    if value * sign >= when.threshold * sign:
        return HOLDS
    return OVER if value * sign < when.clear_at * sign else BETWEEN


def matches(when: When, text: str) -> bool:
    """Without regard to case; a pattern knows only * and ?, so no text makes it slow."""
    wanted, text = when.text.casefold(), text[:MOST_CHARACTERS].casefold()
    if when.match == "equals":
        return text == wanted
    return wanted in text if when.match == "contains" else _pattern(wanted).match(text) is not None


@lru_cache(maxsize=1024)
def _pattern(wanted: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(wanted.replace("[", "[[]")))


def _with_recent(when: When, state: State, point: Point) -> State:
    """The window up to this reading, of which at most sixty are kept."""
    window = round(when.window_seconds * MICROSECONDS)
    recent = tuple(one for one in state.recent if one.at >= point.at - window)
    if not recent or point.at - recent[-1].at >= window // PARTS_OF_WINDOW:
        recent = (*recent, point)
    return replace(state, recent=recent)


def rate_of(when: When, points: Sequence[Point]) -> float | None:
    """Change per minute or hour from the window's first reading to its last; None when they are too close together."""
    first, last = points[0], points[-1]
    seconds = (last.at - first.at) / MICROSECONDS
    if seconds < when.window_seconds / 2 or isinstance(first.value, str) or isinstance(last.value, str):
        return None
    return (last.value - first.value) / seconds * PER_SECONDS[when.per]


def _remembered(when: When, state: State, point: Point, mark: int, *, over: bool) -> State:
    """The evidence: readings for which it held since it was last over, until it fired."""
    if state.phase is Phase.FIRING:
        return state
    if when.kind in BY_RATE:
        every = max(1, len(state.recent) // MOST_SEEN)
        return replace(state, seen=(*state.recent[:-1:every], point)[-MOST_SEEN:] if mark == HOLDS else ())
    if mark == HOLDS:
        return replace(state, seen=(*state.seen, point)[-MOST_SEEN:])
    return replace(state, seen=()) if over or not when.of else state


def to_json(state: State) -> dict[str, Any]:
    kept = {"value": state.value, "marks": state.marks, "recent": state.recent, "seen": state.seen}
    return {name: fact for name, fact in {**kept, "ahead": state.ahead}.items() if fact not in (None, ())}


def of_json(given: dict[str, Any], *, stamp: int, phase: str, since: int, heard: int) -> State:
    recent, seen = (tuple(Point(at, value) for at, value in given.get(name, ())) for name in ("recent", "seen"))
    ahead = tuple((stamp, value) for stamp, value in given.get("ahead", ()))
    marks = tuple(given.get("marks", ()))
    return State(stamp, Phase(phase), since, given.get("value"), marks, recent, seen, heard, ahead)
