"""`/api/auth/register|login|logout/` by user name, beside the other dialect that has these paths (section 5.2)."""

from functools import partial

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from waystation import homes, identity
from waystation.dialects.crossroads import FitsTwo, Shared
from waystation.dialects.thermostat import edge, wire
from waystation.dialects.thermostat.accounts import model
from waystation.dialects.thermostat.edge import AtBrowser, Fields, json
from waystation.identity import Caller, signin
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.errors import Conflict, Invalid, Refused
from waystation.kernel.limits import Limiter
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, PartsOf, Router, Tx
from waystation.kernel.settings import Settings

NO_FIT = "Invalid credentials"
TAKEN = "Username already taken"
TWO_BODIES = (
    "the body names a username and an e-mail address in the way of two systems; log in with one of them, and register "
    "without password2"
)
FOR_BOTH = {"detail": "Fields 'username' and 'password' are required", "email": ["This field is required."]}
TWO_PROOFS = "the request brings a session's cookie and an Authorization header; send one of them"


class ByBody(edge.Route, Shared):
    """A body with a `username` is this dialect's, one with an `email` and a second password the Smart Home app's."""

    async def is_mine(self, request: Request) -> bool:
        try:
            given = await edge.object_of(request)
        except Invalid:
            return False
        if not given.keys() & {"username", "email"}:
            raise edge.Wrong(FOR_BOTH)
        is_theirs = "email" in given and ("password2" in given or request.url.path.rstrip("/").endswith("login"))
        if is_theirs and "username" in given:
            raise FitsTwo(TWO_BODIES)
        return "username" in given


class BySession(edge.Route, Shared):
    """A session's cookie is this dialect's proof, an Authorization header another's."""

    async def is_mine(self, request: Request) -> bool:
        has_cookie, has_header = bool(edge.session_of(request)), "authorization" in request.headers
        if has_cookie and has_header:
            raise FitsTwo(TWO_PROOFS)
        return has_cookie


by_body = Router(tags=["thermostat"], route_class=ByBody)
by_session = Router(tags=["thermostat"], route_class=BySession)


@by_body.post("/api/auth/register", include_in_schema=False)
@by_body.post("/api/auth/register/", include_in_schema=False)
async def register(request: Request, given: Fields, parts: PartsOf) -> Response:
    """Makes an account, and its home where there may be many, and signs in."""
    edge.check_form_sender(request)
    person, entered = await run_in_threadpool(make_account, parts, identity.came_from(request), given)
    return edge.let_in(request, json(person, 201), entered)


def make_account(parts: Parts, came: signin.Came, given: wire.Fields) -> tuple[wire.Fields, signin.Entered]:
    settings, now = parts.get(Settings), parts.get(Clock).now()
    parts.get(Limiter).limit(f"{settings.registrations_per_hour}/hour", "make an account", came.ip or "")
    typed, password = model.texts(given, "username", "password")
    email, username = model.check_names(typed, given.get("email"))
    model.check_password(password, username or email, email)
    with parts.get(Database).read() as tx:
        if identity.anybody_called(tx, username or email) is not None:
            raise Invalid(TAKEN)
        if not settings.open_registration and not homes.is_invited(tx, email, now):
            raise Refused("accounts are made by invitation here; ask an administrator of the home for one")
    hashed = identity.hash_password(password)
    names = {} if username is None else {"name": username, "username": username}
    with parts.get(Database).write() as tx:
        try:
            person_id = identity.sign_up(tx, now, email=email, password_hash=hashed, ip=came.ip, **names)
        except Conflict as taken:
            raise Invalid(TAKEN if identity.anybody_called(tx, username or email) else taken.sentence) from None
        if settings.many_homes:
            owner = Caller(f"person:{email}", person_id=person_id, ip=came.ip)
            homes.create(tx, owner, now, name=f"{(username or email)[:60]}'s home", many=True)
        entered = signin.enter(tx, person_id, now, came=came, how="registration")
        return model.shown(identity.person_by_id(tx, person_id)), entered


@by_body.post("/api/auth/login", include_in_schema=False)
@by_body.post("/api/auth/login/", include_in_schema=False)
async def log_in(request: Request, given: Fields, parts: PartsOf) -> Response:
    """By user name or e-mail address; an account with a second step wants its code in `otp` as well."""
    edge.check_form_sender(request)
    username, password = model.texts(given, "username", "password")
    otp = given.get("otp")
    came = identity.came_from(request)
    try:
        attempt = signin.Attempt(username, password, came)
        person = await signin.check_login(parts, attempt, otp=otp if isinstance(otp, str) else "")
    except signin.WrongPassword:
        raise Invalid(NO_FIT) from None
    except (signin.CodeNeeded, signin.WrongCode) as fault:
        return json({"detail": fault.sentence, "code": fault.word}, 400)
    shown, entered = await run_in_threadpool(partial(_enter, parts, came, person.id))
    return edge.let_in(request, json(shown), entered)


def _enter(parts: Parts, came: signin.Came, person_id: int) -> tuple[wire.Fields, signin.Entered]:
    with parts.get(Database).write() as tx:
        entered = signin.enter(tx, person_id, parts.get(Clock).now(), came=came, how="password")
        return model.shown(identity.person_by_id(tx, person_id)), entered


@by_session.post("/api/auth/logout", include_in_schema=False)
@by_session.post("/api/auth/logout/", include_in_schema=False)
def log_out(request: Request, caller: AtBrowser, tx: Tx, now: Now) -> Response:
    if caller.session_id is not None:
        identity.end_session(tx, caller.session_id, now)
    return edge.let_go(request, json({"status": "ok"}))
