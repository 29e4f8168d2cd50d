"""The way to the provider and back. Its answers are awaited on the event loop; our part is one thread hop each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from waystation.identity import access, signin
from waystation.identity.access import caller_of
from waystation.identity.factors.access import came_from, let_in
from waystation.identity.oidc import attempts
from waystation.identity.oidc import service as outside
from waystation.identity.oidc.model import ATTEMPT_LIFETIME, Attempt, Returned, Rules, Visitor
from waystation.identity.oidc.provider import Provider
from waystation.identity.oidc.service import Guests, Visit
from waystation.kernel import pages
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.errors import DomainError, NotFound, Refused, Unauthenticated
from waystation.kernel.limits import Limiter
from waystation.kernel.pages import Pages
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Call, PartsOf, Router
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings

router = Router(include_in_schema=False)
Word = Annotated[str, Query()]
SECURITY_PAGE = "/account/security"


@dataclass(frozen=True, slots=True)
class Visited:
    """What one request of this way needs."""

    request: Request
    parts: Parts
    provider: Provider
    now: datetime

    @classmethod
    def of(cls, request: Request, parts: Parts) -> "Visited":
        if not parts.has(Provider):
            raise NotFound("this site has no identity provider; sign in with your password")
        return cls(request, parts, parts.get(Provider), parts.get(Clock).now())

    @property
    def ip(self) -> str | None:
        return self.request.client.host if self.request.client else None


@router.get("/signin/oidc")
async def go_there(request: Request, parts: PartsOf, next_: Annotated[str, Query(alias="next")] = "/") -> Response:
    visited = Visited.of(request, parts)
    try:
        _count_try(visited, "there")
        attempt = Attempt.new(callback_url(request, parts), pages.inside(next_))
        door = await visited.provider.door(attempt, visited.now)
    except DomainError as fault:
        return _problem_page(visited, fault, wanted=next_)
    return await with_attempt(RedirectResponse(door, status_code=303), attempt, visited)


@router.get("/signin/oidc/callback")
async def come_back(
    request: Request, parts: PartsOf, state: Word = "", code: Word = "", error: Word = "", iss: Word = ""
) -> Response:
    visited = Visited.of(request, parts)
    attempt: Attempt | None = None
    try:
        _count_try(visited, "back")
        attempt = await run_in_threadpool(_begun_here, visited, state)
        visitor = await visited.provider.visitor(attempt, Returned(state, code, error, iss), visited.now)
        answer = await run_in_threadpool(_linked if attempt.person_id else _let_in, visited, attempt, visitor)
    except DomainError as fault:
        answer = _problem_page(visited, fault, attempt=attempt)
    if attempt is not None:
        answer.delete_cookie(**_cookie(request))
    return answer


@router.get("/signin/oidc/left")
async def show_left(request: Request, parts: PartsOf) -> Response:
    """After signing out here: the way out there."""
    visited = Visited.of(request, parts)
    way_out = await visited.provider.way_out(f"{_base_url(request, parts)}/signin", visited.now)
    return html(visited, "outside_left", way_out=way_out)


async def with_attempt(answer: Response, attempt: Attempt, visited: Visited) -> Response:
    """The answer, with which this browser keeps the attempt."""
    value = await run_in_threadpool(attempts.seal, attempt, visited.parts.get(KeyRing), visited.now)
    answer.set_cookie(**_cookie(visited.request), value=value, max_age=int(ATTEMPT_LIFETIME.total_seconds()))
    answer.headers["cache-control"] = "no-store"
    return answer


def callback_url(request: Request, parts: Parts) -> str:
    """What must be registered at the provider as the redirect URI."""
    return f"{_base_url(request, parts)}/signin/oidc/callback"


def _begun_here(visited: Visited, state: str) -> Attempt:
    cookie = visited.request.cookies.get(_cookie(visited.request)["key"])
    attempt = attempts.begun_here(cookie, state, visited.parts.get(KeyRing), visited.now)
    with visited.parts.get(Database).write() as tx:
        attempts.use_up(tx, attempt, visited.now)
    return attempt


def _let_in(visited: Visited, attempt: Attempt, visitor: Visitor) -> Response:
    request, now = visited.request, visited.now
    with visited.parts.get(Database).write() as tx:
        visit = _visit(visited, visitor)
        person_id = outside.arrive(tx, visit, now, is_invited=visited.parts.get(Guests).is_invited)
        entered = signin.enter(tx, person_id, now, came=came_from(request), how=visited.provider.name)
    return let_in(request, pages.go(pages.inside(attempt.next)), entered)


def _linked(visited: Visited, attempt: Attempt, visitor: Visitor) -> Response:
    """Only while whoever asked for it is still signed in, in this browser."""
    database = visited.parts.get(Database)
    try:
        with database.read() as tx:
            caller = caller_of(Call(tx, visited.request, visited.now))
    except Unauthenticated as ended:
        raise Refused("you are not signed in here any more, so nothing was linked; sign in and try again") from ended
    if caller.person_id is None or caller.person_id != attempt.person_id:
        raise Refused("somebody else is signed in here now, so nothing was linked")
    with database.write() as tx:
        outside.link(tx, _visit(visited, visitor), visited.now, person_id=caller.person_id)
    return pages.go(SECURITY_PAGE)


def _visit(visited: Visited, visitor: Visitor) -> Visit:
    return Visit(visitor, Rules.of(visited.parts.get(Settings)), visited.ip)


def _base_url(request: Request, parts: Parts) -> str:
    """The address by which this browser reached us, unless people use another one (a proxy's)."""
    return parts.get(Settings).public_url.rstrip("/") or str(request.base_url).rstrip("/")


def _cookie(request: Request) -> dict[str, Any]:
    secure = access.is_https(request)
    name = f"__Host-{attempts.COOKIE}" if secure else attempts.COOKIE
    return {"key": name, "secure": secure, "httponly": True, "samesite": "lax", "path": "/"}


def _count_try(visited: Visited, direction: str) -> None:
    rule = f"{visited.parts.get(Settings).signin_per_minute}/minute"
    visited.parts.get(Limiter).limit(rule, "sign in", f"outside {direction}", visited.ip or "")


def _problem_page(
    visited: Visited, fault: DomainError, *, wanted: str = "/", attempt: Attempt | None = None
) -> Response:
    linking = attempt is not None and attempt.person_id is not None
    answer = html(
        visited,
        "outside_problem",
        status=fault.status,
        error=fault.sentence,
        linking=linking,
        next=pages.inside(attempt.next if attempt else wanted),
    )
    if fault.retry_after_seconds is not None:
        answer.headers["retry-after"] = str(round(fault.retry_after_seconds))
    return answer


def html(visited: Visited, name: str, **context: Any) -> Response:
    shown: dict[str, Any] = {"provider": visited.provider.name, **context}
    return visited.parts.get(Pages).html(visited.request, f"identity/{name}.html", **shown)
