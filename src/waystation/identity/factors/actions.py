"""What the forms on the security page do. Who changes how they sign in has proved shortly before who they are."""

from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Form, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from waystation.identity import signin
from waystation.identity import store as people
from waystation.identity.factors import access, service, store, totp
from waystation.identity.factors import pages as views
from waystation.identity.factors.access import AtBrowser
from waystation.identity.factors.pages import CONFIRM_PAGE, SECURITY_PAGE
from waystation.identity.factors.service import Mine
from waystation.identity.signin import Attempt
from waystation.kernel import pages
from waystation.kernel.db import Database
from waystation.kernel.db import Tx as Transaction
from waystation.kernel.errors import Conflict, DomainError, Invalid, Refused
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, PartsOf, Router, Tx
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing

router = Router(include_in_schema=False, dependencies=[Depends(pages.read_form)])
Text = Annotated[str, Form()]
PasskeyId = Annotated[int, Path(ge=1, le=2**53)]


@router.post(CONFIRM_PAGE)
async def confirm(request: Request, mine: AtBrowser, parts: PartsOf, password: Text = "") -> Response:
    came = access.came_from(request)
    attempt = Attempt(mine.by.who.partition(":")[2], password, came)
    try:
        await signin.apart(parts, came, partial(signin.prove, parts, attempt, partial(_confirmed, mine)))
    except DomainError as fault:
        return await run_in_threadpool(_confirm_again, request, mine, fault)
    return pages.go(f"{SECURITY_PAGE}?done=confirmed")


@router.post(f"{SECURITY_PAGE}/app")
def offer_app(request: Request, mine: AtBrowser, parts: PartsOf, tx: Tx, now: Now) -> Response:
    if not service.is_confirmed(tx, mine, now):
        return pages.go(CONFIRM_PAGE)
    try:
        secret = totp.offer(tx, Sealing(parts.get(KeyRing)), mine.person_id, now)
    except Conflict as fault:
        return views.security_page(request, tx, mine, fault=fault)
    return views.app_page(request, _email(tx, mine), secret)


@router.post(f"{SECURITY_PAGE}/app/confirm")
def confirm_app(request: Request, mine: AtBrowser, parts: PartsOf, tx: Tx, now: Now, code: Text = "") -> Response:
    if not service.is_confirmed(tx, mine, now):
        return pages.go(CONFIRM_PAGE)
    sealing, email = Sealing(parts.get(KeyRing)), _email(tx, mine)
    try:
        codes = service.confirm_app(tx, sealing, mine, now, code=code[:100])
    except Invalid as fault:
        return views.app_page(request, email, totp.offered(tx, sealing, mine.person_id), fault=fault)
    except DomainError as fault:
        return views.security_page(request, tx, mine, fault=fault)
    return views.codes_page(request, codes, email)


@router.post(f"{SECURITY_PAGE}/step")
def use_passkeys_as_second_step(request: Request, mine: AtBrowser, tx: Tx, now: Now) -> Response:
    if not service.is_confirmed(tx, mine, now):
        return pages.go(CONFIRM_PAGE)
    try:
        codes = service.use_passkeys_as_second_step(tx, mine, now)
    except Conflict as fault:
        return views.security_page(request, tx, mine, fault=fault)
    return views.codes_page(request, codes, _email(tx, mine))


@router.post(f"{SECURITY_PAGE}/codes")
def new_recovery_codes(request: Request, mine: AtBrowser, tx: Tx, now: Now) -> Response:
    if not service.is_confirmed(tx, mine, now):
        return pages.go(CONFIRM_PAGE)
    try:
        codes = service.new_recovery_codes(tx, mine, now)
    except Conflict as fault:
        return views.security_page(request, tx, mine, fault=fault)
    return views.codes_page(request, codes, _email(tx, mine))


@router.post(f"{SECURITY_PAGE}/off")
def switch_off(request: Request, mine: AtBrowser, tx: Tx, now: Now) -> Response:
    if not service.is_confirmed(tx, mine, now):
        return pages.go(CONFIRM_PAGE)
    try:
        service.switch_off(tx, mine, now)
    except Conflict as fault:
        return views.security_page(request, tx, mine, fault=fault)
    return pages.go(f"{SECURITY_PAGE}?done=off")


@router.post(SECURITY_PAGE + "/passkeys/{passkey_id}/rename")
def rename(request: Request, passkey_id: PasskeyId, mine: AtBrowser, tx: Tx, now: Now, name: Text = "") -> Response:
    try:
        service.rename_passkey(tx, mine, now, passkey_id=passkey_id, name=name)
    except DomainError as fault:
        return views.security_page(request, tx, mine, fault=fault)
    return pages.go(f"{SECURITY_PAGE}?done=renamed")


@router.post(SECURITY_PAGE + "/passkeys/{passkey_id}/delete")
def delete(request: Request, passkey_id: PasskeyId, mine: AtBrowser, tx: Tx, now: Now) -> Response:
    if not service.is_confirmed(tx, mine, now):
        return pages.go(CONFIRM_PAGE)
    try:
        service.delete_passkey(tx, mine, now, passkey_id=passkey_id)
    except DomainError as fault:
        return views.security_page(request, tx, mine, fault=fault)
    return pages.go(f"{SECURITY_PAGE}?done=deleted")


def _confirmed(mine: Mine, /, tx: Transaction, proved: signin.Proved, now: Any) -> None:
    """Only the password of whoever is signed in here."""
    if proved.person.id != mine.person_id:
        raise Refused("that is the password of another account")
    store.confirm_session(tx, mine.session_id, now)


def _confirm_again(request: Request, mine: Mine, fault: DomainError) -> Response:
    parts: Parts = request.app.state.parts
    wrong = Refused("that password does not fit") if isinstance(fault, signin.WrongPassword) else fault
    with parts.get(Database).read() as tx:
        return views.confirm_page(request, tx, mine, fault=wrong)


def _email(tx: Transaction, mine: Mine) -> str:
    person: Any = people.person_by_id(tx, mine.person_id)
    return person.email
