"""What devices write, as samples: one JSON object, an array of them or NDJSON; all of it good, or nothing taken."""

import json
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast

import msgspec

from waystation.kernel.clock import from_micros, iso, micros, parse_iso
from waystation.kernel.errors import Invalid, TooLarge
from waystation.telemetry.model import Sample

METRIC = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
METRIC_RULE = "a letter or _, then at most 63 of letters, digits, _ . : -"
LONGEST_TEXT = 4096
MOST_KNOWN_METRICS = 20_000

Value = float | bool | Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT)] | None


class Line(msgspec.Struct):
    """One reading as it stands on the wire."""

    values: dict[str, Value]
    at: int | float | str | None = None


ONE = msgspec.json.Decoder(Line)
MANY = msgspec.json.Decoder(list[Line])


@dataclass(frozen=True, slots=True)
class Limits:
    """How far from now a device's own time may be, and how much one call may carry."""

    max_past_days: int = 3650
    max_future_seconds: int = 86_400
    max_values: int = 10_000
    max_unpacked_bytes: int = 8 * 1_048_576


def unpacked(body: bytes, encoding: bytes, limits: Limits) -> bytes:
    """The body without its Content-Encoding; a gzip bomb is given up at the limit, before it takes memory."""
    if encoding in (b"", b"identity"):
        return body
    if encoding not in (b"gzip", b"x-gzip"):
        raise Invalid(f"Content-Encoding {encoding[:20].decode('latin-1')!r} is not understood; send gzip or none")
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(body, limits.max_unpacked_bytes + 1)
    except zlib.error as fault:
        raise Invalid("the body is not gzip, though its Content-Encoding says so") from fault
    if len(plain) > limits.max_unpacked_bytes:
        raise TooLarge(f"the unpacked body is larger than {limits.max_unpacked_bytes} bytes; send it in parts")
    if not stream.eof or stream.unused_data:
        raise Invalid("the gzip body is cut short or has something behind it")
    return plain


def samples(body: bytes, now: int, limits: Limits) -> list[Sample]:
    """The readings of one call, those with nothing but nulls left out; `now` and the times given back are microseconds.

    Anything wrong refuses the whole body, with a sentence that names the reading (counted from 1) and the metric.
    """
    lines = _lines(body)
    if not lines:
        raise Invalid("the body holds no reading")
    _refuse_too_many(lines, limits)
    taken = (_sample(line, number, now, limits) for number, line in enumerate(lines, 1))
    return [sample for sample in taken if sample.values]


def _lines(body: bytes) -> Sequence[Line]:
    try:
        if body.lstrip()[:1] == b"[":
            return MANY.decode(body)
        return _one_or_ndjson(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Invalid(_explained(body, fault)) from fault


def _one_or_ndjson(body: bytes) -> Sequence[Line]:
    try:
        return [ONE.decode(body)]
    except msgspec.DecodeError:
        if b"\n" not in body.strip():
            raise
        return ONE.decode_lines(body)


def _refuse_too_many(lines: Sequence[Line], limits: Limits) -> None:
    count = sum(len(line.values) for line in lines)
    if count > limits.max_values:
        raise TooLarge(f"this call carries {count} values; at most {limits.max_values} are taken at once")


_known_metrics: set[str] = set()


def _sample(line: Line, number: int, now: int, limits: Limits) -> Sample:
    values = line.values
    if not values:
        raise Invalid(f"reading {number} has no values")
    if not values.keys() <= _known_metrics:
        _learn(values, number)
    absent = False
    for metric, value in values.items():
        if value is None:
            absent = True
        elif value.__class__ is str and "\x00" in cast("str", value):
            raise Invalid(f"reading {number}: value of {metric!r} contains a NUL character")
    given = {metric: value for metric, value in values.items() if value is not None} if absent else values
    at = None if line.at is None else _time(line.at, number, now, limits)
    return Sample(at, cast("dict[str, float | bool | str]", given))


def _learn(values: dict[str, Value], number: int) -> None:
    for metric in values:
        if METRIC.fullmatch(metric) is None:
            raise Invalid(f"reading {number}: {metric[:80]!r} is not a metric's name: {METRIC_RULE}")
    if len(_known_metrics) > MOST_KNOWN_METRICS:  # someone makes up names; start again rather than grow
        _known_metrics.clear()
    _known_metrics.update(values)


def _time(given: float | str, number: int, now: int, limits: Limits) -> int:
    if isinstance(given, str):
        at = _iso_micros(given, number)
    else:
        at = given * 1000 if isinstance(given, int) else round(given * 1000)
    if at < now - limits.max_past_days * 86_400_000_000:
        raise Invalid(f"reading {number}: at {_shown(at, given)} is more than {limits.max_past_days} days ago")
    if at > now + limits.max_future_seconds * 1_000_000:
        raise Invalid(f"reading {number}: at {_shown(at, given)} is more than {limits.max_future_seconds} s ahead")
    return at


def _iso_micros(given: str, number: int) -> int:
    try:
        return micros(parse_iso(given))
    except Invalid as fault:
        raise Invalid(f"reading {number}: at {fault.sentence}") from fault


def _shown(at: int, given: float | str) -> str:
    """The time as understood: epoch seconds sent for milliseconds show as 1970."""
    try:
        return f"{iso(from_micros(at))} ({str(given)[:40]})"
    except (OverflowError, ValueError):
        return str(given)[:40]


def _explained(body: bytes, fault: Exception) -> str:
    """Looks again at a body that was refused, slowly and leniently, for words that help its sender."""
    try:
        for number, line in enumerate(_lenient_lines(body), 1):
            if wrong := _wrong_with(line):
                return f"reading {number}{wrong}"
    except (ValueError, RecursionError):
        pass
    if isinstance(fault, RecursionError):
        return "the body is nested too deeply"
    if isinstance(fault, msgspec.ValidationError):
        return f"the body is not readings: {str(fault)[:100]}"
    return f"the body is not JSON: {str(fault).removeprefix('JSON is malformed: ')[:100]}"


def _lenient_lines(body: bytes) -> Iterator[Any]:
    if body.lstrip()[:1] == b"[":
        yield from json.loads(body)
        return
    try:
        yield json.loads(body)
    except ValueError:
        yield from (json.loads(line) for line in body.splitlines() if line.strip())


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
