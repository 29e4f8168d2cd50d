"""WebSockets of the app: who may open one is a type in the signature too, found before it is accepted."""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any

from starlette.responses import Response
from starlette.websockets import WebSocket

from waystation.kernel.calls import Connection, Within
from waystation.kernel.errors import DomainError
from waystation.kernel.problems import problem_of

Endpoint = Callable[..., Awaitable[None]]
Find = Callable[[Mapping[str, Within], Connection], Awaitable[dict[str, Any]]]


def admitting(endpoint: Endpoint, marked: Mapping[str, Within], find: Find) -> Endpoint:
    """Calls `endpoint(websocket, …)` with what was found; who is not let in gets the problem as the answer to the
    handshake.
    """

    @wraps(endpoint)
    async def admitted(websocket: WebSocket) -> None:
        try:
            found = await find(marked, websocket)
        except DomainError as fault:
            await _refuse(websocket, fault)
            return
        await endpoint(websocket, **found)

    return admitted


async def _refuse(websocket: WebSocket, fault: DomainError) -> None:
    told = problem_of(fault)
    answer = Response(told.body(), told.status, dict(told.headers), "application/problem+json")
    await websocket.send_denial_response(answer)
