"""`waystation command …`, without a hub that runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.site import NOON, lay_down_database
from typer.testing import CliRunner

from waystation import cli, commands
from waystation.commands import State
from waystation.homes import the_home
from waystation.kernel.db import Database, sqlite_url
from waystation.kernel.errors import Invalid, NotFound


class Terminal:
    def __init__(self, data: Path) -> None:
        lay_down_database(data)
        self.data = data
        self.main = cli.gather()

    def __call__(self, *words: str, code: int = 0) -> Any:
        ended = CliRunner().invoke(self.main, [*words, "--data", str(self.data)])
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        assert ended.exit_code == code, ended.output
        return json.loads(ended.stdout) if "--json" in words else ended.stdout

    def do(self, device_key: str, state: State) -> None:
        """The device takes its next command and says so."""
        database = Database(sqlite_url(self.data / "waystation.db"))
        with database.write() as tx:
            home = the_home(tx, NOON)
            device = commands.sending.devices.find(tx, home.id, device_key)
            taken = commands.take(
                tx, device.id, commands.newest(tx, commands.Wanted(home.id))[0].created_at, link="http"
            )
            assert taken is not None
            commands.finish(tx, device.id, taken.created_at, uid=taken.uid, state=state)
        database.close()


@pytest.fixture
def run(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def test_a_command_is_sent_watched_and_sent_again(run: Terminal) -> None:
    key = run("device", "register", "Porch", "--json")["key"]
    made = run("command", "send", "set-interval", "seconds=30", "on=true", "name=a b", "--to", key, "--json")
    assert (made["parameters"], made["progress"]["waiting"]) == ({"seconds": 30, "on": True, "name": "a b"}, 1)
    assert "1 waiting" in run("command", "watch", made["id"], "--timeout", "0.01", code=1)
    run.do(key, State.FAILED)
    assert run("command", "watch", made["id"], code=1).strip() == "1 failed"
    (one,) = run("command", "list", "--batch", made["id"], "--json")
    shown = run("command", "show", one["id"], "--json")
    assert [line["what"] for line in shown["history"]] == ["queued", "leased", "failed"]
    assert "set-interval" in run("command", "show", one["id"])
    again = run("command", "retry", made["id"], "--json")
    run.do(key, State.DONE)
    assert run("command", "watch", again["id"]).strip() == "1 done"


def test_to_a_tag_a_model_or_the_home(run: Terminal) -> None:
    key = run("device", "register", "Porch", "--model", "esp32", "--json")["key"]
    run("device", "register", "Cellar")
    assert run("device", "tag", key, "Garden", "south", "--json") == ["garden", "south"]
    assert run("device", "tag", key, "--remove", "south").strip() == "garden"
    for to, many in (("home", 2), ("tag:garden", 1), ("model:esp32", 1)):
        assert run("command", "send", "ping", "--to", to, "--json")["total"] == many
    batch = run("command", "send", "ping", "--to", "home", "--key", "k", "--json")["id"]
    assert run("command", "send", "ping", "--to", "home", "--key", "k", "--json")["id"] == batch
    assert run("command", "cancel", batch).strip() == "cancelled 2 of 2"
    assert "cancelled" in run("command", "list")
    assert run("command", "show", batch, "--json")["progress"]["cancelled"] == 2


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("ping", "seconds", "--to", "home"), Invalid),
        (("ping", "{", "--to", "home"), Invalid),
        (("ping", "--to", "home", "--to", "a"), Invalid),
        (("ping", "--to", "nobody"), NotFound),
    ],
)
def test_what_cannot_be_sent_says_why(run: Terminal, words: tuple[str, ...], fault: type[Exception]) -> None:
    run("device", "register", "Porch")
    with pytest.raises(fault):
        run("command", "send", *words)
