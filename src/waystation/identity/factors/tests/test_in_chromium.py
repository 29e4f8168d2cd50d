"""Passkeys and codes in a real browser with the browser's own virtual authenticator."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pyotp import TOTP
from tests.browser import OpenWindow, Window, serving

from waystation.identity.factors.tests.conftest import PASSWORD, Site

pytestmark = pytest.mark.browser
SECURITY = "/account/security"


@pytest.fixture
def url(site: Site) -> Iterator[str]:
    """By name: browsers bind passkeys to names."""
    with serving(site.app) as address:
        yield address.replace("127.0.0.1", "localhost")


class Authenticator:
    """A phone or computer that recognises its owner (CDP's WebAuthn domain)."""

    def __init__(self, page: Page) -> None:
        self.line = page.context.new_cdp_session(page)
        self.line.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        self.id = self.line.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def credentials(self) -> list[dict[str, Any]]:
        return self.line.send("WebAuthn.getCredentials", {"authenticatorId": self.id})["credentials"]

    def put(self, credential: dict[str, Any]) -> None:
        self.line.send("WebAuthn.clearCredentials", {"authenticatorId": self.id})
        self.line.send("WebAuthn.addCredential", {"authenticatorId": self.id, "credential": credential})

    def forgets_its_owner(self) -> None:
        self.line.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": False})


def sound(window: Window) -> None:
    """Beside refusals that the test provoked, which the browser mentions."""
    faults = [fault for fault in window.faults() if "responded with a status of 4" not in fault]
    assert faults + window.serious_barriers() + window.too_wide() == []


def with_password(page: Page, url: str, wanted: str = SECURITY) -> None:
    page.goto(f"{url}/signin?next={wanted}")
    page.get_by_label("E-mail").fill("ann@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def add_passkey(page: Page, name: str = "Ann’s phone") -> None:
    page.get_by_label("Name of a new passkey").fill(name)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("The passkey is saved")).to_be_visible()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def with_passkey(page: Page, url: str) -> None:
    page.goto(f"{url}/signin?next={SECURITY}")
    page.get_by_role("button", name="Sign in with a passkey").click()


def at_security(page: Page) -> None:
    expect(page.get_by_role("heading", name="How you sign in")).to_be_visible()


@pytest.fixture
def ann(open_window: OpenWindow, url: str) -> Window:
    """Signed in, on her security page."""
    window = open_window()
    with_password(window.page, url)
    at_security(window.page)
    return window


def test_a_passkey_signs_in_without_address_and_password(ann: Window, url: str, site: Site) -> None:
    authenticator = Authenticator(ann.page)
    add_passkey(ann.page)
    sound(ann)
    sign_out(ann.page)
    with_passkey(ann.page, url)
    at_security(ann.page)
    assert authenticator.credentials()[0]["rpId"] == "localhost"
    assert ann.faults() == []
    assert any(note.startswith("person:ann@example.org: signed in") for note in site.notes)


def test_a_passkey_is_renamed_and_deleted_and_opens_nothing_then(ann: Window, url: str) -> None:
    page = ann.page
    Authenticator(page)
    add_passkey(page)
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Name", exact=True).fill("Kitchen tablet")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".name", has_text="Kitchen tablet")).to_be_visible()
    page.get_by_role("button", name="Delete").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("The passkey is deleted")).to_be_visible()
    sign_out(page)
    with_passkey(page, url)
    expect(page.get_by_role("alert")).to_have_text("This passkey is not registered here; it may have been deleted.")


def test_a_copied_passkey_is_found_out_by_its_counter(ann: Window, url: str, site: Site) -> None:
    authenticator = Authenticator(ann.page)
    add_passkey(ann.page)
    copied = authenticator.credentials()[0]
    sign_out(ann.page)
    with_passkey(ann.page, url)
    at_security(ann.page)
    sign_out(ann.page)
    authenticator.put(copied)
    with_passkey(ann.page, url)
    expect(ann.page.get_by_role("alert")).to_contain_text("could not be checked")
    assert "nobody: failed to sign in with a passkey person:ann@example.org" in site.notes


def test_a_passkey_whose_owner_was_not_recognised_opens_nothing(ann: Window, url: str) -> None:
    authenticator = Authenticator(ann.page)
    add_passkey(ann.page)
    sign_out(ann.page)
    authenticator.forgets_its_owner()
    with_passkey(ann.page, url)
    expect(ann.page.get_by_role("alert")).to_contain_text("cancelled or took too long")


def test_an_answer_opens_one_session_only(ann: Window, url: str) -> None:
    """What the browser sent is sent again, as somebody who has recorded it would."""
    page = ann.page
    Authenticator(page)
    add_passkey(page)
    sign_out(page)
    with page.expect_request("**/signin/passkey/finish") as sent:
        with_passkey(page, url)
    at_security(page)
    again = page.request.post(
        f"{url}/signin/passkey/finish", data=sent.value.post_data, headers={"content-type": "application/json"}
    )
    assert again.status == 403
    assert "answered before" in again.json()["detail"]


