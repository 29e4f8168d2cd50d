"""`query` and `recent`: what the thermostat's scripts and pages read (contract section 5.3)."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Annotated, Any, NamedTuple, get_args

import msgspec
from fastapi import Query
from starlette.responses import Response

from waystation import devices, telemetry
from waystation.devices import Device
from waystation.dialects.thermostat import wire
from waystation.homes import HomeViewer, Membership
from waystation.kernel.clock import micros
from waystation.kernel.db import Tx as Transaction
from waystation.kernel.errors import Invalid, NotFound, Unauthenticated
from waystation.kernel.routes import Call, Now, Router, Tx, Within

router = Router(tags=["thermostat"])

UNKNOWN = "Device not found or not owned"
MOST_DEVICES = 1000
MOST_ROWS = 10_000
HOUR = 3_600_000_000  # microseconds
END_OF_TIME = 1 << 54

as_member: Callable[[Call], Membership] = get_args(HomeViewer)[1].find


def _viewer(call: Call) -> Membership:
    """As HomeViewer; without a session or token it says so in the contract's words."""
    try:
        return as_member(call)
    except Unauthenticated as fault:
        raise Unauthenticated("Authentication required") from fault


Viewer = Annotated[Membership, Within(_viewer, who="viewer")]
Text = str | None


class Post(NamedTuple):
    """What a device sent, with its arrival in microseconds."""

    at: int
    serial: str
    raw: str


class Wanted(NamedTuple):
    """The newest `rows` posts from `first` to `last`, in microseconds."""

    first: int
    last: int
    rows: int


@router.get("/api/telemetry", summary="Newest posts of a range, ascending")
@router.get("/api/telemetry/", include_in_schema=False)
@router.get("/api/telemetry/query", include_in_schema=False)
@router.get("/api/telemetry/query/", include_in_schema=False)
def query(
    caller: Viewer,
    tx: Tx,
    now: Now,
    device_id: Text = None,
    start: Text = None,
    end: Text = None,
    span: Annotated[Text, Query(alias="range")] = None,
    latest: Text = None,
    limit: Text = None,
) -> Response:
    """`start` and `end` override `range` and `limit`; without `device_id` all devices of the home."""
    wanted = _wanted(now, (wire.boundary("start", start), wire.boundary("end", end)), span, limit)
    if wire.is_true(latest):
        wanted = wanted._replace(rows=1)
    found = _all(tx, caller) if device_id is None else [_one(tx, caller, device_id, Invalid(UNKNOWN))]
    rows = [shown for post in _posts(tx, found, wanted) if (shown := _shown(wire.row, post))]
    return _json({"count": len(rows), "results": rows})


@router.get("/api/telemetry/recent", summary="The newest posts of one device, newest first")
@router.get("/api/telemetry/recent/", include_in_schema=False)
def recent(caller: Viewer, tx: Tx, device_id: Text = None, limit: Text = None) -> Response:
    """Without `device_id` of the device that was seen last."""
    unknown = NotFound(UNKNOWN)
    rows = wire.number_of_rows(limit, default=20, most=20)
    device = _latest(_all(tx, caller), unknown) if device_id is None else _one(tx, caller, device_id, unknown)
    posts = _posts(tx, [device], Wanted(0, END_OF_TIME, rows))
    shown = [shown for post in reversed(posts) if (shown := _shown(wire.recent_row, post))]
    return _json({"count": len(shown), "device_id": device.serial, "data": shown})


def _wanted(now: datetime, ends: tuple[datetime | None, datetime | None], span: Text, limit: Text) -> Wanted:
    start, end = ends
    rows = wire.number_of_rows(limit, default=100, most=1000)
    if start is not None or end is not None:
        first = 0 if start is None else max(0, micros(start))
        return Wanted(first, END_OF_TIME if end is None else min(END_OF_TIME, micros(end)), MOST_ROWS)
    first = 0 if span is None else max(0, micros(now) - round(wire.hours(span) * HOUR))
    return Wanted(first, END_OF_TIME, rows)


def _all(tx: Transaction, caller: Membership) -> list[Device]:
    return devices.search(tx, caller.home_id, "", MOST_DEVICES)


def _one(tx: Transaction, caller: Membership, serial: str, unknown: Exception) -> Device:
    device = devices.by_serial(tx, caller.home_id, serial)
    if device is None:
        raise unknown
    return device


def _latest(found: Collection[Device], unknown: Exception) -> Device:
    if not found:
        raise unknown
    return max(found, key=lambda device: (device.last_seen_at or device.created_at, device.id))


def _posts(tx: Transaction, found: Collection[Device], wanted: Wanted) -> list[Post]:
    """The newest of all these devices, ascending by arrival."""
    serials = {device.id: device.serial for device in found}
    kept = [one for one in telemetry.series_of(tx, serials.keys(), [wire.RAW]) if one.kind == telemetry.Kind.TEXT]
    stamps = telemetry.first_from(wanted.first), telemetry.last_until(wanted.last)
    runs = telemetry.newest(tx, [one.id for one in kept], *stamps, limit=wanted.rows)
    posts = [
        Post(telemetry.at_of(stamp), serials[one.device_id], raw)
        for one in kept
        if one.id in runs
        for stamp, raw in zip(runs[one.id].stamps.tolist(), runs[one.id].values.tolist(), strict=True)
    ]
    return sorted(posts)[-wanted.rows :]


def _shown(show: Callable[[str, int, str], wire.Fields], post: Post) -> wire.Fields | None:
    """None for a metric of that name which did not come over this dialect."""
    try:
        return show(post.serial, post.at, post.raw)
    except Invalid:
        return None


def _json(body: Any) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
