"""The history page in a real browser: choose, zoom, compare, share; with mouse, fingers and keys."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.browser import OpenWindow, Window, chromium, open_window, picture

from waystation.telemetry.history.tests.conftest import Site

__all__ = ["chromium", "open_window"]
pytestmark = pytest.mark.browser


def sound(window: Window) -> None:
    assert window.faults() + window.serious_barriers() + window.too_wide() == []


def chart(page: Page) -> Locator:
    """Once its data is drawn."""
    expect(page.locator("#chart[aria-busy=false] canvas")).to_be_visible()
    return page.locator("#chart .u-over")


def asked(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def length(page: Page) -> float:
    """Milliseconds between the ends that the address tells."""
    start, end = (page.evaluate("text => Date.parse(text)", asked(page)[name][0]) for name in ("from", "to"))
    return end - start


def choose(page: Page, words: str, metric: str, device: str) -> None:
    page.get_by_role("combobox", name="Add to the chart").fill(words)
    group = page.get_by_role("group", name=device)
    option = group.get_by_role("option", name=metric)
    expect(option).to_be_visible()
    option.click()
    expect(option).to_have_attribute("aria-selected", "true")


@pytest.mark.parametrize(("width", "theme"), [(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")])
def test_the_page_is_sound(open_window: OpenWindow, site: Site, theme: str, width: int) -> None:
    window = site.window(open_window, width=width, color_scheme=theme)
    page = window.page
    page.goto(f"{site.url}/history")
    expect(page.get_by_text("Nothing is chosen yet.").first).to_be_visible()
    page.get_by_role("combobox", name="Add to the chart").click()
    expect(page.locator("#picker-list").get_by_role("option").first).to_be_visible()
    picture(page, f"picker-{theme}-{width}")
    sound(window)
    names = [
        f"{name}:{metric}" for name in ("Greenhouse", "Kitchen") for metric in ("temperature_c", "humidity_percent")
    ]
    page.goto(site.path(*names, "Greenhouse:window_open", "Kitchen:mode", range="7d", show="band"))
    chart(page)
    page.get_by_text("Data as a table").click()
    picture(page, f"band-{theme}-{width}")
    sound(window)
    page.goto(site.path(*names[:3], range="24h", compare="7d"))
    chart(page)
    picture(page, f"compare-{theme}-{width}")
    sound(window)


def test_choose_three_series_zoom_compare_and_share(open_window: OpenWindow, site: Site) -> None:
    window = site.window(open_window)
    page = window.page
    page.goto(f"{site.url}/history")
    choose(page, "green temp", "Temperature", "Greenhouse")
    choose(page, "kitchen temp", "Temperature", "Kitchen")
    choose(page, "kitchen hum", "Humidity", "Kitchen")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="7 d", exact=True).click()
    chips = page.get_by_role("list", name="On the chart").get_by_role("listitem")
    expect(chips).to_have_count(3)
    before = page.url
    box = chart(page).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60, steps=5)
    with page.expect_response(re.compile("/api/history")) as finer:
        page.mouse.up()
    told = parse_qs(urlsplit(finer.value.url).query)
    assert 500 <= int(told["points"][0]) <= 1000
    page.wait_for_url(re.compile("from="))
    assert length(page) == pytest.approx(7 * 86_400_000 / 4, rel=0.02)
    page.get_by_label("Compare with").select_option("A week before")
    chart(page)
    expect(page.locator(".chart-sum")).to_contain_text("Temperature, a week before: between")
    other = site.window(open_window).page
    other.goto(page.url)
    chart(other)
    expect(other.locator(".chart-sum")).to_have_text(page.locator(".chart-sum").inner_text())
    page.go_back()
    page.go_back()
    expect(page).to_have_url(before)
    expect(page.get_by_role("button", name="7 d", exact=True)).to_have_attribute("aria-pressed", "true")
    sound(window)


def test_it_all_works_with_keys_only(open_window: OpenWindow, site: Site) -> None:
    page = site.window(open_window).page
    page.goto(f"{site.url}/history")
    page.get_by_role("combobox", name="Add to the chart").focus()
    page.keyboard.type("kitchen temperature")
    expect(page.locator("#picker-list").get_by_role("option")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    chart(page)
    page.locator("#chart .plot").focus()
    page.keyboard.press("End")
    said = page.locator("#chart [aria-live]")
    expect(said).to_contain_text(re.compile(r"Temperature \d+\.\d °C"))
    newest = said.inner_text()
    page.keyboard.press("ArrowLeft")
    expect(said).not_to_have_text(newest)
    page.keyboard.press("+")
    page.wait_for_url(re.compile("range=43200s"))
    page.keyboard.press("Shift+ArrowLeft")
    page.wait_for_url(re.compile("from="))
    page.keyboard.press("Shift+End")
    page.wait_for_url(re.compile("range=43200s"))
    remove = page.get_by_role("button", name="Remove Temperature")
    remove.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing is chosen yet.").first).to_be_visible()
    expect(page.get_by_role("combobox", name="Add to the chart")).to_be_focused()


def test_wheel_and_shift_drag_move_the_picture(open_window: OpenWindow, site: Site) -> None:
    page = site.window(open_window).page
    page.goto(site.path("Kitchen:temperature_c", range="7d"))
    box = chart(page).bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + 40
    page.mouse.move(*middle)
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(middle[0] + box["width"] / 4, middle[1], steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    page.wait_for_url(re.compile("from="))
    first = page.url
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_url(lambda url: url != first)
    (start,), (end,) = asked(page)["from"], asked(page)["to"]
    assert start < end


def test_two_fingers_zoom(open_window: OpenWindow, site: Site) -> None:
    page = site.window(open_window, width=360, has_touch=True, is_mobile=True).page
    page.goto(site.path("Kitchen:temperature_c", range="7d"))
    chart(page).scroll_into_view_if_needed()
    box = chart(page).bounding_box()
    assert box is not None
    x, y, w = box["x"], box["y"] + 40, box["width"]
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *places: float) -> None:
        points = [{"x": x + w * at, "y": y, "id": i} for i, at in enumerate(places)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0.4)
    touch("touchStart", 0.4, 0.6)
    touch("touchMove", 0.3, 0.7)
    touch("touchMove", 0.2, 0.8)
    touch("touchEnd")
    page.wait_for_url(re.compile("from="))
    assert length(page) == pytest.approx(7 * 86_400_000 / 3, rel=0.05)


def test_numbers_can_be_read_and_copied(open_window: OpenWindow, site: Site) -> None:
    page = site.window(open_window).page
    page.goto(site.path("Kitchen:temperature_c", "Kitchen:mode", range="24h", tz="Asia/Tokyo"))
    chart(page)
    page.get_by_text("Data as a table").click()
    expect(page.locator("#chart tbody tr").first).to_contain_text(re.compile(r"\d\d:\d\d:\d\d[\d.]+ °C"))
    page.get_by_role("button", name="Copy the numbers").click()
    copied = page.locator("#history-rows").text_content() or ""
    lines = copied.split("\n")
    assert lines[0] == "Time\tTemperature\tMode"
    assert len(lines) > 100
    assert re.search(r"\t'=off", copied)
    expect(page.locator(".strip")).to_have_count(1)


def test_what_arrives_is_followed(open_window: OpenWindow, site: Site) -> None:
    page = site.window(open_window).page
    page.goto(site.path("Kitchen:temperature_c", range="1h"))
    chart(page)
    page.evaluate(
        """key => document.dispatchEvent(new CustomEvent("waystation:readings",
          { detail: { device: key, name: "Kitchen", at: Date.now(), values: { temperature_c: 77.7 } } }))""",
        site.keys["Kitchen"],
    )
    expect(page.locator("#chips .value")).to_have_text("77.7 °C")


def test_what_is_gone_is_told_and_the_rest_is_shown(open_window: OpenWindow, site: Site) -> None:
    page = site.window(open_window).page
    page.goto(site.path("Kitchen:temperature_c") + "&series=zzzzzzzz:t")
    chart(page)
    expect(page.get_by_text("Some of what this link shows is not here any more.")).to_be_visible()


def test_without_scripts_there_is_a_table(open_window: OpenWindow, site: Site) -> None:
    page = site.window(open_window, java_script_enabled=False).page
    page.goto(site.path("Kitchen:temperature_c", "Kitchen:mode"))
    page.get_by_label("Range", exact=True).select_option("7 d")
    page.get_by_label("One row for").select_option("Days")
    page.get_by_role("button", name="Show the table").click()
    rows = page.get_by_role("region", name="Readings").locator("tbody tr")
    expect(rows).to_have_count(8)
    expect(rows.first).to_contain_text("°C")
    picture(page, "plain")
