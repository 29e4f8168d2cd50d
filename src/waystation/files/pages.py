"""Files of the home as pages: the list with its upload zone, and one file with a preview."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response

from waystation import devices
from waystation.files import service, shown, store
from waystation.files.api import PEOPLE, history, wanted_of
from waystation.files.model import File
from waystation.files.sniff import TEXT
from waystation.homes import HomeViewer
from waystation.kernel import db
from waystation.kernel.blobs import Blobs
from waystation.kernel.errors import NotFound
from waystation.kernel.pages import Pages
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Router, Tx
from waystation.kernel.settings import Settings

router = Router(include_in_schema=False)
ON_A_PAGE = 50
MOST_DEVICES = 500
MOST_HISTORY = 50
DONE = {"deleted": "The file is deleted."}


@router.get("/files")
def show_files(
    request: Request,
    me: HomeViewer,
    tx: Tx,
    device: str = "",
    q: str = "",
    before: int | None = None,
    done: str = "",
) -> Response:
    filters = {"device": device[:64], "q": q[:100]}
    known = devices.search(tx, me.home_id, "", MOST_DEVICES)
    if filters["device"] not in ("", PEOPLE, *(one.key for one in known)):
        filters["device"] = ""
    wanted = wanted_of(tx, me.home_id, device=filters["device"], words=filters["q"])
    found = store.newest(tx, wanted, before=before, most=ON_A_PAGE + 1)
    page = {name: value for name, value in {**filters, "before": str(before or "")}.items() if value}
    return _html(
        request,
        "files.html",
        me=me,
        rows=_with_devices(tx, found[:ON_A_PAGE]),
        pager=_pager(found, filters, before),
        filters=filters,
        devices=known,
        address=f"/files?{urlencode(page)}",
        most_bytes=_parts(request).get(Settings).max_file_bytes,
        notice=DONE.get(done),
    )


def _with_devices(tx: db.Tx, files: list[File]) -> list[dict[str, Any]]:
    placed = devices.placed(tx, {one.device_id for one in files if one.device_id is not None})
    return [{"file": one, "device": placed.get(one.device_id or 0)} for one in files]


def _pager(found: list[File], filters: Mapping[str, str], before: int | None) -> dict[str, str | None] | None:
    is_last = len(found) <= ON_A_PAGE
    if is_last and before is None:
        return None
    older = f"/files?{urlencode({**filters, 'before': str(found[ON_A_PAGE - 1].id)})}" if not is_last else None
    return {"text": "", "previous": f"/files?{urlencode(filters)}" if before is not None else None, "next": older}


@router.get("/files/{file_id}")
def show_file(request: Request, me: HomeViewer, tx: Tx, file_id: str) -> Response:
    file = service.find(tx, me.home_id, file_id)
    text = _begin(request, file) if file.media_type == TEXT else ""
    return _html(
        request,
        "file.html",
        me=me,
        file=file,
        device=_with_devices(tx, [file])[0]["device"],
        history=history(tx, file, most=MOST_HISTORY),
        shows="text" if text else "picture" if shown.has_preview(file) and file.media_type != TEXT else "",
        text=text,
        is_cut=file.size_bytes > shown.PREVIEW_BYTES,
    )


def _begin(request: Request, file: File) -> str:
    """Empty when its bytes are gone, as after a restore without them: the page still says what is known of it."""
    try:
        with _parts(request).get(Blobs).open(file.sha256) as opened:
            return opened.read(shown.PREVIEW_BYTES).decode(errors="ignore")
    except NotFound:
        return ""


def _parts(request: Request) -> Parts:
    return request.app.state.parts


def _html(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
    return _parts(request).get(Pages).html(request, f"files/{template}", status=status, **context)
