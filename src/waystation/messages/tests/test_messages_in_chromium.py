"""The page of messages on a running hub: the tail, its pause, filters, older pages; in both themes and on a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser import OpenWindow, chromium, open_window, picture, set_up
from tests.hub import Hub, Registered

__all__ = ["chromium", "open_window"]
pytestmark = pytest.mark.browser
LONG = "heap 23104 of 81920 free, largest block 9216; Wi-Fi RSSI -71 dBm; reconnects 3; uptime 93784 s; " * 3
BOOT = (
    ("info", "boot: firmware 1.4.2, reason power-on"),
    ("debug", "i2c: 0x76 answers, 0x77 does not\n  scanned 0x08 … 0x77 in 38 ms"),
    ("info", LONG),
    ("warning", "sensor 3 does not answer"),
    ("error", "\x1b[31mwrite failed\x1b[0m: spool is full"),
    ("critical", "temperature 104.5 °C: heater switched off"),
)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub")
    made.start()
    yield made
    made.kill_all()


def write(hub: Hub, thing: Registered, *lines: tuple[str, str], kind: str = "log") -> None:
    body = [{"severity": severity, "type": kind, "content": content} for severity, content in lines]
    assert hub.post("/api/messages", body, thing.authorization)[0] == 200


def entries(page: Page) -> list[str]:
    return page.locator(".entry .said").all_inner_texts()


def test_lines_appear_while_one_looks_and_wait_while_one_reads(hub: Hub, open_window: OpenWindow) -> None:
    window = open_window()
    page = window.page
    set_up(hub, page)
    page.goto(f"{hub.url}/messages")
    expect(page.get_by_role("heading", name="No messages yet")).to_be_visible()
    picture(page, "messages-empty")
    porch, shed = hub.register_device("Porch"), hub.register_device("Garden shed, north")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()

    write(hub, porch, *BOOT)
    expect(page.get_by_text("heater switched off")).to_be_visible()
    assert entries(page)[-1] == BOOT[0][1], "newest first"
    expect(page.get_by_text(r"\x1b[31mwrite failed\x1b[0m: spool is full")).to_be_visible()
    write(hub, shed, ("info", "Detected 4 files"), ("info", "Detected 4 files"), kind="status")
    expect(page.get_by_text("2 times")).to_be_visible()
    write(hub, shed, ("info", "Detected 4 files"), kind="status")
    expect(page.get_by_text("3 times")).to_be_visible()
    picture(page, "messages")

    page.get_by_role("button", name="Pause").press("Enter")
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    write(hub, porch, ("info", "while it was paused"))
    page.get_by_role("button", name="Pause").press("Enter")
    expect(page.get_by_text("while it was paused")).to_be_visible()
    assert len(entries(page)) == len(set(entries(page))), "nothing twice"

    page.get_by_label("Severity").select_option("error")
    expect(page.locator(".entry")).to_have_count(2)
    write(hub, porch, ("warning", "not now"), ("error", "but this"))
    expect(page.get_by_text("but this")).to_be_visible()
    assert "not now" not in entries(page)
    page.get_by_label("Text").fill("SPOOL")
    expect(page.locator(".entry")).to_have_count(1)
    assert window.faults() == []


def test_older_pages_and_the_way_back(hub: Hub, open_window: OpenWindow) -> None:
    window = open_window()
    page = window.page
    set_up(hub, page)
    porch = hub.register_device("Porch")
    write(hub, porch, *((("info", f"line {n}")) for n in range(250)))
    page.goto(f"{hub.url}/messages?device={porch.key}")
    expect(page.locator(".entry")).to_have_count(100)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_text("line 149", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    page.get_by_role("link", name="Older").click()
    expect(page.locator(".entry")).to_have_count(50)
    page.get_by_role("link", name="Newer").click()
    expect(page.locator(".entry")).to_have_count(100)
    assert entries(page) == [f"line {n}" for n in range(149, 49, -1)]
    page.get_by_role("link", name="Newest").click()
    expect(page.get_by_text("line 249", exact=True)).to_be_visible()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Text").click()
    assert len(Path(downloading.value.path()).read_text("utf-8").splitlines()) == 250
    assert window.faults() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_everybody_can_read_it(hub: Hub, open_window: OpenWindow, width: int, scheme: str) -> None:
    window = open_window(width=width, color_scheme=scheme)
    page = window.page
    set_up(hub, page)
    write(hub, hub.register_device("Porch"), *BOOT)
    write(
        hub, hub.register_device("Weather station on the north-eastern corner"), ("warning", "x" * 300), kind="status"
    )
    page.goto(f"{hub.url}/messages")
    expect(page.locator(".entry")).to_have_count(7)
    picture(page, f"messages-{width}-{scheme}")
    assert window.serious_barriers() == []
    assert window.too_wide() == []
    assert window.faults() == []
