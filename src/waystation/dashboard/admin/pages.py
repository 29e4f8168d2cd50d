"""What those who manage a home, and those who run the site, look after: accounts, sessions, homes, the audit log."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response, StreamingResponse

from waystation import devices, homes, identity
from waystation.dashboard.pages import pages_of
from waystation.homes import HomeAdmin, Membership, Operator
from waystation.kernel import audit
from waystation.kernel.audit import Wanted
from waystation.kernel.clock import iso, parse_iso
from waystation.kernel.csv import plain_cell
from waystation.kernel.db import Database
from waystation.kernel.errors import Invalid
from waystation.kernel.routes import Call, Now, PartsOf, Router, Tx, Within
from waystation.kernel.settings import Settings

router = Router(include_in_schema=False)
ROWS = 100
COLUMNS = ("id", "at", "who", "did", "on", "detail", "ip")


def _is_operator(call: Call) -> bool:
    return homes.is_operator(call)


IsOperator = Annotated[bool, Within(_is_operator)]


@router.get("/admin")
def show_admin(request: Request, me: HomeAdmin, runs_site: IsOperator) -> Response:
    del me
    return pages_of(request).html(request, "dashboard/admin.html", runs_site=runs_site)


@router.get("/admin/audit")
def show_audit(
    request: Request,
    me: HomeAdmin,
    tx: Tx,
    runs_site: IsOperator,
    q: str = "",
    since: str = "",
    until: str = "",
    before: int | None = None,
) -> Response:
    wanted, fault = _wanted_or_fault(me, q, (since, until), runs_site=runs_site)
    rows = audit.newest(tx, wanted, before=before, most=0 if fault else ROWS + 1)
    return pages_of(request).html(
        request,
        "dashboard/audit.html",
        status=400 if fault else 200,
        rows=rows[:ROWS],
        older=rows[ROWS - 1].id if len(rows) > ROWS else None,
        is_first=before is None,
        q=q,
        since=since,
        until=until,
        fault=fault,
        whole_site=wanted.home_id is None,
    )


@router.get("/admin/audit.csv")
def audit_csv(
    me: HomeAdmin, parts: PartsOf, runs_site: IsOperator, q: str = "", since: str = "", until: str = ""
) -> Response:
    wanted = _wanted(me, q, (since, until), runs_site=runs_site)
    named = {"content-disposition": 'attachment; filename="audit.csv"', "cache-control": "no-store"}
    pages = _csv(parts.get(Database), wanted)
    begun = next(pages)  # so that what is wrong is said before the answer begins
    return StreamingResponse(chain([begun], pages), media_type="text/csv; charset=utf-8", headers=named)


@router.get("/admin/accounts")
def show_accounts(
    request: Request, me: Operator, tx: Tx, q: str = "", after: Annotated[int, Query(ge=0)] = 0, done: str = ""
) -> Response:
    return accounts_page(request, me, tx, q=q[:100], after=after, done=done)


@router.get("/admin/sessions")
def show_sessions(request: Request, me: Operator, tx: Tx, now: Now, parts: PartsOf, done: str = "") -> Response:
    idle = timedelta(seconds=parts.get(Settings).session_idle_seconds)
    found = identity.overview.open_sessions(tx, now, idle=idle)
    return pages_of(request).html(
        request, "dashboard/sessions.html", sessions=found, mine=(me.session_id, me.login_id), done=done
    )


@router.get("/admin/homes")
def show_homes(request: Request, me: Operator, tx: Tx) -> Response:
    del me
    found = [(one, homes.count_members(tx, one.id), devices.count(tx, one.id)) for one in homes.all_homes(tx)]
    return pages_of(request).html(request, "dashboard/site_homes.html", homes=found)


def accounts_page(
    request: Request,
    me: identity.Caller,
    tx: Any,
    *,
    q: str = "",
    after: int = 0,
    done: str = "",
    link: str = "",
    link_for: int | None = None,
) -> Response:
    found = identity.overview.accounts(tx, q, after=after, most=ROWS + 1)
    return pages_of(request).html(
        request,
        "dashboard/accounts.html",
        accounts=found[:ROWS],
        more_after=found[ROWS - 1].id if len(found) > ROWS else None,
        q=q,
        done=done,
        link=link,
        link_for=next((one for one in found if one.id == link_for), None),
        own_id=me.person_id,
    )


def _wanted(me: Membership, words: str, ends: tuple[str, str], *, runs_site: bool) -> Wanted:
    """One home's rows; with those of no home for who runs the site. Invalid for what is no day or time."""
    first, last = (None if not text else parse_iso(_whole(text)) for text in ends)
    if last is not None and len(ends[1]) == len("2026-01-31"):
        last = last.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return Wanted(None if runs_site else me.home_id, words[:200], first, last)


def _wanted_or_fault(
    me: Membership, words: str, ends: tuple[str, str], *, runs_site: bool
) -> tuple[Wanted, str | None]:
    try:
        return _wanted(me, words, ends, runs_site=runs_site), None
    except Invalid as fault:
        return _wanted(me, words, ("", ""), runs_site=runs_site), fault.sentence


def _whole(text: str) -> str:
    return f"{text}T00:00:00Z" if len(text) == len("2026-01-31") else text


def _csv(database: Database, wanted: Wanted) -> Iterator[str]:
    """Page by page, each in a short transaction of its own: a long log holds nobody up."""
    head, before = [COLUMNS], None
    while True:
        with database.read() as tx:
            rows = audit.newest(tx, wanted, before=before, most=1000)
        if rows or head:
            yield _lines([*head, *(_cells(row) for row in rows)])
        if not rows:
            return
        head, before = [], rows[-1].id


def _cells(row: Any) -> tuple[str, ...]:
    detail = json.dumps(row.detail, ensure_ascii=False) if row.detail else ""
    return tuple(
        plain_cell(text) for text in (str(row.id), iso(row.at), row.who, row.did, row.on, detail, row.ip or "")
    )


def _lines(rows: list[tuple[str, ...]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
