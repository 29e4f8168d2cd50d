"""The words of alerts: rules with their conditions and schedules, and incidents; values in, values out."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from waystation.kernel.errors import Invalid

MOST_NAME = 80
MOST_TEXT = 200
MOST_SECONDS = 30 * 86_400
LEAST_SILENCE_SECONDS = 30  # last_seen_at of a device is written every ten seconds
MOST_MARKS = 100
MOST_WINDOWS = 21
MOST_CHANNELS = 20
SUBJECT = "{severity}: {rule} – {device}"
PER_SECONDS = {"minute": 60.0, "hour": 3600.0}


class Condition(StrEnum):
    ABOVE = "above"  # a number at or above the threshold, until below `clear`
    BELOW = "below"  # at or below the threshold, until above `clear`
    RISES = "rises"  # by at least the threshold per minute or hour, over the window
    FALLS = "falls"
    TEXT = "text"  # equals, contains or is like (with * and ?) a text
    IS = "is"  # a boolean is on or off
    SILENT = "silent"  # nothing came for so long; of the whole device when the rule names no metric
    FAULT = "fault"  # so many bodies of the device were refused within the window: its sensor is loose


NUMERIC = frozenset({Condition.ABOVE, Condition.BELOW, Condition.RISES, Condition.FALLS})
BY_RATE = frozenset({Condition.RISES, Condition.FALLS})
WITHOUT_READINGS = frozenset({Condition.SILENT, Condition.FAULT})


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Scope(StrEnum):
    DEVICE = "device"  # one, by its key
    MODEL = "model"  # every device of that model
    HOME = "home"  # every device


Match = Literal["equals", "contains", "like"]
Per = Literal["minute", "hour"]


@dataclass(frozen=True, slots=True)
class When:
    """What must be so. Which of the fields count is a matter of the kind; `checked` sets the others back."""

    kind: Condition
    threshold: float | None = None
    clear: float | None = None  # None: the threshold itself
    for_seconds: float = 0  # it must have been so for so long
    times: int = 0  # `times` of the last `of` readings must be so; 0 is every reading
    of: int = 0
    window_seconds: float = 0  # of a rate, or in which refused bodies are counted
    per: Per = "minute"
    match: Match = "equals"
    text: str = ""
    state: bool = True
    seconds: float = 0  # of silence
    count: int = 0  # of refused bodies

    @property
    def clear_at(self) -> float:
        """Where it ends; only for numbers."""
        assert self.threshold is not None
        return self.threshold if self.clear is None else self.clear

    def checked(self) -> Self:
        """Itself with only the fields of its kind; Invalid when one of these makes no sense."""
        checked = type(self)(self.kind, **{name: getattr(self, name) for name in _FIELDS[self.kind]})
        for check in _CHECKS[self.kind]:
            check(checked)
        return checked


_HOLDING = ("for_seconds", "times", "of")
_FIELDS: Mapping[Condition, tuple[str, ...]] = {
    Condition.ABOVE: ("threshold", "clear", *_HOLDING),
    Condition.BELOW: ("threshold", "clear", *_HOLDING),
    Condition.RISES: ("threshold", "clear", "window_seconds", "per"),
    Condition.FALLS: ("threshold", "clear", "window_seconds", "per"),
    Condition.TEXT: ("match", "text", *_HOLDING),
    Condition.IS: ("state", *_HOLDING),
    Condition.SILENT: ("seconds",),
    Condition.FAULT: ("count", "window_seconds"),
}


def _check_threshold(when: When) -> None:
    if when.threshold is None or not math.isfinite(when.threshold):
        raise Invalid("the condition needs a threshold, a number")
    if when.clear is not None and not math.isfinite(when.clear):
        raise Invalid("the clear threshold is a number")
    wrong = when.clear_at < when.threshold if when.kind is Condition.BELOW else when.clear_at > when.threshold
    if wrong:
        side = "above" if when.kind is Condition.BELOW else "below"
        raise Invalid(f"the clear threshold must not be on the alerting side: at or {side} the threshold")


def _check_rate(when: When) -> None:
    if when.threshold is None or when.threshold <= 0:
        raise Invalid("a rate's threshold is greater than 0")
    if when.clear is not None and when.clear < 0:
        raise Invalid("a rate's clear threshold is 0 or more")
    if not 10 <= when.window_seconds <= 86_400:
        raise Invalid("a rate is looked at over a window of 10 seconds to a day")


def _check_holding(when: When) -> None:
    if not 0 <= when.for_seconds <= MOST_SECONDS:
        raise Invalid("the time for which it must be so is 0 seconds to 30 days")
    if (when.times or when.of) and not 1 <= when.times <= when.of <= MOST_MARKS:
        raise Invalid(f"“n of m readings” needs 1 ≤ n ≤ m ≤ {MOST_MARKS}")
    if when.of and when.for_seconds:
        raise Invalid("a rule has either a time for which it must be so or n of m readings, not both")


def _check_text(when: When) -> None:
    if not 1 <= len(when.text) <= MOST_TEXT or "\x00" in when.text:
        raise Invalid(f"the text to look for has 1 to {MOST_TEXT} characters")


def _check_silence(when: When) -> None:
    if not LEAST_SILENCE_SECONDS <= when.seconds <= MOST_SECONDS:
        raise Invalid("silence is 30 seconds to 30 days long")


def _check_fault(when: When) -> None:
    if not 1 <= when.count <= 1000 or not 10 <= when.window_seconds <= 86_400:
        raise Invalid("a fault is 1 to 1000 refused bodies within 10 seconds to a day")


_CHECKS = {
    Condition.ABOVE: (_check_threshold, _check_holding),
    Condition.BELOW: (_check_threshold, _check_holding),
    Condition.RISES: (_check_rate, _check_threshold),
    Condition.FALLS: (_check_rate, _check_threshold),
    Condition.TEXT: (_check_text, _check_holding),
    Condition.IS: (_check_holding,),
    Condition.SILENT: (_check_silence,),
    Condition.FAULT: (_check_fault,),
}


@dataclass(frozen=True, slots=True)
class Window:
    """On these days (Monday is 0), from `start` up to `end` as `HH:MM`; it ends on the next day when end <= start."""

    days: tuple[int, ...]
    start: str
    end: str

    def covers(self, at: datetime) -> bool:
        """`at` in the schedule's zone."""
        begins, ends, clock = time.fromisoformat(self.start), time.fromisoformat(self.end), at.time()
        if begins < ends:
            return at.weekday() in self.days and begins <= clock < ends
        yesterday = (at.weekday() - 1) % 7
        return (at.weekday() in self.days and clock >= begins) or (yesterday in self.days and clock < ends)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a rule may fire; without windows always."""

    zone: str = "UTC"
    windows: tuple[Window, ...] = ()

    def covers(self, at: datetime) -> bool:
        if not self.windows:
            return True
        local = at.astimezone(_zone(self.zone))
        return any(window.covers(local) for window in self.windows)

    def checked(self) -> Self:
        _zone(self.zone)
        if len(self.windows) > MOST_WINDOWS:
            raise Invalid(f"a schedule has at most {MOST_WINDOWS} windows")
        for window in self.windows:
            _check_window(window)
        return self


def _check_window(window: Window) -> None:
    if not window.days or not set(window.days) <= set(range(7)):
        raise Invalid("a window's days are numbers from 0, Monday, to 6, Sunday")
    try:
        time.fromisoformat(window.start)
        time.fromisoformat(window.end)
    except ValueError as wrong:
        raise Invalid("a window's start and end are times such as 08:30") from wrong


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as unknown:
        raise Invalid(f"{name[:40]!r} is not a time zone such as Europe/Berlin") from unknown


@dataclass(frozen=True, slots=True)
class Wish:
    """A rule as somebody wants it."""

    name: str
    when: When
    metric: str = ""
    scope: Scope = Scope.HOME
    target: str = ""  # a device's key or a model
    severity: Severity = Severity.WARNING
    schedule: Schedule = field(default_factory=Schedule)
    cooldown_seconds: int = 1800
    tells_recovery: bool = True
    subject: str = ""  # a template; empty is SUBJECT
    channels: tuple[int, ...] = ()  # none: all of the home

    def checked(self) -> Self:
        name = " ".join(self.name.split())
        if not 1 <= len(name) <= MOST_NAME or not name.isprintable():
            raise Invalid(f"a rule's name has 1 to {MOST_NAME} printable characters")
        if self.when.kind not in WITHOUT_READINGS and not self.metric:
            raise Invalid("say which metric the rule is about")
        if self.when.kind is Condition.FAULT and self.metric:
            raise Invalid("a fault is about a whole device; leave the metric out")
        if len(self.metric) > MOST_TEXT or "\x00" in self.metric or "\x00" in self.target:
            raise Invalid("that metric or target has no possible name")
        if (self.scope is Scope.HOME) == bool(self.target):
            raise Invalid("name the device or model that the rule is for; a rule for the whole home names none")
        if not 0 <= self.cooldown_seconds <= 7 * 86_400:
            raise Invalid("a cool-down is 0 seconds to 7 days long")
        if len(self.channels) > MOST_CHANNELS:
            raise Invalid(f"a rule has at most {MOST_CHANNELS} channels")
        check_subject(self.subject)
        return replace(self, name=name, when=self.when.checked(), schedule=self.schedule.checked())


NAMED = ("severity", "rule", "device", "metric", "value", "threshold")


def check_subject(template: str) -> None:
    if len(template) > MOST_TEXT or not template.isprintable():
        raise Invalid(f"a subject has at most {MOST_TEXT} printable characters")
    rest = template
    for name in NAMED:
        rest = rest.replace(f"{{{name}}}", "")
    if "{" in rest or "}" in rest:
        raise Invalid(f"in a subject these are filled in: {', '.join(f'{{{name}}}' for name in NAMED)}")


def filled(template: str, **facts: str) -> str:
    """The subject; only known names are filled in, nothing in braces is evaluated."""
    for name in NAMED:
        template = template.replace(f"{{{name}}}", facts.get(name, ""))
    return " ".join(template.split())


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it is kept."""

    id: int
    uid: str
    home_id: int
    wish: Wish
    is_enabled: bool
    armed_at: datetime  # enabled or changed: what was read before does not count
    muted_until: datetime | None
    created_at: datetime
    changed_at: datetime
    origin: str | None = None  # of a rule that another feature keeps: the name that it has there

    def is_muted(self, now: datetime) -> bool:
        return self.muted_until is not None and now < self.muted_until

    @property
    def cooldown(self) -> timedelta:
        return timedelta(seconds=self.wish.cooldown_seconds)


