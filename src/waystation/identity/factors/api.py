"""What the scripts of our own pages ask: passkeys, and how strong a password is."""

from typing import Annotated, Any

from fastapi import Form, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from waystation.identity import signin
from waystation.identity import store as people
from waystation.identity.factors import access, passkeys, service, store, strength
from waystation.identity.factors.access import AtBrowser
from waystation.identity.factors.passkeys import Answer, Asked, Purpose, Shown
from waystation.identity.factors.service import Mine, Pending
from waystation.identity.model import LEAST_PASSWORD, LEAST_SCORE, MOST_PASSWORD, strength_of
from waystation.identity.signin import Entered, Stopped
from waystation.kernel import audit, pages, secrets
from waystation.kernel.audit import Actor
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.errors import DomainError, Refused, Unauthenticated
from waystation.kernel.limits import Limiter
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, PartsOf, Router, Tx
from waystation.kernel.secrets import KeyRing

router = Router(include_in_schema=False)
SECURITY_PAGE = "/account/security"
TOO_LATE = "this sign-in took too long; sign in again"


class NotConfirmed(Refused):
    word = "confirm"


class Answered(BaseModel):
    """A `PublicKeyCredential` as JSON, and what its form says beside it."""

    credential: dict[str, Any]
    name: Annotated[str, Field(max_length=200)] = ""
    next: Annotated[str, Field(max_length=2000)] = "/"


@router.post("/signin/passkey/begin")
def begin_sign_in(request: Request, parts: PartsOf, tx: Tx, now: Now) -> Response:
    """The browser offers the passkeys that it has for this site; nobody has said who they are."""
    pages.check_origin(request)
    _count(request, parts)
    secret = secrets.new_secret()
    asked = Asked(access.site_of(request), Purpose.SIGN_IN, _browser(secret))
    return access.keep_pending(request, JSONResponse(passkeys.question(tx, asked, now)), secret)


@router.post("/signin/passkey/finish")
def finish_sign_in(request: Request, given: Answered, parts: PartsOf) -> Response:
    pages.check_origin(request)
    _count(request, parts)
    secret = access.pending_secret(request)
    shown = _checked(request, given, Asked(access.site_of(request), Purpose.SIGN_IN, _browser(secret)))
    with parts.get(Database).write() as tx:
        came = access.came_from(request)
        entered = signin.enter(tx, shown.person_id, parts.get(Clock).now(), came=came, how="passkey")
    return _in(request, entered, given.next)


@router.post("/signin/second/begin")
def begin_second_step(request: Request, parts: PartsOf, tx: Tx, now: Now) -> Response:
    pages.check_origin(request)
    _count(request, parts)
    waiting = _waiting(request, parts, tx, now)
    asked = Asked(access.site_of(request), Purpose.SECOND_STEP, _of(waiting))
    return JSONResponse(passkeys.question(tx, asked, now, person_id=waiting.person_id))


@router.post("/signin/second/finish")
def finish_second_step(request: Request, given: Answered, parts: PartsOf) -> Response:
    pages.check_origin(request)
    _count(request, parts)
    database, now = parts.get(Database), parts.get(Clock).now()
    with database.read() as tx:
        waiting = _waiting(request, parts, tx, now)
    shown = _checked(request, given, Asked(access.site_of(request), Purpose.SECOND_STEP, _of(waiting)))
    if shown.person_id != waiting.person_id:
        raise Refused("this passkey belongs to another account")
    with database.write() as tx:
        ended = signin.finish(tx, waiting, now, came=access.came_from(request), how="password, passkey")
    if isinstance(ended, Stopped):
        raise Refused(ended.sentence)
    return _in(request, ended, waiting.next)


@router.post("/account/security/passkeys/begin")
def begin_registration(request: Request, mine: AtBrowser, tx: Tx, now: Now) -> Response:
    if not service.is_confirmed(tx, mine, now):
        raise NotConfirmed("confirm first that it is you")
    asked = Asked(access.site_of(request), Purpose.REGISTER, _session(mine))
    person = people.person_by_id(tx, mine.person_id)
    return JSONResponse(passkeys.registration(tx, asked, now, person=person))


@router.post("/account/security/passkeys/finish")
async def finish_registration(request: Request, given: Answered, mine: AtBrowser) -> Response:
    await run_in_threadpool(_register, request, given, mine)
    return JSONResponse({"go": f"{SECURITY_PAGE}?done=passkey"})


