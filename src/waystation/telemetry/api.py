"""Readings out: history, last values, and the live stream."""

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from waystation import devices
from waystation.homes import HomeViewer, Membership
from waystation.kernel.clock import micros, parse_iso
from waystation.kernel.db import Database
from waystation.kernel.errors import Invalid
from waystation.kernel.routes import Now, PartsOf, Router, Tx
from waystation.telemetry import query, store
from waystation.telemetry.codec import Run
from waystation.telemetry.live import PING_SECONDS, Follower, Live, Watch
from waystation.telemetry.model import EARLIEST, LATEST, Cursor, Kind, Series, at_of, first_from, last_until

router = Router(tags=["telemetry"])

MOST_DEVICES = 1000
SEND_SECONDS = 20
AGO = re.compile(r"-(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d|w)")
MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}

Names = Annotated[list[str], Query()]
From = Annotated[str, Query(alias="from")]
Points = Annotated[int, Query(ge=1, le=10_000)]


@router.get("/api/readings", summary="History of series, with at most as many points as asked for")
@router.get("/api/readings/", include_in_schema=False)
def readings(  # noqa: PLR0913
    caller: HomeViewer,
    tx: Tx,
    now: Now,
    device: Names = [],  # noqa: B006  FastAPI copies it
    metric: Names = [],  # noqa: B006
    from_: From = "-1h",
    to: str = "now",
    points: Points = 1000,
    resolution: Literal["raw"] | None = None,
    limit: Points = 1000,
    cursor: str = "",
) -> Response:
    """`from` and `to` are ISO 8601, epoch milliseconds or back from now, as in `-90m`. Numbers keep the least and the
    greatest of every stretch. With `resolution=raw` all come, `limit` at a time; `next` is the cursor of the rest.
    """
    named = _named(tx, caller, device)
    series = store.series_of(tx, named.keys(), _split(metric) or None)
    first, last = _span(from_, to, micros(now))
    if resolution == "raw":
        after = Cursor.parse(cursor) if cursor else None
        page = query.raw(tx, [one.id for one in series], first, last, limit=limit, after=after)
        whole = [_series(named, one, page.runs[one.id]) for one in series if one.id in page.runs]
        return _json({"series": whole, "next": page.next.text() if page.next else None})
    runs = query.read(tx, [one.id for one in series], first, last)
    shown = [(one, query.downsampled(runs[one.id], one.kind, points) if one.id in runs else None) for one in series]
    return _json({"series": [_series(named, one, run) for one, run in shown]})


@router.get("/api/last-values", summary="The newest value of every metric")
@router.get("/api/last-values/", include_in_schema=False)
def last_values(caller: HomeViewer, tx: Tx, device: Names = []) -> Response:  # noqa: B006
    """Of the devices named, or of all in the home; `at` is epoch milliseconds."""
    named = _named(tx, caller, device, all_of_home=True)
    return _json({"values": [_last(named, found) for found in query.last_values(tx, named.keys())]})


@router.get("/api/live", summary="Readings and device events as they happen, as server-sent events")
@router.get("/api/live/", include_in_schema=False)
async def live(caller: HomeViewer, parts: PartsOf, devices: str = "") -> Response:
    """Of the devices named, comma-separated, or of the whole home. Ends when the session or token does."""
    keys = await asyncio.to_thread(_keys, parts.get(Database), caller, devices)
    return Stream(parts.get(Live), Follower(caller.home_id, keys, _ended_by(caller)))


