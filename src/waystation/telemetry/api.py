"""Readings out: history, last values, and the live stream."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from waystation import devices
from waystation.homes import HomeViewer, Membership
from waystation.kernel.clock import micros
from waystation.kernel.db import Database
from waystation.kernel.errors import Invalid
from waystation.kernel.routes import Now, PartsOf, Router, Tx
from waystation.telemetry import last, query, store
from waystation.telemetry.codec import Run
from waystation.telemetry.history import picture
from waystation.telemetry.live import PING_SECONDS, Follower, Live, Watch
from waystation.telemetry.model import Cursor, Kind, Series, at_of
from waystation.telemetry.span import span

router = Router(tags=["telemetry"])

MOST_DEVICES = 1000
SEND_SECONDS = 20

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
    first, last = span(from_, to, micros(now))
    if resolution == "raw":
        after = Cursor.parse(cursor) if cursor else None
        page = query.raw(tx, [one.id for one in series], first, last, limit=limit, after=after)
        whole = [_series(named, one, page.runs[one.id]) for one in series if one.id in page.runs]
        return _json({"series": whole, "next": page.next.text() if page.next else None})
    runs = picture.points_of(tx, series, first, last, points=points)
    return _json({"series": [_series(named, one, runs.get(one.id)) for one in series]})


@router.get("/api/last-values", summary="The newest value of every metric")
@router.get("/api/last-values/", include_in_schema=False)
def last_values(caller: HomeViewer, tx: Tx, device: Names = []) -> Response:  # noqa: B006
    """Of the devices named, or of all in the home; `at` is epoch milliseconds."""
    if _split(device):
        keys = {one.id: one.key for one in _named(tx, caller, device).values()}
    else:
        keys = devices.keys_of(tx, caller.home_id, MOST_DEVICES)
    return _json({"values": [_last(keys, found) for found in last.last_values(tx, keys.keys())]})


@router.get("/api/live", summary="Readings and device events as they happen, as server-sent events")
@router.get("/api/live/", include_in_schema=False)
async def live(caller: HomeViewer, parts: PartsOf, devices: str = "") -> Response:
    """Of the devices named, comma-separated, or of the whole home. Ends when session, token or membership do."""
    keys = await asyncio.to_thread(_keys, parts.get(Database), caller, devices)
    return Stream(parts.get(Live), Follower(caller.home_id, keys, caller.ended_by))


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


def _keys(database: Database, caller: Membership, named: str) -> list[str] | None:
    if not _split([named]):
        return None
    with database.read() as tx:
        return [device.key for device in _named(tx, caller, [named]).values()]


def _split(given: Sequence[str]) -> list[str]:
    """A parameter that is repeated or comma-separated, or both."""
    return [word for part in given for word in part.split(",") if word]


def _named(tx: Tx, caller: Membership, given: Sequence[str]) -> dict[int, devices.Device]:
    """The caller's devices by id; NotFound for one that is unknown or somebody else's."""
    keys = _split(given)
    if not keys or len(keys) > MOST_DEVICES:
        raise Invalid(f"say which devices, as in ?device=KEY; at most {MOST_DEVICES} at once")
    return {found.id: found for found in (devices.find(tx, caller.home_id, key) for key in keys)}


def _series(named: dict[int, devices.Device], series: Series, run: Run | None) -> dict[str, Any]:
    return {
        "device": named[series.device_id].key,
        "metric": series.metric,
        "kind": series.kind.name.lower(),
        "points": [] if run is None else _points(run, series.kind),
    }


WORDS = {kind: kind.name.lower() for kind in Kind}


def _last(keys: Mapping[int, str], found: last.LastValue) -> dict[str, Any]:
    series, stamp, value = found
    _, device_id, metric, kind, _ = series
    return {
        "device": keys[device_id],
        "metric": metric,
        "kind": WORDS[kind],
        "at": at_of(stamp) / 1000,
        "value": bool(value) if kind is Kind.BOOLEAN else value,
    }


def _points(run: Run, kind: Kind) -> list[tuple[float, Any]]:
    values = run.values.astype(bool) if kind == Kind.BOOLEAN else run.values
    return list(zip(((run.stamps >> 8) / 1000).tolist(), values.tolist(), strict=True))


def _json(body: Any) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
