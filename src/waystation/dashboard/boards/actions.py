"""What the forms about dashboards do; each is one transaction, each answer a page or the way to one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Form, Request
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from waystation import devices
from waystation.dashboard.boards import form, links, pages, service
from waystation.dashboard.boards.model import (
    FORMAT,
    AnyTile,
    Board,
    Shape,
    Tiles,
    arranged,
    checked,
    moved,
    resized,
    tiles_of,
    with_tile,
    without,
)
from waystation.dashboard.boards.pages import Asked
from waystation.homes import HomeAdmin, HomeViewer
from waystation.kernel.calls import wants_html
from waystation.kernel.errors import Conflict, DomainError, Invalid, Refused
from waystation.kernel.pages import go, read_form
from waystation.kernel.routes import Now, Router, Tx

router = Router(include_in_schema=False, dependencies=[Depends(read_form)])
Text = Annotated[str, Form()]
Version = Annotated[int, Form(ge=0, le=2**31 - 1)]
MOST_FILE_BYTES = 1_000_000


async def _all_typed(request: Request) -> dict[str, list[str]]:
    typed: dict[str, list[str]] = {}
    for name, value in (await request.form()).multi_items():
        if isinstance(value, str):
            typed.setdefault(name, []).append(value[: form.MOST_TYPED + 1])
    return typed


async def _file(request: Request) -> bytes:
    given = (await request.form()).get("file")
    return await given.read(MOST_FILE_BYTES + 1) if isinstance(given, UploadFile) else b""


Typed = Annotated[Mapping[str, Sequence[str]], Depends(_all_typed)]
File = Annotated[bytes, Depends(_file)]


# Whole dashboards


@router.post("/boards")
def make(request: Request, me: HomeViewer, tx: Tx, now: Now, name: Text = "", whose: Text = "") -> Response:
    try:
        made = service.make(tx, me, now, name=name, is_shared=whose == "home")
    except (Invalid, Conflict, Refused) as fault:
        return pages.boards_page(Asked(request, me, tx, now), fault=fault, failed="new", draft=name)
    return go(f"/boards/{made.uid}?edit=1&done=made")


@router.post("/boards/import")
def bring_in(request: Request, me: HomeViewer, tx: Tx, now: Now, file: File, whose: Text = "") -> Response:
    try:
        name, tiles = _read_file(file)
        made = service.make(tx, me, now, name=name, tiles=tiles, is_shared=whose == "home")
    except (Invalid, Conflict, Refused) as fault:
        return pages.boards_page(Asked(request, me, tx, now), fault=fault, failed="import")
    return go(f"/boards/{made.uid}?done=imported")


def _read_file(file: bytes) -> tuple[str, Tiles]:
    if not file or len(file) > MOST_FILE_BYTES:
        raise Invalid("choose the file of a dashboard, at most 1 MB")
    try:
        read = msgspec.json.decode(file, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as fault:
        raise Invalid("that file is not the file of a dashboard: it is no JSON object") from fault
    if read.get("format") != FORMAT or not isinstance(read.get("name"), str):
        raise Invalid("that file is not the file of a dashboard: it needs `format` 1, `name` and `tiles`")
    return read["name"], tiles_of(read.get("tiles"))


@router.post("/boards/from-device")
def from_device(request: Request, me: HomeViewer, tx: Tx, now: Now, device: Text = "", whose: Text = "") -> Response:
    try:
        found = devices.by_key(tx, me.home_id, device)
        if found is None:
            raise Invalid("choose one of the home's devices")  # noqa: TRY301  told like the others
        tiles = service.from_device(tx, found)
        made = service.make(tx, me, now, name=found.name[:80], tiles=tiles, is_shared=whose == "home")
    except (Invalid, Conflict, Refused) as fault:
        return pages.boards_page(Asked(request, me, tx, now), fault=fault, failed="from-device")
    return go(f"/boards/{made.uid}")


@router.post("/boards/{uid}")
def change(
    request: Request,
    uid: str,
    me: HomeViewer,
    tx: Tx,
    now: Now,
    version: Version = 0,
    name: Text = "",
    whose: Text = "",
    start: Text = "",
) -> Response:
    asked, board = Asked(request, me, tx, now), service.find(tx, me, uid)
    try:
        seen = service.seen(tx, me, uid, version)
        person_id = None if whose == "home" else seen.person_id or me.user_id
        service.save(tx, me, seen, replace(seen, name=name, person_id=person_id, is_start=bool(start)), now=now)
    except (Invalid, Conflict) as fault:
        return pages.board_page(asked, board, editing=True, fault=fault)
    return go(f"/boards/{uid}?edit=1&done=saved")


@router.post("/boards/{uid}/copy")
def copy(uid: str, me: HomeViewer, tx: Tx, now: Now) -> Response:
    found = service.find(tx, me, uid)
    made = service.make(tx, me, now, name=f"{found.name[:70]} (copy)", tiles=found.tiles)
    return go(f"/boards/{made.uid}?edit=1&done=copied")


@router.post("/boards/{uid}/delete")
def delete(uid: str, me: HomeViewer, tx: Tx, now: Now) -> Response:
    service.delete(tx, me, service.find(tx, me, uid), now)
    return go("/boards?done=deleted")


# Tiles


@router.post("/boards/{uid}/arrange")
def arrange(
    request: Request, uid: str, me: HomeViewer, tx: Tx, now: Now, typed: Typed, version: Version = 0
) -> Response:
    """One step of one tile, or the whole `order` as in `t2:1,t1:4`. A script that asks gets the new version."""
    asked, board = Asked(request, me, tx, now), service.find(tx, me, uid)
    tile_id, step = form.first(typed, "tile"), form.first(typed, "step")
    try:
        seen = service.seen(tx, me, uid, version)
        order = form.first(typed, "order")
        tiles = arranged(seen.tiles, _shapes(order)) if order else _stepped(seen.tiles, tile_id, step)
        saved = service.save(tx, me, seen, replace(seen, tiles=tiles), now=now)
    except (Invalid, Conflict) as fault:
        if not wants_html(request):
            raise
        return pages.board_page(asked, board, editing=True, fault=fault)
    if not wants_html(request):
        return JSONResponse({"version": saved.version})
    return go(f"/boards/{uid}?edit=1&focus={tile_id}-{step}#tile-{tile_id}")


def _shapes(text: str) -> list[Shape]:
    pairs = [part.partition(":") for part in text.split(",")]
    if any(not width.isdecimal() or len(width) > 1 for _, _, width in pairs):
        raise Invalid("the order is a list such as t2:1,t1:4: every tile with its width")
    return [Shape(tile_id, int(width)) for tile_id, _, width in pairs]


def _stepped(tiles: Tiles, tile_id: str, step: str) -> Tiles:
    if step in ("earlier", "later"):
        return moved(tiles, tile_id, 1 if step == "later" else -1)
    if step in ("narrower", "wider"):
        return resized(tiles, tile_id, 1 if step == "wider" else -1)
    raise Invalid("a tile goes one step earlier, later, narrower or wider")


@router.post("/boards/{uid}/tiles")
def add_tile(
    request: Request, uid: str, me: HomeViewer, tx: Tx, now: Now, typed: Typed, version: Version = 0
) -> Response:
    kind = form.kind_of(form.first(typed, "kind"))
    return _put_tile(Asked(request, me, tx, now), uid, version, kind, typed=typed, tile_id="")


@router.post("/boards/{uid}/tiles/{tile_id}")
def save_tile(
    request: Request, uid: str, tile_id: str, me: HomeViewer, tx: Tx, now: Now, typed: Typed, version: Version = 0
) -> Response:
    kind = form.kind_of(form.first(typed, "kind"))
    return _put_tile(Asked(request, me, tx, now), uid, version, kind, typed=typed, tile_id=tile_id)


def _put_tile(
    asked: Asked, uid: str, version: int, kind: str, *, typed: Mapping[str, Sequence[str]], tile_id: str
) -> Response:
    board = service.find(asked.tx, asked.me, uid)
    board.check_may_change(asked.me)
    tile: AnyTile | None = next((one for one in board.tiles if one.id == tile_id), None)
    try:
        seen = service.seen(asked.tx, asked.me, uid, version)
        made = form.tile_from(typed, kind, tile_id)
        after = replace(seen, tiles=with_tile(seen.tiles, made))
        service.save(asked.tx, asked.me, seen, after, now=asked.now)
    except (Invalid, Conflict) as fault:
        return pages.tile_page(asked, board, kind, tile=tile, draft=form.typed_again(typed), fault=fault)
    return go(f"/boards/{uid}?edit=1&done=saved")


@router.post("/boards/{uid}/tiles/{tile_id}/remove")
def remove_tile(
    request: Request, uid: str, tile_id: str, me: HomeViewer, tx: Tx, now: Now, version: Version = 0
) -> Response:
    board = service.find(tx, me, uid)
    try:
        seen = service.seen(tx, me, uid, version)
        service.save(tx, me, seen, replace(seen, tiles=without(seen.tiles, tile_id)), now=now)
    except (Invalid, Conflict) as fault:
        return pages.board_page(Asked(request, me, tx, now), board, editing=True, fault=fault)
    return go(f"/boards/{uid}?edit=1&done=removed")


@router.post("/pin")
def pin(request: Request, me: HomeViewer, tx: Tx, now: Now, typed: Typed) -> Response:
    """Onto a dashboard that there is, or a new one; nobody's change is overwritten, because it only adds."""
    key, series = form.first(typed, "from"), list(typed.get("series", ()))
    try:
        board = _pinned_to(Asked(request, me, tx, now), _pinned(typed, key), typed)
    except (Invalid, Conflict, Refused) as fault:
        found = key if key and devices.by_key(tx, me.home_id, key) else ""
        draft = form.typed_again(typed)
        return pages.pin_page(Asked(request, me, tx, now), found, series, fault=fault, draft=draft)
    return go(f"/boards/{board.uid}?done=pinned")


