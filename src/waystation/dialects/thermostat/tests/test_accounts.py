"""`/api/auth/*` by user name, with sessions and form tokens as the original's clients know them."""

from collections.abc import Iterator, Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from tests.site import Answer, Site, standing_site

from waystation import homes, identity
from waystation.identity import account
from waystation.kernel.audit import Actor

PASSWORD = "Several unrelated words 7"
ANN = {"username": "ann", "password": PASSWORD}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with standing_site(tmp_path, open_registration=True, registrations_per_hour=100, signin_per_minute=100) as made:
        yield made


def post(site: Site, path: str, body: Any = b"", **headers: str) -> Answer:
    return site.ask("POST", f"/api/auth/{path}", "", body, **headers)


def cookies(site: Site, answer: Answer) -> Mapping[str, str]:
    """Of the last answer; ask() keeps one header of a name, so the client is asked as a browser would."""
    return {name: morsel.value for name, morsel in SimpleCookie(answer.headers.get("set-cookie", "")).items()}


def browser(site: Site, path: str, body: Any, *, https: bool = False, **headers: str) -> Any:
    """With all of its cookies kept, as a script's session does."""
    scheme = "https" if https else "http"
    return site.client.post(f"{scheme}://hub/api/auth/{path}", json=body, headers=headers)


def signed_in(site: Site, **more: str) -> dict[str, str]:
    """Registers in a browser; its cookies stay in the client, the header is what its next posts need."""
    answer = browser(site, "register/", {**ANN, **more})
    assert answer.status_code == 201, answer.text
    return {"x-csrftoken": site.client.cookies["csrftoken"]}


def person(site: Site, name: str) -> Any:
    with site.database.read() as tx:
        return identity.anybody_called(tx, name)


@pytest.mark.parametrize("slash", ["", "/"])
def test_registering_answers_201_and_signs_in__TH_1(site: Site, slash: str) -> None:
    answer = browser(site, f"register{slash}", {**ANN, "email": "Ann@Example.org"})
    assert answer.status_code == 201
    assert answer.json() == {"id": person(site, "ann").id, "username": "ann", "email": "Ann@example.org"}
    assert site.client.get("/api/devices/").json() == {"count": 0, "results": []}


def test_an_account_needs_no_address_and_has_a_home_of_its_own(site: Site) -> None:
    signed_in(site)
    row = person(site, "ANN")
    with site.database.read() as tx:
        ((home, role),) = homes.homes_of(tx, row.id)
    assert (home.name, role) == ("ann's home", homes.Role.OWNER)
    assert browser(site, "login/", ANN, **{"x-csrftoken": site.client.cookies["csrftoken"]}).json()["email"] == ""


def test_on_a_hub_with_one_home_an_account_opens_nothing_until_it_is_let_in(tmp_path: Path) -> None:
    with standing_site(tmp_path, open_registration=True, many_homes=False) as hub:
        token = signed_in(hub)
        assert hub.client.get("/api/devices/").json() == {"count": 0, "results": []}
        answer = hub.client.post("/api/devices/register/", json={"serial_number": "SN-1"}, headers=token)
        assert answer.status_code == 403
        assert "no home" in answer.json()["detail"]


def test_strangers_make_no_accounts_on_a_closed_site(tmp_path: Path) -> None:
    with standing_site(tmp_path) as closed:
        answer = post(closed, "register/", ANN)
        assert answer.status == 403
        assert "invitation" in answer.json["detail"]


@pytest.mark.parametrize(
    ("more", "detail"),
    [
        ({"username": None}, "Fields 'username' and 'password' are required"),
        ({"password": ""}, "Fields 'username' and 'password' are required"),
        ({"password": 5}, "Fields 'username' and 'password' are required"),
        ({"username": "ann lee"}, "a username has"),
        ({"username": "x" * 151}, "a username has"),
        ({"email": "nowhere"}, "that does not look like an e-mail address"),
        ({"email": 7}, "the email must be text"),
        ({"username": "ann@example.org", "email": "bob@example.org"}, "a username with an @"),
    ],
)
def test_a_wrong_registration_is_400_and_makes_nobody(site: Site, more: dict[str, Any], detail: str) -> None:
    answer = post(site, "register/", {**ANN, **more})
    assert answer.status == 400
    assert answer.json["detail"].startswith(detail)
    assert person(site, "ann") is None


@pytest.mark.parametrize("body", [b"{}", b'{"password":"x"}'])
def test_a_body_without_any_name_is_told_what_both_dialects_want(site: Site, body: bytes) -> None:
    for path in ("register/", "login/"):
        answer = post(site, path, body)
        assert answer.status == 400
        assert answer.json["detail"] == "Fields 'username' and 'password' are required"
        assert answer.json["email"] == ["This field is required."]


