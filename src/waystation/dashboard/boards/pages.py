"""Dashboards as people see them: the list, one with its tiles, its tiles' forms, its links, and what a link opens."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from waystation import devices, telemetry
from waystation.dashboard.boards import form, links, service
from waystation.dashboard.boards.access import ByLink
from waystation.dashboard.boards.api import PRIVATE
from waystation.dashboard.boards.model import KINDS, AnyTile, Board, Sharing, Tiles, device_keys, find_tile
from waystation.dashboard.boards.shown import kind_of, tiles_shown
from waystation.homes import HomeAdmin, HomeViewer, Membership, Role
from waystation.kernel import db
from waystation.kernel.errors import DomainError, NotFound
from waystation.kernel.pages import Pages
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, Router, Tx
from waystation.kernel.settings import Settings
from waystation.kernel.site import public_url

router = Router(include_in_schema=False)
MOST_FOLLOWED = 40  # devices named in the address of an event stream; beyond it the whole home is followed
MOST_DEVICES = 1000
DONE = {
    "made": "The dashboard is made. Add what you want to see.",
    "saved": "Saved.",
    "pinned": "It is on the dashboard now.",
    "removed": "The tile is removed.",
    "imported": "The dashboard is imported.",
    "copied": "This is your copy.",
    "deleted": "The dashboard is deleted.",
    "revoked": "The link opens nothing any more.",
}
LASTING = {
    "1": "1 hour",
    "24": "1 day",
    "168": "7 days",
    "720": "30 days",
    "2160": "90 days",
    "": "until I take it back",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page, by whom and when."""

    request: Request
    me: Membership
    tx: db.Tx
    now: datetime

    @property
    def settings(self) -> Settings:
        return self.request.app.state.parts.get(Settings)

    def html(self, template: str, *, fault: DomainError | None = None, **context: Any) -> Response:
        parts: Parts = self.request.app.state.parts
        shown: dict[str, Any] = {
            "error": fault.sentence if fault else None,
            "offline_after_seconds": self.settings.online_seconds,
            "may_share": self.me.role >= Role.USER,
            "may_own": self.me.user_id is not None,
            "may_link": self.me.role >= Role.ADMIN,
        }
        status = fault.status if fault else 200
        return parts.get(Pages).html(self.request, f"boards/{template}", status=status, **shown, **context)

    def tiles(self, tiles: Tiles) -> list[dict[str, Any]]:
        online = self.settings.online_seconds
        return tiles_shown(self.tx, self.me.home_id, tiles, now=self.now, online_seconds=online)


@router.get("/boards")
def show_boards(request: Request, me: HomeViewer, tx: Tx, now: Now, done: str = "") -> Response:
    return boards_page(Asked(request, me, tx, now), notice=DONE.get(done))


def boards_page(
    asked: Asked, *, notice: str | None = None, fault: DomainError | None = None, failed: str = "", draft: str = ""
) -> Response:
    """`failed` names the dialog whose form was refused."""
    found = devices.search(asked.tx, asked.me.home_id, "", most=MOST_DEVICES)
    context: dict[str, Any] = {"boards": service.boards(asked.tx, asked.me), "devices": found, "notice": notice}
    return asked.html("boards.html", fault=fault, failed=failed, draft=draft, **context)


@router.get("/boards/{uid}")
def show_board(
    request: Request, uid: str, me: HomeViewer, tx: Tx, now: Now, edit: str = "", focus: str = "", done: str = ""
) -> Response:
    asked = Asked(request, me, tx, now)
    found = service.find(tx, me, uid)
    return board_page(asked, found, editing=bool(edit) and found.may_change(me), focus=focus, notice=DONE.get(done))


def board_page(
    asked: Asked,
    board: Board,
    *,
    editing: bool = False,
    focus: str = "",
    notice: str | None = None,
    fault: DomainError | None = None,
) -> Response:
    keys = device_keys(board.tiles)
    return asked.html(
        "board.html",
        fault=fault,
        board=board,
        tiles=asked.tiles(board.tiles),
        kinds=KINDS,
        may_change=board.may_change(asked.me),
        editing=editing,
        focus=focus,
        notice=notice,
        stream="/api/live" + (f"?devices={','.join(keys)}" if len(keys) <= MOST_FOLLOWED else ""),
        follows=bool(keys),
    )


# A tile's form


@router.get("/boards/{uid}/tiles/new")
def show_new_tile(request: Request, uid: str, me: HomeViewer, tx: Tx, now: Now, kind: str = "chart") -> Response:
    found = service.find(tx, me, uid)
    found.check_may_change(me)
    return tile_page(Asked(request, me, tx, now), found, form.kind_of(kind))


