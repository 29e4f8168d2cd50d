"""Requests that nobody should send, for every route: where each field is, and all that is wrong to put there."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any
from urllib.parse import quote, urlencode

from fastapi.dependencies.models import Dependant
from fastapi.params import Form
from fastapi.routing import APIRoute
from tests.snapshots.access import VALID

from waystation.kernel.hot import Hot
from waystation.operation.map import Door

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
LONG = "x" * 1_000_000
DEEP = 10_000
HOLE = "\ufffd hole \ufffd"

VALUES: Mapping[str, str] = {
    "null": "null",
    "true": "true",
    "a number": "7",
    "a negative number": "-1",
    "a fraction": "0.5",
    "beyond 64 bits": "9223372036854775808",
    "10**30": "1" + "0" * 30,
    "1e999": "1e999",
    "5,000 digits": "9" * 5_000,
    "1e-400": "1e-400",
    "NaN": "NaN",
    "-Infinity": "-Infinity",
    "no text": '""',
    "a text": '"text"',
    "NaN as text": '"NaN"',
    "1e999 as text": '"1e999"',
    "10**30 as text": f'"{10**30}"',
    "NUL": '"a\\u0000b"',
    "half a surrogate pair": '"\\ud800"',
    "the 30th of February": '"2026-02-30T25:61:00Z"',
    "the first moment, in the east": '"0001-01-01T00:00:00+14:00"',
    "the last moment, in the west": '"9999-12-31T23:59:59.999999-14:00"',
    "a megabyte": f'"{LONG}"',
    "a list": "[]",
    "an object": "{}",
    "lists of lists": '[[[]], {"a": [null]}]',
    "a list of texts": '["a\\u0000b"]',
}
"""As JSON."""
DIFFER = ("NUL", "half a surrogate pair", "beyond 64 bits", "10**30", "10**30 as text", "1e999", "a list of texts")
"""What SQLite and PostgreSQL take differently."""
LARGE = ("a megabyte", "a gzip bomb", "an unknown field", "deep lists", "deep objects")
TEXTS: Mapping[str, str] = {
    "nothing": "",
    "a text": "text",
    "a negative number": "-1",
    "a fraction": "0.5",
    "beyond 64 bits": "9223372036854775808",
    "10**30": str(10**30),
    "5,000 digits": "9" * 5_000,
    "1e999": "1e999",
    "NaN": "NaN",
    "NUL": "a%00b",
    "bytes that are no UTF-8": "%ff%fe",
    "half a surrogate pair": "%ed%a0%80",
    "the 30th of February": "2026-02-30T25:61:00Z",
    "the first moment, in the east": "0001-01-01T00:00:00%2b14:00",
    "the last moment, in the west": "9999-12-31T23:59:59.999999-14:00",
    "the first day": "0001-01-01",
    "the last day": "9999-12-31",
    "a cursor of nobody": "AAAAAAAAAAAAAAAAAAAA",
    "20,000 characters": "x" * 20_000,
    "another folder": "../../etc/passwd",
    "JSON": quote('{"a":[1]}'),
}
"""As they stand in a query or a form, encoded."""
IN_PATHS: Mapping[str, str] = {
    **{name: TEXTS[name] for name in ("a text", "a negative number", "beyond 64 bits", "10**30", "5,000 digits")},
    "NUL": "a\0b",
    "bytes that are no UTF-8": "\ufffd\ufffd",
    "one too many": "999999999",
    "20,000 characters": "x" * 20_000,
    "a space": " ",
}
"""As a server hands them to the program."""
BODIES: Mapping[str, tuple[bytes, str]] = {
    "a list": (b"[]", JSON),
    "a list of lists": (b"[[]]", JSON),
    "a text": (b'"text"', JSON),
    "a number": (b"1", JSON),
    "null": (b"null", JSON),
    "half an object": (b'{"a":', JSON),
    "NaN alone": (b"NaN", JSON),
    "broken UTF-8": (b'{"a": "\xff\xfe"}', JSON),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), JSON),
    "deep lists": (b"[" * DEEP + b"]" * DEEP, JSON),
    "deep objects": (b'{"a":' * DEEP + b"1" + b"}" * DEEP, JSON),
    "a form": (b"a=1&b=2", FORM),
    "a form with NUL": (b"a=%00&%00=1", FORM),
    "a form of no charset": (b"a=1", f"{FORM}; charset=nonsense"),
    "broken multipart": (b"--x\r\nContent-Disposition: form-data\r\n\r\n1", "multipart/form-data; boundary=x"),
    "multipart without a boundary": (b"a", "multipart/form-data"),
    "a file for a text": (
        b'--x\r\nContent-Disposition: form-data; name="name"; filename="a"\r\n\r\n1\r\n--x--\r\n',
        "multipart/form-data; boundary=x",
    ),
    "many fields of a form": (b"a=1&" * 2_000, FORM),
    "no type": (b"{}", ""),
    "a foreign type": (b"{}", "application/x-nonsense"),
}
"""Whole bodies that fit nothing."""
ENVELOPES: Mapping[str, Any] = {"RefreshToken": "x", "DeviceId": "02:FC:00:00:00:09"}
KNOWN: Mapping[str, Mapping[str, Any]] = {
    **{f"POST /cloud{between}devices/{call}": ENVELOPES for between in "/-" for call in ("refresh", "refresh-rotate")},
    **{
        f"POST /cloud{between}devices/{call}": {"registrationToken": "x", "actualDeviceId": "y", "deviceName": "z"}
        for between in "/-"
        for call in ("register", "register-and-exchange")
    },
    **{
        f"POST /cloud{between}devices/health": {"Status": "ok", "SensorData": {"a": 1}, "BatteryLevel": 1}
        for between in "/-"
    },
    **{
        f"POST /cloud{between}devices/generate-registration-token": {"deviceName": "x", "publicKey": "y"}
        for between in "/-"
    },
    "POST /cloud/devices/{device_id}/confirm": {"accept": True, "deviceName": "x"},
    "PUT /cloud/notifications/preferences": {"deviceOffline": True, "email": "x"},
    "POST /cloud/local-devices/register-health": {"deviceId": "x", "deviceName": "y"},
    "POST /cloud/local-devices/register-sync": {"deviceId": "x", "deviceName": "y"},
    "POST /cloud/local-devices/health/batch": {"devices": [{"deviceId": "x", "status": "ok", "sensorData": {}}]},
    "POST /cloud/local-devices/unregister": {"deviceId": "x"},
    "POST /api/auth/register": {"email": "bad@example.org", "username": "bad", "password": "x", "password2": "x"},
    "POST /api/auth/login": {"email": "bad@example.org", "username": "bad", "password": "x"},
    "POST /api/auth/logout": {"refresh": "x"},
    "POST /api/auth/refresh": {"refresh": "x"},
    "POST /api/auth/token/refresh": {"refresh": "x"},
    "PATCH /api/auth/profile": {"first_name": "x", "last_name": "y", "email": "bad@example.org", "phone": "1"},
    "PUT /api/auth/profile": {"first_name": "x", "last_name": "y", "email": "bad@example.org", "phone": "1"},
    "POST /api/auth/change-password": {"old_password": "x", "new_password": "y", "new_password2": "y"},
    "POST /api/gateways/homes/{home_uid}/permissions": {"email": "bad@example.org", "user_id": 1, "role": "viewer"},
    "POST /api/devices/register": {"name": "x", "device_id": "y", "model": "z"},
    "POST /api/devices/{device_id:int}/keys/rotate": {"label": "x", "overlap_days": 1},
    "POST /api/telemetry/ingest": {
        "temp_inside_c": 20.5,
        "temp_outside_c": 1,
        "setpoint_c": 21,
        "hysteresis_c": 0.5,
        "humidity_pct": 40,
        "mode": "heat",
        "output": "on",
        "timestamp": "2026-11-21T12:00:00Z",
        "device_ip": "10.0.0.1",
    },
    "POST /api/readings": {"at": "2026-11-21T12:00:00Z", "values": {"temp": 20.5}},
    "POST /signin/passkey/finish": {"credential": {"id": "x", "rawId": "x", "response": {"clientDataJSON": "x"}}},
}
"""Fields that handlers read from the body by themselves."""
RULES = ("POST /alerts/rules", "POST /alerts/rules/test", "POST /alerts/rules/{uid}")
TYPED: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(
        RULES,
        (
            *("kind", "name", "metric", "scope", "device", "model", "threshold", "clear", "for_minutes", "times", "of"),
            *("window_minutes", "per", "match", "text", "state", "silent_minutes", "count", "severity", "channels"),
            *("cooldown_minutes", "recovery", "subject", "scheduled", "days", "start", "end", "zone"),
        ),
    ),
    "POST /alerts/channels": ("kind", "name", "config-to", "config-url", "config-topic"),
    "POST /data/count": ("csrf",),
}
"""The same of forms."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Where a route looks: `body` is an example that fits."""

    query: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    body: Any = None
    schema: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Case:
    """`never`: whatever the route does with it, it cannot be content."""

    door: Door
    place: str
    wrong: str
    path: str
    make_body: Callable[[], bytes] = bytes
    kind: str = ""
    encoding: str = ""
    never: bool = False

    @property
    def body(self) -> bytes:
        return self.make_body()

    def __str__(self) -> str:
        return f"{self.door.method} {self.door.path}: {self.place} {self.wrong}"


