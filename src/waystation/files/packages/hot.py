"""What devices ask of packages all day: is there one, and how far they have got with it."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec

from waystation.devices import CallingDevice, for_devices
from waystation.files.packages import model, service
from waystation.files.packages.idle import Idle
from waystation.files.packages.model import Member, Next
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.errors import Invalid, NotFound
from waystation.kernel.feature import HotAnswer, HotRequest
from waystation.kernel.parts import Parts

NOTHING = b'{"package":null}'
NUMBER = re.compile(r"[0-9]{1,9}")
MOST_ANSWER_BYTES = 1024  # unless the device asks for more
NEXT: Mapping[str, Any] = {
    "type": "object",
    "required": ["package"],
    "properties": {"package": {"type": ["object", "null"]}},
}
REPORT: Mapping[str, Any] = {
    "type": "object",
    "required": ["id", "state"],
    "properties": {
        "id": {"type": "string"},
        "state": {"enum": ["deploying", "deployed", "failed"]},
        "done_bytes": {"type": "integer", "minimum": 0},
        "detail": {"type": "string", "maxLength": model.MOST_DETAIL},
    },
    "examples": [{"id": "p4x8k2m9q7ab3c5d", "state": "deploying", "done_bytes": 1234}],
}
REPORTED: Mapping[str, Any] = {
    "type": "object",
    "required": ["id", "state"],
    "properties": {"id": {"type": "string"}, "state": {"type": "string"}},
}


class Report(msgspec.Struct):
    id: str
    state: str
    done_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    detail: str = ""


_reports = msgspec.json.Decoder(Report)


@for_devices
async def next_package(request: HotRequest, device: CallingDevice) -> HotAnswer:
    """`{"package": null}` mostly, and then without the database."""
    idle = request.parts.get(Idle)
    if not request.query and idle.knows(device.key):
        return HotAnswer(200, NOTHING)
    asked = Asked.of(request.query)
    drops = idle.drops
    found = await asyncio.to_thread(_found, request.parts, device, asked)
    if found is not None:
        return HotAnswer(200, body_of(found, asked))
    if not asked.uid:
        idle.note(device.key, drops)
    return HotAnswer(200, NOTHING)


@for_devices
async def report(request: HotRequest, device: CallingDevice) -> HotAnswer:
    """200 once the state is durable."""
    try:
        told = _reports.decode(request.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise Invalid(f"this is no report of a package: {fault}") from None
    state = await asyncio.to_thread(_reported, request.parts, device, told)
    return HotAnswer(200, msgspec.json.encode({"id": told.id, "state": state}))


class Asked(msgspec.Struct, frozen=True):
    uid: str = ""
    first: int = 0
    limit: int | None = None

    @classmethod
    def of(cls, query: bytes) -> "Asked":
        named = dict(parse_qsl(query.decode("latin-1")))
        limit = _number(named, "limit")
        if limit is not None and not 1 <= limit <= model.MOST_ASKED:
            raise Invalid(f"limit is a number from 1 to {model.MOST_ASKED:,}")
        return cls(named.get("id", ""), _number(named, "from") or 0, limit)


def _number(named: Mapping[str, str], name: str) -> int | None:
    told = named.get(name)
    if told is None:
        return None
    if not NUMBER.fullmatch(told):
        raise Invalid(f"{name} is a whole number")
    return int(told)


def _found(parts: Parts, device: CallingDevice, asked: Asked) -> Next | None:
    with parts.get(Database).read() as tx:
        found = service.next_for(tx, device.id, uid=asked.uid, first=asked.first, most=asked.limit or model.MANY)
    if found is None and asked.uid:
        raise NotFound("no package of this id is staged for this device")
    return found


def _reported(parts: Parts, device: CallingDevice, told: Report) -> str:
    named = {"uid": told.id, "state": told.state, "detail": told.detail}
    with parts.get(Database).write() as tx:
        return service.report(tx, device, parts.get(Clock).now(), done_bytes=told.done_bytes, **named)


def body_of(found: Next, asked: Asked) -> bytes:
    """Fewer members than were found when that keeps the answer short and the device did not ask for so many."""
    shown = list(found.members)
    body = _body(found, shown)
    while asked.limit is None and len(shown) > 1 and len(body) > MOST_ANSWER_BYTES:
        shown.pop()
        body = _body(found, shown)
    return body


def _body(found: Next, members: Sequence[Member]) -> bytes:
    package = found.package
    facts = {
        "id": package.uid,
        "name": package.name,
        "type": package.kind,
        "version": package.version,
        "count": found.count,
        "total_bytes": found.total_bytes,
        "manifest_sha256": package.manifest_sha256,
        "from": found.first,
        "members": [one._asdict() for one in members],
    }
    return msgspec.json.encode({"package": facts})
