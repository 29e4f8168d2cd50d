"""How pages of this dialect are asked for and answered: its sign-in, its form token, 302 to the next page."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request
from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse, Response

from waystation.dialects.crossroads import Dress
from waystation.dialects.thermostat import edge
from waystation.homes import Membership
from waystation.kernel import db
from waystation.kernel.errors import Unauthenticated
from waystation.kernel.pages import FORM_TOKENS, Pages
from waystation.kernel.routes import CallerFirst
from waystation.kernel.secrets import new_secret

LIST = "/dashboard/devices/"
MOST_TYPED = 2000
SEE_OTHER, FOUND = 303, 302


class Route(CallerFirst):
    """A browser that is not signed in is led to this dialect's sign-in page (302); programs get a 401."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def with_its_sign_in(request: Request) -> Response:
            try:
                return await answer(request)
            except Unauthenticated as fault:
                if not edge.prefers_html(request):
                    return edge.refusal(fault)
                wanted = request.url.path if request.method == "GET" else LIST
                return RedirectResponse(f"{edge.LOGIN_PAGE}?next={quote(wanted, safe='/')}", FOUND)

        return with_its_sign_in


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page, by whom and when."""

    request: Request
    me: Membership
    tx: db.Tx
    now: datetime

    def html(self, template: str, *, status: int = 200, **context: Any) -> Response:
        return html(self.request, template, status=status, may_manage=self.me.role.may_manage, **context)


def html(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
    """With the form token in a cookie as well, from which scripts take it."""
    pages: Pages = request.app.state.parts.get(Pages)
    token = getattr(request.state, "csrf", "") or request.cookies.get(edge.TOKEN) or new_secret()
    answer = pages.html(request, f"thermostat/{template}.html", status=status, **{"form_token": token, **context})
    return edge.give_token(request, answer, token)


def go(path: str) -> Response:
    return RedirectResponse(path, FOUND)


def found(_headers: MutableHeaders, status: int) -> int:
    """A dress for what our own forms answer: this dialect's clients know 302."""
    return FOUND if status == SEE_OTHER else status


def with_token(request: Request) -> Dress:
    """A dress for our own pages under this dialect's paths: scripts find the form token there as well."""

    def dressed(headers: MutableHeaders, status: int) -> int:
        token = getattr(request.state, "csrf", "")
        if token or not request.cookies.get(edge.TOKEN):
            add_cookies(headers, edge.give_token(request, Response(), token))
        return status

    return dressed


def add_cookies(headers: MutableHeaders, bearer: Response) -> None:
    for line in bearer.headers.getlist("set-cookie"):
        headers.append("set-cookie", line)


async def _typed(request: Request) -> dict[str, str]:
    form = await request.form()
    return {name: value[:MOST_TYPED] for name, value in form.items() if isinstance(value, str)}


def token_in(request: Request, typed: Mapping[str, str]) -> str:
    given = [request.headers.get(edge.TOKEN_HEADER, ""), *(typed.get(name, "") for name in FORM_TOKENS)]
    return next(filter(None, given), "")


Typed = Annotated[Mapping[str, str], Depends(_typed)]
