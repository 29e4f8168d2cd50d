"""What devices write, as samples: one JSON object, an array of them or NDJSON; all of it good, or nothing taken."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, cast

import msgspec

from waystation.kernel.errors import Invalid, TooLarge
from waystation.kernel.own_time import own_time
from waystation.kernel.records import Records, lenient, reason
from waystation.telemetry.model import Sample

METRIC = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
METRIC_RULE = "a letter or _, then at most 63 of letters, digits, _ . : -"
LONGEST_TEXT = 4096
MOST_KNOWN_METRICS = 20_000

Value = float | bool | Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT)] | None


class Line(msgspec.Struct, gc=False):
    """One reading as it stands on the wire."""

    values: dict[str, Value]
    at: int | float | str | None = None


LINES = Records(Line)


@dataclass(frozen=True, slots=True)
class Limits:
    """How far from now a device's own time may be, and how much one call may carry."""

    max_past_days: int = 3650
    max_future_seconds: int = 86_400
    max_values: int = 10_000
    max_unpacked_bytes: int = 8 * 1_048_576


class Span(NamedTuple):
    """When a device's own time may surely lie, in whole milliseconds."""

    first: int
    last: int


def samples(body: bytes, now: int, limits: Limits) -> list[Sample]:
    """The readings of one call, those with nothing but nulls left out; `now` and the times given back are microseconds.

    Anything wrong refuses the whole body, with a sentence that names the reading (counted from 1) and the metric.
    """
    lines = _lines(body)
    if not lines:
        raise Invalid("the body holds no reading")
    _refuse_too_many(lines, limits)
    span = Span(now // 1000 - limits.max_past_days * 86_400_000 + 1, now // 1000 + limits.max_future_seconds * 1000)
    taken = [_sample(line, number, now, limits=limits, span=span) for number, line in enumerate(lines, 1)]
    return [sample for sample in taken if sample.values]


def _lines(body: bytes) -> Sequence[Line]:
    try:
        return LINES.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Invalid(_explained(body, fault)) from fault


def _refuse_too_many(lines: Sequence[Line], limits: Limits) -> None:
    count = sum([len(line.values) for line in lines])
    if count > limits.max_values:
        raise TooLarge(f"this call carries {count} values; at most {limits.max_values} are taken at once")


_known_metrics: set[str] = set()


def _sample(line: Line, number: int, now: int, *, limits: Limits, span: Span) -> Sample:
    """Done for every reading: the usual one, whole milliseconds and numbers under known names, takes the short way."""
    values, at = line.values, line.at
    if not values:
        raise Invalid(f"reading {number} has no values")
    usual = True
    for metric, value in values.items():
        if metric not in _known_metrics:
            _learn(values, number)
        usual = usual and value.__class__ is float
    given = values if usual else _looked_at(values, number)
    if at.__class__ is int and span.first <= cast("int", at) <= span.last:
        at = cast("int", at) * 1000
    elif at is not None:
        at = _time(at, number, now, limits)
    return Sample(at, cast("dict[str, float | bool | str]", given))


def _looked_at(values: dict[str, Value], number: int) -> dict[str, Value]:
    """Without nulls."""
    absent = False
    for metric, value in values.items():
        if value is None:
            absent = True
        elif value.__class__ is str and "\x00" in cast("str", value):
            raise Invalid(f"reading {number}: value of {metric!r} contains a NUL character")
    return {metric: value for metric, value in values.items() if value is not None} if absent else values


def _learn(values: dict[str, Value], number: int) -> None:
    for metric in values:
        if METRIC.fullmatch(metric) is None:
            raise Invalid(f"reading {number}: {metric[:80]!r} is not a metric's name: {METRIC_RULE}")
    if len(_known_metrics) > MOST_KNOWN_METRICS:  # someone makes up names; start again rather than grow
        _known_metrics.clear()
    _known_metrics.update(values)


def _time(given: float | str, number: int, now: int, limits: Limits) -> int:
    try:
        return own_time(given, now, past_days=limits.max_past_days, future_seconds=limits.max_future_seconds)
    except Invalid as fault:
        raise Invalid(f"reading {number}: at {fault.sentence}") from fault


def _explained(body: bytes, fault: Exception) -> str:
    """Looks again at a body that was refused, slowly and leniently, for words that help its sender."""
    try:
        for number, line in enumerate(lenient(body), 1):
            if wrong := _wrong_with(line):
                return f"reading {number}{wrong}"
    except (ValueError, RecursionError):
        pass
    return reason(fault, "readings")


def _wrong_with(line: Any) -> str | None:
    if not isinstance(line, dict):
        return " is not an object with values"
    reading = cast("dict[str, Any]", line)
    if not isinstance(reading.get("values"), dict):
        return ' has no "values" object'
    if not _is_number(reading.get("at", 0)) and not isinstance(reading["at"], str | None):
        return ": at is neither ISO 8601 text nor finite epoch milliseconds"
    faults = ((metric, _wrong_value(value)) for metric, value in reading["values"].items())
    return next((f": value of {metric[:80]!r} {wrong}" for metric, wrong in faults if wrong), None)


def _wrong_value(value: Any) -> str | None:
    if isinstance(value, bool | None):
        return None
    if isinstance(value, str):
        return f"is text of more than {LONGEST_TEXT} characters" if len(value) > LONGEST_TEXT else None
    if not isinstance(value, int | float):
        return "is nested; a value is a number, a boolean or text"
    return None if _is_number(value) else "is not finite"


def _is_number(value: Any) -> bool:
    """A number that a float64 holds; JSON's own NaN and Infinity and what overflows (1e999) are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
