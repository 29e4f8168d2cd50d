"""The calls of this dialect as data: what the page shows and what openapi.json says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from waystation.dialects.dropsync.wire import Fields

NOBODY, DEVICE, ADMIN, LEGACY = "nobody", "device", "admin", "legacy"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: str = "string"
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """`fields` are of the query for GET and DELETE, else of a form; with a file the form is multipart."""

    method: str
    path: str
    who: str
    about: str
    fields: Sequence[Field] = ()
    answer: str = ""

    @property
    def takes_file(self) -> bool:
        return any(one.kind == "file" for one in self.fields)


def _fields(text: str) -> Sequence[Field]:
    """`name*:integer other`: a star is required, and a string is the usual kind."""
    found: list[Field] = []
    for word in text.split():
        name, _, kind = word.partition(":")
        found.append(Field(name.rstrip("*"), kind or "string", name.endswith("*")))
    return tuple(found)


TOKEN = "token*"  # noqa: S105  a field's name
CALLS: Sequence[Call] = tuple(
    Call(method, path, who, about, _fields(fields), answer)
    for method, path, who, about, fields, answer in (
        ("GET", "/api/v1/device/ping/{device_id}", DEVICE, "Say that the device is there", TOKEN, "status timestamp"),
        ("GET", "/api/v1/device/commands/{device_id}", DEVICE, "Take the next command", TOKEN, "command_id command"),
        (
            *("POST", "/api/v1/device/commands/{device_id}/complete", DEVICE, "Say that a command is done"),
            *("command_id*:integer result token*", "status command_id"),
        ),
        (
            *("POST", "/api/v1/device/messages/{device_id}", DEVICE, "Write a line into the device's log"),
            *("msg_type* content* severity token*", "status message_id timestamp"),
        ),
        ("GET", "/api/v1/device/status/{device_id}", DEVICE, "What the hub knows of the device", TOKEN, "status"),
        (
            *("POST", "/api/v1/device/heartbeat/{device_id}", DEVICE, "Say how the device is"),
            *("status firmware_version ip_address token*", "status server_time"),
        ),
        (
            *("POST", "/api/v1/files/upload/{device_id}", DEVICE, "Send a file"),
            *("file*:file token* sync_type", "status filename size sync_id"),
        ),
        ("GET", "/api/v1/files/list/{device_id}", DEVICE, "How many files there are, and a few", TOKEN, "file_count"),
        ("GET", "/api/v1/files/files/{device_id}/{filename}", DEVICE, "Fetch a file, with Range", TOKEN, ""),
        ("DELETE", "/api/v1/files/files/{device_id}/{filename}", DEVICE, "Delete a file", TOKEN, "status filename"),
        ("GET", "/api/v1/files/sync-packages/{device_id}", DEVICE, "Packages staged for it", TOKEN, "packages"),
        (
            *("GET", "/api/v1/files/sync-packages/{device_id}/{package_id}", DEVICE, "A package's files and hashes"),
            *("token* from:integer limit:integer", "files manifest_sha256"),
        ),
        (
            *("GET", "/api/v1/files/sync-packages/{device_id}/{package_id}/files/{name}", DEVICE),
            *("Fetch one of them, with Range", TOKEN, ""),
        ),
        (
            *("POST", "/api/v1/files/sync-packages/{device_id}/{package_id}/download", DEVICE, "Take a package"),
            *(TOKEN, "status package_id package_name"),
        ),
        (
            *("POST", "/api/v1/files/sync-packages/{device_id}/{package_id}/report", DEVICE, "Say how far it is"),
            *("status* detail token*", "status package_id"),
        ),
        (
            *("GET", "/api/v1/files/sync-history/{device_id}", DEVICE, "What was sent and fetched"),
            *("token* limit:integer", "sync_history"),
        ),
        ("GET", "/api/v1/admin/devices", ADMIN, "All devices", "include_inactive:boolean", "devices"),
        (
            *("POST", "/api/v1/admin/devices/register", ADMIN, "Register a device, or give it a new token"),
            *("device_id* name device_type", "device_id token name device_type status"),
        ),
        (
            *("POST", "/api/v1/admin/devices/{device_id}/command", ADMIN, "Queue a command"),
            *("command* parameters priority:integer", "command_id status"),
        ),
        ("GET", "/api/v1/admin/devices/{device_id}/commands", ADMIN, "Its commands", "limit:integer", "commands"),
        (
            *("GET", "/api/v1/admin/devices/{device_id}/messages", ADMIN, "What it wrote"),
            *("limit:integer severity", "messages"),
        ),
        (
            *("GET", "/api/v1/admin/devices/{device_id}/sync-history", ADMIN, "What was sent and fetched"),
            *("limit:integer", "sync_history"),
        ),
        ("GET", "/api/v1/admin/devices/{device_id}/files", ADMIN, "Its files", "", "files"),
        ("POST", "/api/v1/admin/devices/{device_id}/revoke-token", ADMIN, "Shut it out at once", "", "status"),
        (
            *("POST", "/api/v1/admin/sync-packages", ADMIN, "Make a package, with files or without"),
            *("package_name* target_device_id* package_type* description file:file", "package_id status"),
        ),
        ("GET", "/api/v1/admin/sync-packages", ADMIN, "All packages", "device_id status", "packages"),
        (
            *("POST", "/api/v1/admin/sync-packages/{package_id}/files", ADMIN, "Put files into one that has none"),
            *("file*:file", "package_id status files"),
        ),
        ("GET", "/api/v1/admin/system/stats", ADMIN, "Figures", "", "devices commands messages"),
        (
            *("GET", "/api/v1/admin/system/logs", ADMIN, "What happened"),
            *("limit:integer event_type severity", "logs"),
        ),
        ("POST", "/upload/{device_id}", LEGACY, "Put a file there for a device", "file*:file token", "status file"),
        (
            *("POST", "/send-command/{device_id}", LEGACY, "Queue a command"),
            *("command* token", "status command command_id"),
        ),
        ("GET", "/message/{device_id}", LEGACY, "Take the next command", TOKEN, "command command_id"),
        ("POST", "/message", LEGACY, "Write a line", "device_id* msg_type* content* token*", "status"),
        ("GET", "/check-files/{device_id}", LEGACY, "How many files there are", TOKEN, "file_count"),
        ("GET", "/health", NOBODY, "Whether the hub works", "", "status database timestamp"),
    )
)
SCHEMES = {DEVICE: ("token", "bearer"), ADMIN: ("basic", "bearer")}
SECTIONS = {DEVICE: "Devices, with their token", ADMIN: "Administrators, with a login", LEGACY: "The oldest addresses"}


def openapi(version: str) -> Fields:
    """OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    schemes = {
        "token": {"type": "apiKey", "in": "query", "name": "token"},
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic"},
    }
    about = "What DropSync's devices, command-line tool and scripts call. The whole hub is at /openapi.json."
    facts = {"title": "DropSync on Waystation", "version": version, "description": about}
    return {"openapi": "3.1.0", "info": facts, "paths": paths, "components": {"securitySchemes": schemes}}


