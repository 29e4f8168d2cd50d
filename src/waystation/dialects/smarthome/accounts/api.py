"""`/api/auth/*`: register, log in, refresh, log out, profile, change password (contract section 4.1)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from waystation import homes, identity
from waystation.dialects.smarthome import wire
from waystation.dialects.smarthome.edge import Fields, Person, Route, json
from waystation.dialects.smarthome.wire import Wrong, field_error
from waystation.identity import account, logins, signin
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.db import Tx as Transaction
from waystation.kernel.errors import Conflict, Invalid, Refused
from waystation.kernel.jwt import Tokens
from waystation.kernel.limits import Limiter
from waystation.kernel.mail import is_on
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, PartsOf, Router, Tx
from waystation.kernel.settings import Settings

router = Router(tags=["smarthome"], route_class=Route)

BAD_REFRESH = {"detail": "Token is invalid or expired", "code": "token_not_valid"}
NO_FIT = "Invalid credentials"
NO_FIT_DETAIL = "No active account found with the given credentials"


@router.post("/api/auth/register", status_code=201, summary="Make an account and log in")
@router.post("/api/auth/register/", include_in_schema=False)
async def register(request: Request, given: Fields, parts: PartsOf) -> Response:
    """Open to strangers where the setting open_registration says so, else to those who were invited."""
    return await run_in_threadpool(_register, _came(request), given, parts)


def _register(came: signin.Came, given: wire.Fields, parts: Parts) -> Response:
    typed = wire.texts(given, "email", "password", "password2")
    names = wire.optional_texts(given, "first_name", "last_name")
    settings = parts.get(Settings)
    rule = f"{settings.registrations_per_hour}/hour"
    parts.get(Limiter).limit(rule, "make an account", came.ip or "")
    if typed["password"] != typed["password2"]:
        raise field_error("password", "Password fields didn't match.")
    email = _checked("email", partial(identity.check_email, typed["email"]))
    _checked("password", partial(identity.check_password, typed["password"], email))
    first, last = _checked("first_name", partial(account.check_names, *_first_and_last(names)))
    now, database = parts.get(Clock).now(), parts.get(Database)
    with database.read() as tx:
        if not settings.open_registration and not homes.is_invited(tx, email, now):
            raise Refused("accounts are made by invitation here; ask an administrator of the home for one")
    hashed = identity.hash_password(typed["password"])
    with database.write() as tx:
        called = {
            "first_name": first,
            "last_name": last,
            **({"name": f"{first} {last}".strip()} if first or last else {}),
        }
        try:
            person_id = identity.sign_up(tx, now, email=email, password_hash=hashed, ip=came.ip, **called)
        except Conflict:
            raise field_error("email", "Cloud User with this email already exists.") from None
        who = logins.log_in(tx, person_id, now, ip=came.ip, agent=came.agent)
        tokens = _tokens(tx, parts, who)
        shown = {"user": wire.user(identity.person_by_id(tx, person_id)), **tokens, "tokens": tokens}
        return json({**shown, "homes": _home_uids(tx, person_id), "message": "User registered successfully"}, 201)


@router.post("/api/auth/login", summary="Log in with e-mail and password")
@router.post("/api/auth/login/", include_in_schema=False)
async def log_in(request: Request, given: Fields, parts: PartsOf) -> Response:
    """An account with a second step wants its code in `otp` as well."""
    typed = wire.texts(given, "email", "password")
    code = wire.optional_texts(given, "otp").get("otp", "")
    came = _came(request)
    try:
        person = await signin.check_login(parts, signin.Attempt(typed["email"], typed["password"], came), otp=code)
    except signin.WrongPassword:
        raise Wrong({"non_field_errors": [NO_FIT], "detail": NO_FIT_DETAIL}) from None
    except (signin.CodeNeeded, signin.WrongCode) as fault:
        raise Wrong({"otp": [fault.sentence], "detail": fault.sentence, "code": fault.word}) from None
    return await run_in_threadpool(_logged_in, parts, person.id, came)


def _logged_in(parts: Parts, person_id: int, came: signin.Came) -> Response:
    now = parts.get(Clock).now()
    with parts.get(Database).write() as tx:
        who = logins.log_in(tx, person_id, now, ip=came.ip, agent=came.agent)
        user = wire.user(identity.person_by_id(tx, person_id))
        return json({**_tokens(tx, parts, who), "user": user, "homes": _home_uids(tx, person_id)})


@router.post("/api/auth/refresh", summary="A new access token and a new refresh token for a refresh token")
@router.post("/api/auth/refresh/", include_in_schema=False)
def refresh(request: Request, given: Fields, parts: PartsOf, tx: Tx, now: Now) -> Response:
    """The one that was sent is refused from now on. A client that repeats itself because an answer was lost says so by
    an `Idempotency-Key` header, and gets a new pair.
    """
    again = bool(request.headers.get("idempotency-key"))
    who = logins.renew(tx, wire.texts(given, "refresh")["refresh"], now, again=again)
    return json(BAD_REFRESH, 401) if who is None else json(_tokens(tx, parts, who))


@router.post("/api/auth/token/refresh", summary="A new access token; the refresh token stays")
@router.post("/api/auth/token/refresh/", include_in_schema=False)
def refresh_only(given: Fields, parts: PartsOf, tx: Tx, now: Now) -> Response:
    """The app stores its refresh token once, so this path never replaces it."""
    who = logins.stay(tx, wire.texts(given, "refresh")["refresh"], now)
    return json(BAD_REFRESH, 401) if who is None else json({"access": _access(tx, parts, who)})


@router.post("/api/auth/logout", summary="End the log-in of a refresh token, at once")
@router.post("/api/auth/logout/", include_in_schema=False)
def log_out(given: Fields, caller: Person, tx: Tx, now: Now) -> Response:
    text = given.get("refresh")
    if not isinstance(text, str) or not text:
        raise Wrong({"error": "Refresh token is required"})
    login_id = logins.login_of(tx, text)
    owned = login_id is not None and logins.owner(tx, login_id) == caller.person_id
    if login_id is None or not owned or not logins.log_out(tx, login_id, now):
        raise Wrong({"error": "Token is invalid or expired", "detail": "Token is invalid or expired"})
    return json({"message": "Successfully logged out"})


@router.get("/api/auth/profile", summary="Who is logged in")
@router.get("/api/auth/profile/", include_in_schema=False)
def profile(caller: Person, tx: Tx) -> Response:
    return json(wire.user(identity.person_by_id(tx, caller.person_id or 0)))


@router.put("/api/auth/profile", summary="Change one's own names and e-mail address")
@router.put("/api/auth/profile/", include_in_schema=False)
@router.patch("/api/auth/profile", include_in_schema=False)
@router.patch("/api/auth/profile/", include_in_schema=False)
def change_profile(given: Fields, caller: Person, parts: PartsOf, tx: Tx, now: Now) -> Response:
    """The old address is told of a new one."""
    typed = wire.optional_texts(given, "email", "first_name", "last_name")
    mine = _mine(caller, parts)
    before: Any = account.person(tx, mine.person_id)
    names = {name: typed.get(name, getattr(before, name)) for name in ("first_name", "last_name")}
    _checked("first_name", partial(account.change_names, tx, mine, now, **names))
    if "email" in typed:
        try:
            _checked("email", partial(account.change_email, tx, mine, now, email=typed["email"]))
        except Conflict:
            raise field_error("email", "Cloud User with this email already exists.") from None
    return json(wire.user(identity.person_by_id(tx, mine.person_id)))


@router.post("/api/auth/change-password", summary="Choose a new password; other log-ins end")
@router.post("/api/auth/change-password/", include_in_schema=False)
async def change_password(request: Request, given: Fields, caller: Person, parts: PartsOf) -> Response:
    typed = wire.texts(given, "old_password", "new_password", "new_password2")
    if typed["new_password"] != typed["new_password2"]:
        raise field_error("new_password", "Password fields didn't match.")
    work = partial(_change_password, parts, caller, typed)
    return await signin.apart(parts, _came(request), work)


def _change_password(parts: Parts, caller: identity.Caller, typed: Mapping[str, str]) -> Response:
    mine, database = _mine(caller, parts), parts.get(Database)
    with database.read() as tx:
        row = account.person(tx, mine.person_id)
    try:
        password = account.replace_password(row, old=typed["old_password"], new=typed["new_password"])
    except account.WrongPassword:
        raise field_error("old_password", "Wrong password.") from None
    except Invalid as fault:
        raise field_error("new_password", fault.sentence) from fault
    with database.write() as tx:
        account.change_password(tx, mine, parts.get(Clock).now(), password=password)
    return json({"message": "Password changed successfully"})


def _mine(caller: identity.Caller, parts: Parts) -> account.Mine:
    mails = is_on(parts.get(Settings))
    return account.Mine(caller.person_id or 0, caller.actor, caller.session_id, caller.login_id, mails)


def _tokens(tx: Transaction, parts: Parts, who: logins.LoggedIn) -> dict[str, str]:
    return {"access": _access(tx, parts, who), "refresh": who.refresh or ""}


def _access(tx: Transaction, parts: Parts, who: logins.LoggedIn) -> str:
    now = parts.get(Clock).now()
    return logins.access_token(parts.get(Tokens), who, now, _home_uids(tx, who.person_id))


def _home_uids(tx: Transaction, person_id: int) -> list[str]:
    return [home.uid for home, _ in homes.homes_of(tx, person_id)]


def _came(request: Request) -> signin.Came:
    return signin.Came(request.client.host if request.client else None, request.headers.get("user-agent"))


def _first_and_last(names: Mapping[str, str]) -> tuple[str, str]:
    return names.get("first_name", ""), names.get("last_name", "")


def _checked(name: str, check: Any) -> Any:
    """What the check returns; what it refuses is said of this field."""
    try:
        return check()
    except Invalid as fault:
        raise field_error(name, fault.sentence) from fault