@router.get("/boards/{uid}/tiles/{tile_id}")
def show_tile(request: Request, uid: str, tile_id: str, me: HomeViewer, tx: Tx, now: Now) -> Response:
    found = service.find(tx, me, uid)
    found.check_may_change(me)
    if not any(tile.id == tile_id for tile in found.tiles):
        raise NotFound("that tile is not on the dashboard any more")
    tile = find_tile(found.tiles, tile_id)
    return tile_page(Asked(request, me, tx, now), found, kind_of(tile), tile=tile)


def tile_page(
    asked: Asked,
    board: Board,
    kind: str,
    *,
    tile: AnyTile | None = None,
    draft: dict[str, Any] | None = None,
    fault: DomainError | None = None,
) -> Response:
    fields = draft if draft is not None else form.draft_of(tile) if tile else {"width": 2 if kind == "chart" else 1}
    chosen = fields.get("series", [])
    context: dict[str, Any] = {"board": board, "kind": kind, "word": KINDS[kind], "tile": tile, "draft": fields}
    context["chosen"] = [chosen] if isinstance(chosen, str) else chosen
    choices = {"ranges": form.RANGES, "shows": form.SHOWS, "buckets": form.BUCKETS}
    return asked.html("tile.html", fault=fault, devices=_series_by_device(asked), **choices, **context)


def _series_by_device(asked: Asked) -> list[dict[str, Any]]:
    found = devices.search(asked.tx, asked.me.home_id, "", most=MOST_DEVICES)
    metrics: dict[int, list[telemetry.Series]] = {}
    for one in telemetry.series_of(asked.tx, [device.id for device in found]):
        metrics.setdefault(one.device_id, []).append(one)
    return [
        {"key": device.key, "name": device.name, "series": [one for one in metrics.get(device.id, ()) if _fits(one)]}
        for device in found
    ]


def _fits(series: telemetry.Series) -> bool:
    return "," not in series.metric and series.metric.isprintable()


# Pinning


@router.get("/pin")
def show_pin(
    request: Request,
    me: HomeViewer,
    tx: Tx,
    now: Now,
    device: str = "",
    series: Annotated[list[str], Query()] = [],  # noqa: B006  FastAPI copies it
) -> Response:
    return pin_page(Asked(request, me, tx, now), device, series)


def pin_page(
    asked: Asked, key: str, series: list[str], *, fault: DomainError | None = None, draft: dict[str, Any] | None = None
) -> Response:
    """From a device's page (`key`), or with the series that the history page shows."""
    device = devices.find(asked.tx, asked.me.home_id, key) if key else None
    mine = [one for one in service.boards(asked.tx, asked.me) if one.may_change(asked.me)]
    known = telemetry.series_of(asked.tx, [device.id]) if device else []
    given = asked.request.query_params
    known_words = {"range": (form.RANGES, "24h"), "show": (form.SHOWS, "points"), "bucket": (form.BUCKETS, "auto")}
    usual = {
        name: given.get(name, word) if given.get(name) in words else word for name, (words, word) in known_words.items()
    }
    return asked.html(
        "pin.html",
        fault=fault,
        device=device,
        metrics=[one for one in known if _fits(one)],
        series=series,
        boards=mine,
        draft=usual if draft is None else draft,
        ranges=form.RANGES,
    )


# Links


@router.get("/boards/{uid}/links")
def show_links(request: Request, uid: str, me: HomeAdmin, tx: Tx, now: Now, done: str = "") -> Response:
    return links_page(Asked(request, me, tx, now), service.find(tx, me, uid), notice=DONE.get(done))


def links_page(
    asked: Asked, board: Board, *, notice: str | None = None, fault: DomainError | None = None, draft: str = ""
) -> Response:
    found = links.links(asked.tx, board, asked.now)
    context: dict[str, Any] = {"board": board, "links": found, "lasting": LASTING, "notice": notice, "draft": draft}
    return asked.html("links.html", fault=fault, **context)


def link_page(asked: Asked, board: Board, made: Sharing) -> Response:
    return asked.html("link.html", board=board, made=made, link=f"{public_url(asked.settings)}/shared/{made.secret}")


@router.get("/shared/{secret}")
def show_shared(request: Request, secret: str, opened: ByLink, tx: Tx, now: Now) -> Response:
    """Read-only, for whoever has the link; whether they are signed in makes no difference."""
    parts: Parts = request.app.state.parts
    board, online = opened.board, parts.get(Settings).online_seconds
    shown = tiles_shown(tx, board.home_id, board.tiles, now=now, online_seconds=online)
    context: dict[str, Any] = {"board": board, "tiles": shown, "secret": secret, "until": opened.link.expires_at}
    answer = parts.get(Pages).html(request, "boards/shared.html", offline_after_seconds=online, **context)
    answer.headers.update(PRIVATE)
    return answer
