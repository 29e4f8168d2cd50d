"""A rule as a person fills it in: words for every kind of condition, and what was typed turned into a wish."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from waystation.alerts.model import (
    NUMERIC,
    WITHOUT_READINGS,
    Condition,
    Match,
    Per,
    Schedule,
    Scope,
    Severity,
    When,
    Window,
    Wish,
    as_text,
)
from waystation.kernel.errors import Invalid

Typed = Mapping[str, Sequence[str]]
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WITH_HOLDING = frozenset({Condition.ABOVE, Condition.BELOW, Condition.TEXT, Condition.IS})


@dataclass(frozen=True, slots=True)
class About:
    """What a person reads of a kind of condition."""

    title: str
    example: str


KINDS: Mapping[Condition, About] = {
    Condition.ABOVE: About("A value is too high", "warmer than 30 °C"),
    Condition.BELOW: About("A value is too low", "battery at or below 20 %"),
    Condition.SILENT: About("A device is silent", "nothing heard for 15 minutes"),
    Condition.RISES: About("A value rises too fast", "5 °C within ten minutes"),
    Condition.FALLS: About("A value falls too fast", "the tank empties"),
    Condition.IS: About("Something is on or off", "the door is open"),
    Condition.TEXT: About("A text says something", "the state contains “error”"),
    Condition.FAULT: About("A sensor is faulty", "its readings are refused again and again"),
}
DRAFTS: Mapping[Condition, When] = {
    Condition.SILENT: When(Condition.SILENT, seconds=900),
    Condition.RISES: When(Condition.RISES, window_seconds=600, per="minute"),
    Condition.FALLS: When(Condition.FALLS, window_seconds=600, per="minute"),
    Condition.FAULT: When(Condition.FAULT, count=5, window_seconds=600),
}


def draft(kind: Condition) -> dict[str, Any]:
    """The form before anything is typed into it."""
    return typed_of(Wish("", DRAFTS.get(kind, When(kind))))


def typed_of(wish: Wish) -> dict[str, Any]:
    """What stands in the form of this rule; times are minutes."""
    when, window = wish.when, wish.schedule.windows[0] if wish.schedule.windows else None
    return {
        "kind": when.kind.value,
        "name": wish.name,
        "metric": wish.metric,
        "scope": wish.scope.value,
        "device": wish.target if wish.scope is Scope.DEVICE else "",
        "model": wish.target if wish.scope is Scope.MODEL else "",
        "threshold": as_text(when.threshold),
        "clear": as_text(when.clear),
        "for_minutes": _minutes(when.for_seconds),
        "times": str(when.times or ""),
        "of": str(when.of or ""),
        "window_minutes": _minutes(when.window_seconds),
        "per": when.per,
        "match": when.match,
        "text": when.text,
        "state": "on" if when.state else "off",
        "silent_minutes": _minutes(when.seconds),
        "count": str(when.count or ""),
        "severity": wish.severity.value,
        "cooldown_minutes": _minutes(wish.cooldown_seconds) or "0",
        "recovery": wish.tells_recovery,
        "subject": wish.subject,
        "channels": [str(number) for number in wish.channels],
        "scheduled": window is not None,
        "days": [str(day) for day in (window.days if window else range(7))],
        "start": window.start if window else "08:00",
        "end": window.end if window else "20:00",
        "zone": wish.schedule.zone,
        "windows": len(wish.schedule.windows),
    }


def again(typed: Typed, before: Wish | None) -> dict[str, Any]:
    """What was typed, to be shown once more with the reason why it was refused."""
    several = ("days", "channels")
    shown = {name: values[0] if values else "" for name, values in typed.items() if name not in several}
    kind = Condition(shown["kind"])
    boxes = {"recovery": "recovery" in typed, "scheduled": "scheduled" in typed}
    lists = {name: list(typed.get(name, ())) for name in several}
    return {**draft(kind), **shown, **boxes, **lists, "windows": len(before.schedule.windows) if before else 0}


def kind_of(text: str) -> Condition:
    try:
        return Condition(text)
    except ValueError:
        raise Invalid(f"a condition is one of {', '.join(Condition)}") from None


def wish_of(typed: Typed, before: Wish | None) -> Wish:
    """Invalid with the reason. Of `before` stays what the form does not show."""
    scope = Scope(_one(typed, "scope", Scope.HOME, list(Scope)))
    target = "" if scope is Scope.HOME else _one(typed, "device" if scope is Scope.DEVICE else "model").strip()
    if scope is not Scope.HOME and not target:
        raise Invalid(f"say which {scope.value} the rule is for")
    wish = Wish(
        name=_one(typed, "name"),
        when=_when(typed),
        metric=_one(typed, "metric").strip(),
        scope=scope,
        target=target,
        severity=Severity(_one(typed, "severity", Severity.WARNING, list(Severity))),
        schedule=_schedule(typed, before),
        cooldown_seconds=round(_number(typed, "cooldown_minutes", "the cool-down", 30) * 60),
        tells_recovery="recovery" in typed,
        subject=_one(typed, "subject").strip(),
        channels=tuple(sorted(_whole(one, "a channel") for one in typed.get("channels", ()))),
    )
    return wish.checked()


def _when(typed: Typed) -> When:
    kind = kind_of(_one(typed, "kind"))
    when = When(kind, per=cast(Per, _one(typed, "per", "minute", ["minute", "hour"])))
    if kind in NUMERIC:
        clear = _one(typed, "clear").strip()
        limit = _number(typed, "threshold", "the threshold")
        when = replace(when, threshold=limit, clear=_number(typed, "clear", "the end") if clear else None)
    if kind in WITH_HOLDING:
        held = _number(typed, "for_minutes", "the time for which it must be so", 0) * 60
        marks = (_count(typed, "times", "the number of readings"), _count(typed, "of", "the number of readings"))
        when = replace(when, for_seconds=held, times=marks[0], of=marks[1])
    window = _number(typed, "window_minutes", "the window", 0) * 60
    silence = _number(typed, "silent_minutes", "the silence", 0) * 60
    return replace(
        when,
        window_seconds=window,
        seconds=silence,
        count=_count(typed, "count", "the number of refused readings"),
        match=cast(Match, _one(typed, "match", "equals", ["equals", "contains", "like"])),
        text=_one(typed, "text"),
        state=_one(typed, "state", "on", ["on", "off"]) == "on",
    ).checked()


def _schedule(typed: Typed, before: Wish | None) -> Schedule:
    """A schedule of several windows was made by a program; the form leaves it alone."""
    if before is not None and len(before.schedule.windows) > 1:
        return before.schedule
    if "scheduled" not in typed:
        return Schedule()
    days = tuple(sorted(_whole(day, "a day") for day in typed.get("days", ())))
    window = Window(days, _one(typed, "start").strip(), _one(typed, "end").strip())
    return Schedule(_one(typed, "zone").strip() or "UTC", (window,)).checked()


def _one(typed: Typed, name: str, default: str = "", choices: Sequence[str] = ()) -> str:
    value = (typed.get(name) or (default,))[0]
    if choices and value not in choices:
        raise Invalid(f"{name} is one of {', '.join(choices)}")
    return value


def _number(typed: Typed, name: str, words: str, default: float | None = None) -> float:
    text = _one(typed, name).strip().replace(",", ".")
    if not text and default is not None:
        return default
    try:
        return float(text)
    except ValueError:
        raise Invalid(f"{words} is a number") from None


def _count(typed: Typed, name: str, words: str) -> int:
    text = _one(typed, name).strip()
    return _whole(text, words) if text else 0


def _whole(text: str, words: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise Invalid(f"{words} is a whole number")
    return int(text)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.10g}" if seconds else ""


def needs_metric(kind: Condition) -> bool:
    return kind not in WITHOUT_READINGS
