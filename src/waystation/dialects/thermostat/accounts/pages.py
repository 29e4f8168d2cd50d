"""`/accounts/login|register|logout/`: our own sign-in at this dialect's paths (contract section 5.4)."""

import hmac
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Annotated

from fastapi import Depends, Query, Request
from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from waystation import identity
from waystation.dialects.crossroads import Elsewhere
from waystation.dialects.thermostat import edge
from waystation.dialects.thermostat.accounts import api
from waystation.dialects.thermostat.board.edge import (
    LIST,
    Route,
    Typed,
    add_cookies,
    found,
    go,
    html,
    token_in,
    with_token,
)
from waystation.homes import Person
from waystation.kernel import pages
from waystation.kernel.clock import Clock
from waystation.kernel.errors import DomainError, Invalid, Refused, TooMany
from waystation.kernel.parts import Parts
from waystation.kernel.routes import PartsOf, Router
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings

router = Router(include_in_schema=False, route_class=Route, dependencies=[Depends(pages.read_form)])
Next = Annotated[str, Query(alias="next")]


@router.get("/accounts/login")
@router.get("/accounts/login/")
def show_login(request: Request, next_: Next = LIST) -> Response:
    return Elsewhere(request, "/signin", query={"next": pages.inside(next_)}, dress=with_token(request))


@router.post("/accounts/login")
@router.post("/accounts/login/")
def log_in(request: Request, typed: Typed) -> Response:
    """By user name or e-mail address, as on our own page; its answer is that page's."""
    check_token(request, typed)
    wanted = {"email": typed.get("username") or typed.get("email", ""), "password": typed.get("password", "")}
    next_ = pages.inside(typed.get("next") or request.query_params.get("next") or LIST)

    def with_session(headers: MutableHeaders, status: int) -> int:
        secret = _session_in(headers, identity.cookie_name(request))
        if secret:
            add_cookies(headers, _known_names(request, secret))
        return found(headers, status)

    return Elsewhere(request, "/signin", form={**wanted, "next": next_}, dress=with_session)


@router.get("/accounts/logout")
@router.get("/accounts/logout/")
def show_logout(request: Request, me: Person) -> Response:
    del me
    return html(request, "leave")


@router.post("/accounts/logout")
@router.post("/accounts/logout/")
def log_out(request: Request, me: Person) -> Response:
    del me

    def without_session(headers: MutableHeaders, status: int) -> int:
        add_cookies(headers, edge.let_go(request, Response()))
        headers["location"] = edge.LOGIN_PAGE
        return found(headers, status)

    return Elsewhere(request, "/signout", form={"csrf": getattr(request.state, "csrf", "")}, dress=without_session)


@router.get("/accounts/register")
@router.get("/accounts/register/")
def show_registration(request: Request, parts: PartsOf) -> Response:
    return _registration_page(request, parts)


@router.post("/accounts/register")
@router.post("/accounts/register/")
def register(request: Request, parts: PartsOf, typed: Typed) -> Response:
    """Under the rules that are on the JSON path, too (TH-16)."""
    check_token(request, typed)
    password = typed.get("password") or typed.get("password1", "")
    given = {"username": typed.get("username", ""), "password": password, "email": typed.get("email", "")}
    try:
        _check_repeated(typed, password)
        _, entered = api.make_account(parts, identity.came_from(request), given)
    except (Invalid, Refused, TooMany) as fault:
        return _registration_page(request, parts, fault, given)
    return edge.let_in(request, go(LIST), entered)


def _check_repeated(typed: Mapping[str, str], password: str) -> None:
    if typed.get("password2", password) != password:
        raise Invalid("the two passwords are not the same")


def check_token(request: Request, typed: Mapping[str, str]) -> None:
    """Refused unless the field or header says what the cookie says: another site cannot read it (5.1)."""
    pages.check_origin(request)
    kept, given = request.cookies.get(edge.TOKEN, ""), token_in(request, typed)
    if not kept or not hmac.compare_digest(given.encode(), kept.encode()):
        raise Refused(edge.NO_TOKEN)


def _registration_page(
    request: Request, parts: Parts, fault: DomainError | None = None, given: Mapping[str, str] | None = None
) -> Response:
    answer = html(
        request,
        "account",
        status=fault.status if fault else 200,
        error=fault.sentence if fault else "",
        draft=given or {},
        is_open=parts.get(Settings).open_registration,
        least_password=identity.LEAST_PASSWORD,
        strength_ticket=identity.strength.ticket(parts.get(KeyRing), parts.get(Clock).now()),
    )
    if fault and fault.retry_after_seconds:
        answer.headers["retry-after"] = str(max(1, round(fault.retry_after_seconds)))
    return answer


def _known_names(request: Request, secret: str) -> Response:
    """Cookies under the names that clients of this dialect know."""
    answer = Response()
    if identity.cookie_name(request) != edge.SESSION:
        secure = identity.is_https(request)
        answer.set_cookie(edge.SESSION, secret, secure=secure, httponly=True, samesite="lax", path="/")
    return edge.give_token(request, answer, edge.form_token(request, secret))


def _session_in(headers: MutableHeaders, name: str) -> str:
    for line in headers.getlist("set-cookie"):
        cookie = SimpleCookie(line)
        if name in cookie:
            return cookie[name].value
    return ""
