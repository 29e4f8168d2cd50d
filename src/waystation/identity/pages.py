"""The pages before one is signed in: set-up, sign-in and its second step. Passwords are hashed between transactions."""

from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Form, Query, Request
from starlette.responses import Response

from waystation.identity import access, service, signin, store
from waystation.identity.access import caller_of
from waystation.identity.factors import access as browsers
from waystation.identity.factors import service as factors
from waystation.identity.factors import store as factor_store
from waystation.identity.factors import strength
from waystation.identity.factors.service import Pending
from waystation.identity.model import LEAST_PASSWORD, Caller
from waystation.identity.oidc.section import offered
from waystation.identity.signin import Attempt, Entered, Stopped
from waystation.kernel import pages
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.db import Tx as Transaction
from waystation.kernel.errors import DomainError, Invalid, NotFound
from waystation.kernel.limits import Limiter
from waystation.kernel.pages import Pages
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, PartsOf, Router, Tx, Within
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings

router = Router(include_in_schema=False, dependencies=[Depends(pages.read_form)])
SignedIn = Annotated[Caller, Within(caller_of, who="signed in")]
Text = Annotated[str, Form()]
SECOND_PAGE = "/signin/second"
LINK_IS_OVER = "this set-up link has been used or has expired; sign in, or start the hub again for a new one"


@router.get("/setup/{secret}")
def show_setup(request: Request, secret: str, tx: Tx, now: Now) -> Response:
    if not service.setup_is_open(tx, secret, now):
        raise NotFound(LINK_IS_OVER)
    return _setup_page(request, secret)


@router.post("/setup/{secret}")
def set_up(request: Request, secret: str, parts: PartsOf, email: Text = "", password: Text = "") -> Response:
    pages.check_origin(request)
    rule = f"{parts.get(Settings).signin_per_minute}/minute"
    came = browsers.came_from(request)
    parts.get(Limiter).limit(rule, "sign in", came.ip or "")
    now = parts.get(Clock).now()
    with parts.get(Database).read() as tx:
        if not service.setup_is_open(tx, secret, now):
            raise NotFound(LINK_IS_OVER)
    try:
        email = service.check_account(email, password)
    except Invalid as wrong:
        return _setup_page(request, secret, email=email, fault=wrong)
    hashed = service.hash_password(password)
    with parts.get(Database).write() as tx:
        person = service.set_up(tx, secret, now, email=email, password_hash=hashed)
        entered = signin.enter(tx, person.id, now, came=came, how="set-up link")
    return browsers.let_in(request, pages.go("/"), entered)


@router.get("/signin")
def show_sign_in(
    request: Request, tx: Tx, next_: Annotated[str, Query(alias="next")] = "/", late: str = ""
) -> Response:
    return _sign_in_page(request, next_, set_up=store.anybody(tx), late=bool(late))


@router.post("/signin")
async def sign_in(
    request: Request,
    parts: PartsOf,
    email: Text = "",
    password: Text = "",
    next_: Annotated[str, Form(alias="next")] = "/",
) -> Response:
    """Async, so that no thread of the server waits for a hash: `signin.apart` has threads of its own for that."""
    pages.check_origin(request)
    attempt = Attempt(email, password, browsers.came_from(request))
    wanted = pages.inside(next_)
    try:
        outcome = await signin.apart(parts, attempt.came, partial(signin.sign_in, parts, attempt, wanted))
    except DomainError as fault:
        return _sign_in_page(request, wanted, email=email, fault=fault)
    if isinstance(outcome, Entered):
        return browsers.let_in(request, pages.go(wanted), outcome)
    return browsers.keep_pending(request, pages.go(SECOND_PAGE), outcome)


@router.get(SECOND_PAGE)
def show_second_step(request: Request, tx: Tx, now: Now) -> Response:
    waiting = factors.pending(tx, browsers.pending_secret(request), now)
    if waiting is None:
        return pages.go("/signin?late=1")
    return _second_page(request, tx, waiting)


@router.post(SECOND_PAGE)
def take_second_step(request: Request, parts: PartsOf, tx: Tx, now: Now, code: Text = "") -> Response:
    waiting = factors.pending(tx, browsers.pending_secret(request), now)
    if waiting is None:
        return browsers.drop_pending(request, pages.go("/signin?late=1"))
    pages.check_form(request, _form_token(request, waiting))
    came = browsers.came_from(request)
    parts.get(Limiter).limit("20/minute", "sign in", "second step", came.ip or "")
    outcome = signin.second_step(tx, parts, waiting, now, came=came, code=code)
    if isinstance(outcome, Entered):
        return browsers.let_in(request, pages.go(pages.inside(waiting.next)), outcome)
    if outcome.is_over:
        answer = _sign_in_page(request, waiting.next, email=waiting.email, stopped=outcome)
        return browsers.drop_pending(request, answer)
    return _second_page(request, tx, waiting, stopped=outcome)


@router.post("/signout")
def sign_out(request: Request, caller: SignedIn, tx: Tx, now: Now) -> Response:
    if caller.session_id is not None:
        service.end_session(tx, caller.session_id, now)
    answer = pages.go("/signin")
    answer.delete_cookie(access.cookie_name(request), secure=access.is_https(request), httponly=True, samesite="lax")
    return answer


def _setup_page(request: Request, secret: str, *, email: str = "", fault: DomainError | None = None) -> Response:
    parts: Parts = request.app.state.parts
    context: dict[str, Any] = {
        "token": secret,
        "email": email,
        "least_password": LEAST_PASSWORD,
        "strength_ticket": strength.ticket(parts.get(KeyRing), parts.get(Clock).now()),
    }
    return _html(request, "setup", fault=fault, **context)


def _sign_in_page(
    request: Request,
    wanted: str,
    *,
    set_up: bool = True,
    late: bool = False,
    email: str = "",
    fault: DomainError | None = None,
    stopped: Stopped | None = None,
) -> Response:
    context: dict[str, Any] = {
        "next": pages.inside(wanted),
        "email": email,
        "set_up": set_up,
        "late": late,
        "outside": offered(request.app.state.parts.get(Settings)),
    }
    return _html(request, "signin", fault=fault, stopped=stopped, **context)


def _second_page(request: Request, tx: Transaction, waiting: Pending, *, stopped: Stopped | None = None) -> Response:
    request.state.csrf = _form_token(request, waiting)
    site = browsers.site_of(request).id
    context: dict[str, Any] = {
        "email": waiting.email,
        "has_app": factors.factors(tx, waiting.person_id).app,
        "has_passkey": bool(factor_store.credential_ids(tx, waiting.person_id, site)),
    }
    return _html(request, "second", stopped=stopped, **context)


def _form_token(request: Request, waiting: Pending) -> str:
    return pages.token_for(request.app.state.parts.get(KeyRing).get("forms"), waiting.digest)


def _html(
    request: Request, name: str, *, fault: DomainError | None = None, stopped: Stopped | None = None, **context: Any
) -> Response:
    """403 for what was wrong, 429 with the time to wait for what comes too often."""
    shown: Pages = request.app.state.parts.get(Pages)
    error, status, wait_seconds = None, 200, None
    if fault is not None:
        error, status, wait_seconds = fault.sentence, fault.status, fault.retry_after_seconds
    elif stopped is not None:
        error, wait_seconds = stopped.sentence, stopped.wait_seconds
        status = 403 if wait_seconds is None else 429
    answer = shown.html(request, f"identity/{name}.html", status=status, error=error, **context)
    if wait_seconds is not None:
        answer.headers["retry-after"] = str(max(1, round(wait_seconds)))
    return answer
