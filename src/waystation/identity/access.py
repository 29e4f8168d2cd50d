"""Who is calling: found from a session cookie or a Bearer token, inside the request's transaction."""

from datetime import timedelta
from typing import Any

from fastapi import Request

from waystation.identity import store
from waystation.identity.model import Caller
from waystation.kernel import pages, secrets
from waystation.kernel.errors import Unauthenticated
from waystation.kernel.routes import READING, Call
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings

COOKIE = "sessionid"


def is_https(request: Request) -> bool:
    return request.url.scheme == "https"


def cookie_name(request: Request) -> str:
    return f"__Host-{COOKIE}" if is_https(request) else COOKIE


def caller_of(call: Call) -> Caller:
    """Unauthenticated when there is neither; a session must also prove that its own page sent a changing request."""
    scheme, _, token = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return _by_token(call, token.strip())
    secret = call.request.cookies.get(cookie_name(call.request))
    if secret:
        return _by_session(call, secrets.digest(secret))
    raise Unauthenticated("sign in, or send an API token as `Authorization: Bearer`")


def _by_token(call: Call, token: str) -> Caller:
    row = store.live_token(call.tx, secrets.digest(token), call.now)
    if row is None:
        raise Unauthenticated("this API token is unknown, expired or revoked")
    if store.is_stale(row.used_at, call.now):
        with call.writing() as tx:
            store.touch_token(tx, row.id, call.now)
    return Caller(f"token:{row.name}", token_id=row.id, token_role=row.role, ip=call.ip)


def _by_session(call: Call, digest: bytes) -> Caller:
    idle = timedelta(seconds=call.parts.get(Settings).session_idle_seconds)
    row: Any = store.live_session(call.tx, digest, call.now - idle)
    if row is None:
        raise Unauthenticated("your session has ended; sign in again")
    token = pages.token_for(call.parts.get(KeyRing).get("forms"), digest)
    if call.request.method not in READING:
        pages.check_form(call.request, token)
    if store.is_stale(row.seen_at, call.now):
        with call.writing() as tx:
            store.touch_session(tx, row.id, call.now)
    call.request.state.person, call.request.state.csrf = row.email, token
    return Caller(f"person:{row.email}", person_id=row.person_id, session_id=row.id, ip=call.ip)
