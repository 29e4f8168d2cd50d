"""`query`, `recent` and `export`: what the thermostat's scripts and pages read (contract section 5.3)."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Annotated, get_args

from fastapi import Depends, Query
from starlette.responses import Response, StreamingResponse

from waystation import devices, telemetry
from waystation.devices import Device
from waystation.dialects.thermostat import edge, wire
from waystation.dialects.thermostat.edge import json
from waystation.dialects.thermostat.history import posts, table
from waystation.dialects.thermostat.history.posts import Wanted
from waystation.homes import HomeViewer, Membership
from waystation.homes import find_member as find_in
from waystation.kernel.clock import micros
from waystation.kernel.db import Database
from waystation.kernel.db import Tx as Transaction
from waystation.kernel.errors import Invalid, NotFound, Unauthenticated
from waystation.kernel.routes import Call, Now, PartsOf, Router, Tx, Within

router = Router(tags=["thermostat"], route_class=edge.Reading)

UNKNOWN = "Device not found or not owned"
MOST_DEVICES = 1000
MOST_ROWS = 10_000
HOUR = 3_600_000_000  # microseconds
END_OF_TIME = 1 << 54
EXPORTED = timedelta(hours=24)
A_MOMENT = timedelta(seconds=1)  # an arrival may be some microseconds ahead of the clock

as_member: Callable[[Call], Membership] = get_args(HomeViewer)[1].find


def _viewer(call: Call) -> Membership:
    """As HomeViewer, and also for the plain session cookie; without either it says so in the contract's words."""
    try:
        if "authorization" not in call.request.headers and edge.session_of(call.request):
            return find_in(call, edge.at_browser(call))
        return as_member(call)
    except Unauthenticated as fault:
        raise Unauthenticated(edge.NOT_SIGNED_IN) from fault


Viewer = Annotated[Membership, Within(_viewer, who="viewer")]
Text = str | None


def _asked(
    *,
    device_id: Text = None,
    start: Text = None,
    end: Text = None,
    span: Annotated[Text, Query(alias="range")] = None,
    latest: Text = None,
    limit: Text = None,
    time: Text = None,
    collapse: Text = None,
) -> wire.Fields:
    ends = {"start": start, "end": end, "span": span}
    return {"device_id": device_id, **ends, "latest": latest, "limit": limit, "time": time, "collapse": collapse}


@router.get("/api/telemetry", summary="Newest posts of a range, ascending")
@router.get("/api/telemetry/", include_in_schema=False)
@router.get("/api/telemetry/query", include_in_schema=False)
@router.get("/api/telemetry/query/", include_in_schema=False)
def query(caller: Viewer, parts: PartsOf, tx: Tx, now: Now, asked: Annotated[wire.Fields, Depends(_asked)]) -> Response:
    """`start` and `end` override `range` and `limit`; without `device_id` all devices of the home.

    With `time=device` they are the device's own times, and so is the order. `collapse=1` leaves out what says a moment
    twice, which otherwise is flagged as a `duplicate`.
    """
    wanted, serial = _wanted(now, asked), asked["device_id"]
    found = _all(tx, caller) if serial is None else [_one(tx, caller, serial, Invalid(UNKNOWN))]
    more = wanted._replace(rows=wanted.rows + 1)  # the one before tells whether the first says its moment again
    by_device = _is_device_time(asked["time"])
    read = posts.happened(tx, parts.get(Database), found, more) if by_device else posts.arrived(tx, found, more)
    rows = posts.shown(read, rows=wanted.rows, collapsed=wire.is_true(asked["collapse"]))
    return json({"count": len(rows), "results": rows})


@router.get("/api/telemetry/recent", summary="The newest posts of one device, newest first")
@router.get("/api/telemetry/recent/", include_in_schema=False)
def recent(caller: Viewer, tx: Tx, device_id: Text = None, limit: Text = None) -> Response:
    """Without `device_id` of the device that was seen last."""
    unknown = NotFound(UNKNOWN)
    rows = wire.number_of_rows(limit, default=20, most=20)
    device = _latest(_all(tx, caller), unknown) if device_id is None else _one(tx, caller, device_id, unknown)
    found = posts.arrived(tx, [device], Wanted(0, END_OF_TIME, rows))
    shown = [row for post in reversed(found) if (row := _recent(post)) is not None]
    return json({"count": len(shown), "device_id": device.serial, "data": shown})


@router.get("/api/telemetry/export", summary="A device's samples as CSV")
@router.get("/api/telemetry/export/", include_in_schema=False)
def export(
    caller: Viewer,
    parts: PartsOf,
    tx: Tx,
    now: Now,
    device_id: Text = None,
    start: Text = None,
    end: Text = None,
    tz: Text = None,
) -> Response:
    """The last 24 hours, or from `start` to `end`, in a stream of any length; local times in the zone `tz`."""
    if not device_id:
        raise Invalid("Missing device_id")
    device = _one(tx, caller, device_id, NotFound(UNKNOWN))
    until = wire.boundary("end", end) or now + A_MOMENT
    since = wire.boundary("start", start) or _before(until)
    stamps = telemetry.first_from(_stored(since)), telemetry.last_until(_stored(until))
    series = telemetry.series_of(tx, [device.id], table.METRICS)
    rows = telemetry.rows_between(parts.get(Database), series, *stamps)
    headers = {"content-disposition": f'attachment; filename="{device.serial}_telemetry.csv"'}
    return StreamingResponse(_lines(rows, tz), headers=headers, media_type="text/csv")


def _lines(rows: Iterator[tuple[int, dict[str, telemetry.Value]]], tz: Text) -> Iterator[bytes]:
    return table.lines(rows, table.zone(tz))


def _before(until: datetime) -> datetime:
    try:
        return until - EXPORTED
    except OverflowError:
        return until


def _recent(post: posts.Post) -> wire.Fields | None:
    """None for a metric of that name which did not come over this dialect."""
    try:
        return wire.recent_row(post.serial, post.at, post.raw)
    except Invalid:
        return None


def _is_device_time(text: Text) -> bool:
    if text not in (None, "", "server", "device"):
        raise Invalid("Invalid 'time', use 'server' or 'device'")
    return text == "device"


def _wanted(now: datetime, asked: wire.Fields) -> Wanted:
    start, end = wire.boundary("start", asked["start"]), wire.boundary("end", asked["end"])
    rows = wire.number_of_rows(asked["limit"], default=100, most=1000)
    if wire.is_true(asked["latest"]):
        rows = 1
    elif start is not None or end is not None:
        rows = MOST_ROWS
    if start is not None or end is not None:
        first = 0 if start is None else _stored(start)
        return Wanted(first, END_OF_TIME if end is None else _stored(end), rows)
    span = asked["span"]
    first = 0 if span is None else max(0, micros(now) - round(wire.hours(span) * HOUR))
    return Wanted(first, END_OF_TIME, rows)


def _stored(at: datetime) -> int:
    """In microseconds, within what a stamp can say."""
    return min(END_OF_TIME, max(0, micros(at)))


def _all(tx: Transaction, caller: Membership) -> list[Device]:
    return devices.search(tx, caller.home_id, "", MOST_DEVICES)


def _one(tx: Transaction, caller: Membership, serial: str, unknown: Exception) -> Device:
    device = devices.by_serial(tx, caller.home_id, serial)
    if device is None:
        raise unknown
    return device


def _latest(found: list[Device], unknown: Exception) -> Device:
    if not found:
        raise unknown
    return max(found, key=lambda device: (device.last_seen_at or device.created_at, device.id))
