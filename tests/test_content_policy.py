"""Every page carries the content policy, and nothing on it comes from elsewhere (TH-18)."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from tests.site import Site, Somebody, Thing, standing_site

from waystation import web
from waystation.identity import store as people
from waystation.kernel.feature import NOBODY
from waystation.kernel.https import is_for_programs
from waystation.operation import map as site_map

PAGES = sorted(
    {
        door.path
        for door in site_map.survey().routes
        if door.method == "GET" and door.who != NOBODY and not is_for_programs(door.path) and "…" not in door.path
    }
)
LOADED = {
    **dict.fromkeys(("script", "img", "iframe", "source"), "src"),
    **dict.fromkeys(("link", "use"), "href"),
    "form": "action",
}
BROWSER = "text/html,application/xhtml+xml"


class Named(HTMLParser):
    """What a page loads, and what of it is no file."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.stands_open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.stands_open = tag if tag == "style" or (tag == "script" and "src" not in given) else ""
        if self.stands_open and given.get("type") == "application/json":
            self.stands_open = ""
        if address := given.get(LOADED.get(tag, "")):
            self.addresses.append(address)
        self.inline += [f"<{tag} {name}>" for name in given if name.startswith("on") or name == "style"]

    def handle_data(self, data: str) -> None:
        if self.stands_open and data.strip():
            self.inline.append(f"<{self.stands_open}> {data.strip()[:60]}")

    def handle_endtag(self, tag: str) -> None:
        self.stands_open = ""


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Somebody, Thing]]:
    """With somebody who sees every page, and a device."""
    with standing_site(tmp_path_factory.mktemp("pages"), open_registration=True) as site:
        home = site.home()
        person = site.somebody(home)
        with site.database.write() as tx:
            people.make_operator(tx, person.id)
        yield site, person, site.device(home)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_the_policy_and_nothing_from_elsewhere__TH_18(
    standing: tuple[Site, Somebody, Thing], path: str
) -> None:
    site, person, device = standing
    filled = path.replace("{key}", device.key).replace("{device_id}", str(device.id))
    filled = filled.replace("{device_id:int}", str(device.id))
    for who in ({}, person.browser):
        answer = site.ask("GET", re.sub(r"{[^}]*}", "1", filled), accept=BROWSER, **who)
        assert answer.status < 500
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self'; script-src 'self'; style-src 'self'"), policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        page = Named()
        page.feed(answer.body.decode())
        assert not [one for one in page.addresses if not one.startswith(("/", "#", "?", "data:image/"))]
        assert not [one for one in page.addresses if one.startswith("//")]
        assert not page.inline


def test_what_is_not_there_has_the_policy_too__TH_18(standing: tuple[Site, Somebody, Thing]) -> None:
    site, _, _ = standing
    answer = site.ask("GET", "/no/such/page", accept=BROWSER)
    assert (answer.status, answer.headers["content-security-policy"]) == (404, web.CONTENT_SECURITY_POLICY)


def test_no_style_or_script_names_another_site__TH_18() -> None:
    found = [path for path in web.STATIC.rglob("*") if path.suffix in (".css", ".js")]
    assert len(found) > 10
    for path in found:
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        assert not re.search(r"""(@import|url\(|import\s|from\s|fetch\()\s*["'(]*(https?:)?//""", text), path
