"""The agent as a JunctionRelay device of the real program: paired by its line, through a restart, sealed, revoked."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.hub import Hub

from waystation_agent import identity
from waystation_agent.api import add_sensor, set_token
from waystation_agent.folder import Folder
from waystation_agent.junctionrelay.account import Account
from waystation_agent.spool import Spool

pytestmark = pytest.mark.servers

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(folder: Folder) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "waystation_agent", "run", "--data", str(folder.path), "--period", "0.2"]
        agent = subprocess.Popen([*line, "--log-level", "debug", *options], stderr=subprocess.PIPE, text=True)
        started.append(agent)
        return agent

    yield begin
    for agent in started:
        agent.kill()
        agent.communicate()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "program")
    made.start()
    yield made
    made.kill_all()


def until(is_so: Callable[[], Any]) -> Any:
    give_up_at = time.monotonic() + 240
    while not (found := is_so()):
        assert time.monotonic() < give_up_at, "it never happened"
        time.sleep(0.1)
    return found


def line(program: Hub, **wanted: object) -> str:
    asked = {"deviceName": "Porch Pi", "approved": True} | wanted
    status, said = program.post("/cloud/devices/generate-registration-token", asked, f"Bearer {program.token}")
    assert status == 200
    return str(said["qrCodeData"])


def account(folder: Folder) -> Account:
    """Wait until the agent has kept one: the hub may know the device before."""
    found = until(lambda: identity.load(folder.identity).identity)
    assert isinstance(found, Account)
    return found


def registered(program: Hub) -> str:
    """Wait for the only device, and return its key."""
    return str(until(lambda: program.command("device", "list"))[-1]["key"])


def points(program: Hub, key: str, metric: str) -> list[Any]:
    path = f"/api/readings?device={key}&from=0&to=4000000000000&resolution=raw&limit=10000"
    found = [series["points"] for series in program.get(path)["series"] if series["metric"] == metric]
    return found[0] if found else []


def test_a_line_of_the_real_program_pairs_and_reports_arrive_once(program: Hub, folder: Folder, start: Start) -> None:
    set_token(line(program), program.url, folder.path)
    add_sensor("porch", "23.5", folder.path)
    agent = start()
    key = registered(program)
    until(lambda: len(points(program, key, "uptime")) >= 3)
    assert until(lambda: points(program, key, "porch"))[0][1] == 23.5
    program.kill()
    until(lambda: Spool(folder.spool).depth() > 3)
    program.start()
    until(lambda: Spool(folder.spool).depth() == 0)
    agent.send_signal(signal.SIGTERM)
    _, log = agent.communicate(timeout=30)
    held = account(folder)
    assert [secret for secret in (held.jwt.text, held.refresh.text) if secret in log + program.log] == []
    times = [at for at, _ in points(program, key, "uptime")]
    spooled = Spool(folder.spool)._one("select seq from sqlite_sequence where name = 'sample'")
    assert len(times) == len(set(times)) == spooled - Spool(folder.spool).depth()


def test_refresh_and_rotation_by_the_real_program(program: Hub, folder: Folder, start: Start) -> None:
    set_token(line(program), program.url, folder.path)
    first = _once(start, folder, lambda held: bool(held.jwt.text))
    _alter(folder, jwt=replace(first.jwt, text="", expires_at=None))
    second = _once(start, folder, lambda held: bool(held.jwt.text))
    assert second.refresh == first.refresh
    _alter(folder, rotating=True)
    third = _once(start, folder, lambda held: held.refresh != first.refresh and held.previous is None)
    assert third.jwt != second.jwt
    _alter(folder, refresh=first.refresh, rotating=True)
    fourth = _once(start, folder, lambda held: held.refresh != first.refresh and held.previous is None)
    assert fourth.refresh != third.refresh


def test_a_trial_device_lives_in_test_mode__JR_25(program: Hub, folder: Folder, start: Start) -> None:
    set_token(line(program, testMode=True), program.url, folder.path)
    held = _once(start, folder, lambda held: bool(held.jwt.text))
    assert held.jwt.lifetime_seconds
    assert abs(held.jwt.lifetime_seconds - 360) < 3


@pytest.mark.parametrize("form", ["object", "text", "sealed-v1", "sealed-v2"])
def test_every_form_of_a_report_is_taken(program: Hub, folder: Folder, start: Start, form: str) -> None:
    set_token(line(program), program.url, folder.path)
    start("--sensor-data", form)
    key = registered(program)
    assert until(lambda: points(program, key, "memoryUsage"))


def test_a_revoked_device_needs_pairing_and_a_new_line_brings_it_back__JR_23(
    program: Hub, folder: Folder, start: Start
) -> None:
    set_token(line(program), program.url, folder.path)
    agent = start()
    (device,) = until(lambda: shown(program))
    before = account(folder)
    assert delete(program, f"/cloud/devices/{device['id']}") == 200
    until(lambda: identity.load(folder.identity).identity is None)
    assert agent.poll() is None
    folder.drop.write_text(json.dumps(json.loads(line(program)) | {"server": program.url}))
    until(lambda: identity.load(folder.identity).identity)
    assert account(folder).device_id == before.device_id
    until(lambda: [again for again in shown(program) if again["id"] != device["id"]])


def shown(program: Hub) -> list[Any]:
    return list(program.get("/cloud/devices")["devices"])


def delete(program: Hub, path: str) -> int:
    headers = {"Authorization": f"Bearer {program.token}"}
    with urllib.request.urlopen(urllib.request.Request(program.url + path, headers=headers, method="DELETE")) as answer:
        return int(answer.status)


def _once(start: Start, folder: Folder, is_so: Callable[[Account], bool]) -> Account:
    """Run an agent until its account is as wanted, and end it."""

    def found() -> Account | None:
        held = identity.load(folder.identity).identity
        return held if isinstance(held, Account) and is_so(held) else None

    agent = start()
    held = until(found)
    agent.send_signal(signal.SIGTERM)
    agent.communicate(timeout=30)
    assert agent.returncode == 0
    return account(folder) if held else held


def _alter(folder: Folder, **changes: Any) -> None:
    identity.update(folder.identity, lambda state: replace(state, identity=replace(state.identity, **changes)))