def fields(hot: Hot, doors: Sequence[Door]) -> dict[Door, Fields]:
    """From what the framework knows of each handler, the description at /openapi.json, and the lists above."""
    described = hot.app.openapi()
    routes = {
        (method, route.path): route
        for route in hot.app.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    return {door: _fields(door, routes.get((door.method, door.path)), described) for door in doors}


def _fields(door: Door, route: APIRoute | None, described: Mapping[str, Any]) -> Fields:
    name = f"{door.method} {door.path}"
    found = list(_dependants(route.dependant)) if route else []
    query = tuple(p.alias for d in found for p in d.query_params)
    form = tuple(p.alias for d in found for p in d.body_params if isinstance(p.field_info, Form))
    told = described["paths"].get(door.path, {}).get(door.method.lower(), {}).get("requestBody", {})
    schema = told.get("content", {}).get(JSON, {}).get("schema", {})
    example = VALID.get(name) or KNOWN.get(name) or (_example(schema, described) if schema else None)
    return Fields(
        query,
        (*form, *TYPED.get(name, ())),
        None if isinstance(example, bytes) else example,
        _resolved(schema, described),
    )


def _dependants(of: Dependant) -> Iterator[Dependant]:
    yield of
    for inner in of.dependencies:
        yield from _dependants(inner)


def _resolved(schema: Mapping[str, Any], described: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _example(schema: Mapping[str, Any], described: Mapping[str, Any]) -> Any:
    """Something that the schema allows, with every field."""
    schema = _resolved(schema, described)
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return _example(schema[choice][0], described)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kinds = schema.get("type", "")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "object":
        return {name: _example(of, described) for name, of in schema.get("properties", {}).items()}
    if kind == "array":
        return [_example(schema.get("items", {}), described)]
    return {"integer": 1, "number": 1, "boolean": True}.get(kind, "x")


def cases(door: Door, path: str, names: Mapping[str, str], of: Fields) -> Iterator[Case]:
    """`path` is the route's with `names` filled in."""
    yield from _in_the_path(door, names)
    for name in of.query:
        for wrong, value in TEXTS.items():
            yield Case(door, f"?{name}=", wrong, f"{path}?{name}={value}")
    if door.method in ("GET", "DELETE", "HEAD"):
        return
    for wrong, (body, kind) in BODIES.items():
        yield Case(door, "body", wrong, path, partial(bytes, body), kind, never=_is_json(of) and wrong in NO_OBJECT)
    yield Case(door, "body", "a gzip bomb", path, _bomb, JSON, "gzip", never=_is_json(of))
    yield Case(door, "body", "no gzip", path, partial(bytes, b"{}"), JSON, "gzip")
    for name in of.form:
        rest = urlencode({other: "1" for other in of.form if other != name})
        for wrong, value in TEXTS.items():
            yield Case(door, f"{name}=", wrong, path, partial(str.encode, f"{name}={value}&{rest}"), FORM)
    if of.body is not None:
        yield from _in_the_body(door, path, of)


NO_OBJECT = ("a text", "a number", "half an object", "NaN alone", "deep lists", "UTF-16")


def _is_json(of: Fields) -> bool:
    return of.schema.get("type") == "object" and bool(of.schema.get("required"))


def _in_the_path(door: Door, names: Mapping[str, str]) -> Iterator[Case]:
    parts = door.path.split("/")
    for place, part in enumerate(parts):
        if not part.startswith("{"):
            continue
        for wrong, value in IN_PATHS.items():
            filled = [value if at == place else filled_in(one, names) for at, one in enumerate(parts)]
            yield Case(door, part, wrong, "/".join(filled))


def filled_in(part: str, names: Mapping[str, str]) -> str:
    return names.get(part.strip("{}").partition(":")[0], "1") if part.startswith("{") else part


def _in_the_body(door: Door, path: str, of: Fields) -> Iterator[Case]:
    for place in _places(of.body):
        text = json.dumps(_with(of.body, place, HOLE))
        for wrong, value in VALUES.items():
            body = partial(_filled, text, value)
            yield Case(door, f"{'.'.join(map(str, place))}:", wrong, path, body, JSON, never=_never(of, place, wrong))
    if isinstance(of.body, dict):
        yield Case(door, "body", "an unknown field", path, partial(_unknown, of.body), JSON)


def _filled(text: str, value: str) -> bytes:
    return text.replace(json.dumps(HOLE), value).encode()


def _unknown(body: Mapping[str, Any]) -> bytes:
    return json.dumps({**body, "\0": LONG}).encode()


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(100_000_000), 9)


def _never(of: Fields, place: Sequence[int | str], wrong: str) -> bool:
    """Whether the description says that this field is one plain thing, and the value is something else."""
    if len(place) != 1 or wrong not in ("an object", "lists of lists"):
        return False
    told = of.schema.get("properties", {}).get(place[0], {})
    return told.get("type") in ("string", "number", "integer", "boolean")


def _places(example: Any, above: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    inner = example.items() if isinstance(example, dict) else enumerate(example) if isinstance(example, list) else ()
    for name, value in inner:
        yield (*above, name)
        yield from _places(value, (*above, name))


def _with(example: Any, place: Sequence[int | str], value: Any) -> Any:
    if not place:
        return value
    changed = dict(example) if isinstance(example, dict) else list(example)
    changed[place[0]] = _with(changed[place[0]], place[1:], value)
    return changed
