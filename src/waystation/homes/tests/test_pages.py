"""The pages of people, homes and invitations, by the forms that are on them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.site import Site, Somebody, standing_site

from waystation import homes, identity
from waystation.homes import Home, Role
from waystation.identity import store as people
from waystation.kernel import mail
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.logs import redacted

PASSWORD = "seven grey herons wade"
HTML = {"origin": "http://hub", "accept": "text/html"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with standing_site(tmp_path) as standing:
        yield standing


@pytest.fixture
def home(site: Site) -> Home:
    return site.home("Lake house")


@dataclass
class Browser:
    """One person's browser, signed in or not."""

    client: TestClient
    cookies: dict[str, str]

    def get(self, path: str) -> Any:
        return self._asked("GET", path)

    def post(self, path: str, **form: str) -> Any:
        return self._asked("POST", path, data={"csrf": self.csrf(), **form})

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="(\w+)"', self.get("/homes").text)
        return found[1] if found else ""

    def _asked(self, method: str, path: str, **options: Any) -> Any:
        self.client.cookies = self.cookies  # type: ignore[assignment]
        answer = self.client.request(method, path, headers=HTML, **options)
        self.cookies = {**self.cookies, **dict(self.client.cookies)}
        return answer


def nobody(site: Site) -> Browser:
    return Browser(site.client, {})


def signed_in(site: Site, who: Somebody) -> Browser:
    with site.database.write() as tx:
        session = identity.open_session(tx, who.id, site.clock.now(), ip=None, agent=None)
    return Browser(site.client, {"sessionid": session.secret})


def member(site: Site, home: Home, role: Role) -> Browser:
    return signed_in(site, site.somebody(home, role, email=f"{role.word}@example.org"))


def invite(browser: Browser, **form: str) -> str:
    """The link's path."""
    answer = browser.post("/people/invitations", **{"role": "user", "email": "", "days": "7", **form})
    assert answer.status_code == 200, answer.text
    found = re.search(r"/invitations/[\w-]{43}", answer.text)
    assert found
    return found[0]


def role(site: Site, home: Home, email: str) -> Role | None:
    with site.database.read() as tx:
        person = identity.person_by_email(tx, email)
        return None if person is None else homes.role_of(tx, home.id, person.id)


def test_whoever_is_invited_makes_an_account_joins_and_is_signed_in(site: Site, home: Home) -> None:
    link = invite(member(site, home, Role.OWNER), email="bob@example.org", role="viewer")
    guest = nobody(site)
    page = guest.get(link)
    assert page.status_code == 200
    assert "Join Lake house" in page.text
    assert 'value="bob@example.org"' in page.text
    assert guest.post(link, email="bob@example.org", password=PASSWORD).headers["location"] == "/devices"
    assert role(site, home, "bob@example.org") is Role.VIEWER
    assert guest.get("/people").status_code == 200
    assert nobody(site).get(link).status_code == 404


def test_who_has_an_account_signs_in_first_and_joins_with_one_press(site: Site, home: Home) -> None:
    link = invite(member(site, home, Role.OWNER))
    assert f'href="/signin?next={link}"' in nobody(site).get(link).text
    guest = signed_in(site, site.somebody(site.home("Elsewhere"), email="eve@example.org"))
    assert "Join as eve@example.org" in guest.get(link).text
    assert guest.post(link).headers["location"] == "/devices"
    assert role(site, home, "eve@example.org") is Role.USER
    assert "Lake house" in guest.get("/people").text
    assert "You are in already" in guest.get(link).text
    assert guest.post(link).headers["location"] == "/devices"


def test_a_member_who_opens_an_invitation_is_told_so(site: Site, home: Home) -> None:
    link = invite(member(site, home, Role.OWNER))
    page = member(site, home, Role.VIEWER).get(link)
    assert "You are in already" in page.text
    assert "as viewer" in page.text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"email": "bob", "password": PASSWORD}, "e-mail"),
        ({"email": "bob@example.org", "password": "short"}, "password"),
        ({"email": "owner@example.org", "password": PASSWORD}, "account"),
    ],
)
def test_a_refused_account_leaves_the_invitation_good(site: Site, home: Home, form: dict[str, str], said: str) -> None:
    link = invite(member(site, home, Role.OWNER))
    guest = nobody(site)
    answer = guest.post(link, **form)
    assert 400 <= answer.status_code < 500
    assert said in answer.text
    assert guest.get(link).status_code == 200