@dataclass(frozen=True, slots=True)
class Incident:
    """One period in which a rule's condition held for one device; `times` it held, with pauses within a cool-down."""

    id: int
    uid: str
    home_id: int
    rule_id: int | None
    rule_uid: str
    rule_name: str
    rule_text: str  # as the rule read when it fired
    severity: Severity
    device_id: int | None
    device_key: str
    device_name: str
    metric: str
    opened_at: datetime  # by the readings' time
    noticed_at: datetime  # by the hub's clock
    cleared_at: datetime | None
    why_cleared: str
    times: int
    value: str  # that fired last
    threshold: str
    evidence: list[dict[str, Any]]
    acked_at: datetime | None
    acked_by: str
    note: str

    @property
    def is_open(self) -> bool:
        return self.cleared_at is None


# In words


def as_text(value: float | str | None) -> str:
    """A value as people write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return value if isinstance(value, str) else f"{value:.6g}"


def span_text(seconds: float) -> str:
    """`90 s`, `5 min`, `2 h`, `3 days`."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            whole = int(seconds // length)
            return f"{whole} {'day' if unit == 'days' and whole == 1 else unit}"
    return f"{seconds:g} s"


def in_words(wish: Wish) -> str:
    """`temp_inside_c at or above 30 for 5 min`."""
    return f"{_said(wish.when, wish.metric)}{_holding(wish.when)}"


