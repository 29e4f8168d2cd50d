"""Two browsers on a running hub: the owner sets it up and invites; the viewer sees all and changes nothing."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser import OpenWindow, Window, chromium, open_window, picture, set_up
from tests.hub import Hub

__all__ = ["chromium", "open_window"]
pytestmark = pytest.mark.browser
ANN, EVE = "ann@example.org", "eve@example.org"
ANNS, EVES = "seven grey herons wade", "nine brown otters swim"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub")
    made.start()
    yield made
    made.kill_all()


def sound(window: Window) -> None:
    assert window.faults() == []
    assert window.too_wide() == []
    assert window.serious_barriers() == []


def invite(page: Page, hub: Hub) -> str:
    """The link that the owner hands to a viewer."""
    page.goto(f"{hub.url}/people")
    page.get_by_role("button", name=re.compile("invite", re.IGNORECASE)).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("E-mail").fill(EVE)
    dialog.get_by_role("radio", name=re.compile("viewer", re.IGNORECASE)).check()
    dialog.get_by_role("button", name=re.compile("invit", re.IGNORECASE)).click()
    found = re.search(r"http://[^\s<\"]+/invitations/[\w-]{43}", page.content())
    assert found is not None
    return re.sub(r"^http://[^/]+", hub.url, found[0])


def join(page: Page, link: str) -> None:
    page.goto(link)
    page.get_by_label("Password", exact=True).fill(EVES)
    page.get_by_role("button", name=re.compile("join|accept|account", re.IGNORECASE)).click()
    page.wait_for_url(re.compile(r"/(devices|people|homes)?(\?.*)?$"))


def test_the_viewer_sees_and_cannot_control(hub: Hub, open_window: OpenWindow) -> None:
    owner, viewer = open_window(), open_window(width=390, color_scheme="dark")
    set_up(hub, owner.page)
    thing = hub.register_device("Porch")
    assert hub.post("/api/readings", {"values": {"temperature_c": 21.5}}, thing.authorization)[0] == 200
    owner.page.goto(f"{hub.url}/devices/{thing.key}")
    expect(owner.page.get_by_role("button", name="Disable").first).to_be_visible()
    picture(owner.page, "owner-device")
    join(viewer.page, invite(owner.page, hub))
    picture(owner.page, "owner-people")

    viewer.page.goto(f"{hub.url}/devices/{thing.key}")
    expect(viewer.page.get_by_role("heading", name="Porch")).to_be_visible()
    expect(viewer.page.get_by_text("21.5").first).to_be_visible()
    for word in ("Disable", "Delete", "Edit", "New credential"):
        expect(viewer.page.get_by_role("button", name=word)).to_have_count(0)
    expect(viewer.page.get_by_role("link", name="Admin")).to_have_count(0)
    sound(viewer)
    picture(viewer.page, "viewer-device")
    refused = viewer.page.request.post(
        f"{hub.url}/devices/{thing.key}/disable",
        headers={"accept": "application/json", "x-csrftoken": csrf(viewer.page)},
    )
    assert refused.status == 403
    assert refused.json()["detail"] == "this needs the role admin; yours is viewer"
    sound(owner)


def test_a_removed_member_is_out_while_the_page_is_open(hub: Hub, open_window: OpenWindow) -> None:
    owner, viewer = open_window(), open_window()
    set_up(hub, owner.page)
    thing = hub.register_device("Porch")
    join(viewer.page, invite(owner.page, hub))
    viewer.page.goto(f"{hub.url}/devices")
    expect(viewer.page.get_by_text("Porch")).to_be_visible()
    hub.command_without_json("member", "remove", EVE)
    deadline = time.monotonic() + 90
    while viewer.page.request.get(f"{hub.url}/api/last-values?device={thing.key}").status == 200:
        assert time.monotonic() < deadline, "a removed member still reads values"
    assert viewer.page.request.get(f"{hub.url}/api/last-values").status == 404


def test_the_admin_pages_are_sound_on_a_phone_and_in_the_dark(hub: Hub, open_window: OpenWindow) -> None:
    window = open_window(width=360, color_scheme="dark")
    set_up(hub, window.page)
    thing = hub.register_device("Porch")
    for name, path in {
        "admin": "/admin",
        "audit": "/admin/audit",
        "accounts": "/admin/accounts",
        "sessions": "/admin/sessions",
        "site-homes": "/admin/homes",
        "account": "/account",
        "security": "/account/security",
        "people": "/people",
        "homes": "/homes",
        "device": f"/devices/{thing.key}",
    }.items():
        window.page.goto(f"{hub.url}{path}")
        sound(window)
        picture(window.page, f"phone-{name}")


def csrf(page: Page) -> str:
    return str(page.locator("input[name=csrf]").first.get_attribute("value"))
