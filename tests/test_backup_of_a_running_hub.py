"""A backup beside a hub under load, and the hub that comes of it."""

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from tests.faults.load import HttpLoad, Load, MqttLoad
from tests.hub import Hub, Registered, waystation
from tests.servers import StartHub

pytestmark = pytest.mark.servers


def stored(hub: Hub, device: Registered) -> Counter[tuple[str, int]]:
    found = hub.readings(device)
    return Counter((metric, int(value)) for metric, points in found.items() for _, value in points)


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*waystation(), *map(str, words)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("load", [HttpLoad, MqttLoad])
def test_what_was_acknowledged_before_is_in_it_once(hub: StartHub, tmp_path: Path, load: type[Load]) -> None:
    running = hub(mqtt=True)
    device = running.register_device("Kitchen")
    with load(running, device) as sending:
        sending.wait_for(300)
        before = set(sending._acknowledged)
        made = running.command("backup", str(tmp_path / "b.tar.gz"))
        sending.wait_for(50)
    running.stop()
    assert made["queue"] == "stored"

    assert run("restore", tmp_path / "b.tar.gz", "--data", tmp_path / "again").returncode == 0
    again = hub(data=tmp_path / "again", mqtt=True)
    found = stored(again, device)
    assert before - found.keys() == set()
    assert set(found.values()) == {1}
    with load(again, device) as sending:  # the credential works, and so does what follows
        sending.wait_for(20)
    again.stop()
    assert again.integrity() == "ok"


def test_a_stopped_hub_is_saved_whole(hub: StartHub, tmp_path: Path) -> None:
    stopped = hub(mqtt=True)
    device = stopped.register_device("Kitchen")
    with MqttLoad(stopped, device) as sending:
        sending.wait_for(100)
        stopped.kill_all()  # what its NATS has acknowledged may not be in the database
        before = set(sending._acknowledged)
    assert stopped.command("backup", str(tmp_path / "b.tar"))["queue"] == "included"
    assert run("restore", tmp_path / "b.tar", "--data", tmp_path / "again").returncode == 0
    again = hub(data=tmp_path / "again", mqtt=True)
    sending._hub, sending._acknowledged = again, before
    found = sending.found()
    assert (found.lost, found.doubled) == (0, 0)


def test_commands_end_with_the_codes_that_are_documented(hub: StartHub, tmp_path: Path) -> None:
    running = hub()
    assert run("backup", tmp_path / "b.tar", "--data", running.data).returncode == 0
    again = run("backup", tmp_path / "b.tar", "--data", running.data)
    assert (again.returncode, "--force" in again.stderr) == (1, True)
    assert run("backup", tmp_path / "b.zip", "--data", running.data).returncode == 2
    assert run("restore", tmp_path / "b.tar", "--data", running.data).returncode == 1
    assert (
        json.loads(run("restore", tmp_path / "b.tar", "--data", tmp_path / "new", "--json").stdout)["rows"]["home"] == 1
    )
