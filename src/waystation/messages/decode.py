"""What devices write, as messages: one JSON object, an array of them or NDJSON; all of it good, or nothing taken."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, cast

import msgspec

from waystation.kernel.clock import from_micros
from waystation.kernel.errors import Invalid, TooLarge
from waystation.kernel.own_time import own_time
from waystation.kernel.settings import Settings
from waystation.messages.model import DEFAULT_TYPE, MOST_CONTENT, NewMessage, Severity, severity_of

MOST_LINES = 500

Content = Annotated[str, msgspec.Meta(max_length=MOST_CONTENT)]


class Line(msgspec.Struct):
    """One message as it stands on the wire."""

    content: Content
    at: int | float | str | None = None
    severity: str | None = None
    type: str | None = None


ONE = msgspec.json.Decoder(Line)
MANY = msgspec.json.Decoder(list[Line])


def messages(body: bytes, now: int, settings: Settings) -> list[NewMessage]:
    """The messages of one call; `now` is microseconds.

    Anything wrong refuses the whole body, with a sentence that names the message, counted from 1.
    """
    lines = _lines(body)
    if not lines:
        raise Invalid("the body holds no message")
    if len(lines) > MOST_LINES:
        raise TooLarge(f"this call carries {len(lines)} messages; at most {MOST_LINES} are taken at once")
    return [_message(line, number, now, settings) for number, line in enumerate(lines, 1)]


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


def _message(line: Line, number: int, now: int, settings: Settings) -> NewMessage:
    try:
        severity = Severity.INFO if line.severity is None else severity_of(line.severity)
        return NewMessage(_time(line.at, now, settings), severity, line.type or DEFAULT_TYPE, line.content).checked()
    except Invalid as fault:
        raise Invalid(f"message {number}: {fault.sentence}") from fault


def _time(given: float | str | None, now: int, settings: Settings) -> Any:
    if given is None:
        return None
    try:
        bounds = {"past_days": settings.max_past_days, "future_seconds": settings.max_future_seconds}
        return from_micros(own_time(given, now, **bounds))
    except Invalid as fault:
        raise Invalid(f"at {fault.sentence}") from fault


def _explained(body: bytes, fault: Exception) -> str:
    """Looks again at a body that was refused, slowly and leniently, for words that help its sender."""
    try:
        for number, line in enumerate(_lenient_lines(body), 1):
            if wrong := _wrong_with(line):
                return f"message {number} {wrong}"
    except (ValueError, RecursionError, TypeError):
        pass
    if isinstance(fault, RecursionError):
        return "the body is nested too deeply"
    if isinstance(fault, msgspec.ValidationError):
        return f"the body is not messages: {str(fault)[:100]}"
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
    """What is wrong with a message, or None when that is not for the structure to say."""
    try:
        msgspec.convert(line, Line)
    except msgspec.ValidationError as fault:
        content = cast("dict[str, Any]", line).get("content") if isinstance(line, dict) else None
        if isinstance(content, str) and len(content) > MOST_CONTENT:
            return f"has a content of more than {MOST_CONTENT} characters"
        return f"is not one: {str(fault)[:100]}"
    return None
