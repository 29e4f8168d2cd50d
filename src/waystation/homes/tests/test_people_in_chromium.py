"""People, homes and invitations in a real browser, from the invitation to the last removal, in both themes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import expect
from tests.browser import OpenWindow, Window, chromium, open_window, serving
from tests.site import lay_down_database

from waystation import app, homes, identity
from waystation.homes import Membership, Role
from waystation.homes import store as home_rows
from waystation.identity import Caller
from waystation.kernel import settings
from waystation.kernel.db import Database

__all__ = ["chromium", "open_window"]
pytestmark = pytest.mark.browser
PASSWORD = "seven grey herons wade"
PEOPLE = {"ann@example.org": Role.OWNER, "a.very.long.name.indeed@some.department.example.org": Role.ADMIN}


@dataclass
class Shown:
    url: str
    database: Database

    def window(self, open_window: OpenWindow, email: str, **options: object) -> Window:
        """Signed in."""
        window = open_window(**options)
        now = datetime.now(UTC)
        with self.database.write() as tx:
            person = identity.person_by_email(tx, email)
            assert person is not None
            session = identity.open_session(tx, person.id, now, ip=None, agent=None)
        window.page.context.add_cookies([{"name": "sessionid", "value": session.secret, "url": self.url}])
        return window


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    chosen, _ = settings.load({"data": tmp_path, "mqtt_port": 0, "many_homes": True}, {})
    lay_down_database(tmp_path)
    database = Database(chosen.database)
    now = datetime.now(UTC)
    with database.write() as tx:
        home = homes.the_home(tx, now)
        second = home_rows.add_home(tx, "The old lighthouse keeper's cottage by the sea", now)
        for email, role in PEOPLE.items():
            person_id = identity.sign_up(tx, now, email=email, password_hash="", ip=None)
            home_rows.add_member(tx, home.id, person_id, now, role=role)
            home_rows.add_member(tx, second.id, person_id, now, role=role)
    with serving(app.build(chosen)) as url:
        yield Shown(url, database)
    database.close()


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_are_sound(open_window: OpenWindow, shown: Shown, tmp_path: Path, theme: str, width: int) -> None:
    window = shown.window(open_window, "ann@example.org", width=width, color_scheme=theme)
    guest = open_window(width=width, color_scheme=theme)
    found: list[str] = []

    def look(at: Window, name: str) -> None:
        at.page.screenshot(path=tmp_path / f"{name}-{theme}-{width}.png", full_page=True)
        found.extend(f"{name}: {fault}" for fault in at.faults() + at.serious_barriers() + at.too_wide())

    page = window.page
    page.goto(f"{shown.url}/people")
    page.get_by_role("button", name="Invite somebody").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    look(window, "invite")
    page.get_by_label("E-mail").fill("bob@example.org")
    page.get_by_role("button", name="Make the invitation").click()
    link = page.locator("#link").inner_text()
    look(window, "invited")
    page.goto(f"{shown.url}/people")
    look(window, "people")
    page.get_by_role("button", name="Change the role of a.very.long").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    look(window, "role")
    page.goto(f"{shown.url}/homes")
    look(window, "homes")
    guest.page.goto(shown.url + "/invitations/" + link.rsplit("/", 1)[1])
    look(guest, "invitation")
    page.goto(shown.url + "/invitations/" + link.rsplit("/", 1)[1])
    look(window, "already")
    assert found == []


def test_from_the_invitation_to_the_removal(open_window: OpenWindow, shown: Shown) -> None:
    owner = shown.window(open_window, "ann@example.org").page
    owner.goto(f"{shown.url}/people")
    owner.get_by_role("button", name="Invite somebody").click()
    owner.get_by_role("dialog").get_by_label("Viewer").check()
    owner.get_by_role("button", name="Make the invitation").click()
    link = owner.locator("#link").inner_text().rsplit("/", 1)[1]

    guest = open_window(width=360)
    guest.page.goto(f"{shown.url}/invitations/{link}")
    guest.page.get_by_label("E-mail").fill("bob@example.org")
    guest.page.get_by_label("Password", exact=True).fill(PASSWORD)
    guest.page.get_by_role("button", name="Make my account and join").click()
    expect(guest.page.get_by_role("heading", name="Devices", exact=True)).to_be_visible()
    guest.page.goto(f"{shown.url}/people")
    expect(guest.page.get_by_text("bob", exact=True)).to_be_visible()
    expect(guest.page.get_by_role("button", name="Remove")).to_have_count(0)
    expect(guest.page.get_by_role("link", name="Admin")).to_have_count(0)

    owner.goto(f"{shown.url}/people")
    owner.get_by_role("button", name="Remove bob").click()
    owner.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    expect(owner.get_by_text("They do not belong to this home any more.")).to_be_visible()
    guest.page.goto(f"{shown.url}/homes")
    expect(guest.page.get_by_text("You belong to no home")).to_be_visible()


@pytest.mark.parametrize("ending", ["removed", "home deleted"])
def test_a_live_stream_ends_with_the_membership(shown: Shown, ending: str) -> None:
    """Whoever reads on gets the end of the stream, not one more reading."""
    with shown.database.write() as tx:
        person = identity.person_by_email(tx, "a.very.long.name.indeed@some.department.example.org")
        owner = identity.person_by_email(tx, "ann@example.org")
        assert person is not None
        assert owner is not None
        session = identity.open_session(tx, person.id, datetime.now(UTC), ip=None, agent=None)
        home, role = homes.homes_of(tx, owner.id)[0]
    by = Membership(home.id, home.name, role, Caller("person:ann@example.org", person_id=owner.id))
    asked = Request(f"{shown.url}/api/live", headers={"Cookie": f"sessionid={session.secret}"})
    with urlopen(asked, timeout=30) as stream:
        assert stream.readline() == b"retry: 2000\n"
        with shown.database.write() as tx:
            if ending == "removed":
                homes.remove(tx, by, person.id, now=datetime.now(UTC))
            else:
                homes.delete(tx, by, datetime.now(UTC), typed_name=home.name, many=True)
        assert b"event" not in stream.read()
