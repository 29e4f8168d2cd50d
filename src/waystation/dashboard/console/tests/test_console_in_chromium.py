"""From the form to "Done", on a running hub, with a device that polls and a real browser."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.browser import OpenWindow, chromium, open_window, set_up
from tests.hub import Hub, Registered

__all__ = ["chromium", "open_window"]
pytestmark = pytest.mark.browser


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub")
    made.start()
    yield made
    made.kill_all()


def next_command(hub: Hub, thing: Registered) -> Any:
    asked = urllib.request.Request(
        f"{hub.url}/api/commands/next?wait=20", headers={"authorization": thing.authorization}
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.loads(answer.read())["command"]


def say(hub: Hub, thing: Registered, **outcome: Any) -> None:
    assert hub.post("/api/commands/outcome", outcome, thing.authorization)[0] == 200


def test_what_is_sent_on_the_page_moves_on_it_by_itself(hub: Hub, open_window: OpenWindow) -> None:
    porch, hall = hub.register_device("Porch"), hub.register_device("Hall")
    window = open_window()
    page = window.page
    set_up(hub, page)

    page.get_by_role("link", name="Commands", exact=True).click()
    page.get_by_label("To", exact=True).select_option(label=f"Porch ({porch.key})")
    page.get_by_label("Command", exact=True).fill("set-interval")
    page.get_by_label("Parameters").fill('{"seconds": 30}')
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("heading", name="set-interval")).to_be_visible()
    expect(page.get_by_text("Waiting", exact=True)).to_be_visible()

    given = next_command(hub, porch)
    assert (given["name"], given["parameters"]) == ("set-interval", {"seconds": 30})
    expect(page.get_by_text("Delivered", exact=True)).to_be_visible()
    say(hub, porch, id=given["id"], state="done", result={"was": 60})
    expect(page.locator("#command .tag")).to_have_text("Done")
    expect(page.get_by_text('"was": 60').first).to_be_visible()

    page.goto(f"{hub.url}/commands")
    page.get_by_label("To", exact=True).select_option(label="Every device of this home")
    page.get_by_label("Command", exact=True).fill("ping")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("2 waiting")).to_be_visible()
    for thing, state in ((porch, "done"), (hall, "failed")):
        say(hub, thing, id=next_command(hub, thing)["id"], state=state)
    expect(page.get_by_text("1 done, 1 failed")).to_be_visible()
    assert window.faults() == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_console_is_usable_on_a_phone_and_with_a_screen_reader(
    hub: Hub, open_window: OpenWindow, theme: str
) -> None:
    hub.register_device("Porch")
    window = open_window(width=360, height=740, color_scheme=theme)
    set_up(hub, window.page)
    window.page.goto(f"{hub.url}/commands")
    window.page.get_by_label("To", exact=True).select_option(label="Every device of this home")
    window.page.get_by_label("Command", exact=True).fill("ping")
    window.page.keyboard.press("Enter")
    expect(window.page.get_by_text("1 waiting")).to_be_visible()
    for path in ("", "/commands"):
        if path:
            window.page.goto(f"{hub.url}{path}")
        assert window.too_wide() == []
        assert window.serious_barriers() == []
    assert window.faults() == []
