"""`waystation person …` beside a hub's data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.site import lay_down_database
from typer.testing import CliRunner

from waystation.identity import account, service, store
from waystation.identity.cli import people as people_app
from waystation.identity.cli import tokens as token_app
from waystation.identity.factors import store as factors
from waystation.kernel import settings
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import SystemClock
from waystation.kernel.db import Database
from waystation.kernel.desk import Desk

Run = Callable[..., Any]
EMAIL = "ann@example.org"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    chosen, sources = settings.load({"data": tmp_path, "public_url": "https://hub.example"}, {})
    lay_down_database(tmp_path)
    database = Database(chosen.database)
    with database.write() as tx:
        store.add_person(tx, email=EMAIL, name="Ann", password_hash="", now=SystemClock().now())
    return Desk(chosen, sources, database, home_id=1)


@pytest.fixture
def run(desk: Desk) -> Run:
    groups = {"person": people_app, "token": token_app}

    def ran(group: str, *words: str) -> Any:
        return CliRunner().invoke(groups[group], list(words), obj=lambda _data: desk)

    return ran


def test_a_printed_link_sets_a_password(desk: Desk, run: Run) -> None:
    printed = run("person", "reset-password", EMAIL.upper()).stdout.strip()
    assert printed.startswith("https://hub.example/reset/")
    with desk.database.read() as tx:
        row = account.resets.whose(tx, printed.rpartition("/")[2], desk.now())
    assert row.email == EMAIL


def test_a_disabled_person_is_out_until_enabled(desk: Desk, run: Run) -> None:
    with desk.database.write() as tx:
        row = store.anybody_called(tx, EMAIL)
        assert row is not None
        service.open_session(tx, row.id, desk.now(), ip=None, agent=None)
    assert "signed out in 1 place\n" in run("person", "sign-out", EMAIL).stdout
    assert run("person", "disable", EMAIL).exit_code == 0
    assert run("person", "reset-password", EMAIL).exit_code != 0
    assert run("person", "enable", EMAIL).exit_code == 0
    assert run("person", "reset-password", EMAIL).exit_code == 0


def test_who_lost_phone_and_codes_signs_in_with_the_password_again(desk: Desk, run: Run) -> None:
    with desk.database.write() as tx:
        row = store.anybody_called(tx, EMAIL)
        assert row is not None
        factors.switch_second_step_on(tx, row.id, desk.now())
    assert "with the password alone" in run("person", "remove-second-step", EMAIL).stdout
    with desk.database.read() as tx:
        assert not factors.second_step_is_on(tx, row.id)


def test_an_unknown_address_is_named(run: Run) -> None:
    assert "nobody@example.org" in str(run("person", "disable", "nobody@example.org").exception)


def test_the_list_says_whose_a_token_is(desk: Desk, run: Run) -> None:
    with desk.database.write() as tx:
        row = store.anybody_called(tx, EMAIL)
        assert row is not None
        wanted = account.NewToken("solar", account.Scope.READ, None)
        account.make_token(tx, account.Mine(row.id, COMMAND_LINE), desk.now(), wanted)
    assert f'"person": "{EMAIL}"' in run("token", "list", "--json").stdout