@router.post("/account/security/confirm/begin")
def begin_confirmation(request: Request, mine: AtBrowser, tx: Tx, now: Now) -> Response:
    asked = Asked(access.site_of(request), Purpose.CONFIRM, _session(mine))
    return JSONResponse(passkeys.question(tx, asked, now, person_id=mine.person_id))


@router.post("/account/security/confirm/finish")
async def finish_confirmation(request: Request, given: Answered, mine: AtBrowser) -> Response:
    await run_in_threadpool(_confirm, request, given, mine)
    return JSONResponse({"go": f"{SECURITY_PAGE}?done=confirmed"})


@router.post("/password-strength")
async def show_strength(
    request: Request,
    parts: PartsOf,
    password: Annotated[str, Form()] = "",
    email: Annotated[str, Form()] = "",
    ticket: Annotated[str, Form()] = "",
) -> Response:
    """Nothing of it is kept. `word` is one of five; `advice` says what makes it too weak, if it is."""
    pages.check_origin(request)
    await parts.get(Limiter).limit_async(
        "120/minute", "judge a password", request.client.host if request.client else ""
    )
    if not strength.is_good(parts.get(KeyRing), ticket, parts.get(Clock).now()):
        raise Refused("this form is out of date; reload the page")
    if len(password) < LEAST_PASSWORD:
        return JSONResponse({"score": 0, "word": "too short", "advice": ""})
    found = await run_in_threadpool(strength_of, password[:MOST_PASSWORD], email[:320])
    advice = found.weakness if found.score < LEAST_SCORE else ""
    return JSONResponse({"score": found.score, "word": found.word, "advice": advice})


def _answered(request: Request, given: Answered, asked: Asked) -> Answer:
    """The challenge is used up in a transaction of its own, so that a wrong answer uses it up too."""
    parts: Parts = request.app.state.parts
    with parts.get(Database).write() as tx:
        return passkeys.answered(tx, asked, parts.get(Clock).now(), credential=given.credential)


def _checked(request: Request, given: Answered, asked: Asked) -> Shown:
    parts: Parts = request.app.state.parts
    answer = _answered(request, given, asked)
    try:
        with parts.get(Database).write() as tx:
            return passkeys.check(tx, answer, parts.get(Clock).now())
    except DomainError as fault:
        _note_failure(request, answer, fault)
        raise


def _note_failure(request: Request, answer: Answer, fault: DomainError) -> None:
    parts: Parts = request.app.state.parts
    with parts.get(Database).write() as tx:
        row = store.passkey_by_credential(tx, passkeys.credential_id(answer.credential))
        person = None if row is None else people.person_by_id(tx, row.person_id)
        on = "person:unknown" if person is None else f"person:{person.email}"
        who = Actor("nobody", access.came_from(request).ip)
        audit.note(tx, who, "failed to sign in with a passkey", on, now=parts.get(Clock).now(), why=fault.sentence)


def _register(request: Request, given: Answered, mine: Mine) -> None:
    parts: Parts = request.app.state.parts
    answer = _answered(request, given, Asked(access.site_of(request), Purpose.REGISTER, _session(mine)))
    with parts.get(Database).write() as tx:
        service.add_passkey(tx, mine, answer, parts.get(Clock).now(), name=given.name)


def _confirm(request: Request, given: Answered, mine: Mine) -> None:
    parts: Parts = request.app.state.parts
    shown = _checked(request, given, Asked(access.site_of(request), Purpose.CONFIRM, _session(mine)))
    if shown.person_id != mine.person_id:
        raise Refused("this passkey belongs to another account")
    with parts.get(Database).write() as tx:
        store.confirm_session(tx, mine.session_id, parts.get(Clock).now())


def _waiting(request: Request, parts: Parts, tx: Tx, now: Now) -> Pending:
    secret = access.pending_secret(request)
    waiting = service.pending(tx, secret, now)
    if waiting is None:
        raise Unauthenticated(TOO_LATE)
    pages.check_form(request, pages.token_for(parts.get(KeyRing).get("forms"), waiting.digest))
    return waiting


def _in(request: Request, entered: Entered, wanted: str) -> Response:
    return access.let_in(request, JSONResponse({"go": pages.inside(wanted)}), entered)


def _count(request: Request, parts: Parts) -> None:
    parts.get(Limiter).limit("30/minute", "use a passkey", access.came_from(request).ip or "")


def _browser(secret: str) -> str:
    return f"browser {secrets.digest(secret).hex()}"


def _of(waiting: Pending) -> str:
    return f"pending {waiting.digest.hex()}"


def _session(mine: Mine) -> str:
    return f"session {mine.session_id}"
