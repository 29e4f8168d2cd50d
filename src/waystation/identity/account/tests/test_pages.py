"""The account page through the wired app: what a person changes there, and what it ends elsewhere at once."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from tests.site import lay_down_database

from waystation import app, identity
from waystation.kernel import mail, settings
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import Clock, ManualClock, SystemClock
from waystation.kernel.db import Database

PASSWORD = "several unrelated words"
NEW = "quite another set of words"
FORM = {"origin": "http://hub", "accept": "text/html"}

Site = Callable[..., TestClient]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """`site(smtp_url=…)`: a browser at a hub that Ann has set up."""
    clients: list[TestClient] = []

    def made(**options: Any) -> TestClient:
        chosen, _ = settings.load({"data": tmp_path, "mqtt_port": 0, "signin_per_minute": 100, **options}, {})
        lay_down_database(tmp_path)
        client = TestClient(app.build(chosen).app, base_url="http://hub", follow_redirects=False)
        client.__enter__()
        clients.append(client)
        with write(client) as tx:
            link = identity.new_setup_link(tx, now(client))
        client.post(f"/setup/{link}", data={"email": "ann@example.org", "password": PASSWORD}, headers=FORM)
        return client

    yield made
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def ann(site: Site) -> TestClient:
    return site()


def parts_of(client: TestClient) -> Any:
    return client.app.state.parts  # type: ignore[attr-defined]


def write(client: TestClient) -> Any:
    return parts_of(client).get(Database).write()


def now(client: TestClient) -> Any:
    return parts_of(client).get(Clock).now()


def another_browser(client: TestClient, password: str = PASSWORD) -> TestClient:
    other = TestClient(client.app, base_url="http://hub", follow_redirects=False)
    assert other.post("/signin", data={"email": "ann@example.org", "password": password}, headers=FORM).is_redirect
    return other


def is_in(client: TestClient) -> bool:
    return client.get("/account", headers=FORM).status_code == 200


def page(client: TestClient) -> str:
    shown = client.get("/account", headers=FORM)
    assert shown.status_code == 200
    return shown.text


def send(client: TestClient, path: str, **form: str) -> Any:
    token = re.search(r'name="csrf" value="(\w+)"', page(client))
    assert token is not None
    return client.post(path, data={"csrf": token[1], **form}, headers=FORM)


def new_token(client: TestClient, **form: str) -> str:
    shown = send(client, "/account/tokens", **{"name": "solar", "scope": "read", "days": "30", **form})
    assert shown.status_code == 200, shown.text
    found = re.search(r"ws_[\w-]{43}", shown.text)
    assert found is not None
    assert "no-store" in shown.headers["cache-control"]
    assert found[0] not in page(client)
    return found[0]


def status(client: TestClient, path: str, token: str, method: str = "GET") -> int:
    program = TestClient(client.app, base_url="http://hub", follow_redirects=False)
    return program.request(method, path, headers={"authorization": f"Bearer {token}"}).status_code


def test_a_changed_name_stands_on_the_page(ann: TestClient) -> None:
    answer = send(ann, "/account/names", first_name="Ann", last_name="<b>Lee</b>")
    assert answer.headers["location"] == "/account?done=names"
    assert "Ann &lt;b&gt;Lee&lt;/b&gt;" in page(ann)
    assert send(ann, "/account/names", first_name="x" * 100).status_code == 400


def test_the_address_changes_with_the_password_only(ann: TestClient) -> None:
    refused = send(ann, "/account/email", email="ann@new.example", password="wrong as can be")
    assert refused.status_code == 400
    assert "not your password" in refused.text
    assert send(ann, "/account/email", email="no\0address@b.example", password=PASSWORD).status_code == 400
    assert send(ann, "/account/email", email="ann@new.example", password=PASSWORD).is_redirect
    assert "ann@new.example" in page(ann)


def test_a_new_password_ends_the_other_browsers_at_once(ann: TestClient) -> None:
    other = another_browser(ann)
    form = {"old_password": PASSWORD, "new_password": NEW}
    assert send(ann, "/account/password", **{**form, "old_password": "not it at all"}).status_code == 400
    assert send(ann, "/account/password", **{**form, "new_password": "short"}).status_code == 400
    assert is_in(other)
    assert send(ann, "/account/password", **form, elsewhere="true").is_redirect
    assert not is_in(other)
    assert is_in(ann)
    assert is_in(another_browser(ann, NEW))


def test_other_browsers_stay_when_the_box_is_not_ticked(ann: TestClient) -> None:
    other = another_browser(ann)
    assert send(ann, "/account/password", old_password=PASSWORD, new_password=NEW).is_redirect
    assert is_in(other)


def test_tries_to_prove_the_password_are_limited(ann: TestClient) -> None:
    tries = [send(ann, "/account/email", email="a@b.example", password="wrong").status_code for _ in range(6)]
    assert tries == [400] * 5 + [429]


def test_a_browser_is_signed_out_from_another(ann: TestClient) -> None:
    other = another_browser(ann)
    [place] = re.findall(r"/account/sessions/\d+/end", page(ann))
    assert send(ann, place).is_redirect
    assert not is_in(other)
    assert send(ann, place).status_code == 404


@pytest.mark.parametrize("number", ["0", "-1", "x", str(2**63), "9" * 400])
def test_a_number_that_nothing_has_is_refused(ann: TestClient, number: str) -> None:
    for path in (f"/account/sessions/{number}/end", f"/account/apps/{number}/end", f"/account/tokens/{number}/revoke"):
        assert 400 <= send(ann, path).status_code < 500


def test_everything_else_is_signed_out_by_one_button(ann: TestClient) -> None:
    others = [another_browser(ann) for _ in range(2)]
    assert send(ann, "/account/elsewhere/end").is_redirect
    assert [is_in(one) for one in others] == [False, False]
    assert "Sign out everywhere else</button>" not in page(ann)


@pytest.mark.parametrize(("scope", "admits"), [("read", False), ("control", False), ("manage", True)])
def test_a_token_opens_what_its_scope_says(ann: TestClient, scope: str, admits: bool) -> None:  # noqa: FBT001
    token = new_token(ann, scope=scope)
    assert status(ann, "/api/last-values", token) == 200
    made = TestClient(ann.app, base_url="http://hub").post(
        "/devices", data={"name": "Pi"}, headers={"authorization": f"Bearer {token}"}
    )
    assert made.status_code == (200 if admits else 403)


def test_a_token_never_widens_itself(ann: TestClient) -> None:
    token = new_token(ann, scope="manage")
    for path in ("/account/tokens", "/account/password", "/account/email", "/account/names", "/account/elsewhere/end"):
        assert status(ann, path, token, "POST") == 403
    assert status(ann, "/account", token) == 403


def test_a_revoked_token_is_refused_from_then_on(ann: TestClient) -> None:
    token = new_token(ann)
    [revoke] = set(re.findall(r"/account/tokens/\d+/revoke", page(ann)))
    assert send(ann, revoke).is_redirect
    assert status(ann, "/api/last-values", token) == 401
    assert "No API tokens" in page(ann)


def test_a_token_ends_on_its_day(ann: TestClient) -> None:
    token = new_token(ann, days="30")
    clock = ManualClock(SystemClock().now())
    parts_of(ann).put(Clock, clock)
    clock.turn(30 * 86400 - 60)
    assert status(ann, "/api/last-values", token) == 200
    clock.turn(120)
    assert status(ann, "/api/last-values", token) == 401


@pytest.mark.parametrize(
    "form", [{"scope": "owner"}, {"scope": ""}, {"days": "31"}, {"days": "٣٠"}, {"home": "99"}, {"name": " "}]
)
def test_a_token_that_cannot_be_is_refused_in_its_dialog(ann: TestClient, form: dict[str, str]) -> None:
    answer = send(ann, "/account/tokens", **{"name": "solar", "scope": "read", "days": "30", **form})
    assert answer.status_code == 400
    assert re.search(r'id="new-token"[^>]*data-open-now', answer.text)


def test_a_token_of_one_home_opens_no_other(ann: TestClient) -> None:
    with write(ann) as tx:
        row = identity.person_by_email(tx, "ann@example.org")
        assert row is not None
        mine = identity.account.Mine(row.id, COMMAND_LINE)
        wanted = identity.account.NewToken("elsewhere", identity.account.Scope.MANAGE, None, home_id=4711)
        token = identity.account.make_token(tx, mine, now(ann), wanted)
    assert status(ann, "/api/last-values", token) == 404


def test_a_token_of_one_home_does_not_run_the_site(site: Site) -> None:
    ann = site(many_homes=True)
    assert status(ann, "/system", new_token(ann, scope="manage")) == 200
    assert status(ann, "/system", new_token(ann, scope="manage", home="1")) == 403
    assert status(ann, "/api/last-values", new_token(ann, home="1")) == 200


def test_a_token_falls_with_its_persons_role(ann: TestClient) -> None:
    token = new_token(ann, scope="manage")
    with write(ann) as tx:
        tx.execute(sa.text("update member set role = 'viewer'"))
        tx.execute(sa.text("update person set is_operator = false"))
    assert status(ann, "/people/invitations", token, "POST") == 403
    assert status(ann, "/api/last-values", token) == 200


def test_a_disabled_persons_token_sleeps(ann: TestClient) -> None:
    token = new_token(ann)
    with write(ann) as tx:
        row = identity.person_by_email(tx, "ann@example.org")
        assert row is not None
        identity.account.people.disable(tx, COMMAND_LINE, row.id, now(ann))
    assert status(ann, "/api/last-values", token) == 401
    assert not is_in(ann)
    with write(ann) as tx:
        identity.account.people.enable(tx, COMMAND_LINE, row.id, now(ann))
    assert status(ann, "/api/last-values", token) == 200


def test_the_command_lines_token_goes_on_working(ann: TestClient) -> None:
    with write(ann) as tx:
        token = identity.new_token(tx, COMMAND_LINE, now(ann), name="ci")
    assert status(ann, "/api/last-values", token) == 200
    assert status(ann, "/account", token) == 403


def test_a_reset_link_sets_a_new_password_and_signs_nobody_in(ann: TestClient) -> None:
    with write(ann) as tx:
        row = identity.person_by_email(tx, "ann@example.org")
        assert row is not None
        secret = identity.account.people.reset_link(tx, COMMAND_LINE, row.id, now(ann))
    stranger = TestClient(ann.app, base_url="http://hub", follow_redirects=False)
    path = f"/reset/{secret}"
    assert "ann@example.org" in stranger.get(path).text
    assert stranger.post(path, data={"password": "short"}, headers=FORM).status_code == 400
    assert stranger.post(path, data={"password": NEW}, headers={"origin": "http://evil.example"}).status_code == 403
    done = stranger.post(path, data={"password": NEW}, headers=FORM)
    assert done.status_code == 200
    assert "set-cookie" not in done.headers
    assert stranger.post(path, data={"password": NEW}, headers=FORM).status_code == 404
    assert not is_in(ann)
    assert is_in(another_browser(ann, NEW))


def test_forgetting_answers_the_same_for_everybody(site: Site) -> None:
    ann = site(smtp_url="smtp://127.0.0.1:9", public_url="https://hub.example")
    stranger = TestClient(ann.app, base_url="http://hub")
    assert "/forgot" in stranger.get("/signin").text
    answers = [
        stranger.post("/forgot", data={"email": who}, headers={**FORM, "host": "hub"})
        for who in ("ann@example.org", "bob@example.org")
    ]
    shown = [(answer.status_code, answer.text.replace("bob@", "ann@")) for answer in answers]
    without_time = [(code, re.sub(r'data-now="\d+"', "", text)) for code, text in shown]
    assert without_time[0] == without_time[1]
    with write(ann) as tx:
        [letter] = [one.letter for one in mail.waiting(tx)]
    assert "https://hub.example/reset/" in letter.text


def test_one_account_gets_three_mails_an_hour_and_one_address_asks_ten_times(site: Site) -> None:
    ann = site(smtp_url="smtp://127.0.0.1:9")
    stranger = TestClient(ann.app, base_url="http://hub")
    answers = [stranger.post("/forgot", data={"email": "Ann@example.org"}, headers=FORM) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    with write(ann) as tx:
        assert len(mail.waiting(tx)) == 3


def test_without_a_mail_server_the_page_says_who_can_help(ann: TestClient) -> None:
    stranger = TestClient(ann.app, base_url="http://hub")
    assert "waystation person reset-password" in stranger.post("/forgot", data={"email": "x"}, headers=FORM).text
    with write(ann) as tx:
        assert mail.waiting(tx) == []