def test_no_account_is_made_with_a_link_that_opens_nothing(site: Site, home: Home) -> None:
    answer = nobody(site).post("/invitations/" + "x" * 43, email="bob@example.org", password=PASSWORD)
    assert answer.status_code == 404
    with site.database.read() as tx:
        assert identity.person_by_email(tx, "bob@example.org") is None


def test_a_disabled_persons_address_is_not_taken_by_an_invitation(site: Site, home: Home) -> None:
    link = invite(member(site, home, Role.OWNER))
    gone = site.somebody(home, Role.USER, email="gone@example.org")
    with site.database.write() as tx:
        tx.execute(people.person.update().where(people.person.c.id == gone.id).values(disabled_at=site.clock.now()))
    assert nobody(site).post(link, email="gone@example.org", password=PASSWORD).status_code == 409


def test_another_sites_form_accepts_nothing(site: Site, home: Home) -> None:
    link = invite(member(site, home, Role.OWNER))
    site.client.cookies = {}  # type: ignore[assignment]
    form = {"email": "bob@example.org", "password": PASSWORD}
    answer = site.client.post(link, data=form, headers={**HTML, "origin": "http://evil.example"})
    assert answer.status_code == 403
    guest = signed_in(site, site.somebody(site.home("Elsewhere")))
    site.client.cookies = guest.cookies  # type: ignore[assignment]
    assert site.client.post(link, headers=HTML).status_code == 403  # no form token


def test_tries_at_an_invitation_are_throttled(site: Site, home: Home) -> None:
    link = invite(member(site, home, Role.OWNER))
    answers = [nobody(site).post(link, email="bob", password="x").status_code for _ in range(6)]
    assert answers == [400] * 5 + [429]


def test_people_see_who_belongs_and_only_who_manages_sees_more(site: Site, home: Home) -> None:
    pages = {one: member(site, home, one).get("/people").text for one in Role}
    for one, page in pages.items():
        assert "viewer@example.org" in page
        assert ("Invite somebody" in page) == one.may_manage
        assert ("/remove" in page) == one.may_manage
        assert ("Open invitations" in page) == one.may_manage
    assert 'value="owner"' in pages[Role.OWNER]
    assert 'value="owner"' not in pages[Role.ADMIN]


def test_an_invitation_is_listed_without_its_link_and_taken_back(site: Site, home: Home) -> None:
    owner = member(site, home, Role.OWNER)
    link = invite(owner, email="bob@example.org")
    page = owner.get("/people").text
    assert "bob@example.org" in page
    assert link not in page
    [path] = re.findall(r'action="(/people/invitations/\d+/revoke)"', page)
    assert owner.post(path).status_code == 303
    assert nobody(site).get(link).status_code == 404
    assert owner.post(path).status_code == 404


def test_an_invitation_expires_with_its_days(site: Site, home: Home) -> None:
    link = invite(member(site, home, Role.OWNER), days="2")
    site.clock.turn(timedelta(days=2).total_seconds())
    assert nobody(site).get(link).status_code == 404


@pytest.mark.parametrize("form", [{"email": "no address"}, {"days": "many"}, {"days": "99"}, {"role": "king"}])
def test_a_wrong_invitation_is_refused_beside_what_was_typed(site: Site, home: Home, form: dict[str, str]) -> None:
    answer = member(site, home, Role.OWNER).post("/people/invitations", **{"role": "user", "days": "7", **form})
    assert answer.status_code == 400
    assert "data-open-now" in answer.text


def test_roles_and_removals_work_by_their_forms(site: Site, home: Home) -> None:
    owner, viewer = member(site, home, Role.OWNER), member(site, home, Role.VIEWER)
    with site.database.read() as tx:
        person_id = identity.person_by_email(tx, "viewer@example.org").id  # type: ignore[union-attr]
    assert owner.post(f"/people/{person_id}/role", role="admin").status_code == 303
    assert "Invite somebody" in viewer.get("/people").text
    assert owner.post(f"/people/{person_id}/remove").status_code == 303
    assert viewer.get("/people").status_code == 404
    assert "You belong to no home" in viewer.get("/homes").text


