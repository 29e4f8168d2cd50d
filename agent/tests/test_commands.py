"""Commands, each as a person asks for it: what this agent can do, what it will not, and what it says of that."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent.tests.lives import Lives

from waystation_agent.commands.config import Allowed, Askable, load
from waystation_agent.commands.deeds import Around, deeds
from waystation_agent.commands.model import Command, End, Outcome, done, read
from waystation_agent.errors import BadInput
from waystation_agent.folder import Folder
from waystation_agent.identity import Identity
from waystation_agent.journal import Entry, Now, Step
from waystation_agent.local_hub import LocalHub

NOW = Now("boot 1", "run 1", 0)


def _around(askable: Askable | None = None, **changes: object) -> Around:
    return Around(
        **{  # type: ignore[arg-type]
            "askable": askable or Askable(),
            "now": lambda: NOW,
            "status": dict,
            "restart": lambda: None,
            "sync": lambda _seconds: {"deployed": [], "failed": {}},
            "send_log": lambda _command, _bytes, _seconds: {"name": "log"},
            "reboot_file": None,
            "set_period": lambda _seconds: 10.0,
            **changes,
        }
    )


def _ask(around: Around, name: str, **parameters: object) -> Outcome | None:
    return deeds(around)[name].do(Command("c1", name, parameters))


def _written(tmp_path: Path, text: str) -> Askable:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    return load(path)


@pytest.mark.parametrize(
    ("name", "parameters", "end"),
    [
        ("ping", {}, End.DONE),
        ("sync", {}, End.DONE),
        ("upload-log", {"kilobytes": 4}, End.DONE),
        ("upload-log", {"kilobytes": 0}, End.REJECTED),
        ("upload-log", {"kilobytes": "all"}, End.REJECTED),
        ("set-interval", {"seconds": 30}, End.DONE),
        ("set-interval", {"seconds": None}, End.DONE),
        ("set-interval", {"seconds": True}, End.REJECTED),
        ("set-interval", {"seconds": 0}, End.REJECTED),
        ("set-interval", {"seconds": float("nan")}, End.REJECTED),
        ("reboot", {}, End.REJECTED),
    ],
)
def test_what_can_be_asked_ends_as_it_should(name: str, parameters: dict[str, object], end: End) -> None:
    outcome = _ask(_around(), name, **parameters)
    assert outcome
    assert outcome.end is end


def test_a_sync_with_a_package_that_failed_has_failed() -> None:
    found = {"deployed": ["a"], "failed": {"b": "wrong hash"}}
    outcome = _ask(_around(sync=lambda _seconds: found), "sync")
    assert outcome
    assert (outcome.end, outcome.result["failed"]) == (End.FAILED, {"b": "wrong hash"})


def test_a_reboot_is_asked_for_only_where_it_is_allowed(tmp_path: Path) -> None:
    mark = tmp_path / "rebooted"
    allowed = Askable(Allowed(reboot=True, reboot_command=("touch", str(mark))))
    assert _ask(_around(allowed), "reboot") is None
    assert mark.exists()
    refused = Askable(Allowed(reboot=True, reboot_command=("sh", "-c", "echo Access denied; exit 1")))
    outcome = _ask(_around(refused), "reboot")
    assert outcome
    assert (outcome.end, outcome.result["output"]) == (End.FAILED, "Access denied\n")
    asked = tmp_path / "reboot.wanted"
    assert _ask(_around(allowed, reboot_file=asked), "reboot") is None
    assert asked.exists()


def test_a_reboot_is_done_in_the_next_boot_and_not_before() -> None:
    entry = Entry(Command("c1", "reboot", {}, is_once=True), Step.BEGUN, NOW, None)
    for now, end in (
        (Now("boot 1", "run 2", 5_000_000), None),
        (Now("boot 1", "run 1", 121_000_000), End.FAILED),
        (Now("boot 2", "run 2", 0), End.DONE),
    ):
        settle = deeds(_around(now=lambda now=now: now))["reboot"].settle
        assert settle
        outcome = settle(entry)
        assert (outcome.end if outcome else None) is end


VALVE = """
[[script]]
name = "valve"
command = ["sh", "-c", "echo valve $1 of $2", "sh", "{minutes}", "zone {zone}"]
defaults = { zone = "1" }
"""


def test_a_script_gets_its_parameters_as_words_and_no_shell_sees_them(tmp_path: Path) -> None:
    around = _around(_written(tmp_path, VALVE))
    assert _ask(around, "valve", minutes=5) == done(exit_code=0, output="valve 5 of zone 1\n")
    assert _ask(around, "valve", minutes="$(id); x", zone=2) == done(exit_code=0, output="valve $(id); x of zone 2\n")


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"minutes": 5, "rm": 1},
        {"minutes": "--help"},
        {"minutes": "a\nb"},
        {"minutes": [1]},
        {"minutes": "x" * 1_001},
    ],
)
def test_a_script_is_not_run_with_what_it_does_not_declare(tmp_path: Path, parameters: dict[str, object]) -> None:
    outcome = _ask(_around(_written(tmp_path, VALVE)), "valve", **parameters)
    assert outcome
    assert outcome.end is End.REJECTED


def test_a_negative_number_is_no_option(tmp_path: Path) -> None:
    outcome = _ask(_around(_written(tmp_path, VALVE)), "valve", minutes=-5.5)
    assert outcome
    assert outcome.result["output"] == "valve -5.5 of zone 1\n"


def test_a_script_that_prints_an_object_has_printed_its_result(tmp_path: Path) -> None:
    text = '[[script]]\nname = "level"\ncommand = ["printf", \'{"litres": 12.5}\']'
    assert _ask(_around(_written(tmp_path, text)), "level") == done(litres=12.5)


def test_a_script_that_fails_hangs_floods_or_is_not_there_has_failed(tmp_path: Path) -> None:
    python = sys.executable.replace("\\", "/")
    text = f"""
