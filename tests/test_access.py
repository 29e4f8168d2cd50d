"""Deny by default: what is open to everybody is a short list, and every other route turns strangers away."""

import http.client
import re
from collections.abc import Iterator

import pytest
from tests.hub import Hub, Registered

from waystation.operation import map as site
from waystation.operation.map import NOBODY, PUBLIC, Door

OPEN_TO_EVERYBODY = {
    ("GET", "/health"),
    ("GET", "/api/health"),
    ("GET", "/health/healthz"),
    ("GET", "/health/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", site.STATIC),
    ("GET", "/setup/{secret}"),
    ("POST", "/setup/{secret}"),
    ("GET", "/signin"),
    ("POST", "/signin"),
    ("POST", "/api/claim"),
}
DOORS = site.survey().routes
CLOSED = [door for door in DOORS if door.who not in (PUBLIC, NOBODY)]
FOR_PEOPLE = [door for door in CLOSED if door.who != "device"]


def named(door: Door) -> str:
    return f"{door.method} {door.path} ({door.who})"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub(tmp_path_factory.mktemp("access") / "hub")
    hub.start()
    yield hub
    hub.kill_all()


@pytest.fixture(scope="module")
def device(running: Hub) -> Registered:
    return running.register_device("Kitchen")


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


@pytest.mark.parametrize("door", CLOSED, ids=named)
def test_nobody_is_turned_away(running: Hub, door: Door) -> None:
    assert asked(running, door).status == 401


@pytest.mark.parametrize("door", FOR_PEOPLE, ids=named)
def test_a_browser_without_a_session_is_led_to_the_sign_in(running: Hub, door: Door) -> None:
    answer = asked(running, door, Accept="text/html")
    assert answer.status == 303
    assert str(answer.headers["location"]).startswith("/signin")


@pytest.mark.parametrize("door", FOR_PEOPLE, ids=named)
def test_a_device_opens_nothing_that_is_for_people(running: Hub, device: Registered, door: Door) -> None:
    for authorization in (device.authorization, f"Bearer {device.api_key}"):
        assert asked(running, door, Authorization=authorization).status == 401


@pytest.mark.parametrize("door", [door for door in CLOSED if door.who == "device"], ids=named)
def test_an_administrators_token_is_no_devices_credential(running: Hub, door: Door) -> None:
    assert asked(running, door, Authorization=f"Bearer {running.token}").status in (401, 403)


@pytest.mark.parametrize("door", [door for door in DOORS if door.who == NOBODY], ids=named)
def test_a_method_that_is_for_nobody_is_refused(running: Hub, door: Door) -> None:
    assert 400 <= asked(running, door).status < 500
