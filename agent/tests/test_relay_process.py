"""The real agent as a JunctionRelay device: paired by file, variable and program, killed at the worst moment."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from agent.tests.conftest import CODE
from agent.tests.relay_server import RelayServer

from waystation_agent import identity
from waystation_agent.api import BadInput, add_sensor, set_token
from waystation_agent.folder import Folder
from waystation_agent.invitations import Destination, Invitations
from waystation_agent.junctionrelay import old_config
from waystation_agent.junctionrelay.account import Account
from waystation_agent.local_hub import LocalHub
from waystation_agent.spool import Spool
from waystation_agent.timekeeper import MachineTicks, Timekeeper

pytestmark = pytest.mark.servers  # real processes, seconds each

Start = Callable[..., subprocess.Popen[str]]
LINE = {"deviceName": "Porch Pi", "token": "reg-1"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RelayServer]:
    server = RelayServer(tmp_path / "relay.db", time.time)
    server.model.now = time.time()
    server.model.open_registration("reg-1")
    yield server
    server.stop()


@pytest.fixture
def start(folder: Folder, tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def begin(*options: str, **environment: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "waystation_agent", "run", "--data", str(folder.path), "--period", "0.1"]
        agent = subprocess.Popen(
            [*line, "--log-level", "debug", *options],
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=os.environ | environment,
        )
        started.append(agent)
        return agent

    yield begin
    for agent in started:
        agent.kill()
        agent.communicate()


def until(is_so: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < give_up_at, "it never happened"
        time.sleep(0.05)


def _end(agent: subprocess.Popen[str]) -> str:
    agent.send_signal(signal.SIGTERM)
    _, log = agent.communicate(timeout=30)
    assert agent.returncode == 0
    return log


def test_a_dropped_line_pairs_a_waiting_agent_and_values_of_other_programs_arrive__JR_A10_A26(
    server: RelayServer, folder: Folder, start: Start
) -> None:
    agent = start("--server", server.url)
    folder.drop.write_text(json.dumps(LINE))
    until(lambda: server.model.reports)
    assert not folder.drop.exists()
    add_sensor("garden_gate", "open", folder.path)
    until(lambda: [report for report in server.model.reports if report["sensordata"].get("garden_gate") == "open"])  # type: ignore[attr-defined]
    log = _end(agent)
    assert [secret for secret in server.model.secrets if secret in log] == []
    with_gate = [report for report in server.model.reports if "garden_gate" in report["sensordata"]]  # type: ignore[operator]
    assert len(with_gate) == 1


def test_a_token_in_the_environment_pairs_once__JR_A10(server: RelayServer, folder: Folder, start: Start) -> None:
    environment = {"WAYSTATION_AGENT_TOKEN": json.dumps(LINE), "WAYSTATION_AGENT_SERVER": server.url}
    for _ in range(2):
        agent = start(**environment)
        reports = len(server.model.reports)
        until(lambda: len(server.model.reports) > reports)  # noqa: B023 called at once
        _end(agent)
    assert server.paths().count("register") == 1


def test_a_bad_token_in_the_environment_is_a_usage_error(start: Start) -> None:
    agent = start(WAYSTATION_AGENT_TOKEN='{"deviceName":"Pi"}')
    _, log = agent.communicate(timeout=30)
    assert agent.returncode == 2
    assert "lacks token" in log
    assert "Traceback" not in log


def test_an_agent_goes_on_as_the_python_client_in_place__JR_A18(
    server: RelayServer, start: Start, tmp_path: Path
) -> None:
    sent: dict[str, object] = {"registrationToken": "reg-1", "actualDeviceId": "AA:BB"}
    _, said = server.model.call("/cloud/devices/register", sent)
    fields = {"jwt": said["deviceJwt"], "refresh_token": said["refreshToken"], "device_id": "AA:BB"}
    path = tmp_path / old_config.NAME
    path.write_text(json.dumps(fields | {"jwt_expires_at": "2026-11-20T23:25:06Z", "refresh_token_expires_at": ""}))
    agent = start("--server", server.url, "--test-mode")
    until(lambda: server.model.reports)
    _end(agent)
    assert json.loads(path.read_text())["refresh_token"] != said["refreshToken"]
    assert "register" not in server.paths()
    assert server.model.refusals == 0


@pytest.mark.parametrize("moment", ["refresh-rotate", "refresh", "register"])
def test_a_kill_between_the_servers_commit_and_our_save_strands_nobody__JR_A3(
    server: RelayServer, folder: Folder, start: Start, moment: str
) -> None:
    set_token(json.dumps(LINE), server.url, folder.path)
    server.model.refresh_seconds = 3_600 if moment == "refresh-rotate" else 7 * 86_400
    agent = start()
    if moment != "register":
        until(lambda: server.model.reports)
        server.clock = lambda: time.time() + (2_000 if moment == "refresh-rotate" else 30_000)
        server.wall = server.clock
    killed = threading.Event()

    def kill(path: str) -> None:
        if path.endswith(moment) and not killed.is_set():
            agent.kill()
            agent.wait()
            killed.set()

    server.before_answering = kill
    assert killed.wait(60)
    reports = len(server.model.reports)
    start()
    until(lambda: len(server.model.reports) > reports)
    device = identity.load(folder.identity).identity
    assert isinstance(device, Account)
    assert len(server.model.families) == 1


def test_sigterm_ends_an_agent_whose_server_is_away__JR_A25(server: RelayServer, folder: Folder, start: Start) -> None:
    set_token(json.dumps(LINE), server.url, folder.path)
    server.fault = lambda: "cut"
    agent = start()
    assert agent.stderr
    next(line for line in agent.stderr if "not paired reason" in line)
    _end(agent)
    assert identity.load(folder.identity).claim


# What was laid down, without a process


@pytest.fixture
def invitations(folder: Folder) -> Iterator[Invitations]:
    spool = Spool(folder.spool)
    yield Invitations(folder, spool, Timekeeper(MachineTicks()), Destination())
    spool.close()


def test_a_claim_code_can_be_dropped_too(hub: LocalHub, folder: Folder, invitations: Invitations) -> None:
    folder.drop.write_text(json.dumps({"server": hub.url, "code": CODE}))
    invitations.look()
    assert folder.drop.exists()
    invitations.look()
    device = identity.load(folder.identity).identity
    assert device
    assert (device.server.url, folder.drop.exists()) == (hub.url, False)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"deviceName":"Pi","token":"r","publicKey":"AAAA"}', "\x00\xff"])
def test_a_bad_file_is_moved_aside_with_a_reason(folder: Folder, invitations: Invitations, content: str) -> None:
    folder.drop.write_text(content)
    for _ in range(3):
        invitations.look()
    assert not folder.drop.exists()
    assert folder.drop.with_name("pair.json.refused").exists()
    spool = Spool(folder.spool)
    assert "cannot be used" in str(spool.note("last_error"))
    spool.close()


def test_a_refused_drop_leaves_the_old_pairing(
    hub: LocalHub, folder: Folder, device: identity.Identity, invitations: Invitations
) -> None:
    folder.drop.write_text(json.dumps({"server": hub.url, "code": "WRONGWRONGWR"}))
    for _ in range(4):
        invitations.look()
    state = identity.load(folder.identity)
    assert (state.identity, state.claim) == (device, None)


def test_the_lost_answer_of_a_claim_is_made_good_by_a_running_agent(
    hub: LocalHub, folder: Folder, invitations: Invitations
) -> None:
    set_token(json.dumps({"server": hub.url, "code": CODE}), folder=folder.path)
    hub.faults.append("cut")
    invitations.look(lambda: 0.0)
    assert identity.load(folder.identity).identity is None
    invitations.look(lambda: 100.0)
    device = identity.load(folder.identity).identity
    assert isinstance(device, identity.Identity)
    assert hub.ledger.knows(device.serial, device.api_key)
    assert CODE not in folder.identity.read_text()


@pytest.mark.parametrize(
    ("key", "value"), [("", 1.0), ("two words", 1.0), ("k", float("nan")), ("k", "x" * 5_000), ("k" * 65, 1.0)]
)
def test_values_that_no_server_takes_are_refused(folder: Folder, key: str, value: float | str) -> None:
    with pytest.raises(BadInput):
        add_sensor(key, value, folder.path)


def test_a_given_value_is_in_one_sample_only(folder: Folder) -> None:
    add_sensor("porch", "wet", folder.path)
    add_sensor("porch", "dry", folder.path)
    spool = Spool(folder.spool)
    spool.hold({"load_1m": 1.0}, "boot", 1)
    spool.hold({"load_1m": 2.0}, "boot", 2)
    rows = [json.loads(row[0]) for row in spool._db.execute("select readings from sample order by id")]
    assert rows == [{"load_1m": 1.0, "porch": "dry"}, {"load_1m": 2.0}]
    spool.close()
