"""People sign in with a real provider: walked like a browser, through the wired app."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from starlette.testclient import TestClient
from tests.oidc_provider import RealProvider, StartProvider, There
from tests.site import lay_down_database

from waystation import app, identity
from waystation.homes import Role
from waystation.homes import store as homes
from waystation.identity import store as people
from waystation.kernel import settings
from waystation.kernel.audit import audit
from waystation.kernel.clock import Clock, ManualClock, SystemClock
from waystation.kernel.db import Database

pytestmark = pytest.mark.servers

HTML = {"accept": "text/html", "origin": "http://hub"}
CALLBACK = "http://hub/signin/oidc/callback"
OWNER = "owner@example.org"
PASSWORD = "several unrelated words"


class Site:
    """The wired app and one browser at it."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.parts = client.app.state.parts  # type: ignore[attr-defined]

    @property
    def database(self) -> Database:
        return self.parts.get(Database)

    def get(self, path: str) -> httpx2.Response:
        return self.client.get(path, headers=HTML)  # type: ignore[return-value]

    def post(self, path: str, **form: str) -> httpx2.Response:
        found = re.search(r'name="csrf" value="(\w+)"', self.get("/devices").text)
        assert found is not None
        return self.client.post(path, data={"csrf": found[1], **form}, headers=HTML)  # type: ignore[return-value]

    def door(self, wanted: str = "/") -> str:
        answer = self.client.get("/signin/oidc", params={"next": wanted}, headers=HTML)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    @property
    def is_signed_in(self) -> bool:
        return "/signin" not in self.get("/devices").headers.get("location", "")

    def back(self, address: str) -> httpx2.Response:
        """Follows the browser's way back from the provider."""
        return self.get(address.removeprefix("http://hub"))

    def leave(self) -> None:
        self.client.cookies.clear()

    def people(self) -> list[Any]:
        with self.database.read() as tx:
            return list(tx.all(people.person.select().order_by(people.person.c.id)))

    def role(self, email: str) -> Role | None:
        with self.database.read() as tx:
            home, person = homes.first_home(tx), people.person_by_email(tx, email)
            assert home is not None
            assert person is not None
            return homes.role_of(tx, home.id, person.id)

    def deeds(self) -> list[str]:
        with self.database.read() as tx:
            rows = tx.all(audit.select().order_by(audit.c.id))
            return [f"{row.did} by {row.detail['how']}" if "how" in row.detail else row.did for row in rows]

    def invite(self, email: str) -> None:
        with self.database.write() as tx:
            home, now = homes.first_home(tx), self.parts.get(Clock).now()
            assert home is not None
            facts = {"digest": b"x" * 32, "email": email, "role": "user", "invited_by": None}
            homes.add_invitation(tx, home.id, now, expires_at=now + timedelta(days=1), **facts)

    def disable(self, email: str) -> None:
        with self.database.write() as tx:
            now = self.parts.get(Clock).now()
            tx.execute(people.person.update().where(people.person.c.email == email).values(disabled_at=now))

    def set_up(self, email: str) -> None:
        """The owner, signed in."""
        with self.database.write() as tx:
            link = identity.new_setup_link(tx, self.parts.get(Clock).now())
        form = {"email": email, "password": PASSWORD}
        assert self.client.post(f"/setup/{link}", data=form, headers=HTML).status_code == 303


StartSite = Callable[..., Site]


@pytest.fixture(scope="module")
def provider() -> Iterator[RealProvider]:
    """One for all tests that do not end it."""
    made = RealProvider(CALLBACK)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[StartSite]:
    with ExitStack() as stack:

        def started(provider: RealProvider, *, owner: str | None = OWNER, **more: Any) -> Site:
            given = {"data": tmp_path, "mqtt_port": 0, "signin_per_minute": 100, "oidc_name": "Keycloak"}
            chosen, _ = settings.load({**given, **provider.settings, **more}, {})
            lay_down_database(tmp_path)
            client = TestClient(app.build(chosen).app, base_url="http://hub", follow_redirects=False)
            made = Site(stack.enter_context(client))
            if owner:
                made.set_up(owner)
            return made

        yield started


