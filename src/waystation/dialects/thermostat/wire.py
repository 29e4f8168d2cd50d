"""What the thermostat's firmware sends and what its scripts read (contract sections 4.2 and 5.3)."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from waystation.kernel.clock import from_micros, parse_iso
from waystation.kernel.errors import Invalid

REQUIRED = ("mode", "setpoint_c", "temp_inside_c")
NUMBERS = ("temp_inside_c", "temp_outside_c", "setpoint_c", "hysteresis_c", "humidity_percent")
TEXTS = {"mode": 16, "output": 64}
RAW = "raw_payload"
DEVICE_TS = "device_ts"
RATE_LIMITED = {"error": "rate_limit_exceeded", "message": "Too many requests. Please try again later."}
LONGEST_TIMESTAMP = 64
RANGE = re.compile(r"(\d{1,7}(?:\.\d{1,6})?|\.\d{1,6})([hd])")
HOURS = {"h": 1, "d": 24}
TRUE = {"1", "true", "yes", "y", "on"}
BODY = {
    "type": "object",
    "required": list(REQUIRED),
    "properties": {
        **{name: {"type": "number"} for name in NUMBERS},
        **{name: {"type": "string", "maxLength": longest} for name, longest in TEXTS.items()},
        "timestamp": {"type": "string"},
    },
}
ANSWER = {
    "type": "object",
    "required": ["status", "id", "server_ts"],
    "properties": {"status": {"const": "ok"}, "id": {"type": "integer"}, "server_ts": {"type": "string"}},
}

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Payload:
    """One good body: its fields that are present, as numbers and texts, and the time as the device wrote it."""

    fields: dict[str, float | str]
    device_ts: str | None
    device_ip: Any  # as it was sent, and no proof of anything
    raw: str

    @property
    def values(self) -> dict[str, float | bool | str]:
        """As metrics of the device; the raw payload keeps what has no metric of its own."""
        time = {} if self.device_ts is None else {"device_ts": self.device_ts}
        return {**self.fields, **time, RAW: self.raw}


def payload(body: bytes) -> Payload:
    """Invalid with the contract's texts for what is broken, missing, not finite or too long."""
    given = _object(body)
    missing = [name for name in REQUIRED if name not in given]
    if missing:
        raise Invalid(f"Missing required fields: {', '.join(missing)}")
    numbers = {name: _number(name, given[name]) for name in NUMBERS if _present(given, name)}
    texts = {name: _text(name, given[name], longest) for name, longest in TEXTS.items() if _present(given, name)}
    return Payload({**numbers, **texts}, _timestamp(given.get("timestamp")), given.get("device_ip"), body.decode())


def _object(body: bytes) -> Fields:
    try:
        given = msgspec.json.decode(body)
    except RecursionError as fault:
        raise Invalid("Invalid JSON: nested too deeply") from fault
    except (msgspec.MsgspecError, ValueError) as fault:
        raise Invalid(f"Invalid JSON: {str(fault)[:80]}") from fault
    return cast("Fields", given) if isinstance(given, dict) else {}


def _present(given: Fields, name: str) -> bool:
    return name in REQUIRED or given.get(name) is not None


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid(f"{name} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Invalid(f"{name} is not finite")
    return number


def _text(name: str, value: Any, longest: int) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise Invalid(f"{name} is not text")
    if len(value) > longest:
        raise Invalid(f"{name} has more than {longest} characters")
    return value


def _timestamp(value: Any) -> str | None:
    """The text when it is a time; an unreadable or impossible one counts as none."""
    if not isinstance(value, str) or len(value) > LONGEST_TIMESTAMP or "\x00" in value:
        return None
    return None if moment(value) is None else value


def moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_iso(text)
    except Invalid:
        return None


def stored(at: int) -> Fields:
    """The answer to a good post."""
    return {"status": "ok", "id": at, "server_ts": server_ts(at)}


def server_ts(at: int) -> str:
    return from_micros(at).astimezone(UTC).isoformat(timespec="microseconds")


def row(serial: str, at: int, raw: str) -> Fields:
    """One stored post as `query` shows it; its fields are read from the body again."""
    kept = payload(raw.encode())
    sent = moment(kept.device_ts)
    named = {name: kept.fields.get(name) for name in (*NUMBERS, *TEXTS)}
    return {
        "id": at,
        "device_id": serial,
        **named,
        "device_ts": None if sent is None else sent.isoformat(),
        "server_ts": server_ts(at),
        RAW: msgspec.Raw(raw.encode()),
    }


def recent_row(serial: str, at: int, raw: str) -> Fields:
    """One stored post as `recent` shows it: the device's time as it was sent, and in UTC."""
    shown = row(serial, at, raw)
    del shown[RAW]
    sent = payload(raw.encode()).device_ts
    return {**shown, "device_ts": sent, "device_ts_utc": shown["device_ts"]}


def hours(text: str) -> float:
    """`24h`, `7d`, `1.5h`."""
    match = RANGE.fullmatch(text.strip().lower())
    if match is None:
        raise Invalid("Invalid 'range' format, use like '24h' or '7d'")
    return float(match[1]) * HOURS[match[2]]


def number_of_rows(text: str | None, *, default: int, most: int) -> int:
    """Clamped; only what is no integer is refused."""
    try:
        return max(1, min(most, int(text) if text else default))
    except ValueError as fault:
        raise Invalid("Invalid 'limit', must be an integer") from fault


def boundary(name: str, text: str | None) -> datetime | None:
    if text is None or not text.strip():
        return None
    text = text.strip()
    found = moment(text.replace(" ", "+") if "T" in text else text)  # a `+` that nobody encoded arrives as a blank
    if found is None:
        raise Invalid(f"Invalid '{name}' datetime")
    return found


def is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in TRUE
