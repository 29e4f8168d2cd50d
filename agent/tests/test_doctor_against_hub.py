"""The doctor's questions and the sensors' values, answered by the real program."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.hub import Hub, Registered

from waystation_agent import identity
from waystation_agent.doctor import Verdict, examine
from waystation_agent.folder import Folder
from waystation_agent.identity import Identity, State
from waystation_agent.link import Server

pytestmark = pytest.mark.servers


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "program")
    made.start()
    yield made
    made.kill_all()


@pytest.fixture
def registered(program: Hub, folder: Folder) -> Registered:
    device = program.register_device("attic")
    server = Server(program.url)
    identity.save(folder.identity, State(Identity(server, "", device.key, device.serial, "attic", device.api_key)))
    return device


def _verdicts(folder: Folder) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in examine(folder)}


def test_the_hub_tells_the_doctor_whether_it_knows_this_device(
    program: Hub, registered: Registered, folder: Folder
) -> None:
    found = _verdicts(folder)
    assert (found["server"], found["time"], found["credential"]) == (Verdict.OK,) * 3
    assert program.readings(registered) == {}
    device = identity.load(folder.identity).identity
    assert isinstance(device, Identity)
    identity.save(folder.identity, State(replace(device, api_key="guessed")))
    assert _verdicts(folder)["credential"] is Verdict.FAIL


def test_numbers_texts_and_truths_of_sensors_come_to_the_hub(
    program: Hub, registered: Registered, folder: Folder
) -> None:
    printed = json.dumps("rain_mm=0.2\nsky=grey\nopen=true")
    folder.sensors.write_text(f'[[sensor]]\nkind = "exec"\nprefix = "roof"\ncommand = ["printf", {printed}]\n')
    line = [sys.executable, "-m", "waystation_agent", "run", "--data", str(folder.path), "--period", "0.5"]
    agent = subprocess.Popen([*line, "--log-level", "error"])
    try:
        give_up_at = time.monotonic() + 120
        while "roof_sky" not in (stored := program.readings(registered)):
            assert time.monotonic() < give_up_at, "nothing arrived"
            time.sleep(0.2)
    finally:
        agent.terminate()
        assert agent.wait(30) == 0
    assert [stored[f"roof_{name}"][0][1] for name in ("rain_mm", "sky", "open")] == [0.2, "grey", True]
    assert "memory_percent" in stored
