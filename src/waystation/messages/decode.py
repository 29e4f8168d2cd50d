"""What devices write, as messages: one JSON object, an array of them or NDJSON; all of it good, or nothing taken."""

from collections.abc import Sequence
from typing import Annotated, Any, cast

import msgspec

from waystation.kernel.clock import from_micros
from waystation.kernel.errors import Invalid, TooLarge
from waystation.kernel.own_time import own_time
from waystation.kernel.records import Records, lenient, reason
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


LINES = Records(Line)


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
        return LINES.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Invalid(_explained(body, fault)) from fault


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
        for number, line in enumerate(lenient(body), 1):
            if wrong := _wrong_with(line):
                return f"message {number} {wrong}"
    except (ValueError, RecursionError, TypeError):
        pass
    return reason(fault, "messages")


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
