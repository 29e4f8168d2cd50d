"""Pages for people over HTTPS only; what devices and programs call is never led elsewhere (TH-3, G-2)."""

import re
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from waystation.kernel.errors import Invalid, Refused
from waystation.kernel.settings import Settings

FOR_PROGRAMS = frozenset(
    {"api", "cloud", "cloud-devices", "local-devices", "health", "metrics", "openapi.json", "ws"},
)
"""First steps of the paths that devices, scripts and apps call: many of them follow nowhere, and some know no TLS."""
HOST = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?")
A_YEAR = "max-age=31536000"


class PlainHttp(Refused):
    word = "plain_http"


def check(request: Request) -> None:
    """PlainHttp for what a person at a browser asks over plain HTTP where that is not served."""
    settings: Settings = request.app.state.parts.get(Settings)
    if settings.https_only and request.url.scheme != "https":
        raise PlainHttp("people are served over HTTPS only here; ask again with https://")


def is_for_programs(path: str) -> bool:
    return path.partition("?")[0].lstrip("/").partition("/")[0] in FOR_PROGRAMS


class OnlyHttps:
    """Leads who looks at a page over plain HTTP to HTTPS, and takes nothing that is sent there. What counts as HTTPS is
    the connection's own scheme, or what a trusted proxy says of it.
    """

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self.app = app
        self._host = urlsplit(public_url).netloc if public_url.startswith("https://") else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_for_programs(scope["path"]):
            await self.app(scope, receive, send)
        elif scope["scheme"] == "https":
            await self.app(scope, receive, _remembered(send))
        elif scope["method"] in ("GET", "HEAD"):
            answer = RedirectResponse(self._there(scope), 308, {"cache-control": "no-store"})
            await answer(scope, receive, send)
        else:
            raise PlainHttp("this site takes nothing from people over plain HTTP; open it with https://")

    def _there(self, scope: Scope) -> str:
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        return f"https://{self._host or _asked_host(scope)}{quote(scope['path'])}{query}"


def _asked_host(scope: Scope) -> str:
    """Without its port, which is the one of plain HTTP."""
    found = HOST.fullmatch(Request(scope).headers.get("host", ""))
    if found is None:
        raise Invalid("this request does not say in Host which site it wants")
    return found[1]


def _remembered(send: Send) -> Send:
    """Browsers then ask for pages of this host over HTTPS by themselves."""

    async def send_with_age(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: list[Any] = list(message.get("headers", ()))
            MutableHeaders(raw=headers).setdefault("strict-transport-security", A_YEAR)
            message = {**message, "headers": headers}
        await send(message)

    return send_with_age
