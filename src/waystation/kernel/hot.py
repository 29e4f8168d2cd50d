"""Exact paths that devices call all day, answered in front of the web framework."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from waystation.kernel.errors import DomainError, TooLarge
from waystation.kernel.feature import HotAnswer, HotEndpoint, HotRequest, HotRoute
from waystation.kernel.parts import Parts
from waystation.kernel.problems import problem

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
JSON = ((b"content-type", b"application/json"),)


class Hot:
    """The hot routes and the app behind them.

    Our server finds the routes here and answers them in its protocol (docs/decisions/0005). Under any other ASGI server
    this is an app that answers them itself, slower and otherwise the same. Other methods on a hot path reach the app.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[HotRoute], parts: Parts, max_body_bytes: int) -> None:
        self.app = app
        self.parts = parts
        self.max_body_bytes = max_body_bytes
        self._endpoints = {key: route.endpoint for route in routes for key in _keys(route)}

    def find(self, method: bytes, path: bytes) -> HotEndpoint | None:
        return self._endpoints.get((method, path))

    async def answer(self, endpoint: HotEndpoint, request: HotRequest) -> HotAnswer:
        """The endpoint's answer, or the problem that it raised: a fault of one request never reaches the server."""
        try:
            return _sendable(await endpoint(request))
        except Exception as fault:  # noqa: BLE001  whatever it was, its caller gets an answer
            return refusal(fault)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.find(scope["method"].encode(), scope["path"].encode()) if scope["type"] == "http" else None
        if endpoint is None:
            await self.app(scope, receive, send)
            return
        try:
            answer = await self.answer(endpoint, await self._request(scope, receive))
        except DomainError as refused:
            answer = refusal(refused)
        headers = [*headers_of(answer), (b"content-length", str(len(answer.body)).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _request(self, scope: Scope, receive: Receive) -> HotRequest:
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        check_length(headers, self.max_body_bytes)
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.max_body_bytes:
                raise too_large(self.max_body_bytes)
        client = (scope.get("client") or ("",))[0]
        return HotRequest(scope["method"].encode(), scope["path"].encode(), headers, body, client, self.parts)


def refusal(fault: Exception) -> HotAnswer:
    status, headers, body = problem(fault)
    return HotAnswer(status, body, headers)


def headers_of(answer: HotAnswer) -> tuple[tuple[bytes, bytes], ...]:
    """Its own headers; the content type is JSON unless they name one."""
    if not answer.headers:
        return JSON
    return answer.headers if any(name == b"content-type" for name, _ in answer.headers) else JSON + answer.headers


def check_length(headers: Mapping[bytes, bytes], most_bytes: int) -> None:
    """Raises TooLarge before the first byte of a body that says it is too long."""
    if int(headers.get(b"content-length", 0)) > most_bytes:
        raise too_large(most_bytes)


def too_large(most_bytes: int) -> TooLarge:
    return TooLarge(f"the body is larger than the {most_bytes:,} bytes that are taken here; send it in parts")


def _sendable(answer: HotAnswer) -> HotAnswer:
    if answer.status not in STATUS_LINES:
        raise ValueError(f"{answer.status} is not a status")
    if any(b"\r" in text or b"\n" in text for header in answer.headers for text in header):
        raise ValueError("a line break in a header")
    return answer


def _keys(route: HotRoute) -> Iterable[tuple[bytes, bytes]]:
    bare = route.path.rstrip("/")
    return ((route.method.encode(), path.encode()) for path in (bare, f"{bare}/"))