def test_the_last_owner_is_told_to_make_another_first__SH_4(site: Site, home: Home) -> None:
    owner = member(site, home, Role.OWNER)
    answer = owner.post(f"/homes/{home.uid}/leave")
    assert answer.status_code == 409
    assert "needs an owner" in answer.text
    assert role(site, home, "owner@example.org") is Role.OWNER


def test_with_mail_the_link_is_mailed_and_without_it_is_only_shown(tmp_path: Path) -> None:
    for url, mails in (("", 0), ("smtp://127.0.0.1:9", 1)):
        folder = tmp_path / str(mails)
        folder.mkdir()
        with standing_site(folder, smtp_url=url) as site:
            home = site.home()
            owner = member(site, home, Role.OWNER)
            link = invite(owner, email="bob@example.org")
            with site.database.read() as tx:
                waiting = mail.waiting(tx)
            assert len(waiting) == mails
            assert all(link in one.letter.text for one in waiting)
            invite(owner)  # without an address nothing is mailed
            with site.database.read() as tx:
                assert len(mail.waiting(tx)) == mails


def test_homes_are_made_shown_renamed_and_deleted(site: Site, home: Home) -> None:
    owner = member(site, home, Role.OWNER)
    assert owner.post("/homes", name="Barn").headers["location"] == "/devices"
    assert "Barn" in owner.get("/people").text
    assert owner.post("/homes/switch", home=home.uid).status_code == 303
    assert "Who belongs to Lake house" in owner.get("/people").text
    barn = re.search(r'action="/homes/([\w-]{36})/delete"', owner.get("/homes").text.split("Delete Barn?")[1])
    assert barn
    assert owner.post(f"/homes/{barn[1]}/rename", name="Shed").status_code == 303
    assert owner.post(f"/homes/{barn[1]}/rename", name=" ").status_code == 400
    assert owner.post(f"/homes/{barn[1]}/delete", typed_name="shed").status_code == 400
    assert owner.post(f"/homes/{barn[1]}/delete", typed_name="Shed").status_code == 303
    assert "Shed" not in owner.get("/homes").text


def test_a_strangers_home_does_not_exist(site: Site, home: Home) -> None:
    stranger = signed_in(site, site.somebody(site.home("Elsewhere")))
    for path in ("rename", "leave", "delete"):
        assert stranger.post(f"/homes/{home.uid}/{path}", name="x", typed_name="Lake house").status_code == 404
    assert stranger.post("/homes/switch", home=home.uid).status_code == 404
    with site.database.read() as tx:
        outsider = homes.members(tx, home.id)
    assert outsider == []


def test_a_hub_offers_no_second_home(tmp_path: Path) -> None:
    with standing_site(tmp_path, many_homes=False) as site:
        home = site.home()
        owner = member(site, home, Role.OWNER)
        page = owner.get("/homes").text
        assert "Make a home" not in page
        assert "Delete" not in page
        assert owner.post("/homes", name="Barn").status_code == 403
        assert owner.post(f"/homes/{home.uid}/delete", typed_name=home.name).status_code == 403


def test_a_token_neither_leaves_nor_makes_homes(site: Site, home: Home) -> None:
    with site.database.write() as tx:
        token = identity.new_token(tx, COMMAND_LINE, site.clock.now(), name="ci")
    for path in ("/homes", f"/homes/{home.uid}/leave", "/homes/switch"):
        assert site.ask("POST", path, f"Bearer {token}").status == 403


def test_an_invitations_link_is_hidden_in_logs() -> None:
    assert "x" * 43 not in redacted(f"GET /invitations/{'x' * 43} 200")


def test_who_belongs_nowhere_starts_at_the_homes(site: Site, home: Home) -> None:
    assert member(site, home, Role.VIEWER).get("/").headers["location"] == "/devices"
    assert signed_in(site, site.somebody()).get("/").headers["location"] == "/homes"
