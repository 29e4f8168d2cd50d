"""From the form on the devices page to an approved device, through the wired program."""

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.site import Site, standing_site

from waystation import identity
from waystation.dialects.junctionrelay.tests.relay import MAC
from waystation.homes import Role

HTML = {"origin": "http://hub", "accept": "text/html"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with standing_site(tmp_path) as standing:
        yield standing


class Person:
    """Somebody's browser, signed in."""

    def __init__(self, site: Site, role: Role) -> None:
        self.site = site
        who = site.somebody(site.home(), role)
        with site.database.write() as tx:
            session = identity.open_session(tx, who.id, site.clock.now(), ip=None, agent=None)
        self.cookies = {"sessionid": session.secret}

    def get(self, path: str) -> Any:
        self.site.client.cookies = self.cookies  # type: ignore[assignment]
        return self.site.client.get(path, headers=HTML)

    def post(self, path: str, **form: str) -> Any:
        csrf = re.search(r'name="csrf" value="(\w+)"', self.get("/devices").text)
        assert csrf
        return self.site.client.post(path, headers=HTML, data={"csrf": csrf[1], **form}, follow_redirects=False)

    def line(self, **form: str) -> dict[str, str]:
        answer = self.post("/registrations", **form)
        assert answer.status_code == 200
        shown = re.search(r"<code>(\{.*?\})</code>", answer.text)
        assert shown
        assert "<svg" in answer.text
        return json.loads(html.unescape(shown[1]))


def register(site: Site, line: dict[str, str]) -> Any:
    body = {"registrationToken": line["token"], "actualDeviceId": MAC, "deviceName": line["deviceName"]}
    return site.ask("POST", "/cloud/devices/register", body=body)


def key_of(person: Person, name: str) -> str:
    found = re.search(rf'href="/devices/(\w+)">{name}</a>', person.get("/devices").text)
    assert found
    return found[1]


def test_an_owner_pastes_a_line_and_approves_the_device__JR_21__JR_22(site: Site) -> None:
    owner = Person(site, Role.OWNER)
    line = owner.line(name="Greenhouse Pi")
    assert set(line) == {"deviceName", "publicKey", "token"}
    assert "Open registrations" in owner.get("/devices").text
    assert register(site, line).status == 200
    assert "waiting for approval" in owner.get("/devices").text
    assert "Open registrations" not in owner.get("/devices").text
    key = key_of(owner, "Greenhouse Pi")
    assert MAC in owner.get(f"/devices/{key}").text
    assert owner.post(f"/devices/{key}/approve").headers["location"] == f"/devices/{key}?done=approved"
    assert "waiting for approval" not in owner.get("/devices").text


def test_a_line_can_be_withdrawn_and_a_device_rejected__JR_21__JR_22(site: Site) -> None:
    owner = Person(site, Role.ADMIN)
    line = owner.line(name="One", trial="true", approved="true")
    assert "test mode" in owner.get("/devices").text
    number = re.search(r"/registrations/(\d+)/withdraw", owner.get("/devices").text)
    assert number
    assert owner.post(f"/registrations/{number[1]}/withdraw").status_code == 303
    assert register(site, line).status == 401
    told = register(site, owner.line(name="Two")).json
    key = key_of(owner, "Two")
    assert owner.post(f"/devices/{key}/reject").headers["location"] == "/devices?done=rejected"
    renewal = {"RefreshToken": told["refreshToken"], "DeviceId": MAC}
    assert site.ask("POST", "/cloud/devices/refresh", body=renewal).status == 401


def test_registering_again_brings_the_same_device_back__JR_12(site: Site) -> None:
    owner = Person(site, Role.OWNER)
    register(site, owner.line(name="Pi"))
    key = key_of(owner, "Pi")
    assert "Register again" in owner.get(f"/devices/{key}").text
    assert register(site, owner.line(device=key)).status == 200
    assert owner.get("/devices").text.count(f'href="/devices/{key}"') == 1


def test_a_refused_form_says_why_at_its_field(site: Site) -> None:
    owner = Person(site, Role.OWNER)
    for form in ({"public_key": "nonsense"}, {"name": "x" * 121}):
        answer = owner.post("/registrations", **form)
        assert answer.status_code == 400
        assert 'aria-invalid="true"' in answer.text


def test_a_viewer_sees_no_registrations_and_makes_none(site: Site) -> None:
    viewer = Person(site, Role.VIEWER)
    assert "JunctionRelay" not in viewer.get("/devices").text
    token = re.search(r'name="csrf" value="(\w+)"', viewer.get("/devices").text)
    answer = site.client.post("/registrations", headers=HTML, data={"csrf": token[1] if token else ""})
    assert answer.status_code == 403
