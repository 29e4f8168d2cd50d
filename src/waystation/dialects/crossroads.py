"""Paths that dialects share: what is not for one of them goes on to the next (contracts, dialects sharing one host)."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from waystation.kernel.errors import Invalid
from waystation.kernel.routes import CallerFirst

PASSED = "waystation.passed"
OF_ASGI = (
    *("type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path"),
    *("headers", "client", "server", "extensions", "app"),
)
OF_BODY = (b"content-type", b"content-length", b"transfer-encoding", b"content-encoding")


class FitsTwo(Invalid):
    """Nobody guesses which of two systems was meant."""

    word = "ambiguous"


class Shared(CallerFirst):
    """A route that looks at a request first. What is not its own is answered as if the route were not there."""

    async def is_mine(self, request: Request) -> bool:
        """FitsTwo when it may as well be the other's."""
        raise NotImplementedError

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_own(request: Request) -> Response:
            body = await request.body()
            return await answer(request) if await self.is_mine(request) else _Onward(request, body, self._named)

        return answer_own

    @property
    def _named(self) -> str:
        return f"{self.__class__.__module__} {self.path}"

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.NONE, {}) if self._named in scope.get(PASSED, ()) else super().matches(scope)


class _Again(Response):
    """The request asked once more of the whole app."""

    def __init__(self, request: Request, body: bytes) -> None:
        super().__init__()
        self._app = request.app
        self._scope: Scope = {key: request.scope[key] for key in OF_ASGI if key in request.scope}
        self._scope["state"] = {}
        self._read = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        given = [{"type": "http.request", "body": self._read, "more_body": False}]

        async def again() -> Message:
            return given.pop() if given else await receive()

        await self._app(self._scope, again, send)


class _Onward(_Again):
    """As it came, without the route that has passed it on."""

    def __init__(self, request: Request, body: bytes, passed: str) -> None:
        super().__init__(request, body)
        self._scope[PASSED] = (*request.scope.get(PASSED, ()), passed)


Dress = Callable[[MutableHeaders, int], int]
"""Changes the answer's headers; what it returns is the answer's status."""


def as_it_is(_headers: MutableHeaders, status: int) -> int:
    return status


class Elsewhere(_Again):
    """What another path of ours answers to this caller: so a dialect's path shows our page and does what its form does.

    `form` is sent there as the body; without it the request has none.
    """

    def __init__(
        self,
        request: Request,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        dress: Dress = as_it_is,
    ) -> None:
        body = b"" if form is None else urlencode(form).encode()
        super().__init__(request, body)
        self._dress = dress
        kept = [(name, value) for name, value in request.scope["headers"] if name not in OF_BODY]
        if form is not None:
            kept += [
                (b"content-type", b"application/x-www-form-urlencoded"),
                (b"content-length", str(len(body)).encode()),
            ]
        self._scope["path"], self._scope["raw_path"] = path, path.encode()
        self._scope["query_string"] = urlencode(query or {}).encode()
        self._scope["headers"] = kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                status = self._dress(headers, message["status"])
                message = {**message, "status": status, "headers": headers.raw}
            await send(message)

        await super().__call__(scope, receive, dressed)
