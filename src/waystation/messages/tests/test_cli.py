"""`waystation message …` beside a hub that does not run, and while somebody writes."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.site import lay_down_database
from typer.testing import CliRunner

from waystation import cli as commands
from waystation import devices, messages
from waystation.homes import the_home
from waystation.kernel.db import Database, sqlite_url
from waystation.kernel.errors import Conflict, NotFound
from waystation.messages import NewMessage, Severity, cli
from waystation.messages.tests.house import NOON, OWNER, line

GATHERED = commands.gather()


class Beside:
    """A data folder with two devices that have written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        lay_down_database(folder)
        self.database = Database(sqlite_url(folder / "waystation.db"))
        with self.database.write() as tx:
            self.home_id = the_home(tx, NOON).id
            self.porch, self.shed = (
                devices.register(tx, OWNER, self.home_id, NOON, name=name).key for name in ("Porch", "Shed")
            )
        self.write(self.porch, line("first\nline", 1), line("hot", 2, Severity.ERROR))
        self.write(self.shed, line("=1+1", 3), line("=1+1", 4))

    def write(self, key: str, *lines: NewMessage) -> None:
        with self.database.write() as tx:
            messages.write(tx, devices.find(tx, self.home_id, key), NOON, lines)

    def run(self, *words: str) -> str:
        ended = CliRunner().invoke(GATHERED, ["message", *words, "--data", str(self.folder)])
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        assert ended.exit_code == 0, ended.output
        return ended.output


@pytest.fixture
def beside(tmp_path: Path) -> Beside:
    return Beside(tmp_path)


def test_messages_are_listed_newest_first(beside: Beside) -> None:
    found = json.loads(beside.run("list", "--json"))
    assert [(one["name"], one["content"], one["count"]) for one in found] == [
        ("Shed", "=1+1", 2),
        ("Porch", "hot", 1),
        ("Porch", "first\nline", 1),
    ]
    assert "first\\nline" in beside.run("list", "--device", beside.porch)
    assert json.loads(beside.run("list", "--severity", "warning", "--text", "HOT", "--json"))[0]["content"] == "hot"
    assert "No messages" in beside.run("list", "--severity", "critical")


def test_a_device_that_is_not_there_is_said(beside: Beside) -> None:
    with pytest.raises(NotFound, match="there is no device nobody"):
        beside.run("tail", "--device", "nobody")
    assert "is not one of" in CliRunner().invoke(GATHERED, ["message", "list", "--severity", "bad"]).output


def test_the_tail_has_the_newest_last_and_goes_on(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = beside.run("tail", "-n", "2").splitlines()
    assert [text.partition(" ")[2] for text in printed] == [
        "ERROR    Porch log: hot",
        "INFO     Shed log: =1+1 (×2 until 2026-11-21T12:00:04.000000Z)",
    ]

    def write_once_then_leave(_seconds: float) -> None:
        monkeypatch.setattr(cli.time, "sleep", leave)
        beside.write(beside.shed, line("later", 5))

    def leave(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.time, "sleep", write_once_then_leave)
    followed = CliRunner().invoke(
        GATHERED, ["message", "tail", "-n", "0", "--follow", "--json", "--data", str(beside.folder)]
    )
    assert [json.loads(text)["content"] for text in followed.output.splitlines() if text.startswith("{")] == ["later"]


def test_messages_are_written_out(beside: Beside, tmp_path: Path) -> None:
    lines: list[Any] = [json.loads(text) for text in beside.run("export").splitlines()]
    assert [one["content"] for one in lines] == ["first\nline", "hot", "=1+1"]
    file = tmp_path / "messages.csv"
    assert "bytes" in beside.run("export", "--format", "csv", "-o", str(file))
    assert "'=1+1" in file.read_text("utf-8")
    with pytest.raises(Conflict):
        beside.run("export", "-o", str(file))
    assert json.loads(beside.run("export", "-o", str(file), "--replace", "--json"))["bytes"] == file.stat().st_size
