"""The agent as a service: what it tells systemd, its unit, and what install and uninstall leave behind."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from shutil import which

import pytest
from tests.servers import required

from waystation_agent import time_sync, unit
from waystation_agent.errors import Fault
from waystation_agent.folder import Folder
from waystation_agent.heartbeat import SLACK_SECONDS, Heartbeats
from waystation_agent.identity import Identity, State, save, update
from waystation_agent.notify import Notifier
from waystation_agent.service import Place, unit_text

pytestmark = pytest.mark.servers  # real processes, seconds each

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket on which systemd hears its services."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as hearing:
        hearing.bind(f"\0waystation-test-{os.getpid()}")
        hearing.settimeout(60)
        yield hearing


def _address(manager: socket.socket) -> str:
    return manager.getsockname().decode().replace("\0", "@")


def test_the_unit_starts_an_agent_that_says_ready_lives_and_ends__JR_A22__JR_A25(
    manager: socket.socket, folder: Folder, device: Identity
) -> None:
    environment = {**os.environ, "NOTIFY_SOCKET": _address(manager), "WATCHDOG_USEC": "300000"}
    command = shlex.split(_setting(unit_text(Place()), "ExecStart"))
    agent = subprocess.Popen(command, env=environment | {"STATE_DIRECTORY": str(folder.path)})
    try:
        assert b"READY=1" in manager.recv(1000)
        assert manager.recv(1000) == manager.recv(1000) == b"WATCHDOG=1"
        agent.send_signal(signal.SIGTERM)
        while (heard := manager.recv(1000)) == b"WATCHDOG=1":
            pass
        assert b"STOPPING=1" in heard
        assert agent.wait(30) == 0
    finally:
        agent.kill()
        agent.wait()


def test_without_systemd_nothing_is_said() -> None:
    notifier = Notifier({})
    notifier.ready()
    assert notifier.watchdog_seconds is None
    assert Notifier({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watchdog_seconds is None
    assert Notifier({"WATCHDOG_USEC": "2000000"}).watchdog_seconds == 2


def test_a_thread_that_does_not_come_back_is_stuck() -> None:
    now = [0.0]
    heartbeats = Heartbeats(lambda: now[0])
    heartbeats.beat("sampling", pause_seconds=3600)
    heartbeats.beat("delivery", pause_seconds=10)
    now[0] = 11 + SLACK_SECONDS
    assert heartbeats.stuck() == ["delivery"]
    heartbeats.beat("delivery", pause_seconds=10)
    assert heartbeats.stuck() == []


def test_the_wait_for_the_time_has_an_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "timedatectl"
    tool.write_text("#!/bin/sh\necho no\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(time_sync, "TIMESYNCD", tmp_path / "synchronized")
    monkeypatch.setattr(time_sync, "LOOK_SECONDS", 0.01)
    assert time_sync.wait(0.1) is False
    (tmp_path / "synchronized").touch()
    assert time_sync.wait(60) is True


# The unit


def _installation(**changes: object) -> unit.Installation:
    return unit.Installation(**{"command": ("/opt/agent/bin/python", "-P", "-m", "waystation_agent"), **changes})  # type: ignore[arg-type]


def _setting(text: str, key: str) -> str:
    (value,) = re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)
    return value


UNITS = {
    "plain": unit.system_unit(_installation()),
    "in a home": unit.system_unit(_installation(folders=("/home/pi/my agent", "/usr"), period_seconds=30)),
    "that deploys and reboots": unit.system_unit(
        _installation(writable=("/srv/my config",), groups=("config",), may_reboot=True)
    ),
    "with I²C": unit.system_unit(_installation(devices=("/dev/i2c-1",), groups=("i2c",))),
}


@pytest.mark.servers
@pytest.mark.parametrize("text", UNITS.values(), ids=UNITS.keys())
def test_the_service_is_little_exposed__JR_A22(text: str, tmp_path: Path) -> None:
    required(which("systemd-analyze"), "systemd")
    path = tmp_path / unit.NAME
    path.write_text(text)
    line = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(path)]
    judged = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert judged.returncode == 0, judged.stdout
    assert "Overall exposure level" in judged.stdout


@pytest.mark.servers
@pytest.mark.parametrize("text", [unit_text(Place()), unit_text(Place(is_users=True), data=Folder(Path("/var/a b")))])
def test_systemd_understands_the_unit(text: str, tmp_path: Path) -> None:
    required(which("systemd-analyze"), "systemd")
    path = tmp_path / unit.NAME
    path.write_text(text)
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")


def test_devices_are_open_only_to_a_service_whose_sensors_need_them() -> None:
    assert "PrivateDevices=yes" in UNITS["plain"]
    assert "DeviceAllow=/dev/i2c-1 rw" in UNITS["with I²C"]
    assert "SupplementaryGroups=i2c" in UNITS["with I²C"]
    assert "PrivateDevices" not in UNITS["with I²C"]


def test_homes_are_hidden_but_for_the_program_itself() -> None:
    assert "ProtectHome=yes" in UNITS["plain"]
    assert "BindReadOnlyPaths" not in UNITS["plain"]
    assert "ProtectHome=tmpfs" in UNITS["in a home"]
    assert 'BindReadOnlyPaths=-"/home/pi/my agent"\n' in UNITS["in a home"]


def test_what_sensors_need_is_taken_from_agent_toml(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.state.make()
    place.state.sensors.write_text(
        '[[sensor]]\nkind = "bme280"\nbus = 3\n[[sensor]]\nkind = "exec"\ncommand = ["/home/pi/rain.py"]\n'
    )
    text = unit_text(place)
    assert "DeviceAllow=/dev/i2c-3 rw" in text
    assert "BindReadOnlyPaths=-/home/pi/rain.py" in text


def test_what_scripts_and_packages_need_is_taken_from_agent_toml(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.state.make()
    shared = tmp_path / "config"
    shared.mkdir(mode=0o770)
    shared.chmod(0o2770)
    place.state.sensors.write_text(
        f'[packages.config]\npath = "{shared}"\nafter = ["/home/pi/reload"]\n'
        '[[script]]\nname = "valve"\ncommand = ["/home/pi/valve.py"]\nwrites = ["/srv/valve"]\n'
    )
    text = unit_text(place)
    assert "BindReadOnlyPaths=-/home/pi/reload\nBindReadOnlyPaths=-/home/pi/valve.py" in text
    assert {"ReadWritePaths=-/srv/valve", f"ReadWritePaths=-{shared}"} <= set(text.splitlines())
    assert f"SupplementaryGroups={shared.group()}" in text
    assert unit.REBOOT_VARIABLE not in text


@pytest.mark.servers
def test_a_reboot_is_carried_out_by_units_of_its_own__JR_A22(tmp_path: Path, reachable: None) -> None:
    from waystation_agent.service import install, uninstall  # noqa: PLC0415

    required(which("systemctl") and which("systemd-analyze"), "systemd")
    place = Place(tmp_path)
    place.state.make()
    before = _files(tmp_path)
    place.state.sensors.write_text("[commands]\nreboot = true\n")
    text = unit_text(place)
    assert f'Environment="{unit.REBOOT_VARIABLE}={unit.BY_FILE}"' in text
    install(place, text)
    units = tmp_path / "etc/systemd/system"
    assert (units / "multi-user.target.wants" / unit.REBOOT_PATH).is_symlink()
    lines = ["systemd-analyze", "verify", *(str(units / name) for name in (unit.REBOOT_PATH, unit.REBOOT_SERVICE))]
    verified = subprocess.run(lines, capture_output=True, text=True, timeout=60, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    place.state.sensors.write_text("")
    install(place, unit_text(place))
    assert not list(units.rglob("*reboot*"))
    uninstall(place)
    place.state.sensors.unlink()
    assert _files(tmp_path) == before


def test_a_word_comes_to_the_program_as_it_was() -> None:
    assert unit.command_line(("/a b/python", "100%", "$HOME", 'say "a"')) == '"/a b/python" 100%% $$HOME "say \\"a\\""'


def test_only_newer_systemd_is_asked_to_wait_longer_each_time() -> None:
    assert "RestartMaxDelaySec=300" in unit.system_unit(_installation(systemd_version=254))
    assert "RestartSteps" not in unit.system_unit(_installation(systemd_version=252))


# Install and uninstall, into the file system of an image, by the real systemctl


@pytest.fixture
def command() -> Command:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        # As installed for everybody: a service cannot reach what is in root's home.
        line = [sys.executable, "-m", "waystation_agent", *arguments]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine whose interpreter is in root's home, as if it were elsewhere."""
    monkeypatch.setattr("waystation_agent.service._own_folders", lambda: ("/opt/agent",))