def test_a_taken_name_is_taken_in_any_case_and_as_an_address__TH_1(site: Site) -> None:
    assert post(site, "register/", {**ANN, "email": "ann@example.org"}).status == 201
    for body in ({**ANN, "username": "ANN"}, {**ANN, "username": "ann@example.org"}):
        answer = post(site, "register/", body)
        assert (answer.status, answer.json) == (400, {"detail": "Username already taken"})
    answer = post(site, "register/", {**ANN, "username": "anna", "email": "Ann@example.org"})
    assert answer.status == 400
    assert "e-mail address" in answer.json["detail"]


@pytest.mark.parametrize(
    "password",
    ["1", "password12", "Ab3$efgh9", "12345678901234567", "onlylowercas", "ann-lee-2026", "ann@example.org1"],
)
def test_a_weak_password_is_refused_by_json_as_everywhere__TH_16(site: Site, password: str) -> None:
    answer = post(site, "register/", {"username": "ann-lee", "email": "ann@example.org", "password": password})
    assert answer.status == 400, password
    assert list(answer.json) == ["detail"]
    assert person(site, "ann-lee") is None


@pytest.mark.parametrize("password", ["Blue7harvest", "several unrelated words"])
def test_three_kinds_of_letters_or_sixteen_of_them_are_enough__TH_16(site: Site, password: str) -> None:
    assert post(site, "register/", {**ANN, "password": password}).status == 201


@pytest.mark.parametrize("name", ["ann", "ANN", "ann@example.org"])
def test_one_logs_in_by_name_or_address__TH_1(site: Site, name: str) -> None:
    assert post(site, "register/", {**ANN, "email": "ann@example.org"}).status == 201
    answer = post(site, "login/", {"username": name, "password": PASSWORD})
    assert answer.status == 200
    assert answer.json == {"id": person(site, "ann").id, "username": "ann", "email": "ann@example.org"}


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_wrong_credentials_are_400_in_one_text__TH_1(site: Site, name: str) -> None:
    post(site, "register/", ANN)
    answer = post(site, "login/", {"username": name, "password": "not the password"})
    assert (answer.status, answer.json) == (400, {"detail": "Invalid credentials"})


def test_a_name_and_an_address_share_their_wrong_tries(site: Site) -> None:
    post(site, "register/", {**ANN, "email": "ann@example.org"})
    names = ["ann", "ann@example.org"] * 10
    statuses = [post(site, "login/", {"username": name, "password": "wrong"}).status for name in names]
    alone = statuses.index(429)
    again = [
        post(site, "login/", {"username": name, "password": "wrong"}).status for name in ("ann", "ann@example.org")
    ]
    assert alone < 20
    assert again == [429, 429]


def test_five_tries_a_minute_and_address__TH_5(tmp_path: Path) -> None:
    with standing_site(tmp_path) as site:
        statuses = [post(site, "login/", {"username": f"n{i}", "password": "x"}) for i in range(6)]
        assert [answer.status for answer in statuses] == [400] * 5 + [429]
        assert statuses[-1].json["error"] == "rate_limit_exceeded"
        assert int(statuses[-1].headers["retry-after"]) > 0


def test_three_registrations_an_hour_and_address_whether_they_succeed_or_not__TH_5(tmp_path: Path) -> None:
    with standing_site(tmp_path, open_registration=True) as site:
        bodies = [{**ANN, "password": "1"}, ANN, {**ANN, "username": "bob"}, {**ANN, "username": "cid"}]
        assert [post(site, "register/", body).status for body in bodies] == [400, 201, 201, 429]


def test_the_sessions_cookie_is_httponly_lax_and_ends_with_the_browser__TH_17(site: Site) -> None:
    answer = browser(site, "register/", ANN)
    kept = [line.lower() for line in answer.headers.get_list("set-cookie")]
    session = next(line for line in kept if line.startswith("sessionid="))
    token = next(line for line in kept if line.startswith("csrftoken="))
    assert "httponly" in session
    assert "samesite=lax" in session
    assert "max-age" not in session + token
    assert "expires" not in session + token
    assert "secure" not in session
    assert "httponly" not in token


def test_under_https_every_cookie_is_secure_and_the_plain_name_opens_the_same__TH_17(site: Site) -> None:
    answer = browser(site, "register/", ANN, https=True)
    kept = answer.headers.get_list("set-cookie")
    assert all("secure" in line.lower() for line in kept if "max-age=0" not in line.lower())
    session = answer.cookies["sessionid"]
    found = site.client.get("https://hub/api/devices/", headers={"cookie": f"sessionid={session}"})
    assert found.status_code == 200


def test_a_session_ends_after_two_and_a_half_idle_hours_and_slides__TH_17(site: Site) -> None:
    signed_in(site)
    for _ in range(3):
        site.clock.turn(8900)
        assert site.client.get("/api/devices/").status_code == 200
    site.clock.turn(9001)
    answer = site.client.get("/api/devices/")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Authentication required"})


