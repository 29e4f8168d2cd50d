"""From an empty folder to a person who owns the home, adds devices and takes them away again, through the wired app."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient
from tests.site import lay_down_database

from waystation import app, devices, identity
from waystation.kernel import settings
from waystation.kernel.db import Database

PASSWORD = "several unrelated words"
FORM = {"origin": "http://hub", "accept": "text/html"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[TestClient]:
    chosen, _ = settings.load({"data": tmp_path, "mqtt_port": 0}, {})
    lay_down_database(tmp_path)
    with TestClient(app.build(chosen).app, base_url="http://hub", follow_redirects=False) as client:
        yield client


def new_link(hub: TestClient) -> str | None:
    parts = hub.app.state.parts  # type: ignore[attr-defined]
    with parts.get(Database).write() as tx:
        from waystation.kernel.clock import Clock  # noqa: PLC0415

        return identity.new_setup_link(tx, parts.get(Clock).now())


def set_up(hub: TestClient) -> None:
    form = {"email": "ann@example.org", "password": PASSWORD}
    assert hub.post(f"/setup/{new_link(hub)}", data=form, headers=FORM).status_code == 303


def form_token(hub: TestClient) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', hub.get("/devices", headers=FORM).text)
    assert found is not None
    return found[1]


def test_the_set_up_link_makes_the_owner_once(hub: TestClient) -> None:
    link = new_link(hub)
    form = {"email": "ann@example.org", "password": PASSWORD}
    assert hub.post(f"/setup/{link}", data=form, headers=FORM).status_code == 303
    assert hub.get("/devices", headers=FORM).status_code == 200
    assert hub.post(f"/setup/{link}", data=form, headers=FORM).status_code == 404
    assert new_link(hub) is None


def test_an_earlier_link_ends_with_the_next(hub: TestClient) -> None:
    earlier, later = new_link(hub), new_link(hub)
    assert hub.get(f"/setup/{earlier}", headers=FORM).status_code == 404
    assert hub.get(f"/setup/{later}", headers=FORM).status_code == 200


@pytest.mark.parametrize("password", ["short", "1234567890", "password123", "aaaaaaaaaaaa", "ann@example.org"])
def test_a_weak_password_is_refused_with_what_to_change(hub: TestClient, password: str) -> None:
    answer = hub.post(f"/setup/{new_link(hub)}", data={"email": "ann@example.org", "password": password}, headers=FORM)
    assert answer.status_code == 400
    assert "password" in answer.text


def test_wrong_password_and_unknown_person_read_the_same(hub: TestClient) -> None:
    set_up(hub)
    tries = [("ann@example.org", "not this one at all"), ("bob@example.org", PASSWORD)]
    answers = [hub.post("/signin", data={"email": who, "password": word}, headers=FORM) for who, word in tries]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert all("do not fit together" in answer.text for answer in answers)


def test_signing_in_never_forwards_to_a_stranger(hub: TestClient) -> None:
    set_up(hub)
    for wanted in ("//evil.example", "https://evil.example/", "/\\evil.example"):
        form = {"email": "ann@example.org", "password": PASSWORD, "next": wanted}
        assert hub.post("/signin", data=form, headers=FORM).headers["location"] == "/"


def test_tries_to_sign_in_are_throttled(hub: TestClient) -> None:
    form = {"email": "ann@example.org", "password": "wrong as can be"}
    answers = [hub.post("/signin", data=form, headers=FORM) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [403] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0


def test_a_form_of_another_site_or_without_token_changes_nothing(hub: TestClient) -> None:
    set_up(hub)
    token = form_token(hub)
    foreign = {**FORM, "origin": "http://evil.example"}
    assert hub.post("/devices", data={"name": "A", "csrf": token}, headers=foreign).status_code == 403
    assert hub.post("/devices", data={"name": "A"}, headers=FORM).status_code == 403
    assert "No devices" in hub.get("/devices", headers=FORM).text or "A</a>" not in hub.get("/devices").text


def test_signing_out_ends_the_session(hub: TestClient) -> None:
    set_up(hub)
    cookie = hub.cookies["sessionid"]
    assert hub.post("/signout", data={"csrf": form_token(hub)}, headers=FORM).status_code == 303
    hub.cookies.set("sessionid", cookie)
    assert hub.get("/devices", headers=FORM).headers["location"].startswith("/signin")


def test_the_session_cookie_is_for_the_browser_only(hub: TestClient) -> None:
    answer = hub.post(f"/setup/{new_link(hub)}", data={"email": "a@b.example", "password": PASSWORD}, headers=FORM)
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "samesite=lax" in answer.headers["set-cookie"].lower()


def claimed(hub: TestClient, code: str, api_key: str = "") -> httpx2.Response:
    return hub.post("/api/claim", json={"code": code, "name": "Pi", "api_key": api_key})  # type: ignore[return-value]


def offered(hub: TestClient) -> str:
    page = hub.post("/claims", data={"csrf": form_token(hub)}, headers=FORM).text
    found = re.search(r'class="code">([A-Z0-9-]{14})<', page)
    assert found is not None
    return found[1]


def test_a_claim_works_once_and_again_only_for_who_lost_the_answer(hub: TestClient) -> None:
    set_up(hub)
    code, own, other = offered(hub), "a" * 43, "b" * 43
    first = claimed(hub, code.lower().replace("-", " "), own)
    assert first.status_code == 200
    assert claimed(hub, code, own).json()["key"] == first.json()["key"]
    assert claimed(hub, code, other).status_code == 404
    assert claimed(hub, "ABCD-EFGH-JKLM").status_code == 404


def test_deleting_a_device_needs_its_name_and_takes_its_data(hub: TestClient) -> None:
    set_up(hub)
    made = claimed(hub, offered(hub), "c" * 43).json()
    path, token = f"/devices/{made['key']}", form_token(hub)
    assert hub.post(f"{path}/delete", data={"csrf": token, "typed_name": "x"}, headers=FORM).status_code == 400
    assert hub.get(path, headers=FORM).status_code == 200
    assert hub.post(f"{path}/delete", data={"csrf": token, "typed_name": "Pi"}, headers=FORM).status_code == 303
    assert hub.get(path, headers=FORM).status_code == 404


def test_what_is_revoked_is_refused_before_the_answer_is_sent(hub: TestClient) -> None:
    set_up(hub)
    made = claimed(hub, offered(hub), "d" * 43).json()
    gate = hub.app.state.parts.get(devices.Gate)  # type: ignore[attr-defined]
    proof = f"Device {made['serial']}:{made['api_key']}".encode()
    assert hub.portal is not None
    hub.portal.call(gate.admit, proof)
    assert gate.known(proof) is not None
    hub.post(f"/devices/{made['key']}/credentials/1/revoke", data={"csrf": form_token(hub)}, headers=FORM)
    assert gate.known(proof) is None
