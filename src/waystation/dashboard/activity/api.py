"""What happened, for programs."""

from typing import Annotated

import msgspec
from fastapi import Query
from starlette.responses import Response

from waystation.dashboard.activity import sources
from waystation.dashboard.activity.live import Changes
from waystation.dashboard.activity.model import MOST_CURSOR, Kind, Places, cursor_of, places_at
from waystation.dashboard.activity.sources import ALL, SOURCES, Asked
from waystation.homes import HomeViewer
from waystation.kernel.routes import PartsOf, Router, Tx

router = Router(tags=["dashboard"])

MOST = 200

Cursor = Annotated[str, Query(max_length=MOST_CURSOR)]
Kinds = Annotated[list[Kind], Query(max_length=len(ALL))]


@router.get("/api/activity", summary="What happened in the home, newest first")
@router.get("/api/activity/", include_in_schema=False)
def activity(
    me: HomeViewer,
    tx: Tx,
    kind: Kinds = [],  # noqa: B006  FastAPI copies it
    before: Cursor = "",
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> Response:
    """Of these kinds, or of all; `older` is the `before` of the next page, null when this is the last. A command says
    in `state` how far it has got since it was sent.
    """
    found = sources.read(tx, asked(me.home_id, kind), begun_at(before), limit)
    older = None if found.older is None else cursor_of(found.older)
    return Response(msgspec.json.encode({"items": found.items, "older": older}), media_type="application/json")


@router.get("/api/activity/live", summary="A word whenever something happens, as server-sent events")
@router.get("/api/activity/live/", include_in_schema=False)
async def live(me: HomeViewer, parts: PartsOf, kind: Kinds = []) -> Response:  # noqa: B006
    """The event `changed` brings a mark of the newest page of /api/activity: at first, and when it is another one."""
    return Changes(parts, asked(me.home_id, kind), ended_by=me.ended_by)


def asked(home_id: int, kinds: list[Kind]) -> Asked:
    return Asked(home_id, tuple(dict.fromkeys(kinds)) or ALL)


def begun_at(cursor: str) -> Places:
    return places_at(cursor, tuple(SOURCES)) if cursor else {}