def _files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


@pytest.mark.servers
def test_uninstall_removes_what_install_made_and_nothing_else__JR_A22(tmp_path: Path, reachable: None) -> None:
    from waystation_agent.service import install, uninstall  # noqa: PLC0415

    required(which("systemctl"), "systemd")
    place = Place(tmp_path)
    place.state.make()
    place.state.identity.write_text("{}")
    before = _files(tmp_path)
    text = unit_text(place)
    assert "Installed in the image" in install(place, text)
    link = tmp_path / "etc/systemd/system/multi-user.target.wants" / unit.NAME
    assert link.is_symlink()
    assert place.path.read_text() == text
    assert place.path.stat().st_mode & 0o777 == 0o644
    install(place, text)  # again: nothing more
    assert _files(tmp_path) == before | {str(place.path.relative_to(tmp_path)), str(link.relative_to(tmp_path))}
    assert "stays in" in uninstall(place)
    assert _files(tmp_path) == before
    with pytest.raises(Fault, match="nothing was removed"):
        uninstall(place)


def test_a_unit_of_somebody_else_is_left_alone(tmp_path: Path, reachable: None) -> None:
    from waystation_agent.service import install, uninstall  # noqa: PLC0415

    place = Place(tmp_path)
    place.path.parent.mkdir(parents=True)
    place.path.write_text("[Service]\nExecStart=/mine\n")
    for act in (lambda: install(place, "mine"), lambda: uninstall(place)):
        with pytest.raises(Fault, match=r"is not from|not from install-service"):
            act()
    assert place.path.read_text() == "[Service]\nExecStart=/mine\n"


