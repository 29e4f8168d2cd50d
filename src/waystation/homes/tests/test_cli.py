"""Homes and their people from a terminal."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from waystation import cli
from waystation.kernel.errors import Conflict, Invalid, NotFound, Refused


@pytest.fixture
def run(tmp_path: Path) -> Any:
    main = cli.gather()

    def command(*words: str) -> Any:
        ended = CliRunner().invoke(main, [*words, "--data", str(tmp_path)])
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        assert ended.exit_code == 0, ended.output
        return json.loads(ended.output) if "--json" in words else ended.output

    return command


def test_a_person_is_added_with_a_link_to_choose_a_password_and_given_roles(run: Any) -> None:
    made = run("member", "add", "ann@example.org", "--role", "owner", "--json")
    assert "/reset/" in made["link"]
    assert run("member", "add", "bob@example.org", "--json")["role"] == "user"
    run("member", "role", "bob@example.org", "admin")
    assert [(one["email"], one["role"]) for one in run("member", "list", "--json")] == [
        ("ann@example.org", "owner"),
        ("bob@example.org", "admin"),
    ]
    run("member", "remove", "bob@example.org")
    assert len(run("member", "list", "--json")) == 1


def test_the_last_owner_stays_also_for_the_command_line__SH_4(run: Any) -> None:
    run("member", "add", "ann@example.org", "--role", "owner")
    for words in (("remove", "ann@example.org"), ("role", "ann@example.org", "user")):
        with pytest.raises(Conflict):
            run("member", *words)


def test_what_is_unknown_or_wrong_is_refused_in_a_sentence(run: Any) -> None:
    for fault, words in (
        (NotFound, ("member", "remove", "nobody@example.org")),
        (NotFound, ("member", "list", "--home", "Elsewhere")),
        (Invalid, ("member", "add", "no address")),
        (Invalid, ("member", "add", "eve@example.org", "--role", "king")),
        (Refused, ("home", "delete", "Home", "--name", "Home")),
    ):
        with pytest.raises(fault):
            run(*words)
    assert run("member", "list", "--json") == []


def test_an_invitation_is_printed_as_a_link(run: Any) -> None:
    assert "/invitations/" in run("member", "invite", "--role", "admin", "--json")["link"]


def test_homes_are_made_renamed_and_deleted_where_a_site_has_many(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYSTATION_MANY_HOMES", "true")
    run("member", "add", "ann@example.org", "--role", "owner")
    run("home", "create", "Barn", "--owner", "ann@example.org")
    run("home", "rename", "Shed", "--home", "Barn")
    assert [(one["name"], one["members"]) for one in run("home", "list", "--json")] == [("Home", 1), ("Shed", 1)]
    run("home", "delete", "Shed", "--name", "Shed")
    assert [one["name"] for one in run("home", "list", "--json")] == ["Home"]