class Stream(Response):
    """Tells a watcher what happens until it leaves, may not watch any more, or reads too slowly."""

    def __init__(self, live: Live, follower: Follower) -> None:
        super().__init__(
            media_type="text/event-stream", headers={"cache-control": "no-store", "x-accel-buffering": "no"}
        )
        del self.headers["content-length"]
        self._live = live
        self._follower = follower

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with self._live.watch(self._follower) as watch, asyncio.TaskGroup() as tasks:
            besides = tasks.create_task(_end_when_gone(receive, watch)), tasks.create_task(self._keep_watching())
            await self._tell(watch, send)
            for task in besides:
                task.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _tell(self, watch: Watch, send: Send) -> None:
        said = b"retry: 2000\n\n"
        while not watch.ended:
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await send({"type": "http.response.body", "body": said, "more_body": True})
            except TimeoutError:
                return
            try:
                async with asyncio.timeout(PING_SECONDS):
                    said = await watch.next()
            except TimeoutError:
                said = b": ping\n\n"

    async def _keep_watching(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            self._live.announce(self._follower.home_id)


async def _end_when_gone(receive: Receive, watch: Watch) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    watch.end()


def _ended_by(caller: Membership) -> tuple[str, ...]:
    who = caller.caller
    return (f"session.ended.{who.session_id}",) if who.session_id is not None else (f"token.ended.{who.token_id}",)


def _keys(database: Database, caller: Membership, named: str) -> list[str] | None:
    if not _split([named]):
        return None
    with database.read() as tx:
        return [device.key for device in _named(tx, caller, [named]).values()]


def _split(given: Sequence[str]) -> list[str]:
    """A parameter that is repeated or comma-separated, or both."""
    return [word for part in given for word in part.split(",") if word]


def _named(tx: Tx, caller: Membership, given: Sequence[str], *, all_of_home: bool = False) -> dict[int, devices.Device]:
    """The caller's devices by id; NotFound for one that is unknown or somebody else's."""
    keys = _split(given)
    if not keys and all_of_home:
        return {found.id: found for found in devices.search(tx, caller.home_id, "", MOST_DEVICES)}
    if not keys or len(keys) > MOST_DEVICES:
        raise Invalid(f"say which devices, as in ?device=KEY; at most {MOST_DEVICES} at once")
    return {found.id: found for found in (devices.find(tx, caller.home_id, key) for key in keys)}


def _span(first: str, last: str, now: int) -> tuple[int, int]:
    """The range as stamps, both included."""
    start, end = _time(first, now, "from"), _time(last, now, "to")
    if start > end:
        raise Invalid("`from` is later than `to`")
    return first_from(start), last_until(end)


def _time(text: str, now: int, name: str) -> int:
    if text == "now":
        return now
    if (ago := AGO.fullmatch(text)) is not None:
        at = now - round(float(ago[1]) * MILLISECONDS[ago[2]] * 1000)
    elif re.fullmatch(r"-?\d{1,15}(\.\d{1,6})?", text):
        at = round(float(text) * 1000)
    else:
        at = _iso(text, name)
    return max(at_of(EARLIEST), min(at_of(LATEST), at))


def _iso(text: str, name: str) -> int:
    try:
        return micros(
            parse_iso(text.replace(" ", "+") if "T" in text else text)
        )  # a `+` nobody encoded arrives as a blank
    except Invalid as fault:
        raise Invalid(f"`{name}`: {fault.sentence}; epoch milliseconds and -1h are understood too") from fault


def _series(named: dict[int, devices.Device], series: Series, run: Run | None) -> dict[str, Any]:
    return {
        "device": named[series.device_id].key,
        "metric": series.metric,
        "kind": series.kind.name.lower(),
        "points": [] if run is None else _points(run, series.kind),
    }


def _last(named: dict[int, devices.Device], found: query.LastValue) -> dict[str, Any]:
    series = found.series
    return {
        "device": named[series.device_id].key,
        "metric": series.metric,
        "kind": series.kind.name.lower(),
        "at": at_of(found.stamp) / 1000,
        "value": bool(found.value) if series.kind == Kind.BOOLEAN else found.value,
    }


def _points(run: Run, kind: Kind) -> list[tuple[float, Any]]:
    values = run.values.astype(bool) if kind == Kind.BOOLEAN else run.values
    return list(zip(((run.stamps >> 8) / 1000).tolist(), values.tolist(), strict=True))


def _json(body: Any) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
