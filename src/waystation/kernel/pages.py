"""Server-rendered pages: all features' templates, a strict content policy, forms that only our own pages can send."""

import hmac
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import Request
from jinja2 import Environment
from starlette.responses import HTMLResponse, RedirectResponse, Response

from waystation.kernel.clock import Clock
from waystation.kernel.errors import Refused

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class Pages:
    """Renders a template with what every page shows: navigation, who is signed in, the home's name, the form token."""

    def __init__(
        self, environment: Environment, content_policy: str, nav: Sequence[tuple[str, str]], clock: Clock
    ) -> None:
        self._environment = environment
        self._nav = nav
        self._clock = clock
        self.headers = {
            "Content-Security-Policy": content_policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cache-Control": "no-store",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        }

    def html(self, request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        text = self._environment.get_template(template).render({**self._common(request), **context})
        return HTMLResponse(text, status_code=status, headers=self.headers)

    def _common(self, request: Request) -> dict[str, Any]:
        signed_in = getattr(request.state, "person", None)
        return {
            "nav": [(label, href, request.url.path.startswith(href)) for label, href in self._nav] if signed_in else [],
            "person": signed_in,
            "csrf": getattr(request.state, "csrf", ""),
            "home_name": getattr(request.state, "home_name", "Waystation"),
            "now": self._clock.now(),
        }


def go(path: str) -> RedirectResponse:
    """The answer to a form: look at `path` next."""
    return RedirectResponse(path, status_code=303)


def to_sign_in(request: Request) -> Response:
    """Where a person goes who must sign in first."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return go(f"/signin?next={quote(wanted, safe='')}" if request.method == "GET" and wanted != "/" else "/signin")


def inside(path: str) -> str:
    """The path if it leads into this site, else the start page: a sign-in never forwards to a stranger."""
    parts = urlsplit(path)
    safe = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return path if safe else "/"


def wants_html(request: Request) -> bool:
    return request.headers.get("accept", "").startswith(("text/html", "application/xhtml"))


async def read_form(request: Request) -> None:
    """Router dependency of pages: the form is parsed on the event loop, so that `form_token` finds it in the thread."""
    if request.headers.get("content-type", "").startswith(FORM_TYPES):
        await request.form()


def token_for(key: bytes, session_digest: bytes) -> str:
    """The form token of a session."""
    return hmac.new(key, session_digest, "sha256").hexdigest()


def check_form(request: Request, token: str) -> None:
    """Refused, unless the request comes from our own page: same origin, and the session's token in field or header."""
    check_origin(request)
    form = getattr(request, "_form", None)
    given = request.headers.get("x-csrftoken") or (form.get("csrf") if form is not None else None) or ""
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), token.encode()):
        raise Refused("this form is out of date; go back, reload the page and send it again")


def check_origin(request: Request) -> None:
    """Refused when a browser says that the request was started by another site."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    foreign = site not in (None, "same-origin", "none") or (
        site is None and origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    )
    if foreign:
        raise Refused("this request was started by another site")
