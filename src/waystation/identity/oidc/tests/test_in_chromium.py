"""A person with a real browser, a hub as it is started, and a provider that comes and goes."""

import shutil
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from tests.browser import OpenWindow, set_up
from tests.hub import Hub
from tests.oidc_provider import ROOT, RealProvider
from tests.servers import required

pytestmark = [pytest.mark.servers, pytest.mark.browser]
StartHub = Callable[..., Hub]
PASSWORD = "several unrelated words"


@pytest.fixture
def hub_and_provider(hub: StartHub) -> tuple[Hub, RealProvider]:
    """The hub runs, the provider does not yet: a start needs none."""
    required(shutil.which("node") and (ROOT / "node_modules" / "oidc-provider").exists(), "oidc-provider (npm ci)")
    provider = RealProvider("")
    chosen = {"oidc_name": "Keycloak", "oidc_sign_up": "everybody", "oidc_role": "viewer", **provider.settings}
    made = hub(environment={f"WAYSTATION_{name.upper()}": value for name, value in chosen.items()})
    return made, provider


def at_provider(page: Page, login: str) -> None:
    page.get_by_placeholder("Enter any login").fill(login)
    page.get_by_placeholder("and password").fill("anything")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def test_a_person_signs_in_by_the_button_when_the_provider_is_back(
    hub_and_provider: tuple[Hub, RealProvider], open_window: OpenWindow
) -> None:
    hub, provider = hub_and_provider
    set_up(hub, open_window().page, "owner@example.org", PASSWORD)
    window = open_window(width=360, color_scheme="dark")
    page = window.page
    page.goto(f"{hub.url}/signin?next=/devices")
    assert window.too_wide() == []
    assert window.serious_barriers() == []
    page.get_by_role("link", name="Sign in with Keycloak").click()
    expect(page.get_by_role("alert")).to_contain_text("Keycloak cannot be reached from here now")
    assert window.too_wide() == []
    assert window.serious_barriers() == []
    window.errors.clear()  # Chromium notes the 503
    provider.start(redirectUris=[f"{hub.url}/signin/oidc/callback"])
    try:
        page.get_by_role("link", name="Try Keycloak again").click()
        at_provider(page, "bob")
        page.wait_for_url(f"{hub.url}/devices")
        window.errors.clear()  # the provider's own pages ask for a font of another site
        page.reload()
        expect(page.get_by_text("bob@example.org").first).to_be_attached()
        assert window.faults() == []
    finally:
        provider.stop()


def test_the_owner_links_an_account_under_our_own_content_policy(
    hub_and_provider: tuple[Hub, RealProvider], open_window: OpenWindow
) -> None:
    hub, provider = hub_and_provider
    window = open_window(width=360)
    page = window.page
    set_up(hub, window.page, "owner@example.org", PASSWORD)
    provider.start(redirectUris=[f"{hub.url}/signin/oidc/callback"])
    try:
        page.goto(f"{hub.url}/account/security")
        page.get_by_role("button", name="Link an account").click()
        assert window.serious_barriers() == []
        page.get_by_role("link", name="Go to Keycloak").click()
        at_provider(page, "ann")
        page.wait_for_url(f"{hub.url}/account/security")
        window.errors.clear()
        expect(page.get_by_text("Linked with ann@example.org")).to_be_visible()
        assert window.too_wide() == []
        assert window.serious_barriers() == []
        page.get_by_role("button", name="Sign out here and there").click()
        assert window.serious_barriers() == []
        assert window.faults() == []
        page.get_by_role("link", name="Sign out at Keycloak").click()
        page.wait_for_url(f"{provider.issuer}/**")
    finally:
        provider.stop()
