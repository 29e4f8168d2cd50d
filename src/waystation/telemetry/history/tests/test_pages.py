"""What the history page's server says: series that fit words, the table without scripts, and nothing of other homes."""

import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from httpx2 import Client, Response

from waystation import devices, homes, identity
from waystation.homes import Role
from waystation.homes import store as home_rows
from waystation.kernel.audit import COMMAND_LINE
from waystation.telemetry.history.tests.conftest import Site

pytestmark = pytest.mark.servers


def get(site: Site, path: str, who: str = "ann@example.org", **asked: Any) -> Response:
    with site.database.write() as tx:
        person = identity.person_by_email(tx, who)
        assert person is not None
        session = identity.open_session(tx, person.id, datetime.now(UTC), ip=None, agent=None)
    with Client(base_url=site.url, cookies={"sessionid": session.secret}, headers={"accept": "text/html"}) as client:
        return client.get(path, params=asked)


def offered(site: Site, words: str) -> list[tuple[str, list[str]]]:
    found = get(site, "/history/series", q=words).json()["devices"]
    return [(one["name"], [series["metric"] for series in one["series"]]) for one in found]


def test_every_word_must_fit_device_or_metric(site: Site) -> None:
    assert offered(site, "KITCHEN temp") == [("Kitchen", ["temperature_c"])]
    assert offered(site, "window open") == [("Greenhouse", ["window_open"]), ("Kitchen", ["window_open"])]
    assert offered(site, site.keys["Kitchen"])[0][0] == "Kitchen"
    assert offered(site, "kitchen pressure") == []


def test_another_home_is_told_nothing(site: Site) -> None:
    with site.database.write() as tx:
        now = datetime.now(UTC)
        person_id = identity.sign_up(tx, now, email="eve@example.org", password_hash="", ip=None)
        home_id = home_rows.add_home(tx, "Elsewhere", now).id
        home_rows.add_member(tx, home_id, person_id, now, role=Role.OWNER)
    series = f"{site.keys['Kitchen']}:temperature_c"
    assert get(site, "/history/series", "eve@example.org").json()["devices"] == []
    assert get(site, "/history/series", "eve@example.org", series=series).json()["devices"] == []
    page = get(site, "/history", "eve@example.org", series=series, plain="1")
    assert page.status_code == 200
    assert "Kitchen" not in page.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"range": "3y"},
        {"show": "all"},
        {"bucket": "second"},
        {"tz": "Mars"},
        {"from": "x"},
        {"from": "2026-02-02", "to": "2026-02-01"},
    ],
)
def test_what_is_wrong_without_scripts_gets_a_sentence(site: Site, wrong: dict[str, str]) -> None:
    series = f"{site.keys['Kitchen']}:temperature_c"
    assert get(site, "/history", series=series, plain="1", **wrong).status_code in (400, 422)
    assert get(site, "/history", series=series, **wrong).status_code == 200, "the script takes what is usual"


def test_names_cannot_leave_the_attribute_that_holds_them(site: Site) -> None:
    nasty = "'\"><img src=x onerror=alert(1)> &amp; </script>"
    with site.database.write() as tx:
        now = datetime.now(UTC)
        device = devices.find(tx, homes.the_home(tx, now).id, site.keys["Kitchen"])
        devices.rename(tx, COMMAND_LINE, device, now, name=nasty, model_text="")
    found = Attributes()
    found.feed(get(site, "/history", series=f"{site.keys['Kitchen']}:temperature_c").text)
    assert [one["name"] for one in json.loads(found.chosen)] == [nasty]
    assert "x" not in found.sources


class Attributes(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.chosen = ""
        self.sources: list[str | None] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.sources.append(known.get("src"))
        self.chosen = known.get("data-chosen") or self.chosen