[[script]]
name = "fails"
command = ["sh", "-c", "echo no water >&2; exit 3"]
[[script]]
name = "hangs"
command = ["sleep", "60"]
timeout_seconds = 0.1
[[script]]
name = "floods"
command = ["{python}", "-c", "print('x' * 1000000); print('the end'); raise SystemExit(1)"]
[[script]]
name = "missing"
command = ["/usr/bin/none"]
"""
    around = _around(_written(tmp_path, text))
    found = {name: _ask(around, name) for name in ("fails", "hangs", "floods", "missing")}
    assert all(outcome and outcome.end is End.FAILED for outcome in found.values())
    assert found["fails"] == Outcome(
        End.FAILED, {"reason": "ended with code 3", "exit_code": 3, "output": "no water\n"}
    )
    assert "not done after 0.1 s" in str(found["hangs"])
    assert "the end" in str(found["floods"])
    assert "cannot be run: No such file" in str(found["missing"])


def test_a_script_sees_none_of_the_agents_own_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYSTATION_AGENT_TOKEN", "secret")
    outcome = _ask(_around(_written(tmp_path, '[[script]]\nname = "env"\ncommand = ["env"]')), "env")
    assert outcome
    assert "secret" not in str(outcome)
    assert "WAYSTATION_COMMAND=c1" in str(outcome)


def test_a_result_fits_whatever_is_in_it() -> None:
    for result in (
        {"output": "ä" * 10_000, "exit_code": 0},
        {"output": '"\\\n' * 3_000},
        {"a": ["x" * 3_000, "y" * 3_000], "b": 1},
        {f"k{n}": "v" * 90 for n in range(90)},
    ):
        wire = Outcome(End.DONE, result).wire("c1")
        assert len(wire) < 4_300
        assert b'"state":"done"' in wire


@pytest.mark.parametrize("found", [None, 7, {}, {"id": 7}, {"id": "../x", "name": "ping"}, {"name": "ping"}])
def test_what_is_no_command_is_none(found: object) -> None:
    with pytest.raises(ValueError, match="a command"):
        read(found)


def test_a_command_with_a_strange_name_can_still_be_rejected() -> None:
    assert read({"id": "c1", "name": "a b", "parameters": [1]}) == Command("c1", "?", {})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[[script]]\nname = "reboot"\ncommand = ["true"]', "a command of the agent itself"),
        ('[[script]]\nname = "a b"\ncommand = ["true"]', "name is a letter"),
        ('[[script]]\nname = "a"\ncommand = []', "command is a list"),
        ('[[script]]\nname = "a"\ncommand = ["{x}"]', "command is a list"),
        ('[[script]]\nname = "a"\ncommand = ["true"]\ndefaults = { x = "1" }', "defaults names x"),
        ('[[script]]\nname = "a"\ncommand = ["true"]\ntimeout_seconds = 0', "timeout_seconds"),
        ('[[script]]\nname = "a"\ncommand = ["true"]\n' * 2, "another script called a"),
        ('[script]\nname = "a"', "two pairs of brackets"),
        ("[commands]\nreboot = 1", "reboot must be true or false"),
        ("[commands]\nwait_seconds = 61", "wait_seconds is from 0"),
        ("[commands]\nformat = true", "format is not an option"),
        ("commands = 1", "commands is a table"),
    ],
)
def test_a_mistake_in_the_file_is_a_sentence(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        _written(tmp_path, text)


# The conversation with the hub


@pytest.fixture
def lives(folder: Folder, hub: LocalHub, device: Identity) -> Iterator[Lives]:
    made = Lives(folder, hub)
    yield made
    made.end()


def test_a_command_that_is_not_known_is_rejected_with_what_there_is(lives: Lives) -> None:
    command = lives.hub.errands.order("dance")
    lives.obey(command)
    state, result = lives.hub.errands.outcome(command)
    assert state == "rejected"
    assert str(result["reason"]).startswith("there is no command dance here; there are act, again,")


def test_what_was_cancelled_before_it_began_is_not_done(lives: Lives) -> None:
    command = lives.hub.errands.order("act")
    lives.errands.step()
    lives.hub.errands.cancel(command)
    lives.obey(command)
    assert lives.done == []
    assert lives.hub.errands.outcome(command)[0] == "cancelled"


def test_an_outcome_that_came_too_late_is_kept_as_evidence_and_not_repeated(lives: Lives) -> None:
    command = lives.hub.errands.order("act")
    lives.work(lives.errands.step, lambda: bool(lives.done))
    lives.hub.errands.cancel(command)
    lives.obey(command)
    assert lives.hub.errands._db.execute("select state from late_outcome").fetchall() == [("done",)]


def test_commands_that_the_hub_hands_out_again_are_answered_from_the_journal(lives: Lives) -> None:
    command = lives.hub.errands.order("act")
    lives.obey(command)
    lives.hub.errands._db.execute("update command set state = 'queued'")
    lives.obey(command)
    assert lives.done == [command]
    assert lives.hub.errands.outcome(command)[0] == "done"


def test_a_refused_credential_is_asked_about_once_a_minute(lives: Lives) -> None:
    lives.hub.faults.append(401)
    assert lives.errands.step().seconds >= 60
    assert lives.errands.step().seconds < 2
