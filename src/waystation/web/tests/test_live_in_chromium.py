"""What moves by itself: readings, ages, states, charts, and the stream that carries them."""

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.browser import OpenWindow

from waystation.web.tests.conftest import Shown

pytestmark = pytest.mark.browser
KEY = "k3x7qa2m"


def reading(at: float | None = None, **values: Any) -> dict[str, Any]:
    return {"device": KEY, "name": "Workshop", "at": time.time() * 1000 if at is None else at, "values": values}


@pytest.fixture
def page(open_window: OpenWindow, shown: Shown) -> Page:
    return open_window().page


def visit(page: Page, url: str) -> None:
    """Goes there and waits until the stream is open."""
    page.goto(url)
    expect(page.locator("#live")).to_have_text("Live")


def value(page: Page, metric: str) -> Any:
    return page.locator(f'main :is(.values, .lines) [data-metric="{metric}"]')


def test_a_reading_moves_value_age_and_state(page: Page, shown: Shown) -> None:
    visit(page, f"{shown.url}/devices")
    shown.preview.push("device", {"key": KEY, "name": "Workshop", "event": "offline"})
    state = page.locator(f'[data-state="{KEY}"]')
    expect(state).to_have_text("Offline")
    shown.preview.push("readings", reading(cpu_percent=77.77))
    expect(value(page, "cpu_percent")).to_have_text("77.8 %")
    expect(state).to_have_text("Online")
    expect(page.locator(f'[data-seen="{KEY}"]')).to_have_text(re.compile("just now|s ago"))


def test_a_late_reading_is_not_the_last_value(page: Page, shown: Shown) -> None:
    visit(page, f"{shown.url}/devices")
    shown.preview.push("readings", reading(at=time.time() * 1000 - 3_600_000, cpu_percent=99))
    shown.preview.push("readings", reading(memory_percent=50))
    expect(value(page, "memory_percent")).to_have_text("50.0 %")
    expect(value(page, "cpu_percent")).to_have_text("3.2 %")


def test_words_and_booleans_are_shown_as_they_are(page: Page, shown: Shown) -> None:
    visit(page, f"{shown.url}/devices/{KEY}")
    shown.preview.push("readings", reading(mode="<b>ECO</b>", door_open=True))
    expect(value(page, "mode")).to_have_text("<b>ECO</b>")
    expect(value(page, "door_open")).to_have_text("yes")


def test_a_silent_device_goes_offline_by_itself(page: Page, shown: Shown) -> None:
    visit(page, f"{shown.url}/devices")
    expect(page.locator(f'[data-state="{KEY}"]')).to_have_text("Online")
    page.evaluate("document.body.dataset.offlineAfterSeconds = 0.5")
    expect(page.locator(f'[data-state="{KEY}"]')).to_have_text("Offline")


def test_a_cut_stream_is_opened_again(page: Page, shown: Shown) -> None:
    visit(page, f"{shown.url}/devices")
    shown.preview.cut()
    expect(page.locator("#live")).to_have_text("Reconnecting…")
    expect(page.locator("#live")).to_have_text("Live")
    shown.preview.push("readings", reading(cpu_percent=12))
    expect(value(page, "cpu_percent")).to_have_text("12.0 %")


def test_a_clock_that_is_wrong_does_not_make_a_device_old(page: Page, shown: Shown) -> None:
    page.clock.install(time=time.time() - 86_400)
    page.goto(f"{shown.url}/devices")
    page.clock.run_for(2000)
    expect(page.locator(f'[data-state="{KEY}"]')).to_have_text("Online")
    expect(page.locator(f'[data-seen="{KEY}"]')).to_have_text(re.compile(r"^\d+ s ago$"))


def test_the_claim_page_ends_its_wait_when_its_code_is_used(page: Page, shown: Shown) -> None:
    visit(page, f"{shown.url}/claims")
    shown.preview.push("device", {"key": "aaaaaaaa", "name": "Other", "event": "claimed", "claim": "41"})
    shown.preview.push("device", {"key": KEY, "name": "Workshop", "event": "claimed", "claim": "42"})
    link = page.get_by_role("link", name="Workshop")
    expect(link).to_have_attribute("href", f"/devices/{KEY}")
    expect(page.get_by_text("Waiting for the device")).to_be_hidden()


def test_a_first_reading_brings_the_list_of_values(page: Page, shown: Shown) -> None:
    visit(page, f"{shown.url}/devices/p4q5r6s7")
    with page.expect_response(lambda answer: answer.request.headers.get("hx-request") == "true"):
        shown.preview.push("readings", reading(cpu_percent=1) | {"device": "p4q5r6s7"})


def test_a_live_reading_reaches_the_chart_and_its_table(page: Page, shown: Shown) -> None:
    visit(page, f"{shown.url}/devices/{KEY}")
    chart = page.locator(".chart").first
    expect(chart.locator("canvas")).to_be_visible()
    shown.preview.push("readings", reading(cpu_percent=88.8))
    expect(chart.locator(".keys .value").first).to_have_text("88.8 %")
    chart.get_by_text("Data as a table").click()
    expect(chart.locator("tbody tr").first).to_contain_text("88.8 %")


def test_arrow_keys_read_the_values(page: Page, shown: Shown) -> None:
    visit(page, f"{shown.url}/devices/{KEY}")
    chart = page.locator(".chart").first
    expect(chart.locator("canvas")).to_be_visible()
    chart.locator(".plot").focus()
    page.keyboard.press("End")
    said = chart.locator("[aria-live]")
    expect(said).to_contain_text("CPU ")
    newest = said.inner_text()
    page.keyboard.press("PageUp")
    expect(said).not_to_have_text(newest)
    expect(chart.locator(".chart-tip")).to_be_visible()


def test_a_chosen_range_holds_for_every_chart_and_the_next_page(page: Page, shown: Shown) -> None:
    visit(page, f"{shown.url}/devices/{KEY}")
    page.get_by_role("button", name="6 h").click()
    for chart in page.locator(".chart").all():
        expect(chart).to_have_attribute("data-range", "6h")
    page.reload()
    expect(page.get_by_role("button", name="6 h")).to_have_attribute("aria-pressed", "true")


def test_a_chart_says_that_nothing_is_there_and_that_the_hub_failed(page: Page, shown: Shown) -> None:
    shown.preview.no_readings = True
    visit(page, f"{shown.url}/devices/{KEY}")
    word = page.locator(".chart-word").first
    expect(word).to_have_text("No readings in the last hour.")
    shown.preview.readings_status = 503
    page.get_by_role("button", name="24 h").click()
    expect(word).to_contain_text("the hub answered 503")
    shown.preview.readings_status, shown.preview.no_readings = 200, False
    word.get_by_role("button", name="Try again").click()
    expect(page.locator(".chart").first.locator("canvas")).to_be_visible()


def test_a_theme_change_draws_the_charts_in_its_colours(page: Page, shown: Shown) -> None:
    page.emulate_media(color_scheme="light")
    visit(page, f"{shown.url}/devices/{KEY}")
    canvas = page.locator(".chart canvas").first
    expect(canvas).to_be_visible()
    before = canvas.evaluate("canvas => canvas.toDataURL()")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("old => document.querySelector('.chart canvas').toDataURL() !== old", arg=before)
