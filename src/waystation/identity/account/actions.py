"""What the forms of the account page do."""

from typing import Annotated

from fastapi import Depends, Form, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from waystation.identity.account import pages as views
from waystation.identity.account import service, whereabouts
from waystation.identity.account.access import Me, Visit
from waystation.identity.account.model import NewToken, Scope, WrongPassword, parse_days
from waystation.identity.account.tokens import make_token, revoke_token, tokens
from waystation.kernel import pages
from waystation.kernel.db import Database
from waystation.kernel.db import Tx as OpenTx
from waystation.kernel.errors import Conflict, Invalid
from waystation.kernel.limits import Limiter
from waystation.kernel.routes import Now, Router, Tx
from waystation.kernel.settings import Settings
from waystation.kernel.site import public_url

router = Router(include_in_schema=False, dependencies=[Depends(pages.read_form)])
Text = Annotated[str, Form()]
Number = Annotated[int, Path(ge=1, lt=2**63)]


@router.post("/account/names")
def change_names(request: Request, me: Me, tx: Tx, now: Now, first_name: Text = "", last_name: Text = "") -> Response:
    try:
        service.change_names(tx, me, now, first_name=first_name, last_name=last_name)
    except Invalid as wrong:
        draft = {"first_name": first_name, "last_name": last_name}
        return views.account_page(Visit(request, me), tx, errors={"names": wrong.sentence}, draft=draft)
    return pages.go("/account?done=names")


@router.post("/account/email")
async def change_email(request: Request, me: Me, email: Text = "", password: Text = "") -> Response:
    return await run_in_threadpool(_change_email, Visit(request, me), email, password)


def _change_email(visit: Visit, email: str, password: str) -> Response:
    _count_try(visit)
    database, draft = visit.parts.get(Database), {"email": email}
    with database.read() as tx:
        row = service.person(tx, visit.me.person_id)
    try:
        service.prove(password, row.password_hash)
        with database.write() as tx:
            service.change_email(tx, visit.me, visit.now, email=email)
    except WrongPassword as wrong:
        return _refused(visit, {"email_password": wrong.sentence}, draft)
    except (Invalid, Conflict) as wrong:
        return _refused(visit, {"email": wrong.sentence}, draft)
    return pages.go("/account?done=email")


@router.post("/account/password")
async def change_password(
    request: Request, me: Me, old_password: Text = "", new_password: Text = "", elsewhere: Text = ""
) -> Response:
    return await run_in_threadpool(_change_password, Visit(request, me), old_password, new_password, bool(elsewhere))


def _change_password(visit: Visit, old: str, new: str, sign_out_elsewhere: bool) -> Response:  # noqa: FBT001
    _count_try(visit)
    database = visit.parts.get(Database)
    with database.read() as tx:
        row = service.person(tx, visit.me.person_id)
    try:
        password = service.replace_password(row, old=old, new=new)
        with database.write() as tx:
            service.change_password(tx, visit.me, visit.now, password=password, sign_out_elsewhere=sign_out_elsewhere)
    except WrongPassword as wrong:
        return _refused(visit, {"old_password": wrong.sentence})
    except (Invalid, Conflict) as wrong:
        return _refused(visit, {"new_password": wrong.sentence})
    return pages.go("/account?done=password")


@router.post("/account/sessions/{session_id}/end")
def sign_out_browser(session_id: Number, me: Me, tx: Tx, now: Now) -> Response:
    whereabouts.sign_out_browser(tx, me, now, session_id)
    return pages.go("/account?done=signed-out#places")


@router.post("/account/apps/{login_id}/end")
def sign_out_app(login_id: Number, me: Me, tx: Tx, now: Now) -> Response:
    whereabouts.sign_out_app(tx, me, now, login_id)
    return pages.go("/account?done=signed-out#places")


@router.post("/account/elsewhere/end")
def sign_out_elsewhere(me: Me, tx: Tx, now: Now) -> Response:
    whereabouts.sign_out_elsewhere(tx, me, now)
    return pages.go("/account?done=signed-out-elsewhere#places")


@router.post("/account/tokens")
def show_new_token(
    request: Request,
    me: Me,
    tx: Tx,
    now: Now,
    name: Text = "",
    scope: Text = "",
    days: Text = "",
    home: Text = "",
) -> Response:
    visit = Visit(request, me)
    try:
        wanted = NewToken(name, Scope.parse(scope), parse_days(days), _home(visit, tx, home))
        text = make_token(tx, me, now, wanted)
    except (Invalid, Conflict) as wrong:
        draft = {"token_name": name, "scope": scope, "days": days, "home": home}
        return views.account_page(visit, tx, errors={"token": wrong.sentence}, draft=draft)
    shown = next(one for one in tokens(tx, me.person_id, now))
    url = public_url(visit.parts.get(Settings))
    return visit.html("account_token", token=shown, text=text, server_url=url)


@router.post("/account/tokens/{token_id}/revoke")
def end_token(token_id: Number, me: Me, tx: Tx, now: Now) -> Response:
    revoke_token(tx, me, now, token_id)
    return pages.go("/account?done=revoked#tokens")


def _home(visit: Visit, tx: OpenTx, chosen: str) -> int | None:
    """The one home of the person's that a token is to be for, None for all."""
    if not chosen:
        return None
    found = next((home.id for home in visit.homes(tx) if str(home.id) == chosen), None)
    if found is None:
        raise Invalid("choose one of your homes, or all of them")
    return found


def _count_try(visit: Visit) -> None:
    visit.parts.get(Limiter).limit("5/minute", "change your account", str(visit.me.person_id))


def _refused(visit: Visit, errors: dict[str, str], draft: dict[str, str] | None = None) -> Response:
    with visit.parts.get(Database).read() as tx:
        return views.account_page(visit, tx, errors=errors, draft=draft)
