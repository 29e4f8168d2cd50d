"""A thermostat's page in a real browser: its picture, its own settings, its key on a phone."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser import OpenWindow, chromium, open_window

from waystation.dialects.thermostat.tests.standing import Shown, local_thermostat, standing

__all__ = ["chromium", "open_window"]
pytestmark = pytest.mark.browser
SHARES = re.compile(r"^Output: .*Heating \d+ %.* of the time$")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder: Path = tmp_path_factory.mktemp("site")
    with standing(folder) as site:
        yield site


def drawn(page: Page) -> None:
    expect(page.locator(".thermostat .uplot")).to_have_count(1)
    expect(page.locator(".thermostat .strip")).to_have_count(2)


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (360, "light")])
def test_a_thermostat_shows_its_day_with_gaps_bands_and_strips(
    shown: Shown, open_window: OpenWindow, width: int, theme: str
) -> None:
    window = shown.window(open_window, width=width, color_scheme=theme)
    page = window.page
    page.goto(shown.page_of(shown.hall))
    drawn(page)
    expect(page.get_by_text("in the last 24 hours, 2 gaps")).to_be_visible()
    for words in ("Inside", "Outside", "Set-point", "Hysteresis band", "Humidity"):
        expect(page.locator(".thermostat .keys").first).to_contain_text(words)
    expect(page.locator(".state-keys")).to_contain_text("Heating")
    expect(page.get_by_role("img", name="Output: ")).to_have_attribute("aria-label", SHARES)
    assert window.serious_barriers() == []
    assert window.too_wide() == []
    assert window.faults() == []


def test_strips_lie_under_the_times_of_the_chart(shown: Shown, open_window: OpenWindow) -> None:
    page = shown.window(open_window).page
    page.goto(shown.page_of(shown.hall))
    drawn(page)
    plot, strip = (page.locator(name).first.bounding_box() for name in (".thermostat .u-over", ".strip svg"))
    assert plot is not None
    assert strip is not None
    assert abs(plot["x"] - strip["x"]) < 1.5
    assert abs(plot["width"] - strip["width"]) < 1.5


def test_the_chart_is_read_by_keyboard_and_as_a_table(shown: Shown, open_window: OpenWindow) -> None:
    page = shown.window(open_window).page
    page.goto(shown.page_of(shown.hall))
    drawn(page)
    page.get_by_role("application").focus()
    page.keyboard.press("End")
    expect(page.locator(".thermostat [aria-live=polite]")).to_contain_text("Mode HEAT")
    page.get_by_text("Data as a table").click()
    expect(page.locator(".thermostat tbody tr")).to_have_count(100)


def test_a_range_of_a_week_is_one_press_away(shown: Shown, open_window: OpenWindow) -> None:
    page = shown.window(open_window).page
    page.goto(shown.page_of(shown.hall))
    drawn(page)
    page.get_by_role("button", name="7 d").click()
    expect(page.get_by_text("in the last 7 days")).to_be_visible()
    expect(page.get_by_role("button", name="7 d")).to_have_attribute("aria-pressed", "true")


def test_what_is_odd_is_said(shown: Shown, open_window: OpenWindow) -> None:
    page = shown.window(open_window).page
    page.goto(shown.page_of(shown.hall))
    expect(page.get_by_role("alert").filter(has_text="Sensor fault")).to_contain_text("3 times")
    expect(page.get_by_role("alert").filter(has_text="Two addresses")).to_contain_text("192.168.1.50 and 192.168.1.51")


def test_the_browser_asks_the_thermostat_itself_and_changes_it__9(shown: Shown, open_window: OpenWindow) -> None:
    window = shown.window(open_window)
    page = window.page
    with local_thermostat() as (device, address):
        page.goto(shown.page_of(shown.hall))
        page.get_by_label("Address of the thermostat").fill(address)
        page.get_by_role("button", name="Connect").click()
        expect(page.get_by_label("Set-point, °C")).to_have_value("22.0")
        page.get_by_label("Set-point, °C").fill("19.5")
        page.get_by_label("Mode", exact=True).select_option("Auto")
        page.get_by_role("button", name="Send to the thermostat").click()
        expect(page.get_by_text("Saved. The thermostat works with it.")).to_be_visible()
        assert device.config == {"setpoint_c": 19.5, "hysteresis_c": 0.5, "mode": "AUTO"}
    assert window.faults() == []


def test_no_other_address_can_be_called_from_there__TH_18(shown: Shown, open_window: OpenWindow) -> None:
    page = shown.window(open_window).page
    with local_thermostat() as (_, address), local_thermostat() as (other, elsewhere):
        page.goto(f"{shown.page_of(shown.hall)}?address={address}")
        expect(page.get_by_label("Set-point, °C")).to_have_value("22.0")
        stopped = page.evaluate(f"fetch('http://{elsewhere}/api/config').then(() => 'let through', () => 'stopped')")
        assert stopped == "stopped"
        assert other.asked == []


def test_a_thermostat_that_does_not_answer_is_explained(shown: Shown, open_window: OpenWindow) -> None:
    page = shown.window(open_window).page
    page.goto(f"{shown.page_of(shown.hall)}?address=127.0.0.1:9")
    expect(page.get_by_text("Are this browser and the thermostat on the same network?")).to_be_visible()


def test_a_key_is_brought_to_the_thermostat_by_phone__4_4__TH_24(shown: Shown, open_window: OpenWindow) -> None:
    window = shown.window(open_window, width=360, height=740)
    page = window.page
    page.goto(shown.page_of(shown.attic))
    page.get_by_role("button", name="New key").click()
    page.get_by_role("button", name="Make a new key").click()
    key = page.locator("#api-key").inner_text()
    expect(page.get_by_role("img", name="Code of the key")).to_be_visible()
    page.get_by_label("Address of the thermostat").fill("192.168.1.50")
    page.get_by_role("button", name="Make the code").click()
    link = page.get_by_role("link", name="Open it on this device")
    expect(link).to_have_attribute("href", f"http://192.168.1.50/setup/step3?api_key={key}")
    expect(page.get_by_role("img", name="Code of the link")).to_be_visible()
    assert key not in page.url
    assert window.too_wide() == []
    assert window.serious_barriers() == []
    assert window.faults() == []


def test_alerts_are_set_on_the_page(shown: Shown, open_window: OpenWindow) -> None:
    page = shown.window(open_window).page
    page.goto(shown.page_of(shown.attic))
    page.get_by_label("Tell me when").check()
    page.get_by_label("At or above, °C").fill("28.5")
    page.get_by_role("button", name="Save the alerts").click()
    expect(page.get_by_text("The alerts are saved.")).to_be_visible()
    expect(page.get_by_label("At or above, °C")).to_have_value("28.5")
    expect(page.get_by_label("Tell me when")).to_be_checked()


def test_the_devices_own_page_has_the_picture_too(shown: Shown, open_window: OpenWindow) -> None:
    window = shown.window(open_window)
    window.page.goto(f"{shown.url}/devices/{shown.hall.key}")
    drawn(window.page)
    assert window.faults() == []
