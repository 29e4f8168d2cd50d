"""The command as people and services run it: a real process, its words and its exit codes."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from agent.tests.conftest import CODE

from waystation_agent.folder import Folder, default_folder
from waystation_agent.identity import Identity, load
from waystation_agent.local_hub import LocalHub

pytestmark = pytest.mark.servers  # real processes, seconds each

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def command(folder: Folder) -> Run:
    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "waystation_agent", *arguments, "--data", str(folder.path)]
        return subprocess.run(line, input=stdin, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def start(folder: Folder) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "waystation_agent", "run", "--data", str(folder.path), "--period", "0.05"]
        agent = subprocess.Popen([*line, "--log-level", "debug", *options], stderr=subprocess.PIPE, text=True)
        started.append(agent)
        return agent

    yield begin
    for agent in started:
        agent.kill()
        agent.communicate()


def until(is_so: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < give_up_at, "it never happened"
        time.sleep(0.05)


def _line_with(agent: subprocess.Popen[str], words: str) -> str:
    assert agent.stderr
    for line in agent.stderr:
        if words in line:
            return line
    raise AssertionError(f"the agent ended without a word about {words!r}")


def test_pair_run_and_status_from_end_to_end(command: Run, start: Start, hub: LocalHub, folder: Folder) -> None:
    agent = start()
    waiting = _line_with(agent, "not paired yet")
    assert command("status").returncode == 3
    paired = command("pair", json.dumps({"server": hub.url, "code": "abcd-efgh-jklm"}), "--name", "attic")
    assert (paired.returncode, paired.stdout[:12]) == (0, "Paired with ")
    until(lambda: len(hub.ledger.times("load_1m")) >= 3)
    status = json.loads(command("status", "--json").stdout)
    assert (status["running"], status["device_name"], status["link"]) == (True, "attic", "delivering")
    agent.send_signal(signal.SIGTERM)
    _, log = agent.communicate(timeout=30)
    assert agent.returncode == 0
    assert "not paired yet" not in log
    device = load(folder.identity).identity
    assert device
    for secret in (device.api_key, CODE):
        assert secret not in waiting + log + paired.stdout + paired.stderr
    assert "running\n" in command("status").stdout
    assert command("status").returncode == 0


def test_the_invitation_can_come_from_stdin(command: Run, hub: LocalHub) -> None:
    invitation = json.dumps({"server": hub.url, "code": CODE})
    assert command("pair", "-", stdin=invitation + "\n").returncode == 0


def test_the_invitation_can_come_from_a_file(command: Run, hub: LocalHub, folder: Folder) -> None:
    folder.drop.write_text(json.dumps({"server": hub.url, "code": CODE}))
    assert command("pair", f"@{folder.drop}").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("pair",),
        ("pair", "@/does/not/exist"),
        ("pair", '{"deviceName":"Pi","token":"reg"}'),
        ("run", "--sensor-data", "xml"),
        ("pair", "ABCD"),
        ("pair", "{"),
        ("pair", CODE, "--server", "hub"),
        ("pair", CODE, "--ca-file", "/does/not/exist"),
        ("run", "--period", "0"),
        ("run", "--period", "nan"),
        ("fly",),
    ],
)
def test_wrong_usage_is_code_2_and_a_sentence(command: Run, folder: Folder, arguments: tuple[str, ...]) -> None:
    ended = command(*arguments)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "waystation-agent" in ended.stderr
    assert not folder.identity.exists()


def test_a_code_that_the_hub_does_not_know_is_a_fault(command: Run, hub: LocalHub) -> None:
    ended = command("pair", "WRONGWRONGWR", "--server", hub.url)
    assert ended.returncode == 1
    assert "unknown or has expired" in ended.stderr


def test_a_second_agent_on_the_same_folder_is_refused(start: Start, command: Run, folder: Folder) -> None:
    start()
    until(folder.is_running)
    ended = command("run")
    assert ended.returncode == 1
    assert "another agent is running" in ended.stderr


def test_ctrl_c_ends_an_agent_that_waits_for_its_hub(start: Start, hub: LocalHub, device: Identity) -> None:
    hub.stop()
    agent = start()
    _line_with(agent, "not delivered")
    agent.send_signal(signal.SIGINT)
    agent.communicate(timeout=30)
    assert agent.returncode == 0


def test_a_hub_that_refuses_this_device_shows_in_status(
    start: Start, command: Run, hub: LocalHub, device: Identity
) -> None:
    hub.fault = lambda: 401
    start()
    until(lambda: command("status").returncode == 1)
    status = json.loads(command("status", "--json").stdout)
    assert (status["link"], status["last_error"]) == ("refused", "The hub was told to fail.")


def test_a_broken_identity_file_is_a_fault_not_a_silent_wait(command: Run, folder: Folder) -> None:
    folder.identity.write_text("{")
    ended = command("run")
    assert ended.returncode == 1
    assert "pair this device again" in ended.stderr


def test_a_spool_that_cannot_be_opened_is_a_fault_with_its_name(command: Run, folder: Folder) -> None:
    folder.spool.mkdir()
    ended = command("run")
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert "spool.db cannot be used" in ended.stderr


def test_help_lists_the_exit_codes() -> None:
    line = [sys.executable, "-m", "waystation_agent", "--help"]
    said = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True).stdout
    for code in "0123":
        assert f"\n  {code}  " in said


def test_the_data_folder_follows_the_environment() -> None:
    assert default_folder({"WAYSTATION_AGENT_DATA": "/a", "STATE_DIRECTORY": "/b"}).path == Path("/a")
    assert default_folder({"STATE_DIRECTORY": "/b:/c"}).path == Path("/b")
    assert default_folder({}).path == Path.home() / ".local/share/waystation-agent"
