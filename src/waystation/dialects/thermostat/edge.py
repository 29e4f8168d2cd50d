"""How people's side of this dialect is called and refuses: a session's cookie, a form token, small JSON (section 5)."""

import hmac
from typing import Annotated, Any, cast
from urllib.parse import quote, urlsplit

import msgspec
from fastapi import Depends, Request
from starlette.responses import RedirectResponse, Response

from waystation import identity
from waystation.dialects.thermostat import wire
from waystation.identity import Caller
from waystation.kernel import https, pages, secrets
from waystation.kernel.errors import DomainError, Invalid, Refused, TooMany, Unauthenticated
from waystation.kernel.problems import problem_of
from waystation.kernel.routes import READING, Call, OwnWords, Within
from waystation.kernel.secrets import KeyRing

SESSION = "sessionid"
TOKEN = "csrftoken"  # noqa: S105  a cookie's name
TOKEN_HEADER = "x-csrftoken"  # noqa: S105
NOT_SIGNED_IN = "Authentication required"
NO_TOKEN = "CSRF token missing or incorrect"  # noqa: S105
LOGIN_PAGE = "/accounts/login/"


class Wrong(Invalid):
    """Answered with exactly this object."""

    def __init__(self, body: wire.Fields) -> None:
        super().__init__(str(body["detail"]))
        self.body = body


class Route(OwnWords):
    def refusal(self, request: Request, fault: DomainError) -> Response:
        del request
        return refusal(fault)


class Reading(Route):
    """As the original, which leads browsers to its sign-in page; programs get a 401."""

    def refusal(self, request: Request, fault: DomainError) -> Response:
        if isinstance(fault, Unauthenticated) and prefers_html(request):
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"{LOGIN_PAGE}?next={quote(wanted, safe='/')}", 302)
        return refusal(fault)


def refusal(fault: DomainError) -> Response:
    body = fault.body if isinstance(fault, Wrong) else {"detail": fault.sentence}
    if isinstance(fault, TooMany):
        body = wire.RATE_LIMITED
    return json(body, fault.status, dict(problem_of(fault).headers))


def json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def prefers_html(request: Request) -> bool:
    """Whether HTML is named, and before any JSON."""
    accepted = request.headers.get("accept", "")
    html, machine = accepted.find("text/html"), accepted.find("json")
    return html >= 0 and (machine < 0 or html < machine)


async def object_of(request: Request) -> wire.Fields:
    """The body's fields; an empty body has none."""
    body = await request.body()
    if not body.strip():
        return {}
    try:
        given = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Invalid(f"Invalid JSON: {str(fault)[:80]}") from fault
    if not isinstance(given, dict):
        raise Invalid("Invalid JSON: an object is wanted")
    return cast("wire.Fields", given)


def session_of(request: Request) -> str:
    """The secret of the session's cookie, under the name that our pages use or the one that scripts know."""
    return request.cookies.get(identity.cookie_name(request)) or request.cookies.get(SESSION, "")


def at_browser(call: Call) -> Caller:
    """Who is signed in here. What changes something must prove that a page of ours, or its own token, sent it."""
    secret = session_of(call.request)
    if not secret:
        raise Unauthenticated(NOT_SIGNED_IN)
    try:
        caller = identity.by_session(call, secret)
    except Unauthenticated as fault:
        raise Unauthenticated(NOT_SIGNED_IN) from fault
    if call.request.method not in READING:
        _check_source(call.request)
    return caller


def check_form_sender(request: Request) -> None:
    """For who need not be signed in: a script without cookies is let through, a browser needs its token (5.1)."""
    https.check(request)
    pages.check_origin(request)
    session, kept = session_of(request), request.cookies.get(TOKEN, "")
    if not session and not kept:
        return
    _check_source(request)
    wanted = form_token(request, session) if session else kept
    if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), wanted.encode()):
        raise Refused(NO_TOKEN)


def form_token(request: Request, session: str) -> str:
    return pages.token_for(request.app.state.parts.get(KeyRing).get("forms"), secrets.digest(session))


def _check_source(request: Request) -> None:
    """Under HTTPS a changing request that brings cookies says where it comes from, and that is here."""
    if not identity.is_https(request) or request.headers.get("sec-fetch-site") == "same-origin":
        return
    source = request.headers.get("origin") or request.headers.get("referer") or ""
    if urlsplit(source).netloc != request.headers.get("host"):
        raise Refused("CSRF check failed: send an Origin or Referer of this site")


def let_in(request: Request, answer: Response, entered: identity.signin.Entered) -> Response:
    """The answer, after which this browser or script is signed in: with our own cookies, and those that clients of
    this dialect know. All end with the browser.
    """
    identity.let_in(request, answer, entered)
    https = identity.is_https(request)
    if identity.cookie_name(request) != SESSION:
        answer.set_cookie(SESSION, entered.session, secure=https, httponly=True, samesite="lax", path="/")
    give_token(request, answer, form_token(request, entered.session))
    return answer


def give_token(request: Request, answer: Response, token: str = "") -> Response:
    """Readable by the pages' scripts, which send it back in a header. Without a session any random one will do."""
    value = token or secrets.new_secret()
    answer.set_cookie(TOKEN, value, secure=identity.is_https(request), samesite="lax", path="/")
    return answer


def let_go(request: Request, answer: Response) -> Response:
    https = identity.is_https(request)
    for name in {identity.cookie_name(request), SESSION}:
        answer.delete_cookie(name, secure=https, httponly=True, samesite="lax")
    answer.delete_cookie(TOKEN, secure=https, samesite="lax")
    return answer


Fields = Annotated[wire.Fields, Depends(object_of)]
AtBrowser = Annotated[Caller, Within(at_browser, who="at a browser")]
