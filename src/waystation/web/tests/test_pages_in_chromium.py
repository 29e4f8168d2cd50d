"""Every page in a real browser: no policy violation, no serious barrier, no sideways scrolling, in both themes."""

import pytest
from playwright.sync_api import expect
from tests.browser import OpenWindow

from waystation.web.tests.conftest import Shown
from waystation.web.tests.samples import PAGES

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_sound(open_window: OpenWindow, shown: Shown, theme: str, width: int) -> None:
    window = open_window(width=width, color_scheme=theme)
    found: dict[str, list[str]] = {}
    for path in PAGES:
        window.page.goto(shown.url + path)
        for chart in window.page.locator(".chart").all():
            expect(chart.locator("canvas")).to_be_visible()
        found[path] = window.faults() + window.serious_barriers() + window.too_wide()
    assert {path: faults for path, faults in found.items() if faults} == {}


def test_dialogs_are_sound_too(open_window: OpenWindow, shown: Shown) -> None:
    window = open_window(width=360)
    window.page.goto(f"{shown.url}/devices/k3x7qa2m")
    for name in ("Edit", "Disable", "Delete", "Revoke"):
        window.page.get_by_role("button", name=name, exact=True).first.click()
        expect(window.page.get_by_role("dialog")).to_be_visible()
        assert window.serious_barriers() + window.too_wide() == []
        window.page.keyboard.press("Escape")
        expect(window.page.get_by_role("dialog")).to_have_count(0)
    assert window.faults() == []


def test_pages_are_readable_without_scripts(open_window: OpenWindow, shown: Shown) -> None:
    page = open_window(java_script_enabled=False).page
    page.goto(f"{shown.url}/devices/k3x7qa2m")
    expect(page.locator('.lines [data-metric="cpu_percent"]')).to_have_text("3.2 %")
    page.goto(f"{shown.url}/devices")
    page.get_by_label("Search devices").fill("garage")
    page.get_by_role("button", name="Search").click()
    assert page.url.endswith("/devices?q=garage")


def test_the_chosen_theme_outlives_the_page(open_window: OpenWindow, shown: Shown) -> None:
    page = open_window(color_scheme="light").page
    ground = "getComputedStyle(document.body).backgroundColor"
    page.goto(f"{shown.url}/devices")
    light = page.evaluate(ground)
    page.get_by_role("button", name="Theme: automatic").click()
    page.get_by_role("button", name="Theme: light").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate(ground) == dark


def test_a_secret_is_copied_with_its_button(open_window: OpenWindow, shown: Shown) -> None:
    page = open_window(permissions=["clipboard-read", "clipboard-write"]).page
    page.goto(f"{shown.url}/secret")
    shown_key = page.locator("#api-key").inner_text()
    page.locator("[data-copies=api-key]").click()
    expect(page.locator("[data-copies=api-key]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == shown_key


def test_a_device_is_deleted_only_with_its_name_typed(open_window: OpenWindow, shown: Shown) -> None:
    page = open_window().page
    page.goto(f"{shown.url}/devices/k3x7qa2m")
    page.get_by_role("button", name="Delete", exact=True).click()
    name = page.get_by_label("Type its name to confirm")
    expect(name).to_be_focused()
    name.fill("workshop")
    page.get_by_role("button", name="Delete for good").click()
    assert shown.preview.posted == []
    name.fill("Workshop")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("heading", name="posted")).to_be_visible()
    [(path, form)] = shown.preview.posted
    assert path == "/devices/k3x7qa2m/delete"
    assert form["typed_name"] == "Workshop"
    assert form["csrf"]


def test_a_refused_form_opens_its_dialog_at_the_faulty_field(open_window: OpenWindow, shown: Shown) -> None:
    page = open_window().page
    page.goto(f"{shown.url}/refused")
    faulty = page.locator("#device-name")
    expect(faulty).to_be_focused()
    expect(faulty).to_have_accessible_description("Another device has this name already.")


def test_the_password_meter_counts_down_to_the_least_length(open_window: OpenWindow, shown: Shown) -> None:
    page = open_window().page
    page.goto(f"{shown.url}/setup")
    page.get_by_label("Password", exact=True).fill("short")
    expect(page.locator("#strength-word")).to_have_text("5 more to go")
    page.get_by_label("Password", exact=True).fill("seven grey herons wade")
    expect(page.locator("#strength-word")).to_have_text("strong")
