"""Server-rendered pages: all features' templates, a strict content policy, forms that only our own pages can send."""

import hmac
from collections.abc import AsyncGenerator, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from waystation.kernel.clock import Clock
from waystation.kernel.errors import Refused
from waystation.kernel.place import NOWHERE, FindPlace, Place

FORM_TOKENS = ("csrf", "csrfmiddlewaretoken")  # the second is what scripts of the thermostat's dialect send
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class Pages:
    """Renders a template with what every page shows: navigation, who is signed in, the home's name, the form token.

    `nav` holds (label, path, least that one must be allowed to do to see it).
    """

    def __init__(
        self,
        environment: Environment,
        content_policy: str,
        nav: Sequence[tuple[str, str, int]],
        clock: Clock,
        *,
        place: FindPlace = lambda _caller: NOWHERE,
    ) -> None:
        self._environment = environment
        self._nav = nav
        self._clock = clock
        self._place = place
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

    def part(self, template: str, **context: Any) -> str:
        """A piece of a page, for a stream that adds to it."""
        return self._environment.get_template(template).render(context)

    def _common(self, request: Request) -> dict[str, Any]:
        signed_in = getattr(request.state, "person", None)
        place, path = self._shown_place(request), request.url.path
        return {
            "nav": [
                (label, href, path.startswith(href), place.waiting.get(href, 0))
                for label, href, least in self._nav
                if place.rank >= least
            ],
            "person": signed_in,
            "csrf": getattr(request.state, "csrf", ""),
            "home_name": place.name,
            "now": self._clock.now(),
        }

    def _shown_place(self, request: Request) -> Place:
        """What the handler has found already, else what is asked for now; nowhere before sign-in."""
        if hasattr(request.state, "place"):
            return request.state.place
        caller = getattr(request.state, "caller", None)
        return NOWHERE if caller is None else self._place(caller)


def go(path: str) -> RedirectResponse:
    """The answer to a form: look at `path` next."""
    return RedirectResponse(path, status_code=303)


def to_sign_in(request: Request) -> Response:
    """Where a person goes who must sign in first."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return go(f"/signin?next={quote(wanted, safe='')}" if request.method == "GET" and wanted != "/" else "/signin")


def inside(path: str) -> str:
    """The path if it leads into this site, else the start page: a sign-in never forwards to a stranger.

    Browsers leave tabs and line breaks out and take a backslash for a slash.
    """
    safe = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if safe else "/"


def prefers_html(request: Request) -> bool:
    """Whether HTML is named, and before any JSON; `*/*` alone is a program."""
    accepted = request.headers.get("accept", "")
    html, machine = accepted.find("text/html"), accepted.find("json")
    return html >= 0 and (machine < 0 or html < machine)


async def read_form(request: Request) -> AsyncGenerator[None]:
    """Router dependency of pages: the form is parsed on the event loop, so that `form_token` finds it in the thread."""
    if request.headers.get("content-type", "").startswith(FORM_TYPES):
        await request.form()
    try:
        yield
    finally:
        await request.close()


def token_for(key: bytes, session_digest: bytes) -> str:
    """The form token of a session."""
    return hmac.new(key, session_digest, "sha256").hexdigest()


def check_form(request: Request, token: str) -> None:
    """Refused, unless the request comes from our own page: same origin, and the session's token in field or header."""
    check_origin(request)
    form = getattr(request, "_form", None)
    typed: Any = {} if form is None else form
    given = request.headers.get("x-csrftoken") or next((typed[name] for name in FORM_TOKENS if name in typed), "")
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