def refused(answer: httpx2.Response, sentence: str, status: int = 403) -> bool:
    assert answer.status_code == status, answer.text
    assert sentence in answer.text.lower(), answer.text
    return True


def test_a_new_person_signs_in_and_is_known_the_next_time(
    provider: RealProvider, site: StartSite, there: There
) -> None:
    hub = site(provider, oidc_sign_up="everybody", oidc_role="user")
    hub.leave()
    answer = hub.back(there.sign_in(hub.door("/devices"), "bob"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/devices")
    assert hub.is_signed_in
    hub.leave()
    assert hub.back(there.sign_in(hub.door(), "bob")).headers["location"] == "/"
    assert [(row.email, row.name) for row in hub.people()] == [(OWNER, "owner"), ("bob@example.org", "Bob")]
    assert hub.role("bob@example.org") is Role.USER
    assert hub.deeds().count("signed in by Keycloak") == 2
    assert hub.deeds().count("signed up") == 1


def test_claims_in_the_id_token_and_a_secret_in_the_form_do_as_well(
    oidc_provider: StartProvider, site: StartSite, there: There
) -> None:
    client = {"token_endpoint_auth_method": "client_secret_post"}
    configuration = {"clientAuthMethods": ["client_secret_post"]}
    provider = oidc_provider(CALLBACK, claimsInIdToken=True, client=client, configuration=configuration)
    hub = site(provider, oidc_sign_up="everybody")
    hub.leave()
    assert hub.back(there.sign_in(hub.door(), "ann")).status_code == 303
    assert [(row.first_name, row.last_name) for row in hub.people()[1:]] == [("Ann", "Archer")]


def test_a_client_without_a_secret_proves_itself_by_pkce(
    oidc_provider: StartProvider, site: StartSite, there: There
) -> None:
    client = {"token_endpoint_auth_method": "none"}
    hub = site(oidc_provider(CALLBACK, client=client), oidc_client_secret="", oidc_sign_up="everybody")
    hub.leave()
    assert hub.back(there.sign_in(hub.door(), "ann")).status_code == 303
    assert hub.is_signed_in


def test_who_declines_is_not_signed_in(provider: RealProvider, site: StartSite, there: There) -> None:
    hub = site(provider, oidc_sign_up="everybody")
    hub.leave()
    assert refused(hub.back(there.decline(hub.door(), "bob")), "declined, so nobody was signed in")
    assert not hub.is_signed_in
    assert len(hub.people()) == 1


def test_a_link_of_somebody_else_signs_nobody_in(provider: RealProvider, site: StartSite, there: There) -> None:
    hub = site(provider, oidc_sign_up="everybody")
    hub.leave()
    theirs = there.sign_in(hub.door(), "bob")
    hub.leave()
    assert refused(hub.back(theirs), "not begun in this browser")
    hub.door()
    assert refused(hub.back(theirs), "not begun in this browser")
    assert not hub.is_signed_in


def test_a_forged_or_empty_return_is_refused(provider: RealProvider, site: StartSite) -> None:
    hub = site(provider, oidc_sign_up="everybody")
    hub.leave()
    for way in ("/signin/oidc/callback", "/signin/oidc/callback?state=x&code=y", "/signin/oidc/callback?state=%00"):
        assert refused(hub.get(way), "not begun in this browser")
    hub.client.cookies.set("signin_attempt", "gAAAAA-not-ours")
    assert refused(hub.get("/signin/oidc/callback?state=x&code=y"), "not begun in this browser")


def test_the_same_return_works_once(provider: RealProvider, site: StartSite, there: There) -> None:
    hub = site(provider, oidc_sign_up="everybody")
    hub.leave()
    address = there.sign_in(hub.door(), "bob")
    kept = hub.client.cookies["signin_attempt"]
    assert hub.back(address).status_code == 303
    assert "signin_attempt" not in hub.client.cookies
    hub.leave()
    hub.client.cookies.set("signin_attempt", kept)
    assert refused(hub.back(address), "has been used already")
    assert not hub.is_signed_in


def test_a_code_of_another_sign_in_is_worth_nothing(provider: RealProvider, site: StartSite, there: There) -> None:
    """PKCE: the code was given for another verifier."""
    hub = site(provider, oidc_sign_up="everybody")
    hub.leave()
    stolen = query(there.sign_in(hub.door(), "bob"))["code"]
    mine = query(hub.door())["state"]
    path = f"/signin/oidc/callback?{urlencode({'code': stolen, 'state': mine, 'iss': issuer_of(hub)})}"
    assert refused(hub.get(path), "no longer knows this sign-in")


def test_an_id_token_for_another_sign_in_is_not_believed(provider: RealProvider, site: StartSite, there: There) -> None:
    hub = site(provider, oidc_sign_up="everybody")
    hub.leave()
    door = httpx2.URL(hub.door()).copy_set_param("nonce", "another sign-in's")
    assert refused(hub.back(there.sign_in(str(door), "bob")), "was not meant for this sign-in")
    assert not hub.is_signed_in


def test_a_code_of_another_provider_is_not_brought_to_ours(
    provider: RealProvider, site: StartSite, there: There
) -> None:
    hub = site(provider, oidc_sign_up="everybody")
    hub.leave()
    address = httpx2.URL(there.sign_in(hub.door(), "bob")).copy_set_param("iss", "https://another.example")
    assert refused(hub.back(str(address)), "was not meant for this sign-in")


def test_an_id_token_with_another_key_of_the_same_name_is_not_believed(
    oidc_provider: StartProvider, site: StartSite, there: There
) -> None:
    provider = oidc_provider(CALLBACK)
    hub = site(provider, oidc_sign_up="everybody")
    hub.leave()
    assert hub.back(there.sign_in(hub.door(), "bob")).status_code == 303
    hub.leave()
    provider.stop()
    provider.start()
    assert refused(hub.back(there.sign_in(hub.door(), "bob")), "not signed by its own key")
    assert not hub.is_signed_in


def test_new_keys_of_the_provider_are_taken_up_at_once(
    oidc_provider: StartProvider, site: StartSite, there: There
) -> None:
    provider = oidc_provider(CALLBACK)
    hub = site(provider, oidc_sign_up="everybody")
    hub.leave()
    assert hub.back(there.sign_in(hub.door(), "bob")).status_code == 303
    hub.leave()
    provider.stop()
    provider.start(kid="second")
    assert hub.back(there.sign_in(hub.door(), "bob")).status_code == 303
    assert hub.is_signed_in


def test_a_clock_that_is_wrong_is_named(provider: RealProvider, site: StartSite, there: There) -> None:
    hub = site(provider, oidc_sign_up="everybody")
    hub.leave()
    clock = ManualClock(SystemClock().now() - timedelta(hours=1))
    hub.parts.put(Clock, clock)
    assert refused(hub.back(there.sign_in(hub.door(), "bob")), "the clock of this hub")
    clock.turn(3 * 3600)
    assert refused(hub.back(there.sign_in(hub.door(), "bob")), "the clock of this hub")


def test_a_sign_in_that_took_too_long_is_begun_again(provider: RealProvider, site: StartSite, there: There) -> None:
    hub = site(provider, oidc_sign_up="everybody")
    hub.leave()
    address = there.sign_in(hub.door(), "bob")
    hub.parts.put(Clock, ManualClock(SystemClock().now() + timedelta(minutes=11)))
    assert refused(hub.back(address), "more than ten minutes ago")


def test_with_the_provider_away_the_hub_says_so_and_passwords_work(
    oidc_provider: StartProvider, site: StartSite, there: There
) -> None:
    provider = oidc_provider(CALLBACK)
    provider.stop()
    hub = site(provider, oidc_sign_up="everybody")
    hub.leave()
    assert refused(hub.get("/signin/oidc?next=/system"), "cannot be reached from here now", 503)
    assert "Sign in with Keycloak" in hub.get("/signin").text
    form = {"email": OWNER, "password": PASSWORD}
    assert hub.client.post("/signin", data=form, headers=HTML).status_code == 303
    assert hub.is_signed_in
    provider.start()
    hub.leave()
    address = there.sign_in(hub.door(), "bob")
    provider.stop()
    assert refused(hub.back(address), "cannot be reached from here now", 503)


def test_a_provider_that_calls_itself_otherwise_is_not_believed(provider: RealProvider, site: StartSite) -> None:
    hub = site(provider, oidc_issuer=provider.issuer.replace("127.0.0.1", "localhost"))
    assert refused(hub.get("/signin/oidc"), "cannot be reached from here now", 503)


@pytest.mark.parametrize(
    ("login", "sentence"),
    [
        ("eve", "has not verified your e-mail address"),
        ("nobody", "did not say your e-mail address"),
        ("bob", "neither an account nor an open invitation"),
    ],
)
def test_who_may_not_come_in_reads_why(
    provider: RealProvider, site: StartSite, there: There, login: str, sentence: str
) -> None:
    hub = site(provider, oidc_sign_up="invited")
    hub.leave()
    assert refused(hub.back(there.sign_in(hub.door(), login)), sentence)
    assert len(hub.people()) == 1
    assert not hub.is_signed_in


def test_an_open_invitation_lets_its_address_in(provider: RealProvider, site: StartSite, there: There) -> None:
    hub = site(provider, oidc_sign_up="invited")
    hub.invite("Bob@example.org")
    hub.leave()
    assert hub.back(there.sign_in(hub.door("/devices"), "bob")).status_code == 303
    assert hub.get("/devices").status_code == 200
    assert hub.role("bob@example.org") is Role.USER


def test_an_account_of_the_same_address_is_linked_only_where_the_owner_allows_it(
    provider: RealProvider, site: StartSite, there: There
) -> None:
    hub = site(provider, owner="Bob@example.org", oidc_sign_up="everybody")
    hub.leave()
    assert refused(hub.back(there.sign_in(hub.door(), "bob")), "not linked with keycloak")
    allowed = site(provider, owner=None, oidc_link_by_email=True)
    assert allowed.back(there.sign_in(allowed.door(), "bob")).status_code == 303
    assert allowed.is_signed_in
    assert [row.email for row in allowed.people()] == ["Bob@example.org"]


def test_an_unverified_address_opens_no_account(provider: RealProvider, site: StartSite, there: There) -> None:
    hub = site(provider, owner="ann@example.org", oidc_link_by_email=True, oidc_sign_up="everybody")
    hub.leave()
    assert refused(hub.back(there.sign_in(hub.door(), "eve")), "has not verified your e-mail address")


def test_a_hub_without_an_owner_lets_nobody_in(provider: RealProvider, site: StartSite, there: There) -> None:
    hub = site(provider, owner=None, oidc_sign_up="everybody", oidc_role="admin")
    assert refused(hub.back(there.sign_in(hub.door(), "bob")), "no owner yet")
    hub.set_up(OWNER)
    assert hub.is_signed_in


def test_who_is_disabled_here_stays_out(provider: RealProvider, site: StartSite, there: There) -> None:
    hub = site(provider, oidc_sign_up="everybody")
    hub.leave()
    hub.back(there.sign_in(hub.door(), "bob"))
    hub.disable("bob@example.org")
    assert not hub.is_signed_in
    assert refused(hub.back(there.sign_in(hub.door(), "bob")), "your account here is disabled")


def test_an_administrators_group_counts_while_it_lasts(
    oidc_provider: StartProvider, site: StartSite, there: There
) -> None:
    provider = oidc_provider(CALLBACK)
    hub = site(provider, oidc_sign_up="everybody", oidc_role="viewer", oidc_admin_groups="admins,others")
    hub.leave()
    hub.back(there.sign_in(hub.door(), "ann"))
    there.leave()
    hub.back(there.sign_in(hub.door(), "bob"))
    there.leave()
    assert hub.role("ann@example.org") is Role.ADMIN
    assert hub.role("bob@example.org") is Role.VIEWER
    provider.stop()
    provider.start(kid="second", claims={"ann": {"groups": []}})
    hub.back(there.sign_in(hub.door(), "ann"))
    assert hub.role("ann@example.org") is Role.VIEWER


def test_a_signed_in_person_links_and_unlinks(provider: RealProvider, site: StartSite, there: There) -> None:
    hub = site(provider)
    answer = hub.post("/account/outside/link")
    assert answer.status_code == 200
    found = re.search(r'href="(http://127[^"]+)"', answer.text)
    assert found is not None
    door = unescape(found[1])
    assert query(door)["prompt"] == "login"
    assert hub.back(there.sign_in(door, "bob")).headers["location"] == "/account/security"
    hub.leave()
    assert hub.back(there.sign_in(hub.door(), "bob")).status_code == 303
    assert hub.is_signed_in
    assert [row.email for row in hub.people()] == [OWNER]
    assert hub.post("/account/outside/unlink").status_code == 303
    hub.leave()
    assert refused(hub.back(there.sign_in(hub.door(), "bob")), "neither an account nor an open invitation")


def test_who_changes_how_they_sign_in_proves_first_that_it_is_them(provider: RealProvider, site: StartSite) -> None:
    hub = site(provider)
    hub.parts.put(Clock, ManualClock(SystemClock().now() + timedelta(minutes=30)))
    for way in ("link", "unlink"):
        assert hub.post(f"/account/outside/{way}").headers["location"] == "/account/security/confirm"


def test_linking_is_for_who_asked_for_it(provider: RealProvider, site: StartSite, there: There) -> None:
    hub = site(provider, oidc_sign_up="everybody")
    found = re.search(r'href="(http://127[^"]+)"', hub.post("/account/outside/link").text)
    assert found is not None
    address = there.sign_in(unescape(found[1]), "bob")
    hub.client.cookies.delete("sessionid")
    assert refused(hub.back(address), "you are not signed in here any more")
    assert hub.client.post("/account/outside/link", headers=HTML).status_code == 303


def test_an_account_without_a_password_keeps_its_link(provider: RealProvider, site: StartSite, there: There) -> None:
    hub = site(provider, oidc_sign_up="everybody", oidc_role="viewer")
    hub.leave()
    hub.back(there.sign_in(hub.door(), "bob"))
    assert hub.post("/account/outside/unlink").status_code == 409
    hub.leave()
    for password in ("", "nobody has this password"):
        form = {"email": "bob@example.org", "password": password}
        assert hub.client.post("/signin", data=form, headers=HTML).status_code == 403


def test_signing_out_ends_the_session_and_leads_out_there(
    oidc_provider: StartProvider, site: StartSite, there: There
) -> None:
    provider = oidc_provider(CALLBACK)
    hub = site(provider, oidc_sign_up="everybody", oidc_role="viewer")
    hub.leave()
    hub.back(there.sign_in(hub.door(), "bob"))
    kept = hub.client.cookies["sessionid"]
    answer = hub.post("/account/outside/signout")
    assert answer.headers["location"] == "/signin/oidc/left"
    assert f"{provider.issuer}/session/end?client_id=waystation" in hub.get("/signin/oidc/left").text
    hub.client.cookies.set("sessionid", kept)
    assert not hub.is_signed_in
    provider.stop()
    assert hub.get("/signin/oidc/left").status_code == 200


def test_tries_are_counted_by_address(provider: RealProvider, site: StartSite) -> None:
    hub = site(provider, signin_per_minute=2)
    answers = [hub.get("/signin/oidc") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [303, 303, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert hub.get("/signin").status_code == 200


def test_no_way_leads_to_a_stranger_afterwards(provider: RealProvider, site: StartSite, there: There) -> None:
    hub = site(provider, oidc_sign_up="everybody")
    assert hub.back(there.sign_in(hub.door("https://evil.example/"), "bob")).headers["location"] == "/"


def test_a_hub_without_a_provider_has_no_such_way(provider: RealProvider, site: StartSite) -> None:
    nothing = {"oidc_issuer": None, "oidc_client_id": None}
    hub = site(provider, **nothing)
    assert hub.get("/signin/oidc").status_code == 404
    assert hub.get("/signin/oidc/callback").status_code == 404
    assert "/signin/oidc" not in hub.get("/signin").text


def query(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def issuer_of(hub: Site) -> str:
    return hub.parts.get(settings.Settings).oidc_issuer
