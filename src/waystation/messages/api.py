"""Messages out: pages in both directions, a file of all of them, and the stream of what is written now."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec
from fastapi import Depends, Header, Query
from starlette.responses import Response, StreamingResponse

from waystation.homes import HomeViewer
from waystation.kernel import db
from waystation.kernel.db import Database
from waystation.kernel.routes import PartsOf, Router, Tx
from waystation.messages import export, reading, store
from waystation.messages.export import Format
from waystation.messages.live import Tail
from waystation.messages.model import number_at

router = Router(tags=["messages"])

MOST = 1000
MOST_WORDS = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """`device` is a key or serial; `severity` the least that is wanted; `q` is looked for in the text, in any case."""

    device: Annotated[str, Query(max_length=128)] = ""
    severity: Annotated[str, Query(max_length=20)] = ""
    type: Annotated[str, Query(max_length=64)] = ""
    q: Annotated[str, Query(max_length=MOST_WORDS)] = ""

    def wanted(self, tx: db.Tx, home_id: int) -> store.Wanted:
        return reading.asked(
            tx, home_id, device=self.device, severity=self.severity, kind=self.type, words=self.q.replace("\x00", "␀")
        )


Filtered = Annotated[Filter, Depends()]
LastEventId = Annotated[str, Header(max_length=20)]
Cursor = Annotated[str, Query(max_length=20)]


@router.get("/api/messages", summary="Log lines of devices, newest first")
@router.get("/api/messages/", include_in_schema=False)
def messages(
    me: HomeViewer,
    tx: Tx,
    wanted: Filtered,
    before: Cursor = "",
    after: Cursor = "",
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> Response:
    """`severity` is the least that is wanted. `older` is the `before` of the next page, null when there is none;
    `newer` is the `after` of what is written later. With `after` come the oldest that are newer, so none is left out.
    """
    found = reading.page(tx, wanted.wanted(tx, me.home_id), before=before, after=after, most=limit)
    body = {"messages": reading.shown(tx, found.messages), "older": found.older, "newer": found.newer}
    return Response(msgspec.json.encode(body), media_type="application/json")


@router.get("/api/messages/export", summary="All log lines as one file, oldest first")
@router.get("/api/messages/export/", include_in_schema=False)
def download(
    me: HomeViewer,
    tx: Tx,
    parts: PartsOf,
    wanted: Filtered,
    format: Format = Format.NDJSON,  # noqa: A002  its name in the address
) -> Response:
    body: Iterator[bytes] = export.parts(parts.get(Database), wanted.wanted(tx, me.home_id), format)
    named = {"content-disposition": f'attachment; filename="messages.{format.suffix}"', "cache-control": "no-store"}
    return StreamingResponse(body, media_type=format.media_type, headers=named)


@router.get("/api/messages/live", summary="Log lines as they are written, as server-sent events")
@router.get("/api/messages/live/", include_in_schema=False)
def live(
    me: HomeViewer,
    tx: Tx,
    parts: PartsOf,
    wanted: Filtered,
    after: Cursor = "",
    last_event_id: LastEventId = "",
) -> Response:
    """Events `message` (its id is a cursor: a stream that broke off goes on behind it), `repeated` (a line that was
    told, with its new `count`) and `skipped` (more was written than can be shown; the newest follow). Without a cursor
    it begins now. Ends when session, token or membership do.
    """
    number = begun_at(tx, last_event_id or after)
    return Tail(parts, wanted.wanted(tx, me.home_id), number, ended_by=me.ended_by)


def begun_at(tx: db.Tx, cursor: str) -> int:
    """The number behind which a stream begins: that of the cursor, or of the newest line."""
    return number_at(cursor) if cursor else store.last_number(tx)
