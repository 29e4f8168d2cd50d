"""Who is calling: found from a session cookie or a Bearer token, inside the request's transaction."""

import base64
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from waystation.identity import store
from waystation.identity.logins import ACCESS
from waystation.identity.model import Caller, NewSession
from waystation.kernel import https, jwt, pages, secrets
from waystation.kernel.calls import READING, Call
from waystation.kernel.errors import Unauthenticated
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings

COOKIE = "sessionid"


def is_https(request: Request) -> bool:
    return request.url.scheme == "https"


def cookie_name(request: Request) -> str:
    return f"__Host-{COOKIE}" if is_https(request) else COOKIE


def with_session(request: Request, answer: Response, session: NewSession) -> Response:
    """The answer, after which this browser is signed in."""
    options: Any = {"secure": is_https(request), "httponly": True, "samesite": "lax", "path": "/"}
    answer.set_cookie(cookie_name(request), session.secret, **options)
    return answer


def caller_of(call: Call) -> Caller:
    """Unauthenticated when there is neither; a session must also prove that its own page sent a changing request."""
    scheme, _, token = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        token = token.strip()
        return _by_access_token(call, token) if jwt.looks_like_one(token) else _by_token(call, token)
    if scheme.lower() == "basic":
        return _by_basic(call, token)
    secret = call.request.cookies.get(cookie_name(call.request))
    if secret:
        return by_session(call, secret)
    raise Unauthenticated("sign in, or send an API token as `Authorization: Bearer`")


def _by_basic(call: Call, pair: str) -> Caller:
    """An API token as the password, its name as the user. Browsers send both by themselves, so what changes something
    must have been started here.
    """
    if call.request.method not in READING:
        pages.check_origin(call.request)
    try:
        user, _, password = base64.b64decode(pair.strip(), validate=True).decode().partition(":")
    except ValueError as fault:
        raise Unauthenticated("this is no user and password as HTTP Basic has them") from fault
    return _by_token(call, password, user)


def _by_token(call: Call, token: str, user: str | None = None) -> Caller:
    row = store.live_token(call.tx, secrets.digest(token), call.now)
    if row is None or (user is not None and not secrets.same(user, row.name)):
        raise Unauthenticated("this API token is unknown, expired or revoked")
    if store.is_stale(row.used_at, call.now):
        with call.writing() as tx:
            store.touch_token(tx, row.id, call.now)
    who = f"token:{row.name}" if row.email is None else f"token:{row.name} of {row.email}"
    whose = {"person_id": row.person_id, "home_id": row.home_id}
    return Caller(who, token_id=row.id, token_role=row.role, ip=call.ip, **whose)


def _by_access_token(call: Call, token: str) -> Caller:
    """Signed and in time is not enough: its log-in must not have ended, so that logging out counts at once."""
    claims = call.parts.get(jwt.Tokens).read(ACCESS, token, call.now)
    login = store.live_login(call.tx, claims["sid"]) if isinstance(claims.get("sid"), int) else None
    if login is None or login.uid != claims["sub"]:
        raise Unauthenticated("this log-in has ended; log in again")
    if store.is_stale(login.seen_at, call.now):
        with call.writing() as tx:
            store.touch_login(tx, login.id, call.now)
    return Caller(f"person:{login.email}", person_id=login.person_id, login_id=login.id, ip=call.ip)


def by_session(call: Call, secret: str, *, is_our_form: bool = False) -> Caller:
    """For the secret of a session's cookie, under whatever name an edge keeps it. `is_our_form` when the edge has seen
    in another way that a page of this site sent a changing request.
    """
    https.check(call.request)
    digest = secrets.digest(secret)
    idle = timedelta(seconds=call.parts.get(Settings).session_idle_seconds)
    row: Any = store.live_session(call.tx, digest, call.now - idle)
    if row is None:
        raise Unauthenticated("your session has ended; sign in again")
    token = pages.token_for(call.parts.get(KeyRing).get("forms"), digest)
    if call.request.method not in READING and not is_our_form:
        pages.check_form(call.request, token)
    if store.is_stale(row.seen_at, call.now):
        with call.writing() as tx:
            store.touch_session(tx, row.id, call.now)
    call.request.state.person, call.request.state.csrf = row.email, token
    who = f"person:{row.email}"
    caller = Caller(who, person_id=row.person_id, session_id=row.id, home_id=row.home_id, ip=call.ip)
    call.request.state.caller = caller
    return caller
