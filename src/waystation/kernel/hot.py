"""Paths that devices call all day, answered in front of the web framework."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from waystation.kernel.errors import DomainError, TooLarge
from waystation.kernel.feature import HotAnswer, HotEndpoint, HotRequest, HotRoute
from waystation.kernel.https import PlainHttp
from waystation.kernel.parts import Parts
from waystation.kernel.problems import problem

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
JSON = ((b"content-type", b"application/json"),)


class Hot:
    """The hot routes and the app behind them.

    Our server finds the routes here and answers them in its protocol (docs/decisions/0005). Under any other ASGI server
    this is an app that answers them itself, slower and otherwise the same. Other methods on a hot path reach the app.
    `short` are GET paths with what answers them for the app, not for devices.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Sequence[HotRoute],
        parts: Parts,
        max_body_bytes: int,
        *,
        takes_plain: bool = True,
        short: Mapping[str, HotEndpoint] | None = None,
    ) -> None:
        self.takes_plain = takes_plain
        self.app = app
        self.parts = parts
        self.max_body_bytes = max_body_bytes
        self._endpoints = {key: route.endpoint for route in routes for key in _keys(route.method, route.path)}
        for path, short_way in (short or {}).items():
            self._endpoints.update(dict.fromkeys(_keys("GET", path), short_way))
        self._for_devices = {route.endpoint for route in routes}
        self._open = [(*_around(route), route.endpoint) for route in routes if "{" in route.path]

    def find(self, method: bytes, path: bytes) -> HotEndpoint | None:
        return self._endpoints.get((method, path)) or self._find_open(method, path)

    def _find_open(self, method: bytes, path: bytes) -> HotEndpoint | None:
        for wanted, before, after, endpoint in self._open:
            if method == wanted and path.startswith(before):
                word, slash, rest = path[len(before) :].rstrip(b"/").partition(b"/")
                if word and slash + rest == after:
                    return endpoint
        return None

    async def answer(self, endpoint: HotEndpoint, request: HotRequest) -> HotAnswer:
        """The endpoint's answer, or the problem that it raised: a fault of one request never reaches the server."""
        if not (self.takes_plain or request.is_https) and endpoint in self._for_devices:
            return refusal(PlainHttp("devices are served over HTTPS only here (plain_http_ingest is off)"))
        try:
            return _sendable(await endpoint(request))
        except Exception as fault:  # noqa: BLE001  whatever it was, its caller gets an answer
            return refusal(fault)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.find(scope["method"].encode(), _raw_path(scope)) if scope["type"] == "http" else None
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
        method, path, is_https = scope["method"].encode(), _raw_path(scope), scope["scheme"] == "https"
        query: bytes = scope["query_string"]
        return HotRequest(method, path, headers, body, client, self.parts, is_https=is_https, query=query)


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


def _keys(method: str, path: str) -> Iterable[tuple[bytes, bytes]]:
    bare = path.rstrip("/")
    return ((method.encode(), one.encode()) for one in (bare, f"{bare}/"))


def _around(route: HotRoute) -> tuple[bytes, bytes, bytes]:
    """The method, and what stands in the path before and after its open word."""
    before, _, rest = route.path.rstrip("/").partition("{")
    return route.method.encode(), before.encode(), rest.partition("}")[2].encode()


def _raw_path(scope: Scope) -> bytes:
    """As the client wrote it; a server need not say."""
    return scope.get("raw_path") or scope["path"].encode()