def _operation(call: Call) -> Fields:
    no_scopes: list[str] = []
    words = call.path.replace("{", "").replace("}", "").replace("-", "_").strip("/").split("/")
    operation: Fields = {
        "summary": call.about,
        "operationId": "_".join((call.method.lower(), *words)),
        "tags": [SECTIONS.get(call.who, "Everybody")],
        "security": [{scheme: no_scopes} for scheme in SCHEMES.get(call.who, ())],
        "parameters": [_parameter(word.strip("{}"), "path") for word in call.path.split("/") if word.startswith("{")],
        "responses": {"200": {"description": call.answer or "The bytes"}, "422": {"description": "A field is missing"}},
    }
    if call.method in ("GET", "DELETE"):
        operation["parameters"] += [_parameter(one.name, "query", one) for one in call.fields]
    elif call.fields:
        operation["requestBody"] = {"required": True, "content": _body(call)}
    return operation


def _parameter(name: str, place: str, field: Field | None = None) -> Fields:
    is_required = field is None or field.is_required
    kind = "string" if field is None else field.kind
    return {"name": name, "in": place, "required": is_required, "schema": {"type": kind}}


def _body(call: Call) -> Fields:
    kinds = {one.name: _schema(one) for one in call.fields}
    required = [one.name for one in call.fields if one.is_required]
    kind = "multipart/form-data" if call.takes_file else "application/x-www-form-urlencoded"
    return {kind: {"schema": {"type": "object", "properties": kinds, "required": required}}}


def _schema(field: Field) -> Fields:
    return {"type": "string", "format": "binary"} if field.kind == "file" else {"type": field.kind}
