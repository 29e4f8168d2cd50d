"""A backup beside a hub under load, and the hub that comes of it."""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from tests import commands
from tests.faults.load import HttpLoad, Load, MqttLoad
from tests.hub import Hub, Registered
from tests.servers import StartHub

pytestmark = pytest.mark.servers


def stored(hub: Hub, device: Registered) -> Counter[tuple[str, int]]:
    found = hub.readings(device)
    return Counter((metric, int(value)) for metric, points in found.items() for _, value in points)


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return commands.run([str(word) for word in words], os.environ)


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

    words = ("restore", tmp_path / "b.tar.gz", "--data", tmp_path / "again", "--code", made["new_code"])
    assert run(*words).returncode == 0
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


def test_without_the_keys_devices_and_programs_go_on(hub: StartHub, tmp_path: Path) -> None:
    running = hub()
    device, token = running.register_device("Kitchen"), running.token
    running.command("backup", str(tmp_path / "b.tar"))
    running.stop()
    told = run("restore", tmp_path / "b.tar", "--data", tmp_path / "again", "--without-keys")
    assert (told.returncode, "signing keys" in told.stdout) == (0, True)
    again = hub(data=tmp_path / "again")
    assert again.post("/api/readings", {"values": {"temperature": 2}}, device.authorization)[0] == 200
    again._token = token
    assert len(again.readings(device)["temperature"]) == 1


def test_commands_end_with_the_codes_that_are_documented(hub: StartHub, tmp_path: Path) -> None:
    running = hub()
    assert run("backup", tmp_path / "b.tar", "--data", running.data).returncode == 0
    again = run("backup", tmp_path / "b.tar", "--data", running.data)
    assert (again.returncode, "--force" in again.stderr) == (1, True)
    assert run("backup", tmp_path / "b.zip", "--data", running.data).returncode == 2
    assert run("restore", tmp_path / "b.tar", "--data", running.data).returncode == 1
    new = ("restore", tmp_path / "b.tar", "--data", tmp_path / "new", "--json")
    wrong = run(*new, "--code", "0000-0000-0000-0000-0000-0000")
    assert (wrong.returncode, "not the recovery code" in wrong.stderr) == (1, True)
    assert run(*new, "--code", "0000", "--without-keys").returncode == 2
    assert not (tmp_path / "new").exists()
    shown = run("backup", "--show-code", "--data", running.data).stdout.strip()
    assert json.loads(run(*new, "--code", shown).stdout)["rows"]["home"] == 1
