"""Words for the hub: on disk at once, dated once, and there once in their order whatever breaks."""

import itertools
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from agent.tests.conftest import NOON_US
from agent.tests.lives import Lives

from waystation_agent.api import BadInput, say
from waystation_agent.folder import Folder
from waystation_agent.identity import Identity
from waystation_agent.local_hub import LocalHub
from waystation_agent.logs import LOG, STAYS_HERE
from waystation_agent.messages import outbox as outboxes
from waystation_agent.messages import own
from waystation_agent.messages.outbox import Line, Outbox
from waystation_agent.messages.own import Telling

PROGRAM = [sys.executable, "-m", "waystation_agent"]


@pytest.fixture
def lives(folder: Folder, hub: LocalHub, device: Identity) -> Iterator[Lives]:
    assert device
    made = Lives(folder, hub)
    yield made
    made.end()


@pytest.fixture
def quiet() -> Iterator[None]:
    """Handlers that a test adds end with it."""
    before = list(LOG.handlers)
    yield
    LOG.handlers[:] = before


def put(lives: Lives, *contents: str) -> None:
    with closing(Outbox(lives.folder.messages, lives.ticks)) as outbox:
        for content in contents:
            outbox.put(Line(content))


def waiting(lives: Lives) -> int:
    with closing(Outbox(lives.folder.messages)) as outbox:
        return outbox.waiting()


def send(lives: Lives) -> int:
    return lives.work(lambda: lives.messages.step(), lambda: not waiting(lives))  # noqa: PLW0108 each life has its own


def heard(lives: Lives) -> list[str]:
    return [content for _, content in lives.hub.ledger.heard()]


def times(lives: Lives) -> list[str]:
    with sqlite3.connect(lives.hub.ledger.path) as database:
        found = [row[0] for row in database.execute("select at from message order by at")]
    database.close()
    return found


def test_the_same_words_of_one_moment_are_as_many_messages_in_their_order(lives: Lives) -> None:
    put(lives, "tick", "tick", "tock", "tick")
    send(lives)
    assert heard(lives) == ["tick", "tick", "tock", "tick"]


def test_the_agent_dies_at_every_step_and_each_is_there_once(lives: Lives) -> None:
    said: list[str] = []
    for moment in itertools.count(1):
        put(lives, f"{moment}a", f"{moment}b")
        said += [f"{moment}a", f"{moment}b"]
        lives.power.off_at, lives.power.moments = moment, 0
        died = send(lives)
        assert heard(lives) == said
        if not died:
            break
    assert moment > 6


@pytest.mark.parametrize("fault", ["cut", "lost", 507, 401, 429])
def test_the_line_or_the_hub_fails(lives: Lives, fault: int | str) -> None:
    lives.hub.faults.extend([fault, fault])
    put(lives, "one", "two")
    send(lives)
    assert heard(lives) == ["one", "two"]


def test_what_the_hub_refuses_costs_no_other(lives: Lives) -> None:
    put(lives, "before", "unheard of", "after")
    send(lives)
    assert heard(lives) == ["before", "after"]


def test_a_message_has_the_time_it_was_said_though_the_clock_was_set_later(lives: Lives) -> None:
    lives.ticks.wall = 0
    put(lives, "in 1970")
    lives.ticks.pass_seconds(30)
    lives.ticks.wall = NOON_US
    lives.begin()
    send(lives)
    assert times(lives) == ["2027-01-15T07:59:30.000000+00:00"]


@pytest.mark.parametrize(
    ("wall", "at"), [(NOON_US, "2027-01-15T08:00:00.000000+00:00"), (5, "2027-01-15T08:01:40.000000+00:00")]
)
def test_of_an_earlier_boot_its_own_clock_counts_if_it_was_set(lives: Lives, wall: int, at: str) -> None:
    lives.ticks.wall = wall
    put(lives, "before the power went")
    lives.ticks.boot, lives.ticks.wall = "second boot", NOON_US + 100_000_000
    lives.begin()
    lives.messages.step()
    assert times(lives) == [at]


def test_without_the_time_nothing_is_sent(lives: Lives) -> None:
    lives.ticks.wall = 0
    lives.begin()
    put(lives, "when?")
    assert lives.messages.step().seconds > 0
    assert heard(lives) == []


def test_of_too_many_the_oldest_make_room_and_are_counted(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outboxes, "MOST_WAITING", 300)
    with closing(Outbox(folder.messages)) as outbox:
        outbox.put(*(Line(str(number)) for number in range(301)))
        assert (outbox.waiting(), outbox.count("dropped")) == (201, 100)
        assert outbox.oldest(1, lambda said: said.wall_us)[0].line.content == "100"


@pytest.mark.parametrize(
    "wrong", [("",), (" \n",), ("x" * 4097,), ("x", "loud"), ("\udcff",), ("x", "info", "two words")]
)
def test_what_no_hub_takes_is_refused_at_once(folder: Folder, wrong: tuple[str, ...]) -> None:
    content, severity, kind = (*wrong, "info", "log")[:3] if len(wrong) == 1 else (*wrong, "log")[:3]
    with pytest.raises(BadInput):
        say(content, severity, folder.path, type=kind)
    assert not folder.messages.exists()


def test_programs_speak_by_the_api_and_the_command_line(lives: Lives) -> None:
    def run(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        whole = [*PROGRAM, "say", *words, "--data", str(lives.folder.path)]
        return subprocess.run(whole, input=typed, text=True, capture_output=True, env=os.environ, check=False)

    say("by the API", "critical", lives.folder.path)
    assert run("by hand", "--severity", "warning").returncode == 0
    assert run("-", typed="first\n\nsecond\xff\n" + "x" * 5000).returncode == 0
    refused = run("")
    assert (refused.returncode, refused.stderr) == (2, "waystation-agent: there is nothing to say\n")
    lives.ticks.pass_seconds(3600)
    send(lives)
    assert lives.hub.ledger.heard() == [
        ("critical", "by the API"),
        ("warning", "by hand"),
        ("info", "first"),
        ("info", "second\xff"),
        ("info", "x" * 4096),
    ]


@pytest.mark.usefixtures("quiet")
def test_own_warnings_are_told_and_what_is_no_news_stays(lives: Lives) -> None:
    own.tell(lives.folder.messages, Telling())
    LOG.setLevel(logging.INFO)
    LOG.info("started")
    LOG.warning("sensor %s", "porch fails")
    LOG.warning("hub cannot be asked", extra=STAYS_HERE)
    try:
        int("broken")
    except ValueError:
        LOG.exception("agent failed")
    send(lives)
    (warning, error) = lives.hub.ledger.heard()
    assert warning == ("warning", "sensor porch fails")
    assert error[0] == "error"
    assert error[1].startswith("agent failed\nTraceback")


@pytest.mark.usefixtures("quiet")
def test_own_lines_cost_nothing_where_they_are_not_wanted_or_cannot_be_kept(folder: Folder) -> None:
    own.tell(folder.messages, Telling("off"))
    LOG.error("not told")
    assert not folder.messages.exists()
    folder.messages.mkdir()
    own.tell(folder.messages, Telling())
    LOG.error("nowhere to put it")


def test_what_is_wrong_in_agent_toml_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('[messages]\nown = "all"\n')
    with pytest.raises(BadInput, match=r"agent.toml: own is one of info, warning, error, off"):
        own.load(path)
    assert own.load(tmp_path / "none.toml") == Telling("warning")
