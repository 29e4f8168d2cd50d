"""`/dashboard`, `/api/v1/docs` and `/api/v1/openapi.json`, all from this machine alone (DS-27, DS-28)."""

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from waystation import __version__
from waystation.dialects.crossroads import Elsewhere
from waystation.dialects.dropsync.edge import CHALLENGE, Route, ViewerHere, json, served
from waystation.dialects.dropsync.front import described
from waystation.kernel import pages
from waystation.kernel.calls import wants_html
from waystation.kernel.errors import DomainError, Unauthenticated
from waystation.kernel.pages import Pages
from waystation.kernel.routes import Router


class People(Route):
    """Browsers are led to the sign-in; programs, and who asks for anything, get the challenge of HTTP Basic."""

    def refusal(self, request: Request, fault: DomainError) -> Response:
        if isinstance(fault, Unauthenticated) and wants_html(request):
            return pages.to_sign_in(request)
        return super().refusal(request, fault)


router = Router(include_in_schema=False, route_class=People)


@served(router, "GET", "/dashboard")
def show_dashboard(request: Request, me: ViewerHere) -> Response:
    """Our devices: everything that the old page showed leads on from there."""
    del me
    return Elsewhere(request, "/devices", dress=_with_challenge)


def _with_challenge(headers: MutableHeaders, status: int) -> int:
    if status == 401:
        headers["www-authenticate"] = CHALLENGE
    return status


@served(router, "GET", "/api/v1/docs")
def show_documentation(request: Request) -> Response:
    shown: Pages = request.app.state.parts.get(Pages)
    sections = [
        (title, [call for call in described.CALLS if call.who == who]) for who, title in described.SECTIONS.items()
    ]
    return shown.html(request, "dropsync/docs.html", sections=sections)


@served(router, "GET", "/api/v1/openapi.json")
def show_description() -> Response:
    return json(described.openapi(__version__))
