from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from jinja2 import DictLoader, Environment
from starlette.testclient import TestClient

from waystation.kernel import faults, pages
from waystation.kernel.clock import ManualClock
from waystation.kernel.errors import Refused
from waystation.kernel.pages import Pages, check_form, inside, read_form, token_for
from waystation.kernel.place import Place

TOKEN = token_for(b"key of the site", b"digest of a session")
OURS = {"origin": "http://testserver"}


def request(method: str = "POST", path: str = "/x", query: str = "", **headers: str) -> Request:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in {"host": "hub", **headers}.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": named}
    return Request({**scope, "server": ("hub", 80), "scheme": "http", "root_path": ""})


def is_taken(**headers: str) -> bool:
    try:
        check_form(request(**headers), TOKEN)
    except Refused:
        return False
    return True


def test_a_form_of_our_own_page_is_taken() -> None:
    assert is_taken(x_csrftoken=TOKEN, origin="http://hub")
    assert is_taken(x_csrftoken=TOKEN, sec_fetch_site="same-origin")
    assert is_taken(x_csrftoken=TOKEN)  # an old browser says neither


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_csrftoken": ""},
        {"x_csrftoken": TOKEN[:-1]},
        {"x_csrftoken": token_for(b"key of the site", b"another session")},
        {"x_csrftoken": token_for(b"another site's key", b"digest of a session")},
        {"x_csrftoken": "ü"},
    ],
)
def test_without_the_sessions_own_token_a_form_is_refused(headers: dict[str, str]) -> None:
    assert not is_taken(origin="http://hub", **headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://hub:8001"},
        {"origin": "http://hub.evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "origin": "http://hub"},
    ],
)
def test_a_form_that_another_site_sent_is_refused_even_with_the_token(headers: dict[str, str]) -> None:
    assert not is_taken(x_csrftoken=TOKEN, **headers)


def site() -> FastAPI:
    app = FastAPI(dependencies=[Depends(read_form)])
    faults.install(app)

    @app.post("/form")
    def form(request: Request) -> str:  # pyright: ignore[reportUnusedFunction]
        check_form(request, TOKEN)
        return "taken"

    return app


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"data": {"csrf": TOKEN}}, 200),
        ({"data": {"csrf": TOKEN}, "files": {"file": b"x"}}, 200),
        ({"data": {"csrf": "wrong"}}, 403),
        ({"files": {"csrf": b"a file is no token"}}, 403),
        ({"json": {"csrf": TOKEN}}, 403),
        ({"json": {}, "headers": {**OURS, "x-csrftoken": TOKEN}}, 200),
    ],
)
def test_the_token_comes_in_a_field_of_the_form_or_in_a_header(sent: dict[str, Any], status: int) -> None:
    with TestClient(site()) as client:
        assert client.post("/form", **{"headers": OURS, **sent}).status_code == status


@pytest.mark.parametrize("path", ["/", "/devices", "/devices?page=2", "/a//b", "/signin?next=//evil"])
def test_a_path_of_this_site_stays_as_it_is(path: str) -> None:
    assert inside(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "devices",
        "",
        "\\/e",
        "/\t\\evil",
        "/\n/evil",
        "//[",
    ],
)
def test_a_path_that_leads_elsewhere_becomes_the_start_page(path: str) -> None:
    assert inside(path) == "/"


@given(st.text(alphabet="/\\:.e?#@[\t\n ", max_size=12))
@property_settings(max_examples=200, deadline=None)
def test_whatever_is_wanted_it_leads_into_this_site(path: str) -> None:
    """As browsers read it: they drop tabs and line breaks, and take a backslash for a slash."""
    read = inside(path).replace("\t", "").replace("\n", "").replace("\r", "").replace("\\", "/")
    assert read.startswith("/")
    assert not read.startswith("//")


def test_who_must_sign_in_comes_back_to_what_was_wanted() -> None:
    assert pages.to_sign_in(request("GET", "/devices", "q=a b&p=2")).headers["location"] == (
        "/signin?next=%2Fdevices%3Fq%3Da%20b%26p%3D2"
    )
    assert pages.to_sign_in(request("GET", "/")).headers["location"] == "/signin"
    assert pages.to_sign_in(request("POST", "/devices")).headers["location"] == "/signin"


def test_every_page_carries_its_policy_and_is_stored_nowhere() -> None:
    environment = Environment(loader=DictLoader({"a.html": "{{ csrf }}|{{ nav }}|{{ name }}"}), autoescape=True)
    shown = Pages(environment, "default-src 'self'", [("Devices", "/devices", 0)], ManualClock())
    answer = shown.html(request("GET", "/devices/abc"), "a.html", status=404, name="<b>")
    assert (answer.status_code, answer.body.endswith(b"|&lt;b&gt;")) == (404, True)
    assert answer.headers["content-security-policy"] == "default-src 'self'"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("rank", "seen"),
    [(0, ["/ True 0"]), (1, ["/ True 0", "/devices True 3"]), (2, ["/ True 0", "/devices True 3", "/system False 0"])],
)
def test_the_navigation_shows_what_the_caller_may_see_and_where_one_is(rank: int, seen: list[str]) -> None:
    nav = "{% for label, href, here, waiting in nav %}{{ href }} {{ here }} {{ waiting }}\n{% endfor %}"
    environment = Environment(loader=DictLoader({"a.html": nav}), autoescape=True)
    entries = [("Home", "/", 0), ("Devices", "/devices", 1), ("System", "/system", 2)]
    shown = Pages(environment, "", entries, ManualClock())
    asked = request("GET", "/devices/abc")
    asked.state.place = Place("Home", rank, {"/devices": 3})
    assert bytes(shown.html(asked, "a.html").body).decode().splitlines() == seen
