"""The page of messages, and the stream of rows that are put on top of it."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response

from waystation import devices
from waystation.homes import HomeViewer
from waystation.kernel import db
from waystation.kernel.errors import DomainError
from waystation.kernel.pages import Pages
from waystation.kernel.parts import Parts
from waystation.kernel.routes import PartsOf, Router, Tx
from waystation.messages import reading
from waystation.messages.api import Cursor, Filtered, LastEventId, begun_at
from waystation.messages.export import Format
from waystation.messages.live import Tail
from waystation.messages.model import Message, Severity, cursor_of, visible
from waystation.messages.reading import Page

router = Router(include_in_schema=False)
ON_A_PAGE = 100
MOST_DEVICES = 1000
NOTHING = Page((), None, "", is_newest=False)
DOWNLOADS = (("Text", Format.TEXT), ("CSV", Format.CSV), ("NDJSON", Format.NDJSON))


@router.get("/messages")
def show_messages(
    request: Request, me: HomeViewer, tx: Tx, wanted: Filtered, before: Cursor = "", after: Cursor = ""
) -> Response:
    filters = {"device": wanted.device, "severity": wanted.severity, "type": wanted.type, "q": wanted.q}
    chosen = {name: value for name, value in filters.items() if value}
    found, fault = NOTHING, None
    try:
        found = reading.page(tx, wanted.wanted(tx, me.home_id), before=before, after=after, most=ON_A_PAGE)
    except DomainError as wrong:
        fault = wrong.sentence
    pages: Pages = request.app.state.parts.get(Pages)
    return pages.html(
        request,
        "messages/messages.html",
        status=400 if fault else 200,
        rows=rows_of(tx, found.messages),
        older=_address(chosen, before=found.older) if found.older else None,
        newer=None if found.is_newest or fault else _address(chosen, after=found.newer),
        stream=_address(chosen, "/messages/stream", after=found.newer) if found.is_newest else None,
        filters=filters,
        query=f"?{urlencode(chosen)}" if chosen else "",
        downloads=[(word, _address(chosen, "/api/messages/export", format=form)) for word, form in DOWNLOADS],
        devices=devices.search(tx, me.home_id, "", MOST_DEVICES),
        severities=list(Severity),
        fault=fault,
    )


def _address(chosen: dict[str, str], path: str = "/messages", **more: str) -> str:
    return f"{path}?{urlencode({**chosen, **more})}"


@router.get("/messages/stream")
def stream(
    me: HomeViewer, tx: Tx, parts: PartsOf, wanted: Filtered, after: Cursor = "", last_event_id: LastEventId = ""
) -> Response:
    """As /api/messages/live, in rows of the page."""
    number = begun_at(tx, last_event_id or after)
    tell = partial(_as_rows, parts)
    return Tail(parts, wanted.wanted(tx, me.home_id), number, ended_by=me.ended_by, tell=tell)


def _as_rows(parts: Parts, tx: db.Tx, messages: Sequence[Message]) -> list[str]:
    pages = parts.get(Pages)
    return [pages.part("messages/entry.html", row=row) for row in rows_of(tx, messages)]


def rows_of(tx: db.Tx, messages: Sequence[Message]) -> list[dict[str, Any]]:
    """For templates/rows.html."""
    placed = devices.placed(tx, {one.device_id for one in messages})
    return [
        {
            "one": one,
            "said": visible(one.content),
            "place": cursor_of(one.number),
            "key": placed[one.device_id].key,
            "name": placed[one.device_id].name,
        }
        for one in messages
        if one.device_id in placed
    ]
