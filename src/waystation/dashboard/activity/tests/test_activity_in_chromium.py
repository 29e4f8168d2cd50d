"""The page of what happened on a running hub: it goes on by itself, and leaves who reads with the keyboard alone."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect
from tests.browser import OpenWindow, chromium, open_window, picture, set_up
from tests.hub import Hub, Registered

__all__ = ["chromium", "open_window"]
pytestmark = pytest.mark.browser
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub")
    made.start()
    yield made
    made.kill_all()


def write(hub: Hub, thing: Registered, severity: str, content: str) -> None:
    body = {"severity": severity, "content": content}
    assert hub.post("/api/messages", body, thing.authorization)[0] == 200


def register(page: Page, hub: Hub, name: str) -> None:
    """As a person does: what the command line does belongs to no home."""
    page.goto(f"{hub.url}/devices")
    page.evaluate(
        """async (name) => {
          const form = new FormData();
          form.append("csrf", document.querySelector("[name=csrf]").value);
          form.append("name", name);
          await fetch("/devices", { method: "POST", body: form });
        }""",
        name,
    )


def test_it_goes_on_by_itself(hub: Hub, open_window: OpenWindow) -> None:
    window = open_window()
    page = window.page
    set_up(hub, page)
    porch = hub.register_device("Porch")
    page.goto(f"{hub.url}/activity")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    write(hub, porch, "warning", "sensor 3 does not answer")
    expect(page.get_by_text("sensor 3 does not answer")).to_be_visible()
    page.get_by_role("link", name="Porch").first.focus()
    write(hub, porch, "error", "spool is full")
    fresh = page.get_by_role("button", name="Show what is new")
    expect(fresh).to_be_visible()
    fresh.press("Enter")
    expect(page.get_by_text("spool is full")).to_be_visible()
    page.get_by_label("Files").check()
    expect(page.get_by_text("Nothing yet")).to_be_visible()
    assert window.faults() == []


def test_everybody_can_read_it(hub: Hub, open_window: OpenWindow) -> None:
    window = open_window()
    page = window.page
    set_up(hub, page)
    porch = hub.register_device("Porch")
    shed = hub.register_device("Weather station on the north-eastern corner of the greenhouse")
    write(hub, porch, "warning", "sensor 3 does not answer")
    write(hub, shed, "critical", "temperature 104.5 °C: heater switched off " * 4)
    assert hub.post("/api/uploads/whole?name=trace-of-the-night.csv", {"a": 1}, porch.authorization)[0] == 200
    register(page, hub, "Barn")
    for width, scheme in product((360, 1280), SCHEMES):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{hub.url}/activity")
        expect(page.get_by_text("trace-of-the-night.csv")).to_be_visible()
        expect(page.get_by_text("came online").first).to_be_visible()
        picture(page, f"activity-{width}-{scheme}")
        assert (width, scheme, window.serious_barriers(), window.too_wide()) == (width, scheme, [], [])
    assert window.faults() == []
