"""Dashboards for programs: everybody of the home sees shared ones and has their own; admins hand out links.

And what a link's page reads: the history and the live readings of its tiles' series, and nothing else.
"""

import asyncio
from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from waystation import telemetry
from waystation.dashboard.boards import links, service
from waystation.dashboard.boards.access import ByLink, Opened
from waystation.dashboard.boards.model import FORMAT, MOST_TILES, Board, DeviceCard, Link, Name, tiles_of
from waystation.dashboard.boards.shown import Seen
from waystation.homes import HomeAdmin, HomeViewer, Membership, Role
from waystation.identity import Caller
from waystation.kernel.clock import Clock, iso
from waystation.kernel.db import Database
from waystation.kernel.errors import Invalid, NotFound
from waystation.kernel.routes import Now, PartsOf, Router, Tx
from waystation.kernel.settings import Settings
from waystation.kernel.site import public_url

router = Router(tags=["dashboards"])

PRIVATE = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow", "Cache-Control": "no-store"}
"""Of all that a link shows: its address is a secret, so nobody else is told of it."""
Text = Annotated[str, Field(max_length=200)]
TileList = Annotated[list[dict[str, Any]], Field(max_length=MOST_TILES)]
Names = Annotated[list[str], Query()]
Points = Annotated[int, Query(ge=2, le=10_000)]


class NewBoard(BaseModel):
    """A dashboard's file has this form too; `format` is the file's."""

    model_config = ConfigDict(extra="forbid")

    name: Text
    tiles: TileList = []
    is_shared: bool = False
    format: Literal[1] = FORMAT