def test_a_passkey_is_the_second_step(ann: Window, url: str) -> None:
    page = ann.page
    Authenticator(page)
    add_passkey(page)
    page.get_by_role("button", name="Ask for a passkey").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    sound(ann)
    page.get_by_role("link", name="I have kept them").click()
    sign_out(page)
    with_password(page, url)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    sound(ann)
    page.get_by_role("button", name="Use a passkey").click()
    at_security(page)


def test_changes_ask_again_who_it_is_and_a_passkey_answers(ann: Window, site: Site) -> None:
    page = ann.page
    Authenticator(page)
    add_passkey(page)
    site.clock.turn(11 * 60)
    page.get_by_role("button", name="Set up an authenticator app").click()
    expect(page.get_by_role("heading", name="Is it you?")).to_be_visible()
    sound(ann)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("For 10 minutes you may change")).to_be_visible()
    site.clock.turn(11 * 60)
    add = page.get_by_role("button", name="Add a passkey")
    page.get_by_label("Name of a new passkey").fill("another")
    add.click()
    page.get_by_label("Your password").fill("not this one at all")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("That password does not fit.")).to_be_visible()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("For 10 minutes you may change")).to_be_visible()


def test_an_authenticator_app_is_set_up_used_and_turned_off(ann: Window, url: str, site: Site) -> None:
    page = ann.page
    page.get_by_role("button", name="Set up an authenticator app").click()
    sound(ann)
    phone = TOTP(page.locator("#totp-secret").inner_text().replace(" ", ""))
    page.get_by_label("Six digits").fill("000000")
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("alert")).to_contain_text("does not fit")
    assert page.locator("#totp-secret").inner_text().replace(" ", "") == phone.secret
    page.get_by_label("Six digits").fill(phone.at(site.clock.now()))
    page.get_by_role("button", name="Turn it on").click()
    assert len(page.locator("#codes").inner_text().split()) == 10
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("10 of 10 left")).to_be_visible()
    sign_out(page)
    site.clock.turn(60)
    with_password(page, url)
    expect(page.get_by_label("Code from your authenticator app")).to_be_focused()
    page.keyboard.type(phone.at(site.clock.now()))
    page.keyboard.press("Enter")
    at_security(page)
    page.get_by_role("button", name="Turn off").click()
    sound(ann)
    page.get_by_role("dialog").get_by_role("button", name="Turn off", exact=True).click()
    expect(page.get_by_text("your password alone signs you in")).to_be_visible()


def test_where_passkeys_cannot_work_the_page_says_why_and_offers_none(open_window: OpenWindow, url: str) -> None:
    window = open_window()
    numbered = url.replace("localhost", "127.0.0.1")
    with_password(window.page, numbered)
    expect(window.page.get_by_text("Passkeys cannot be added here")).to_be_visible()
    expect(window.page.get_by_role("button", name="Add a passkey")).to_be_hidden()
    window.page.goto(f"{numbered}/signin")
    expect(window.page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    assert window.faults() == []


def test_a_new_password_is_judged_while_it_is_typed(open_window: OpenWindow, site: Site) -> None:
    window = open_window()
    site.empty()
    with serving(site.app) as url:
        page = window.page
        page.goto(f"{url}/setup/{site.new_link()}")
        word = page.locator("#strength-word")
        page.get_by_label("E-mail").fill("ann@example.org")
        for typed, said in (("raspberry", "1 more to go"), ("raspberrypi", "weak"), ("ann@example.org1", "weak")):
            page.get_by_label("Password", exact=True).fill(typed)
            expect(word).to_contain_text(said)
        page.get_by_label("Password", exact=True).fill("seven grey herons wade")
        expect(word).to_have_text("strong")
        sound(window)


@pytest.mark.parametrize(("theme", "width"), [("light", 360), ("dark", 1280)])
def test_the_pages_are_sound_at_every_width(
    open_window: OpenWindow, url: str, site: Site, theme: str, width: int, tmp_path: Path
) -> None:
    """PNGs of them are left in the test's folder."""
    window = open_window(width=width, color_scheme=theme)
    page = window.page
    Authenticator(page)

    def look(name: str) -> None:
        sound(window)
        page.screenshot(path=tmp_path / f"{name}.png", full_page=True)

    page.goto(f"{url}/signin")
    look("signin")
    with_password(page, url)
    at_security(page)
    look("security_off")
    add_passkey(page, "The very long name of Ann’s second-best telephone in the kitchen"[:60])
    page.get_by_role("button", name="Set up an authenticator app").click()
    look("app")
    phone = TOTP(re.sub(r"\s", "", page.locator("#totp-secret").inner_text()))
    page.get_by_label("Six digits").fill(phone.at(site.clock.now()))
    page.get_by_role("button", name="Turn it on").click()
    look("codes")
    page.get_by_role("link", name="I have kept them").click()
    look("security_on")
    sign_out(page)
    with_password(page, url)
    look("second")
    page.get_by_text("Use a recovery code instead").click()
    look("second_recovery")
    page.get_by_label("Code from").fill("000000")
    page.get_by_role("button", name="Sign in", exact=True).click()
    look("second_wrong")
