"""How people and programs call this dialect: HTTP Basic, an API token or a session; refusals are `{"detail": …}`."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from fastapi import Depends, Request
from starlette.responses import Response

from waystation import homes, identity
from waystation.dialects.dropsync import wire
from waystation.dialects.dropsync.wire import BODY, QUERY, Given
from waystation.homes import Membership, Role
from waystation.identity import Caller
from waystation.kernel import pages
from waystation.kernel.errors import DomainError, NotFound, Refused, TooLarge, Unauthenticated
from waystation.kernel.problems import problem_of
from waystation.kernel.routes import READING, Call, OwnWords, Router, Within
from waystation.kernel.settings import Settings

CHALLENGE = 'Basic realm="Waystation", charset="UTF-8"'
ANONYMOUS = "anonymous (dropsync_open_admin)"
DEVICE_TOKEN = "device by token"  # noqa: S105  who may call, for the map
Mount = Callable[[Callable[..., Any]], Callable[..., Any]]


class Route(OwnWords):
    def refusal(self, request: Request, fault: DomainError) -> Response:
        del request
        return refusal(fault)


class LegacyRoute(Route):
    """Not there when the owner has switched the oldest addresses off (DS-6)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_if_served(request: Request) -> Response:
            if not request.app.state.parts.get(Settings).dropsync_legacy:
                return refusal(NotFound("Not Found"))
            return await answer(request)

        return answer_if_served


def refusal(fault: DomainError) -> Response:
    headers = dict(problem_of(fault).headers)
    if isinstance(fault, Unauthenticated):
        headers["www-authenticate"] = CHALLENGE
    return json(wire.refusal_body(fault), fault.status, headers)


def json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def served(router: Router, method: str, path: str, **described: Any) -> Mount:
    """With and without a slash at its end (G-3); the first is described."""

    def mount(handle: Callable[..., Any]) -> Callable[..., Any]:
        router.add_api_route(path, handle, methods=[method], **described)
        router.add_api_route(f"{path}/", handle, methods=[method], include_in_schema=False)
        return handle

    return mount


async def _form(request: Request) -> Given:
    """A small form, read as leniently as the sketch's; the query where there is no body."""
    if request.method in READING or request.method == "DELETE":
        return Given(QUERY, wire.parse_form(request.url.query.encode()))
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > wire.MOST_FORM_BYTES:
            raise TooLarge(f"a form has at most {wire.MOST_FORM_BYTES} bytes here")
    return Given(BODY, wire.parse_form(body, request.headers.get("content-type", "").encode("latin-1")))


GivenFields = Annotated[Given, Depends(_form)]


def find_admin(call: Call) -> Membership:
    """Who may manage the home's devices; nobody need be, where the owner has opened this (DS-5)."""
    return _with_role(call, Role.ADMIN)


def find_viewer(call: Call) -> Membership:
    return _with_role(call, Role.VIEWER)


def _with_role(call: Call, least: Role) -> Membership:
    try:
        found = homes.find_member(call, _caller(call))
    except Unauthenticated:
        if call.parts.get(Settings).dropsync_open_admin:
            return _anybody(call)
        raise Unauthenticated("Not authenticated") from None
    except NotFound as fault:
        raise Refused(fault.sentence) from fault
    if found.role < least:
        raise Refused(f"this needs the role {least.word}; yours is {found.role.word}")
    return found


def _caller(call: Call) -> Caller:
    """A browser's form must come from a page of this site: with our token, or with its word that it does."""
    request = call.request
    secret = request.cookies.get(identity.cookie_name(request))
    if "authorization" in request.headers or not secret:
        return identity.caller_of(call)
    return identity.by_session(call, secret, is_our_form=_says_ours(request))


def _says_ours(request: Request) -> bool:
    """What browsers say and no page can change; who says nothing must bring our token."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site == "same-origin"
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")


def _anybody(call: Call) -> Membership:
    if call.request.method not in READING:
        pages.check_origin(call.request)
    home = homes.first_home(call.tx)
    if home is None:
        raise Refused("this hub has not been set up yet")
    return Membership(home.id, home.name, Role.ADMIN, Caller(ANONYMOUS, ip=call.ip))


AdminHere = Annotated[Membership, Within(find_admin, who="admin")]
ViewerHere = Annotated[Membership, Within(find_viewer, who="viewer")]