class BoardChange(BaseModel):
    """`version` is the one that was read; what is absent stays."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    name: Text | None = None
    tiles: TileList | None = None
    is_shared: bool | None = None
    is_start: bool | None = None


class NewLink(BaseModel):
    """Without `hours` it lasts until it is taken back."""

    model_config = ConfigDict(extra="forbid")

    name: Text = ""
    hours: Annotated[float, Field(allow_inf_nan=False)] | None = None


# Dashboards


@router.get("/api/boards", summary="The dashboards that the caller sees")
def boards(me: HomeViewer, tx: Tx) -> Response:
    return _json({"boards": [_named(one) for one in service.boards(tx, me)]})


@router.post("/api/boards", summary="Make a dashboard, or import one from its file", status_code=201)
def make(wanted: NewBoard, me: HomeViewer, tx: Tx, now: Now) -> Response:
    tiles = tiles_of(wanted.tiles)
    return _json(_whole(service.make(tx, me, now, name=wanted.name, tiles=tiles, is_shared=wanted.is_shared)), 201)


@router.get("/api/boards/{uid}", summary="One dashboard with its tiles")
def board(uid: str, me: HomeViewer, tx: Tx) -> Response:
    return _json(_whole(service.find(tx, me, uid)))


@router.put("/api/boards/{uid}", summary="Change a dashboard that nobody has changed meanwhile")
def change(uid: str, wanted: BoardChange, me: HomeViewer, tx: Tx, now: Now) -> Response:
    """409 when somebody was faster."""
    before = service.seen(tx, me, uid, wanted.version)
    after = before
    if wanted.name is not None:
        after = replace(after, name=wanted.name)
    if wanted.tiles is not None:
        after = replace(after, tiles=tiles_of(wanted.tiles))
    if wanted.is_shared is not None:
        after = replace(after, person_id=None if wanted.is_shared else before.person_id or me.user_id)
    if wanted.is_start is not None:
        after = replace(after, is_start=wanted.is_start)
    return _json(_whole(service.save(tx, me, before, after, now=now)))


@router.delete("/api/boards/{uid}", summary="Delete a dashboard and its links", status_code=204)
def delete(uid: str, me: HomeViewer, tx: Tx, now: Now) -> Response:
    service.delete(tx, me, service.find(tx, me, uid), now)
    return Response(status_code=204)


@router.get("/api/boards/{uid}/file", summary="A dashboard as a file, to make it again elsewhere")
def file(uid: str, me: HomeViewer, tx: Tx) -> Response:
    found = service.find(tx, me, uid)
    text = msgspec.json.format(msgspec.json.encode({"format": FORMAT, "name": found.name, "tiles": found.tiles}))
    headers = {"Content-Disposition": f'attachment; filename="dashboard-{found.uid}.json"'}
    return Response(text, media_type="application/json", headers=headers)


# Links


@router.get("/api/boards/{uid}/links", summary="The links to a dashboard that open it now")
def links_of(uid: str, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    found = service.find(tx, me, uid)
    return _json({"links": [_link(one) for one in links.links(tx, found, now)]})


@router.post("/api/boards/{uid}/links", summary="Make a link; its address is shown once", status_code=201)
def share(uid: str, wanted: NewLink, me: HomeAdmin, tx: Tx, now: Now, parts: PartsOf) -> Response:
    made = links.share(tx, me, service.find(tx, me, uid), now, name=wanted.name, hours=wanted.hours)
    url = f"{public_url(parts.get(Settings))}/shared/{made.secret}"
    expires_at = made.expires_at and iso(made.expires_at)
    return _json({"id": made.id, "name": made.name, "url": url, "expires_at": expires_at}, 201)


@router.delete("/api/boards/{uid}/links/{link_id}", summary="Take a link back; it opens nothing any more")
def take_back(uid: str, link_id: int, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    links.take_back(tx, me, service.find(tx, me, uid), link_id, now=now)
    return Response(status_code=204)


# Through a link


@router.get("/shared/{secret}/history", summary="History of series that a shared dashboard shows")
def shared_history(  # noqa: PLR0913
    opened: ByLink,
    tx: Tx,
    now: Now,
    series: Names = [],  # noqa: B006  FastAPI copies it
    from_: Annotated[str, Query(alias="from")] = "-1d",
    to: str = "now",
    points: Points = 1000,
    bucket: str = "",
    tz: str = "UTC",
    aggregate: Names = [],  # noqa: B006
    hold: str = "1h",
    compare: Names = [],  # noqa: B006
    cursor: str = "",
) -> Response:
    """As `/api/history`, of these series only."""
    _check_shown(tx, opened.board, series)
    asked: dict[str, Any] = {"from_": from_, "to": to, "points": points, "bucket": bucket, "tz": tz, "hold": hold}
    asked |= {"series": series, "aggregate": aggregate, "compare": compare, "cursor": cursor}
    answer = telemetry.history_api.history(_as_viewer(opened), tx, now, **asked)
    answer.headers.update(PRIVATE)
    return answer


@router.get("/shared/{secret}/series", summary="The names of the devices that a shared dashboard shows")
def shared_names(opened: ByLink, tx: Tx) -> Response:
    seen = Seen(tx, opened.board.home_id, opened.board.tiles)
    named = [{"key": device.key, "name": device.name} for device in seen.devices.values()]
    return _json({"devices": named}, headers=PRIVATE)


@router.get("/shared/{secret}/live", summary="Readings of a shared dashboard's series as they happen")
async def shared_live(opened: ByLink, parts: PartsOf) -> Response:
    """Server-sent events. Ends with the link, and when the dashboard is changed."""
    follower = await asyncio.to_thread(_follower, parts.get(Database), parts.get(Clock), opened)
    answer = telemetry.LiveStream(parts.get(telemetry.Live), follower)
    answer.headers.update(PRIVATE)
    return answer


def _follower(database: Database, clock: Clock, opened: Opened) -> telemetry.Follower:
    board, expires_at = opened.board, opened.link.expires_at
    with database.read() as tx:
        names = Seen(tx, board.home_id, board.tiles).names(board.tiles)
    metrics: dict[str, set[str]] = {}
    for name in names:
        metrics.setdefault(name.key, set()).add(name.metric)
    return telemetry.Follower(
        board.home_id,
        sorted(metrics),
        (links.link_ended(opened.link.id), service.board_changed(board.id)),
        metrics=metrics,
        events_of=[tile.device for tile in board.tiles if isinstance(tile, DeviceCard) and tile.device in metrics],
        seconds=None if expires_at is None else (expires_at - clock.now()).total_seconds(),
    )


def _check_shown(tx: Tx, board: Board, series: list[str]) -> None:
    """NotFound for any other series, whether there is one or not."""
    if not series:
        raise Invalid("say which series, as in ?series=KEY:metric")
    shown = Seen(tx, board.home_id, board.tiles).names(board.tiles)
    if not {Name.of(text) for text in series} <= shown:
        raise NotFound("this dashboard does not show that series")


def _as_viewer(opened: Opened) -> Membership:
    return Membership(opened.board.home_id, "", Role.VIEWER, Caller(f"link:{opened.link.id}"))


def _named(board: Board) -> dict[str, Any]:
    return {
        "uid": board.uid,
        "name": board.name,
        "is_shared": board.is_shared,
        "is_start": board.is_start,
        "version": board.version,
        "changed_at": iso(board.changed_at),
        "changed_by": board.changed_by,
    }


def _whole(board: Board) -> dict[str, Any]:
    return {**_named(board), "tiles": board.tiles}


def _link(link: Link) -> dict[str, Any]:
    facts = {"made_at": iso(link.made_at), "expires_at": link.expires_at and iso(link.expires_at)}
    used_at = link.used_at and iso(link.used_at)
    return {"id": link.id, "name": link.name, "made_by": link.made_by, "used_at": used_at, **facts}


def _json(body: Any, status: int = 200, *, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")
