"""Commands and outcomes as devices read and write them, the same on every link (docs/reference/device-api.md)."""

from typing import Any

import msgspec

from waystation.commands.model import OUTCOMES, Command, Outcome, State
from waystation.kernel.errors import DomainError, Invalid

MOST_OUTCOMES = 100
NO_COMMAND = b'{"command":null}'


class Said(msgspec.Struct):
    """An outcome."""

    id: str
    state: str
    result: Any = None
    lease_seconds: float | None = None

    @property
    def outcome(self) -> Outcome:
        """Invalid when a device cannot say that."""
        try:
            return Outcome(State(self.state), self.result, self.lease_seconds).checked()
        except ValueError as fault:
            raise Invalid("state is running, done, failed or rejected") from fault


SAID = msgspec.json.Decoder(Said)
MANY = msgspec.json.Decoder(list[msgspec.Raw])
encode = msgspec.json.Encoder().encode


def command(one: Command) -> dict[str, Any]:
    expires_at = None if one.expires_at is None else f"{one.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    return {
        "id": one.uid,
        "name": one.name,
        "parameters": one.parameters,
        "attempt": one.attempt,
        "once": one.is_once,
        "lease_seconds": one.lease_seconds,
        "expires_at": expires_at,
    }


class SaidOnSocket(Said):
    """As a WebSocket carries it."""

    type: str = "outcome"


ON_SOCKET = msgspec.json.Decoder(SaidOnSocket)


def said_on_socket(text: str) -> SaidOnSocket:
    try:
        found = ON_SOCKET.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as fault:
        raise Invalid(f"this is no outcome: {fault}") from fault
    if found.type != "outcome":
        raise Invalid("a device sends nothing but outcomes here")
    return found


def is_array(body: bytes) -> bool:
    return body.lstrip()[:1] == b"["


def said(body: bytes | msgspec.Raw) -> Said:
    try:
        return SAID.decode(body)
    except (msgspec.MsgspecError, RecursionError) as fault:
        raise Invalid(f"this is no outcome: {fault}") from fault


def many_said(body: bytes) -> list[msgspec.Raw]:
    """Each is to be read by itself, because each is refused by itself."""
    try:
        found = MANY.decode(body)
    except (msgspec.MsgspecError, RecursionError) as fault:
        raise Invalid(f"this is no array of outcomes: {fault}") from fault
    if len(found) > MOST_OUTCOMES:
        raise Invalid(f"at most {MOST_OUTCOMES} outcomes in one call")
    return found


def taken(one: Command) -> dict[str, str]:
    return {"id": one.uid, "state": one.state}


def refused(uid: str, fault: DomainError) -> dict[str, str]:
    return {"id": uid[:64], "error": fault.sentence, "code": fault.word}


OUTCOME_SCHEMA = {
    "type": "object",
    "required": ["id", "state"],
    "properties": {
        "id": {"type": "string"},
        "state": {"enum": sorted(OUTCOMES)},
        "result": {"description": "Any JSON of at most 4,096 bytes"},
        "lease_seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 3600},
    },
}
BODY = {"oneOf": [OUTCOME_SCHEMA, {"type": "array", "maxItems": MOST_OUTCOMES, "items": OUTCOME_SCHEMA}]}
ANSWER = {"type": "object", "properties": {"id": {"type": "string"}, "state": {"enum": sorted(State)}}}
COMMAND_SCHEMA = {
    "type": ["object", "null"],
    "required": ["id", "name", "parameters", "attempt", "once", "lease_seconds", "expires_at"],
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "parameters": {"type": ["object", "null"]},
        "attempt": {"type": "integer"},
        "once": {"type": "boolean"},
        "lease_seconds": {"type": "integer"},
        "expires_at": {"type": ["string", "null"], "format": "date-time"},
    },
}
NEXT = {"type": "object", "required": ["command"], "properties": {"command": COMMAND_SCHEMA}}
