"""The account in a real browser: sound in both themes and on a phone, and usable from the keyboard."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.browser import OpenWindow, Window, chromium, open_window, serving
from tests.site import lay_down_database

from waystation import app, identity
from waystation.identity import logins, service, store
from waystation.kernel import settings
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import SystemClock
from waystation.kernel.db import Database

__all__ = ["chromium", "open_window"]
pytestmark = pytest.mark.browser

EMAIL, PASSWORD, NEW = "ann@example.org", "several unrelated words", "quite another set of words"
ANDROID = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"


@dataclass
class Shown:
    url: str
    database: Database


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Shown]:
    """With Ann, who is signed in on a phone and an app, and has two API tokens."""
    chosen, _ = settings.load({"data": tmp_path, "mqtt_port": 0, "signin_per_minute": 100}, {})
    lay_down_database(tmp_path)
    database = Database(chosen.database)
    now = SystemClock().now()
    hashed = service.hash_password(PASSWORD)
    with database.write() as tx:
        link = identity.new_setup_link(tx, now) or ""
    built = app.build(chosen)
    with built.parts.get(Database).write() as tx:  # with the listeners, so that Ann owns the home
        ann = service.set_up(tx, link, now, email=EMAIL, password_hash=hashed).id
        service.open_session(tx, ann, now, ip="192.0.2.7", agent=ANDROID)
        logins.log_in(tx, ann, now, ip="2001:db8::17", agent="okhttp/4.9.2")
        mine = identity.account.Mine(ann, COMMAND_LINE)
        for name, scope, days in (("solar script", "read", 30), ("backup of the harbour house", "manage", None)):
            wanted = identity.account.NewToken(name, identity.account.Scope(scope), days)
            identity.account.make_token(tx, mine, now, wanted)
    with serving(built) as url:
        yield Shown(url, database)
    database.close()


def sign_in(window: Window, hub: Shown, password: str = PASSWORD) -> Page:
    page = window.page
    page.goto(f"{hub.url}/signin?next=/account")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Your account", level=1)).to_be_visible()
    return page


def sound(window: Window) -> list[str]:
    return window.faults() + window.serious_barriers() + window.too_wide()


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)])
def test_the_account_page_and_its_dialogs_are_sound(
    open_window: OpenWindow, hub: Shown, theme: str, width: int, tmp_path: Path
) -> None:
    window = open_window(width=width, color_scheme=theme)
    page = sign_in(window, hub)
    page.screenshot(path=tmp_path / f"account-{theme}-{width}.png", full_page=True)
    assert sound(window) == []
    for name in ("Change your name", "Change your e-mail", "Change your password", "New API token", "Revoke"):
        page.get_by_role("button", name=name, exact=True).first.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.screenshot(path=tmp_path / f"{name.lower().replace(' ', '-')}-{theme}-{width}.png")
        assert sound(window) == []
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_token_is_shown_once_to_be_copied(open_window: OpenWindow, hub: Shown, tmp_path: Path) -> None:
    window = open_window(width=360, permissions=["clipboard-read", "clipboard-write"])
    page = sign_in(window, hub)
    page.get_by_role("button", name="New API token").click()
    page.get_by_label("Name", exact=True).fill("weather")
    page.get_by_label("It may").select_option("control")
    page.get_by_role("button", name="Make the token").click()
    text = page.locator("#token").inner_text()
    assert re.fullmatch(r"ws_[\w-]{43}", text)
    page.locator("[data-copies=token]").click()
    expect(page.locator("[data-copies=token]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == text
    page.screenshot(path=tmp_path / "token.png", full_page=True)
    assert sound(window) == []
    page.get_by_role("link", name="Done").click()
    expect(page.locator("#tokens + .card")).to_contain_text("weather")


def test_a_browser_is_signed_out_by_keyboard_and_a_password_changed(
    open_window: OpenWindow, hub: Shown, tmp_path: Path
) -> None:
    window, other = open_window(), open_window()
    page, elsewhere = sign_in(window, hub), sign_in(other, hub)
    page.reload()
    page.get_by_role("button", name="Sign out there: Chrome on Android, 192.0.2.7").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Signed out there.")).to_be_visible()
    page.get_by_role("button", name="Change your password").click()
    page.get_by_label("Your password now").fill("wrong as can be")
    page.get_by_label("New password", exact=True).fill(NEW)
    page.get_by_role("button", name="Change", exact=True).click()
    expect(page.get_by_label("Your password now")).to_have_accessible_description("That is not your password.")
    page.get_by_label("Your password now").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill(NEW)
    page.screenshot(path=tmp_path / "password.png")
    page.get_by_role("button", name="Change", exact=True).click()
    expect(page.get_by_text("Your password is changed.")).to_be_visible()
    elsewhere.reload()
    expect(elsewhere).to_have_url(re.compile("/signin"))
    assert window.faults() == [
        "console: Failed to load resource: the server responded with a status of 400 (Bad Request)"
    ]


@pytest.mark.parametrize("width", [1280, 360])
def test_a_forgotten_password_is_replaced_by_a_link(
    open_window: OpenWindow, hub: Shown, width: int, tmp_path: Path
) -> None:
    window = open_window(width=width, color_scheme="dark" if width == 360 else "light")
    page = window.page
    page.goto(f"{hub.url}/signin")
    page.get_by_role("link", name="Forgot your password?").click()
    expect(page.get_by_text("waystation person reset-password")).to_be_visible()
    page.screenshot(path=tmp_path / "forgot.png")
    assert sound(window) == []
    page.goto(f"{hub.url}/reset/{link(hub)}")
    page.get_by_label("New password", exact=True).fill(NEW)
    page.screenshot(path=tmp_path / "reset.png")
    assert sound(window) == []
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("heading", name="Your password is changed")).to_be_visible()
    assert sound(window) == []
    sign_in(window, hub, NEW)


def link(hub: Shown) -> str:
    with hub.database.write() as tx:
        row: Any = store.person_by_email(tx, EMAIL)
        return identity.account.people.reset_link(tx, COMMAND_LINE, row.id, SystemClock().now())
