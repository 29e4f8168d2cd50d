"""The pages before one is signed in: set-up and sign-in. Passwords are hashed between two short transactions."""

from typing import Annotated

from fastapi import Depends, Form, Query, Request
from starlette.responses import Response

from waystation.identity import access, service, store
from waystation.identity.access import caller_of
from waystation.identity.model import LEAST_PASSWORD, Caller, NewSession
from waystation.kernel import pages
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.errors import DomainError, Invalid, NotFound, Refused
from waystation.kernel.limits import Limiter
from waystation.kernel.pages import Pages
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, PartsOf, Router, Tx, Within
from waystation.kernel.settings import Settings

router = Router(include_in_schema=False, dependencies=[Depends(pages.read_form)])
SignedIn = Annotated[Caller, Within(caller_of, who="signed in")]
Text = Annotated[str, Form()]


@router.get("/setup/{secret}")
def show_setup(request: Request, secret: str, tx: Tx, now: Now) -> Response:
    if not service.setup_is_open(tx, secret, now):
        raise NotFound("this set-up link has been used or has expired; sign in, or start the hub again for a new one")
    return _setup_page(request, secret)


@router.post("/setup/{secret}")
def set_up(request: Request, secret: str, parts: PartsOf, email: Text = "", password: Text = "") -> Response:
    pages.check_origin(request)
    _count_try(request, parts)
    try:
        email = service.check_account(email, password)
    except Invalid as wrong:
        return _setup_page(request, secret, email=email, fault=wrong)
    hashed = service.hash_password(password)
    now = parts.get(Clock).now()
    with parts.get(Database).write() as tx:
        person = service.set_up(tx, secret, now, email=email, password_hash=hashed)
        session = service.open_session(tx, person.id, now, ip=_ip(request), agent=request.headers.get("user-agent"))
    return _with_session(request, pages.go("/"), session)


@router.get("/signin")
def show_sign_in(request: Request, tx: Tx, next_: Annotated[str, Query(alias="next")] = "/") -> Response:
    return _sign_in_page(request, next_, set_up=store.anybody(tx))


@router.post("/signin")
def sign_in(request: Request, parts: PartsOf, email: Text = "", password: Text = "", next: Text = "/") -> Response:  # noqa: A002
    pages.check_origin(request)
    _count_try(request, parts)
    with parts.get(Database).read() as tx:
        person = store.person_by_email(tx, email.strip())
    if not service.password_fits(password, person.password_hash if person else None) or person is None:
        fault = Refused("that e-mail address and password do not fit together")
        return _sign_in_page(request, next, email=email, fault=fault)
    with parts.get(Database).write() as tx:
        now = parts.get(Clock).now()
        session = service.open_session(tx, person.id, now, ip=_ip(request), agent=request.headers.get("user-agent"))
    return _with_session(request, pages.go(pages.inside(next)), session)


@router.post("/signout")
def sign_out(request: Request, caller: SignedIn, tx: Tx, now: Now) -> Response:
    if caller.session_id is not None:
        service.end_session(tx, caller.session_id, now)
    answer = pages.go("/signin")
    answer.delete_cookie(access.cookie_name(request), secure=access.is_https(request), httponly=True, samesite="lax")
    return answer


def _setup_page(request: Request, secret: str, *, email: str = "", fault: DomainError | None = None) -> Response:
    context = {
        "token": secret,
        "email": email,
        "error": fault.sentence if fault else None,
        "least_password": LEAST_PASSWORD,
    }
    return _pages(request).html(request, "identity/setup.html", status=fault.status if fault else 200, **context)


def _sign_in_page(
    request: Request, wanted: str, *, set_up: bool = True, email: str = "", fault: DomainError | None = None
) -> Response:
    context = {
        "next": pages.inside(wanted),
        "email": email,
        "error": fault.sentence if fault else None,
        "set_up": set_up,
    }
    return _pages(request).html(request, "identity/signin.html", status=fault.status if fault else 200, **context)


def _with_session(request: Request, answer: Response, session: NewSession) -> Response:
    secure = access.is_https(request)
    name = access.cookie_name(request)
    answer.set_cookie(name, session.secret, secure=secure, httponly=True, samesite="lax", path="/")
    return answer


def _count_try(request: Request, parts: Parts) -> None:
    rule = f"{parts.get(Settings).signin_per_minute}/minute"
    parts.get(Limiter).limit(rule, "sign in", _ip(request) or "")


def _pages(request: Request) -> Pages:
    return request.app.state.parts.get(Pages)


def _ip(request: Request) -> str | None:
    return request.client.host if request.client else None
