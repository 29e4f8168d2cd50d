"""How this dialect is called and refuses: JSON objects in, its own error forms out, both slash forms (SH-1, G-3)."""

from typing import Annotated, Any, cast

import msgspec
from fastapi import Depends, Request
from starlette.responses import Response

from waystation.dialects.smarthome import wire
from waystation.dialects.smarthome.wire import Wrong
from waystation.homes import Membership, Role, find_member
from waystation.identity import Caller, caller_of, logins
from waystation.kernel.errors import DomainError, Invalid, NotFound, Refused, TooMany, Unauthenticated
from waystation.kernel.problems import problem_of
from waystation.kernel.routes import Call, OwnWords, Within

CHALLENGE = 'Bearer realm="api"'


class Route(OwnWords):
    def refusal(self, request: Request, fault: DomainError) -> Response:
        del request
        return refusal(fault)


def refusal(fault: DomainError) -> Response:
    body = fault.body if isinstance(fault, Wrong) else {"detail": fault.sentence}
    headers = dict(problem_of(fault).headers)
    if isinstance(fault, Unauthenticated):
        headers["www-authenticate"] = CHALLENGE
    if isinstance(fault, TooMany):
        body = {**body, "error": fault.sentence}
    return json(body, fault.status, headers)


def json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")


async def _object(request: Request) -> wire.Fields:
    """The body's fields; an empty body has none."""
    body = await request.body()
    if not body.strip():
        return {}
    try:
        given = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Invalid(f"JSON parse error - {str(fault)[:120]}") from fault
    if not isinstance(given, dict):
        raise Wrong({"non_field_errors": ["Invalid data. Expected a dictionary."]})
    return cast("wire.Fields", given)


def bearer(call: Call) -> Caller:
    """A person, by the access token that they logged in for; or a program with one of their API tokens."""
    header = call.request.headers.get("authorization", "")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(wire.NO_CREDENTIALS)
    if logins.login_of(call.tx, token.strip()) is not None:
        raise Unauthenticated("Invalid token: Expected access token")
    try:
        found = caller_of(call)
    except Unauthenticated as fault:
        raise Unauthenticated(f"Invalid token: {fault.sentence}") from fault
    if found.person_id is None:
        raise Refused("this token belongs to no person")
    return found


def member(call: Call) -> Membership:
    """Of the home that the path names. Its words are the same for a foreign home and for none (SH-3)."""
    try:
        return find_member(call, bearer(call))
    except NotFound as fault:
        raise Wrong({"error": "Permission denied"}, 403) from fault


def sharing_member(call: Call) -> Membership:
    found = member(call)
    if found.role < Role.ADMIN:
        raise Refused("You do not have permission to perform this action.")
    return found


Fields = Annotated[wire.Fields, Depends(_object)]
Person = Annotated[Caller, Within(bearer, who="signed in")]
Sharing = Annotated[Membership, Within(sharing_member, who="admin")]
