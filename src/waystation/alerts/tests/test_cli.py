"""Rules and incidents from a terminal, without a hub that runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from waystation import cli
from waystation.kernel.errors import Invalid, NotFound


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


T = ("--metric", "t")
TOO_HOT = ("alert", "rule", "add", "Too hot", "above", "--metric", "temp", "--threshold", "30")


def test_a_rule_is_added_listed_switched_muted_tested_and_deleted(run: Any) -> None:
    made = run(*TOO_HOT, "--clear", "28", "--minutes", "5", "--severity", "critical", "--json")
    assert made["text"] == "temp at or above 30 (until below 28) for 5 min"
    assert [rule["uid"] for rule in run("alert", "rule", "list", "--json")] == [made["uid"]]
    assert "Too hot is off" in run("alert", "rule", "disable", "Too hot")
    assert [rule["is_enabled"] for rule in run("alert", "rule", "list", "--json")] == [False]
    assert "Too hot is on" in run("alert", "rule", "enable", made["uid"])
    assert "is muted until" in run("alert", "rule", "mute", "Too hot", "--hours", "2")
    assert run("alert", "rule", "list", "--json")[0]["muted_until"] is not None
    assert "is heard again" in run("alert", "rule", "mute", "Too hot", "--hours", "0")
    assert run("alert", "rule", "test", "Too hot", "--json")["incidents"] == []
    assert "Nothing would have happened" in run("alert", "rule", "test", "Too hot", "--days", "7")
    run("alert", "rule", "delete", "Too hot")
    assert "No alert rules yet" in run("alert", "rule", "list")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("silent", "--minutes", "10"), "no reading for 10 min"),
        (("silent", "--metric", "temp", "--minutes", "10"), "no temp for 10 min"),
        (("below", *T, "--threshold", "-5", "--number", "3", "--of", "5"), "t at or below -5 in 3 of 5 readings"),
        (("rises", *T, "--threshold", "2", "--minutes", "10"), "t rises by 2 per minute or more over 10 min"),
        (
            ("falls", *T, "--threshold", "2", "--minutes", "60", "--per", "hour"),
            "t falls by 2 per hour or more over 1 h",
        ),
        (("text", "--metric", "state", "--text", "err*", "--match", "like"), "state is like “err*”"),
        (("is", "--metric", "door", "--off", "--minutes", "1"), "door is off for 1 min"),
        (("fault", "--number", "5", "--minutes", "10"), "sensor fault: 5 refused readings within 10 min"),
    ],
)
def test_every_kind_of_condition_can_be_said_in_words(run: Any, words: tuple[str, ...], text: str) -> None:
    assert run("alert", "rule", "add", "One", *words, "--json")["text"] == text


def test_what_makes_no_sense_is_refused_in_a_sentence(run: Any) -> None:
    for fault, words in (
        (Invalid, ("alert", "rule", "add", "Hot", "above", "--metric", "temp")),
        (Invalid, ("alert", "rule", "add", "Hot", "above", "--threshold", "30")),
        (Invalid, (*TOO_HOT, "--device", "nobodys1")),
        (Invalid, (*TOO_HOT, "--device", "a", "--model", "b")),
        (Invalid, (*TOO_HOT, "--threshold", "nan")),
        (Invalid, (*TOO_HOT, "--minutes", "inf")),
        (Invalid, (*TOO_HOT, "--cooldown-minutes", "nan")),
        (NotFound, ("alert", "rule", "disable", "nobody")),
        (NotFound, ("alert", "incident", "ack", "nobody")),
    ):
        with pytest.raises(fault):
            run(*words)
    run(*TOO_HOT)
    for fault, words in (
        (Invalid, ("alert", "rule", "mute", "Too hot", "--hours", "-1")),
        (Invalid, ("alert", "rule", "mute", "Too hot", "--hours", "nan")),
        (Invalid, ("alert", "rule", "mute", "Too hot", "--hours", "1e9")),
        (Invalid, ("alert", "rule", "test", "Too hot", "--days", "1000")),
        (Invalid, ("alert", "rule", "test", "Too hot", "--days", "nan")),
    ):
        with pytest.raises(fault):
            run(*words)


def test_without_incidents_nothing_is_wrong(run: Any) -> None:
    assert "Nothing is wrong" in run("alert", "incident", "list")
    assert run("alert", "incident", "list", "--all", "--most", "5", "--json") == []