def _holding(when: When) -> str:
    if when.of:
        return f" in {when.times} of {when.of} readings"
    return f" for {span_text(when.for_seconds)}" if when.for_seconds else ""


def _clear(when: When, word: str) -> str:
    return "" if when.clear in (None, when.threshold) else f" (until {word} {as_text(when.clear)})"


def _said(when: When, metric: str) -> str:  # noqa: PLR0911  one line for each kind
    match when.kind:
        case Condition.ABOVE:
            return f"{metric} at or above {as_text(when.threshold)}{_clear(when, 'below')}"
        case Condition.BELOW:
            return f"{metric} at or below {as_text(when.threshold)}{_clear(when, 'above')}"
        case Condition.RISES | Condition.FALLS:
            rate = f"{as_text(when.threshold)} per {when.per}"
            return f"{metric} {when.kind} by {rate} or more over {span_text(when.window_seconds)}"
        case Condition.TEXT:
            return f"{metric} {'is like' if when.match == 'like' else when.match} “{when.text}”"
        case Condition.IS:
            return f"{metric} is {as_text(when.state)}"
        case Condition.SILENT:
            return f"no {metric or 'reading'} for {span_text(when.seconds)}"
        case Condition.FAULT:
            return f"sensor fault: {when.count} refused readings within {span_text(when.window_seconds)}"


def threshold_text(when: When) -> str:
    """What was compared with, for a notice."""
    if when.kind in (Condition.ABOVE, Condition.BELOW):
        return as_text(when.threshold)
    if when.kind in BY_RATE:
        return f"{as_text(when.threshold)} per {when.per}"
    if when.kind is Condition.TEXT:
        return when.text
    if when.kind is Condition.SILENT:
        return span_text(when.seconds)
    return f"{when.count} in {span_text(when.window_seconds)}" if when.kind is Condition.FAULT else as_text(when.state)


def kept(wish: Wish) -> dict[str, Any]:
    """As JSON in the database and in the API."""
    return asdict(wish)


def of_kept(given: Mapping[str, Any]) -> Wish:
    """The opposite of `kept`."""
    when: dict[str, Any] = {**given["when"], "kind": Condition(given["when"]["kind"])}
    schedule = given["schedule"]
    windows = tuple(Window(tuple(one["days"]), one["start"], one["end"]) for one in schedule["windows"])
    facts: dict[str, Any] = {
        **given,
        "when": When(**when),
        "scope": Scope(given["scope"]),
        "severity": Severity(given["severity"]),
        "schedule": Schedule(schedule["zone"], windows),
        "channels": tuple(given["channels"]),
    }
    return Wish(**facts)
