"""The page of what happened."""

from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response

from waystation.dashboard.activity import sources
from waystation.dashboard.activity.api import Cursor, Kinds, asked, begun_at
from waystation.dashboard.activity.model import ON_A_PAGE, Kind, cursor_of
from waystation.homes import HomeViewer
from waystation.kernel.errors import DomainError
from waystation.kernel.pages import Pages
from waystation.kernel.routes import Router, Tx

router = Router(include_in_schema=False)
KINDS = {
    Kind.DEVICE: "Devices",
    Kind.COMMAND: "Commands",
    Kind.FILE: "Files",
    Kind.PACKAGE: "Packages",
    Kind.ALERT: "Alerts",
    Kind.MESSAGE: "Messages",
    Kind.PEOPLE: "People",
}


@router.get("/activity")
def show_activity(
    request: Request,
    me: HomeViewer,
    tx: Tx,
    kind: Kinds = [],  # noqa: B006
    before: Cursor = "",
) -> Response:
    items, older, mark, fault = (), None, "", None
    try:
        found = sources.read(tx, asked(me.home_id, kind), begun_at(before), ON_A_PAGE)
        items, older, mark = found.items, found.older, found.mark
    except DomainError as wrong:
        fault = wrong.sentence
    chosen = [("kind", one.value) for one in kind]
    pages: Pages = request.app.state.parts.get(Pages)
    return pages.html(
        request,
        "activity/activity.html",
        status=400 if fault else 200,
        items=items,
        older=f"/activity?{urlencode([*chosen, ('before', cursor_of(older))])}" if older else None,
        mark=mark,
        stream=None if before or fault else f"/api/activity/live?{urlencode(chosen)}",
        kinds=KINDS,
        chosen=kind,
        newest=f"/activity?{urlencode(chosen)}",
        is_newest=not before,
        fault=fault,
    )
