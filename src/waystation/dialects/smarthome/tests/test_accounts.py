"""`/api/auth/*` as the app and both generations of the cloud know it."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.site import Answer, Site, standing_site

from waystation import homes
from waystation.homes import Role
from waystation.kernel.jwt import Tokens

PASSWORD = "several unrelated words"
ANN = {"email": "Ann@Example.org", "password": PASSWORD, "password2": PASSWORD, "first_name": "Ann", "last_name": "Lee"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with standing_site(tmp_path, open_registration=True, registrations_per_hour=100, signin_per_minute=100) as made:
        yield made


def registered(site: Site, **more: str) -> dict[str, Any]:
    answer = site.ask("POST", "/api/auth/register", body={**ANN, **more})
    assert answer.status == 201, answer.body
    return answer.json


def post(site: Site, path: str, body: Any, authorization: str = "", **headers: str) -> Answer:
    return site.ask("POST", f"/api/auth/{path}", authorization, body, **headers)


@pytest.mark.parametrize("slash", ["", "/"])
def test_registering_answers_what_both_generations_read__SH_1(site: Site, slash: str) -> None:
    answer = post(site, f"register{slash}", ANN)
    assert answer.status == 201
    told = answer.json
    assert told["tokens"] == {"access": told["access"], "refresh": told["refresh"]}
    assert told["homes"] == []
    assert told["message"] == "User registered successfully"
    user = told["user"]
    assert uuid.UUID(user["id"])
    assert (user["email"], user["first_name"], user["last_name"]) == ("Ann@example.org", "Ann", "Lee")
    assert user["date_joined"] == "2026-11-21T12:00:00.000000Z"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"password2": "another password"}, {"password": ["Password fields didn't match."]}),
        ({"email": None}, {"email": ["This field is required."]}),
        ({"email": " "}, {"email": ["This field may not be blank."]}),
        ({"email": 5}, {"email": ["Not a valid string."]}),
        ({"password": ["x"]}, {"password": ["Not a valid string."]}),
        ({"first_name": {"a": 1}}, {"first_name": ["Not a valid string."]}),
    ],
)
def test_a_wrong_registration_names_the_field(site: Site, wrong: dict[str, Any], said: dict[str, Any]) -> None:
    answer = post(site, "register", {**ANN, **wrong})
    assert (answer.status, answer.json) == (400, said)


@pytest.mark.parametrize("password", ["short", "password123", "1234567890123", "ann@example.org1"])
def test_a_weak_password_is_refused(site: Site, password: str) -> None:
    answer = post(site, "register", {**ANN, "password": password, "password2": password})
    assert answer.status == 400
    assert list(answer.json) == ["password"]


def test_an_address_has_one_account(site: Site) -> None:
    registered(site)
    answer = post(site, "register", {**ANN, "email": "ann@EXAMPLE.org"})
    assert answer.json == {"email": ["Cloud User with this email already exists."]}
    assert answer.status == 400


def test_strangers_make_no_accounts_on_a_closed_site(tmp_path: Path) -> None:
    with standing_site(tmp_path) as closed:
        answer = post(closed, "register", ANN)
        assert answer.status == 403
        assert "invitation" in answer.json["detail"]


def test_one_address_registers_three_times_an_hour(tmp_path: Path) -> None:
    with standing_site(tmp_path, open_registration=True) as site:
        for number in range(3):
            registered(site, email=f"ann{number}@example.org")
        answer = post(site, "register", {**ANN, "email": "ann4@example.org"})
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"', b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_object_is_refused(site: Site, body: bytes) -> None:
    answer = site.ask("POST", "/api/auth/login", body=body)
    assert answer.status == 400
    assert set(answer.json) <= {"detail", "non_field_errors"}


def test_logging_in_gives_tokens_person_and_homes(site: Site) -> None:
    registered(site)
    told = post(site, "login/", {"email": "ann@example.org", "password": PASSWORD}).json
    assert set(told) == {"access", "refresh", "user", "homes"}
    claims = site.parts.get(Tokens).read(homes_kind(), told["access"], site.clock.now())
    assert claims["token_type"] == "access"
    assert claims["user_id"] == told["user"]["id"]
    assert claims["email"] == "Ann@example.org"
    assert claims["exp"] - claims["iat"] == 15 * 60
    assert claims["jti"]


def homes_kind() -> Any:
    from waystation.identity.logins import ACCESS  # noqa: PLC0415

    return ACCESS


@pytest.mark.parametrize("email", ["ann@example.org", "nobody@example.org"])
def test_a_wrong_log_in_is_400_in_both_generations_words(site: Site, email: str) -> None:
    registered(site)
    answer = post(site, "login", {"email": email, "password": "not the password"})
    assert answer.status == 400
    assert answer.json == {
        "non_field_errors": ["Invalid credentials"],
        "detail": "No active account found with the given credentials",
    }


def test_a_refreshed_token_is_spent__SH_2(site: Site) -> None:
    refresh = registered(site)["refresh"]
    renewed = post(site, "refresh", {"refresh": refresh})
    assert renewed.status == 200
    assert set(renewed.json) == {"access", "refresh"}
    again = post(site, "refresh/", {"refresh": refresh})
    assert again.status == 401
    assert again.json["code"] == "token_not_valid"
    assert post(site, "refresh", {"refresh": renewed.json["refresh"]}).status == 200


def test_a_client_that_lost_the_answer_says_so_and_goes_on(site: Site) -> None:
    refresh = registered(site)["refresh"]
    post(site, "refresh", {"refresh": refresh}, idempotency_key="1")
    renewed = post(site, "refresh", {"refresh": refresh}, idempotency_key="1")
    assert renewed.status == 200
    assert post(site, "refresh", {"refresh": renewed.json["refresh"]}).status == 200


def test_a_spent_token_that_comes_back_ends_the_log_in(site: Site) -> None:
    first = registered(site)
    second = post(site, "refresh", {"refresh": first["refresh"]}).json
    third = post(site, "refresh", {"refresh": second["refresh"]}).json
    assert post(site, "refresh", {"refresh": first["refresh"]}).status == 401
    assert post(site, "refresh", {"refresh": third["refresh"]}).status == 401
    assert site.ask("GET", "/api/auth/profile", f"Bearer {third['access']}").status == 401


def test_the_apps_path_never_replaces_its_refresh_token(site: Site) -> None:
    refresh = registered(site)["refresh"]
    for _ in range(2):
        answer = post(site, "token/refresh/", {"refresh": refresh})
        assert answer.status == 200
        assert list(answer.json) == ["access"]


@pytest.mark.parametrize("path", ["refresh", "token/refresh/"])
def test_what_is_no_refresh_token_is_401(site: Site, path: str) -> None:
    told = registered(site)
    for text in ("", "x", told["access"], "a" * 1001):
        assert post(site, path, {"refresh": text}).status in (400, 401)
    assert post(site, path, {}).json == {"refresh": ["This field is required."]}


def test_a_refresh_token_opens_nothing(site: Site) -> None:
    answer = site.ask("GET", "/api/auth/profile", f"Bearer {registered(site)['refresh']}")
    assert answer.status == 401
    assert answer.json == {"detail": "Invalid token: Expected access token"}
    assert answer.headers["www-authenticate"] == 'Bearer realm="api"'


def test_who_sends_no_token_is_told_so(site: Site) -> None:
    for authorization in ("", "Basic eA==", "Bearer "):
        answer = site.ask("GET", "/api/auth/profile", authorization)
        assert answer.status == 401
        assert answer.json == {"detail": "Authentication credentials were not provided."}


def test_a_refresh_token_ends_after_thirty_days(site: Site) -> None:
    refresh = registered(site)["refresh"]
    site.clock.turn(30 * 86400)
    assert post(site, "token/refresh", {"refresh": refresh}).status == 401


def test_an_access_token_ends_after_a_quarter_of_an_hour(site: Site) -> None:
    authorization = f"Bearer {registered(site)['access']}"
    site.clock.turn(15 * 60 - 1)
    assert site.ask("GET", "/api/auth/profile", authorization).status == 200
    site.clock.turn(1)
    assert site.ask("GET", "/api/auth/profile", authorization).status == 401


def test_logging_out_counts_at_once__SH_2(site: Site) -> None:
    told = registered(site)
    authorization = f"Bearer {told['access']}"
    assert post(site, "logout", {}, authorization).json == {"error": "Refresh token is required"}
    done = post(site, "logout", {"refresh": told["refresh"]}, authorization)
    assert (done.status, done.json) == (200, {"message": "Successfully logged out"})
    assert site.ask("GET", "/api/auth/profile", authorization).status == 401
    assert post(site, "token/refresh", {"refresh": told["refresh"]}).status == 401


def test_nobody_logs_somebody_else_out(site: Site) -> None:
    ann, bob = registered(site), registered(site, email="bob@example.org")
    answer = post(site, "logout", {"refresh": bob["refresh"]}, f"Bearer {ann['access']}")
    assert answer.status == 400
    assert post(site, "token/refresh", {"refresh": bob["refresh"]}).status == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_names_and_address_are_changed(site: Site, method: str) -> None:
    authorization = f"Bearer {registered(site)['access']}"
    wanted = {"first_name": "Anna", "email": "anna@example.org"}
    answer = site.ask(method, "/api/auth/profile/", authorization, wanted)
    assert answer.status == 200
    assert answer.json["last_name"] == "Lee"
    assert site.ask("GET", "/api/auth/profile", authorization).json == answer.json
    assert (answer.json["first_name"], answer.json["email"]) == ("Anna", "anna@example.org")


def test_somebody_elses_address_cannot_be_taken(site: Site) -> None:
    registered(site, email="bob@example.org")
    authorization = f"Bearer {registered(site)['access']}"
    answer = site.ask("PATCH", "/api/auth/profile", authorization, {"first_name": "X", "email": "bob@example.org"})
    assert answer.status == 400
    assert site.ask("GET", "/api/auth/profile", authorization).json["first_name"] == "Ann"


def test_a_new_password_ends_the_other_log_ins__SH_2(site: Site) -> None:
    registered(site)
    here, there = (post(site, "login", {"email": ANN["email"], "password": PASSWORD}).json for _ in range(2))
    authorization = f"Bearer {here['access']}"
    new = "entirely different sentence"
    wanted = {"old_password": "wrong wrong wrong", "new_password": new, "new_password2": new}
    wrong = post(site, "change-password", wanted, authorization)
    assert (wrong.status, wrong.json) == (400, {"old_password": ["Wrong password."]})
    done = post(site, "change-password/", {**wanted, "old_password": PASSWORD}, authorization)
    assert (done.status, done.json) == (200, {"message": "Password changed successfully"})
    assert post(site, "token/refresh", {"refresh": there["refresh"]}).status == 401
    assert post(site, "token/refresh", {"refresh": here["refresh"]}).status == 200
    assert post(site, "login", {"email": ANN["email"], "password": new}).status == 200


def test_homes_are_those_of_the_caller_and_no_others__SH_3(site: Site) -> None:
    ours, theirs = site.home("Lake house"), site.home("Town house")
    ann, bob = site.somebody(ours, Role.VIEWER), site.somebody(theirs)
    shown = site.ask("GET", "/api/homes/", ann.authorization).json
    assert shown == [{"id": ours.uid, "name": "Lake house", "role": "viewer"}]
    assert site.ask("GET", "/api/remote/gateways", bob.authorization).json == [{"home_id": theirs.uid, "role": "owner"}]


def permissions(home: homes.Home) -> str:
    return f"/api/gateways/homes/{home.uid}/permissions/"


def test_members_see_who_shares_the_home_and_strangers_an_empty_page__SH_3(site: Site) -> None:
    home = site.home()
    owner, viewer = site.somebody(home), site.somebody(home, Role.VIEWER)
    told = site.ask("GET", permissions(home), viewer.authorization).json
    assert (told["count"], told["next"], told["previous"]) == (2, None, None)
    assert {row["user_email"]: row["role"] for row in told["results"]} == {owner.email: "owner", viewer.email: "viewer"}
    empty = {"count": 0, "next": None, "previous": None, "results": []}
    stranger = site.somebody(site.home("Town house"))
    for uid in (home.uid, str(uuid.uuid4()), "x"):
        answer = site.ask("GET", f"/api/gateways/homes/{uid}/permissions", stranger.authorization)
        assert (answer.status, answer.json) == (200, empty)


def test_an_owner_shares_the_home(site: Site) -> None:
    home = site.home()
    owner, guest = site.somebody(home), site.somebody()
    wanted = {"user": guest.uid, "role": "user", "home_id": home.uid}
    made = site.ask("POST", permissions(home), owner.authorization, wanted)
    assert made.status == 201
    assert made.json["granted_by"] == owner.uid
    assert made.json in site.ask("GET", permissions(home), guest.authorization).json["results"]
    again = site.ask("POST", permissions(home), owner.authorization, wanted)
    assert again.status == 400
    assert again.json == {"non_field_errors": ["The fields user, home_id must make a unique set."]}


@pytest.mark.parametrize(("role", "may"), [("owner", 201), ("admin", 201), ("user", 403), ("viewer", 403)])
def test_only_owners_and_admins_share__SH_4(site: Site, role: str, may: int) -> None:
    home = site.home()
    caller, guest = site.somebody(home, Role[role.upper()]), site.somebody()
    wanted = {"user": guest.uid, "role": "viewer"}
    assert site.ask("POST", permissions(home), caller.authorization, wanted).status == may


def test_an_admin_makes_no_owners__SH_4(site: Site) -> None:
    home = site.home()
    admin, guest = site.somebody(home, Role.ADMIN), site.somebody()
    answer = site.ask("POST", permissions(home), admin.authorization, {"user": guest.uid, "role": "owner"})
    assert answer.status == 403
    assert "detail" in answer.json


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"role": "king"}, "role"),
        ({"role": "OWNER"}, "role"),
        ({"role": None}, "role"),
        ({"user": "x"}, "user"),
        ({"user": str(uuid.uuid4())}, "user"),
        ({"home_id": str(uuid.uuid4())}, "home_id"),
    ],
)
def test_a_wrong_share_names_the_field__SH_27(site: Site, wrong: dict[str, Any], field: str) -> None:
    home = site.home()
    owner, guest = site.somebody(home), site.somebody()
    answer = site.ask("POST", permissions(home), owner.authorization, {"user": guest.uid, "role": "user", **wrong})
    assert answer.status == 400
    assert list(answer.json) == [field]
    if wrong == {"role": "king"}:
        assert answer.json == {"role": ['"king" is not a valid choice.']}
