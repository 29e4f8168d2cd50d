"""A dashboard from what a person sees to a link that somebody else opens, on a running hub, with a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser import OpenWindow, chromium, open_window, picture, set_up
from tests.hub import Hub, Registered

__all__ = ["chromium", "open_window"]
pytestmark = pytest.mark.browser


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub")
    made.environment["WAYSTATION_PUBLIC_URL"] = made.url
    made.start()
    yield made
    made.kill_all()


def send(hub: Hub, thing: Registered, celsius: float, *, pump: bool = True) -> None:
    values = {"temp_inside_c": celsius, "humidity_percent": 61, "pump": pump, "mode": "heat"}
    assert hub.post("/api/readings", {"values": values}, thing.authorization)[0] == 200


def names(page: Page) -> list[str]:
    return [tile.get_attribute("aria-label") or "" for tile in page.locator(".tile").all()]


def pin_from_device_and_history(page: Page, hub: Hub, thing: Registered) -> None:
    page.goto(f"{hub.url}/devices/{thing.key}")
    page.get_by_role("link", name="Pin").click()
    page.get_by_label("value: Temp inside").check()
    page.get_by_label("state: Pump").check()
    picture(page, "pin")
    page.get_by_label("Name of the new dashboard").fill("Greenhouse at a glance")
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_role("heading", name="Greenhouse at a glance")).to_be_visible()
    page.goto(f"{hub.url}/history?series={thing.key}:temp_inside_c&series={thing.key}:humidity_percent&range=1h")
    page.get_by_role("link", name="Pin").click()
    page.get_by_label("Title").fill("Climate")
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_role("region", name="Climate")).to_be_visible()
    expect(page.locator(".tile.of-chart canvas")).to_be_visible()


def arrange_by_keyboard(page: Page) -> None:
    page.get_by_role("link", name="Edit", exact=True).click()
    expect(page.get_by_role("link", name="Done")).to_be_visible()
    before = names(page)
    first = page.get_by_role("button", name=f"Move later: {before[0]}")
    first.focus()
    with page.expect_response("**/arrange") as saved:
        page.keyboard.press("Enter")
    assert saved.value.ok
    expect(first).to_be_focused()
    with page.expect_response("**/arrange"):
        page.keyboard.press("Enter")
    page.get_by_role("button", name="Wider: Temp inside").focus()
    with page.expect_response("**/arrange"):
        page.keyboard.press("Space")
    wanted = [*before[1:3], before[0], *before[3:]]
    assert names(page) == wanted
    picture(page, "editing")
    page.reload()
    assert names(page) == wanted
    expect(page.locator(".tile.of-value.w2")).to_have_count(1)
    page.locator("[data-tile]").nth(3).locator(".grip").drag_to(page.locator("[data-tile]").nth(0))
    expect(page.locator("[data-tile]").nth(0)).to_have_attribute("aria-label", wanted[3])
    page.get_by_role("link", name="Done").click()
    expect(page.locator(".tile").first).to_have_attribute("aria-label", wanted[3])


def colour_by_threshold(page: Page, hub: Hub, thing: Registered) -> None:
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_role("link", name="Edit Temp inside").click()
    page.get_by_label(re.compile("Attention at or above")).fill("25")
    page.get_by_label(re.compile("Problem at or above")).fill("30")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Done").click()
    expect(page.locator("#live")).to_have_text("Live")
    send(hub, thing, 31.5, pump=False)
    expect(page.locator('.tile.of-value[data-level="danger"] .level')).to_have_text("Problem")
    expect(page.locator(".tile.of-value .value")).to_contain_text("31.5")
    expect(page.locator(".tile.of-state .big")).to_have_text("Off")


def share(page: Page) -> str:
    page.get_by_role("link", name="Share").click()
    page.get_by_label("Who is it for").fill("Neighbour")
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("#link").inner_text()
    page.get_by_role("link", name="Back to the links").click()
    return link


def test_a_dashboard_is_pinned_together_arranged_shared_and_taken_back(hub: Hub, open_window: OpenWindow) -> None:
    window = open_window()
    page = window.page
    set_up(hub, page)
    thing = hub.register_device("Greenhouse")
    for celsius in (21, 22.5, 24):
        send(hub, thing, celsius)
    pin_from_device_and_history(page, hub, thing)
    arrange_by_keyboard(page)
    colour_by_threshold(page, hub, thing)
    board = page.url
    link = share(page)

    other = open_window()
    looking = other.page
    looking.goto(link)
    expect(looking.get_by_role("heading", name="Greenhouse at a glance")).to_be_visible()
    expect(looking.locator(".tile.of-chart canvas")).to_be_visible()
    expect(looking.locator("#live")).to_have_text("Live")
    send(hub, thing, 20)
    expect(looking.locator('.tile.of-value[data-level="good"] .value')).to_contain_text("20")
    assert other.serious_barriers() == []
    assert other.faults() == []
    picture(looking, "shared")
    picture(page, "links")
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_text("The link opens nothing any more")).to_be_visible()
    expect(looking.get_by_text("this link opens nothing", exact=False)).to_be_visible()
    assert link.rpartition("/")[2] not in hub.log

    looks_right_everywhere(open_window, page, (board, f"{board}?edit=1", f"{hub.url}/boards"))
    assert window.faults() == []


def looks_right_everywhere(open_window: OpenWindow, page: Page, addresses: tuple[str, ...]) -> None:
    for scheme, width in (("light", 820), ("dark", 360)):
        shown = open_window(width=width, color_scheme=scheme, storage_state=page.context.storage_state())
        for number, address in enumerate(addresses):
            shown.page.goto(address)
            expect(shown.page.get_by_role("heading", level=1)).to_be_visible()
            assert shown.too_wide() == []
            assert shown.serious_barriers() == []
            picture(shown.page, f"{number}-{scheme}-{width}")
        assert shown.faults() == []
