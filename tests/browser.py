"""A real Chromium for tests: pages that remember every fault, an accessibility check, and a server to look at."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.hub import Hub

PICTURES = os.environ.get("WAYSTATION_TEST_PICTURES")
ROOT = Path(__file__).resolve().parents[1]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NOTE_VIOLATIONS = """
window.policyViolations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.policyViolations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
RUN_AXE = """async () => (await axe.run(document)).violations
  .filter((found) => ["serious", "critical"].includes(found.impact))
  .map(({ id, impact, nodes }) => `${impact} ${id}: ` + nodes.map((at) => at.html + " " + at.failureSummary).join("; "))
"""
TOO_WIDE = """() => document.documentElement.scrollWidth > document.documentElement.clientWidth
  ? [...document.querySelectorAll("body *")].filter((part) => part.getBoundingClientRect().right > innerWidth + 1)
      .map((part) => part.outerHTML.slice(0, 120))
  : []"""


class Window:
    """One page and what went wrong in it: script errors, console errors, policy violations, failed requests."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.add_init_script(NOTE_VIOLATIONS)
        page.on("pageerror", lambda error: self.errors.append(f"script: {error}"))
        page.on("console", lambda said: self.errors.append(f"console: {said.text}") if said.type == "error" else None)

    def faults(self) -> list[str]:
        return self.errors + [f"policy: {found}" for found in self.page.evaluate("window.policyViolations")]

    def serious_barriers(self) -> list[str]:
        """What axe-core calls serious or critical."""
        self.page.evaluate(AXE.read_text("utf-8"))
        return self.page.evaluate(RUN_AXE)

    def too_wide(self) -> list[str]:
        """What makes the page scroll sideways, if it does."""
        return self.page.evaluate(TOO_WIDE)


PATIENCE_MS = 60_000  # a busy machine is no fault; nothing is asserted of time
OpenWindow = Callable[..., Window]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Not for the whole session: while it lives, its event loop occupies the main thread."""
    if not CHROMIUM.exists() or not AXE.exists():
        pytest.skip("needs /usr/bin/chromium and axe-core (npm ci)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_window(chromium: Browser) -> Iterator[OpenWindow]:
    """`open_window(width=360, color_scheme="dark")`: a fresh profile each; further options are Playwright's."""
    contexts = []

    def opened(*, width: int = 1280, height: int = 900, **options: Any) -> Window:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        contexts.append(context)
        return Window(context.new_page())

    yield opened
    for context in contexts:
        context.close()


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The address of the app on a port that the kernel chose."""
    config = uvicorn.Config(app, port=0, ws="none", log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join()


def picture(page: Page, name: str) -> None:
    """Kept where WAYSTATION_TEST_PICTURES says, for somebody's eyes."""
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def set_up(hub: Hub, page: Page, email: str = "ann@example.org", password: str = "seven grey herons wade") -> None:
    """As the hub's first person, by the link that it has printed."""
    page.goto(f"{hub.url}{hub.setup_path}")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name=re.compile("set up|create|start", re.IGNORECASE)).click()
    expect(page.get_by_role("heading", name="Devices", exact=True)).to_be_visible()
