"""What JunctionRelay clients send, and what they are answered (contract sections 4.3 and 4.5); pure."""

import base64
import binascii
import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from waystation.devices import Pair
from waystation.kernel.errors import Invalid

PREFIXES = ("/cloud/devices", "/cloud-devices")
LONGEST_TOKEN = 200
MOST_HEALTH_BYTES = 1 << 20
MOST_VALUES = 256
LEAST_SEALED_BYTES = 61  # key 33, IV 12, tag 16
COMPRESSED = (2, 3)
CLOCK = 10**9  # an `uptime` above this is the time of day: what some clients send when their statistics fail

STATUS, BATTERY, SEALED, RAW = "health_status", "battery_level", "sensor_data_encrypted", "sensor_data_raw"
NOT_IN_A_METRIC = re.compile(r"[^A-Za-z0-9_.:-]+")
LONGEST_METRIC = 64
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)

Fields = dict[str, Any]
Value = float | bool | str


@dataclass(frozen=True, slots=True)
class Report:
    """One health report: what the device says of itself, what it measured, and what only a private key opens."""

    about: dict[str, Value]
    values: dict[str, Value]
    at: str | None
    sealed: str | None = None


def fields(body: bytes) -> Fields:
    """The body's object with its keys in lower case (JR-3); Invalid when it is none."""
    try:
        given = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        given = _leniently(body)
    if not isinstance(given, dict):
        raise Invalid("the body is not a JSON object")
    return {key.lower(): value for key, value in cast("Fields", given).items()}


def _leniently(body: bytes) -> Any:
    """Python's own JSON takes NaN, Infinity and halves of surrogate pairs as well; some clients are Python."""
    try:
        return json.loads(body)
    except RecursionError as fault:
        raise Invalid("the body is nested too deeply") from fault
    except ValueError as fault:
        raise Invalid("the body is not JSON") from fault


def text(given: Fields, name: str) -> str:
    """Invalid when it is missing or empty. A number is taken as its digits."""
    value = given.get(name.lower())
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 64:
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise Invalid(f"{name} is missing")
    return value.strip()


def optional_text(given: Fields, name: str) -> str:
    value = given.get(name.lower())
    return value[:LONGEST_TOKEN] if isinstance(value, str) else ""


def could_be_ours(token: str) -> bool:
    """What cannot have been given out need not be looked up."""
    return len(token) <= LONGEST_TOKEN and token.isascii() and token.isprintable()


def when(at: datetime) -> str:
    """JR-9: no fraction, explicit offset, UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def registered(pair: Pair) -> Fields:
    return {
        "success": True,
        "deviceJwt": pair.access,
        "refreshToken": pair.refresh,
        "expiresAt": when(pair.access_expires_at),
        "refreshTokenExpiresAt": when(pair.refresh_expires_at),
    }


def refreshed(pair: Pair) -> Fields:
    return {"success": True, "token": pair.access, "expiresAt": when(pair.access_expires_at)}


def rotated(pair: Pair) -> Fields:
    more = {"refreshToken": pair.refresh, "refreshTokenExpiresAt": when(pair.refresh_expires_at)}
    return {**refreshed(pair), **more}


def report(body: bytes) -> Report:
    """Whatever `SensorData` holds becomes something (JR-16); only a body that is no JSON object is Invalid."""
    given = fields(body)
    about: dict[str, Value] = {STATUS: _as_text(given.get("status")) or "unknown"}
    battery = _value(given.get("batterylevel"))
    if battery is not None:
        about[BATTERY] = battery
    at = given.get("timestamp")
    values, sealed = sensed(given.get("sensordata"))
    return Report(about, values, at if isinstance(at, str) else None, sealed)


def sensed(given: Any) -> tuple[dict[str, Value], str | None]:
    """Readings and ciphertext, decided in the order of contract section 4.5."""
    if isinstance(given, dict):
        return readings(cast("Fields", given)), None
    if given is None or given == "":
        return {}, None
    if not isinstance(given, str):
        return {RAW: _as_text(given)}, None
    if given.startswith("{"):
        parsed = _object(given)
        return ({RAW: _clean(given)}, None) if parsed is None else (readings(parsed), None)
    if is_sealed(given):
        return {SEALED: given}, given
    return {RAW: _clean(given)}, None


def opened(plain: bytes) -> dict[str, Value]:
    """The readings of a decrypted report; none when it is no object."""
    parsed = _object(plain.decode("utf-8", "replace"))
    return {} if parsed is None else readings(parsed)


def is_sealed(given: str) -> bool:
    try:
        message = base64.b64decode(given, validate=True)
    except (ValueError, binascii.Error):
        return False
    return len(message) >= LEAST_SEALED_BYTES and message[0] in COMPRESSED


def readings(given: Fields) -> dict[str, Value]:
    """Metrics under their own names, cleaned where ours are stricter.

    A number in text becomes a number; the text is kept beside it as `<metric>_text` unless the number, written plainly,
    says the same (`"23.5"` does, `"023.50"` does not). Nested values are kept as JSON text, nulls are left out.
    """
    if len(given) > MOST_VALUES:
        return {RAW: _as_text(given)}
    found: dict[str, Value] = {}
    for key, raw in given.items():
        value = _value(raw)
        if value is None:
            continue
        if key == "uptime" and _is_number(value) and float(value) > CLOCK:
            key = "device_clock"  # noqa: PLW2901
        metric = _free(metric_of(key), found)
        found[metric] = value
        if isinstance(raw, str) and not isinstance(value, str) and _plain(value) != raw:
            found[_free(f"{metric[: LONGEST_METRIC - 5]}_text", found)] = _clean(raw)
    return found


def metric_of(key: str) -> str:
    """`CPU temp °C` is `CPU_temp_C`; what does not begin with a letter or `_` gets a `_` in front."""
    name = NOT_IN_A_METRIC.sub("_", key).strip("_") or "value"
    return (name if name[0].isascii() and (name[0].isalpha() or name[0] == "_") else f"_{name}")[:LONGEST_METRIC]


def _free(metric: str, taken: dict[str, Value]) -> str:
    """Two keys that are one when cleaned stay two."""
    number, free = 2, metric
    while free in taken:
        free = f"{metric[: LONGEST_METRIC - 4]}_{number}"
        number += 1
    return free


def _value(raw: Any) -> Value | None:
    """As it is stored; None for a null."""
    if raw is None or isinstance(raw, bool):
        return raw
    if isinstance(raw, int | float):
        number = _finite(raw)
        return _as_text(raw) if number is None else number
    if not isinstance(raw, str):
        return _as_text(raw)
    number = _finite(raw) if NUMBER.fullmatch(raw.strip()) else None
    return _clean(raw) if number is None else number


def _finite(raw: float | str) -> float | None:
    try:
        number = float(raw)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(number: Value) -> str:
    """`23.0` as `23`."""
    written = repr(number)
    return written.removesuffix(".0")


def _object(given: str) -> Fields | None:
    """Python's own JSON has NaN and Infinity, and so have the reports of Python clients."""
    try:
        parsed = json.loads(given)
    except (ValueError, RecursionError):
        return None
    return cast("Fields", parsed) if isinstance(parsed, dict) else None


def _as_text(raw: Any) -> str:
    if raw is None:
        return ""
    return _clean(raw if isinstance(raw, str) else json.dumps(raw, separators=(",", ":"), ensure_ascii=False))


def _clean(given: str) -> str:
    """As a database can hold it: PostgreSQL has no NUL in a text, and no half of a pair stands alone in UTF-8."""
    return given.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