def _pinned_to(asked: Asked, tiles: Sequence[AnyTile], typed: Mapping[str, Sequence[str]]) -> Board:
    tx, me, now, uid = asked.tx, asked.me, asked.now, form.first(typed, "board")
    if not uid:
        is_shared = form.first(typed, "whose") == "home"
        return service.make(tx, me, now, name=form.first(typed, "name"), tiles=checked(tiles), is_shared=is_shared)
    found = service.find(tx, me, uid)
    return service.save(tx, me, found, replace(found, tiles=checked([*found.tiles, *tiles])), now=now)


def _pinned(typed: Mapping[str, Sequence[str]], key: str) -> list[AnyTile]:
    """A device's card, each chosen metric by itself, or all chosen series on one chart."""
    made: list[AnyTile] = []
    if form.first(typed, "card"):
        made.append(form.tile_from({"device": [key], "width": ["1"]}, "device"))
    for kind in ("value", "state"):
        made += [form.tile_from({"series": [name], "width": ["1"]}, kind) for name in typed.get(kind, ())]
    if typed.get("series"):
        made.append(form.tile_from({**typed, "width": ["2"]}, "chart"))
    if not made:
        raise Invalid("choose what to pin")
    return made


# Links


@router.post("/boards/{uid}/links")
def share(request: Request, uid: str, me: HomeAdmin, tx: Tx, now: Now, name: Text = "", hours: Text = "24") -> Response:
    asked, board = Asked(request, me, tx, now), service.find(tx, me, uid)
    try:
        made = links.share(tx, me, board, now, name=name, hours=_hours(hours))
    except DomainError as fault:
        return pages.links_page(asked, board, fault=fault, draft=name)
    return pages.link_page(asked, board, made)


def _hours(text: str) -> float | None:
    if not text:
        return None
    if not text.isdecimal() or len(text) > 6:
        raise Invalid("a link lasts 1 hour to 90 days, or until it is taken back")
    return float(text)


@router.post("/boards/{uid}/links/{link_id}/revoke")
def take_back(uid: str, link_id: int, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    links.take_back(tx, me, service.find(tx, me, uid), link_id, now=now)
    return go(f"/boards/{uid}/links?done=revoked")
