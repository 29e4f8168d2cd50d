"""What the forms of the admin pages do; each is one transaction."""

from fastapi import Depends, Request
from starlette.responses import Response

from waystation import identity
from waystation.dashboard.admin.pages import accounts_page
from waystation.homes import Operator
from waystation.kernel import pages
from waystation.kernel.routes import Now, Router, Tx
from waystation.kernel.settings import Settings
from waystation.kernel.site import public_url

router = Router(include_in_schema=False, dependencies=[Depends(pages.read_form)])


@router.post("/admin/accounts/{person_id}/disable")
def disable(person_id: int, me: Operator, tx: Tx, now: Now) -> Response:
    identity.account.people.disable(tx, me.actor, person_id, now)
    return pages.go("/admin/accounts?done=disabled")


@router.post("/admin/accounts/{person_id}/enable")
def enable(person_id: int, me: Operator, tx: Tx, now: Now) -> Response:
    identity.account.people.enable(tx, me.actor, person_id, now)
    return pages.go("/admin/accounts?done=enabled")


@router.post("/admin/accounts/{person_id}/sign-out")
def sign_out(person_id: int, me: Operator, tx: Tx, now: Now) -> Response:
    identity.account.people.sign_out_everywhere(tx, me.actor, person_id, now)
    return pages.go("/admin/accounts?done=signed-out")


@router.post("/admin/accounts/{person_id}/reset-link")
def reset_link(request: Request, person_id: int, me: Operator, tx: Tx, now: Now) -> Response:
    secret = identity.account.people.reset_link(tx, me.actor, person_id, now)
    settings: Settings = request.app.state.parts.get(Settings)
    return accounts_page(request, me, tx, link=f"{public_url(settings)}/reset/{secret}", link_for=person_id)


@router.post("/admin/sessions/browsers/{session_id}/end")
def end_session(session_id: int, me: Operator, tx: Tx, now: Now) -> Response:
    identity.overview.end_session(tx, me.actor, session_id, now)
    return pages.go("/admin/sessions?done=ended")


@router.post("/admin/sessions/apps/{login_id}/end")
def end_login(login_id: int, me: Operator, tx: Tx, now: Now) -> Response:
    identity.overview.end_login(tx, me.actor, login_id, now)
    return pages.go("/admin/sessions?done=ended")