@pytest.mark.servers
def test_what_systemctl_refuses_is_taken_back(tmp_path: Path, reachable: None) -> None:
    from waystation_agent.service import install  # noqa: PLC0415

    required(which("systemctl"), "systemd")
    place = Place(tmp_path)
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    (tmp_path / "etc/systemd/system/multi-user.target.wants").write_text("in the way")
    with pytest.raises(Fault, match="systemctl enable failed, so nothing was installed"):
        install(place, unit_text(place))
    assert _files(tmp_path) == {"etc/systemd/system/multi-user.target.wants"}


def test_without_systemd_nothing_is_installed_and_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reachable: None
) -> None:
    from waystation_agent.service import install  # noqa: PLC0415

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("waystation_agent.service.is_systemd_running", lambda: False)
    with pytest.raises(Fault, match="no systemd runs here"):
        install(Place(is_users=True), "text")
    assert _files(tmp_path) == set()


def test_print_shows_the_unit_and_changes_nothing(command: Command, folder: Folder) -> None:
    shown = command("install-service", "--user", "--print", "--data", str(folder.path), "--period", "30")
    assert shown.returncode == 0
    assert f"run --data {folder.path} --period 30\n" in shown.stdout
    assert _files(folder.path) == set()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--user", "--root", "/"), "exclude each other"),
        (("--root", "/does/not/exist"), "is not a folder"),
        (("--data", "/srv/elsewhere"), "leave --data out"),
        (("--period", "0"), "between 0.01 and 86400"),
    ],
)
def test_an_install_that_cannot_be_meant_is_code_2(command: Command, options: tuple[str, ...], why: str) -> None:
    ended = command("install-service", *options)
    assert ended.returncode == 2
    assert why in ended.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_pairs_belongs_to_the_service(folder: Folder, device: Identity) -> None:
    os.chown(folder.path, 61_184, 61_184)
    save(folder.identity, State(device))
    update(folder.identity, lambda state: state.without_claim())
    for path in folder.path.glob("agent.json*"):
        assert (path.stat().st_uid, path.stat().st_gid) == (61_184, 61_184), path