def test_logging_in_again_gives_a_new_session_and_ends_the_one_before__TH_17(site: Site) -> None:
    token = signed_in(site)
    before = site.client.cookies["sessionid"]
    assert browser(site, "login/", ANN, **token).status_code == 200
    assert site.client.cookies["sessionid"] != before
    site.client.cookies.clear()
    assert site.client.get("/api/devices/", headers={"cookie": f"sessionid={before}"}).status_code == 401


def test_a_changed_password_ends_the_sessions__TH_17(site: Site) -> None:
    signed_in(site)
    row = person(site, "ann")
    with site.database.read() as tx:
        mine = account.person(tx, row.id)
    password = account.replace_password(mine, old=PASSWORD, new="quite another password")
    with site.database.write() as tx:
        changing = account.Mine(row.id, Actor("person:ann"))
        account.change_password(tx, changing, site.clock.now(), password=password)
    assert site.client.get("/api/devices/").status_code == 401


def test_logging_out_ends_the_session_and_takes_its_cookies__TH_17(site: Site) -> None:
    token = signed_in(site)
    session = site.client.cookies["sessionid"]
    answer = browser(site, "logout/", {}, **token)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "sessionid" not in site.client.cookies
    assert site.client.get("/api/devices/", headers={"cookie": f"sessionid={session}"}).status_code == 401


@pytest.mark.parametrize("path", ["logout/", "login/", "register/"])
def test_with_a_session_the_token_is_always_needed__TH_17(site: Site, path: str) -> None:
    token = signed_in(site)
    body = {**ANN, "username": "bob"} if path == "register/" else ANN
    assert browser(site, path, body).status_code == 403
    assert browser(site, path, body, **{"x-csrftoken": "wrong"}).status_code == 403
    assert person(site, "bob") is None
    assert browser(site, path, body, **token).status_code in (200, 201)


@pytest.mark.parametrize("path", ["login/", "register/"])
def test_a_post_that_another_site_began_is_refused__TH_17(site: Site, path: str) -> None:
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"}):
        assert post(site, path, ANN, **headers).status == 403
    assert person(site, "ann") is None
    assert post(site, "register/", ANN, origin="http://hub").status == 201


def test_a_script_that_took_a_token_from_the_sign_in_page_must_send_it(site: Site) -> None:
    post(site, "register/", ANN)
    cookie = {"cookie": "csrftoken=random"}
    assert post(site, "login/", ANN, **cookie).status == 403
    assert post(site, "login/", ANN, **cookie, x_csrftoken="random").status == 200


def test_under_https_a_post_with_a_session_says_where_it_comes_from__TH_17(site: Site) -> None:
    browser(site, "register/", ANN, https=True)
    token = {"x-csrftoken": site.client.cookies["csrftoken"]}
    assert browser(site, "logout/", {}, https=True, **token).status_code == 403
    foreign = {**token, "referer": "https://evil.example/"}
    assert browser(site, "logout/", {}, https=True, **foreign).status_code == 403
    assert browser(site, "logout/", {}, https=True, **token, referer="https://hub/x").status_code == 200


SMART = {"email": "sam@example.org", "password": PASSWORD, "password2": PASSWORD}


def test_the_other_dialect_of_these_paths_is_served_as_before__TH_1(site: Site) -> None:
    told = post(site, "register/", SMART)
    assert told.status == 201
    assert "refresh" in told.json
    logged_in = post(site, "login/", {"email": "sam@example.org", "password": PASSWORD})
    assert "access" in logged_in.json
    bearer = f"Bearer {logged_in.json['access']}"
    out = site.ask("POST", "/api/auth/logout/", bearer, {"refresh": logged_in.json["refresh"]})
    assert (out.status, out.json) == (200, {"message": "Successfully logged out"})
    assert post(site, "logout/").status == 401
    assert post(site, "login/", b"{").json["detail"].startswith("JSON parse error")


def test_what_fits_two_dialects_is_refused_in_clear_words(site: Site) -> None:
    both = {**SMART, "username": "sam"}
    for path in ("register/", "login/"):
        answer = post(site, path, both)
        assert answer.status == 400
        assert "two systems" in answer.json["detail"]
    token = signed_in(site)
    answer = browser(site, "logout/", {}, authorization="Bearer x", **token)
    assert answer.status_code == 400
    assert person(site, "sam") is None


def test_a_name_of_many_letters_and_zero_bytes_makes_no_fault__TH_7(site: Site) -> None:
    for username in ("\x00", "x" * 5000, "💥", "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace")):
        for path in ("login/", "register/"):
            assert post(site, path, {"username": username, "password": PASSWORD}).status == 400
