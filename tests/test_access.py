"""Deny by default: what is open to everybody is a short list, and every other route turns strangers away."""

import http.client
import re
from collections.abc import Iterator

import pytest
from tests.hub import Hub

from waystation.kernel.feature import NOBODY
from waystation.operation import map as site
from waystation.operation.map import PUBLIC, Door

pytestmark = pytest.mark.servers
RELAY_CALLS = ("register", "register-and-exchange", "refresh", "refresh-rotate")  # the token in the body is the proof
OPEN_TO_EVERYBODY = {
    ("GET", "/health"),
    ("GET", "/api/health"),
    ("GET", "/health/healthz"),
    ("GET", "/health/readyz"),
    ("GET", "/metrics"),
    ("GET", "/"),  # says what this is to programs, and leads people to the sign-in
    ("GET", "/api/v1/docs"),  # how DropSync's calls look: no secret is in it
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/ping"),
    ("GET", "/openapi.json"),
    ("GET", site.STATIC),
    ("GET", "/setup/{secret}"),
    ("POST", "/setup/{secret}"),
    ("GET", "/signin"),
    ("POST", "/signin"),
    ("GET", "/signin/second"),  # the second step: only for who brings the cookie of a right password
    ("POST", "/signin/second"),
    ("POST", "/signin/second/begin"),
    ("POST", "/signin/second/finish"),
    ("POST", "/signin/passkey/begin"),  # a passkey is the proof
    ("POST", "/signin/passkey/finish"),
    ("POST", "/password-strength"),  # for who chooses a password; a form of ours must have given a ticket
    ("GET", "/signin/oidc"),  # begins a sign-in at the owner's identity provider
    ("GET", "/signin/oidc/callback"),  # its end: good once, in the browser that began it
    ("GET", "/signin/oidc/left"),  # where a person stands who has just signed out
    ("GET", "/invitations/{secret}"),  # the secret is the proof: 256 bits, good once, and who is invited is nobody yet
    ("POST", "/invitations/{secret}"),
    ("GET", "/forgot"),  # who has forgotten a password is not signed in
    ("POST", "/forgot"),
    ("GET", "/reset/{secret}"),  # the secret is the proof: 256 bits, good once
    ("POST", "/reset/{secret}"),
    *((method, f"/accounts/{page}") for method in ("GET", "POST") for page in ("login", "register")),  # thermostats'
    ("GET", "/shared/{secret}"),  # a link to one dashboard, read-only: 256 bits, taken back at any time
    ("GET", "/shared/{secret}/history"),
    ("GET", "/shared/{secret}/series"),
    ("GET", "/shared/{secret}/live"),
    ("POST", "/api/claim"),
    *(("POST", f"/cloud{between}devices/{call}") for between in "/-" for call in RELAY_CALLS),
    ("POST", "/api/auth/register"),
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/refresh"),
    ("POST", "/api/auth/token/refresh"),
}
DOORS = site.survey().routes
FOR_PROGRAMS = (
    "dropsync",
    "smarthome",
    "junctionrelay",
    "thermostat",
)  # they read a 401; browsers have a page of their own
FOR_PEOPLE = [
    door
    for door in DOORS
    if door.who not in (PUBLIC, NOBODY) and not door.who.startswith("device") and door.feature not in FOR_PROGRAMS
]


def named(door: Door) -> str:
    return f"{door.method} {door.path} ({door.who})"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub(tmp_path_factory.mktemp("access") / "hub")
    hub.start()
    yield hub
    hub.kill_all()


def asked(hub: Hub, door: Door, **headers: str) -> http.client.HTTPResponse:
    """With a path whose parameters nobody has ever heard of."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=20)
    connection.request(door.method, re.sub(r"\{[^}]*\}", "1", door.path), headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_what_is_open_to_everybody_is_a_short_list() -> None:
    """Whoever adds to it says here, and in the commit, why a stranger may ask."""
    assert {(door.method, door.path) for door in DOORS if door.who == PUBLIC} == OPEN_TO_EVERYBODY


def test_the_map_shows_every_route_that_is_served() -> None:
    shown = {(door.method, door.path) for door in DOORS}
    served = site.built(lambda hot: [route for part in hot.app.routes for route in served_by(part)])
    missing = [
        f"{method} {route.path}"
        for route in served
        for method in getattr(route, "methods", None) or ()
        if method != "HEAD" and (method, route.path.rstrip("/") or "/") not in shown
    ]
    assert missing == []


def served_by(part: object) -> list[object]:
    """The routes of a router that was included, or the route itself."""
    router = getattr(part, "original_router", None)
    return [part] if router is None else list(router.routes)


@pytest.mark.parametrize("door", FOR_PEOPLE, ids=named)
def test_a_browser_without_a_session_is_led_to_the_sign_in(running: Hub, door: Door) -> None:
    answer = asked(running, door, Accept="text/html")
    assert answer.status == 303
    assert str(answer.headers["location"]).startswith("/signin")
