"""What a person sees: the live status, the doctor's findings, the trying of sensors."""

import io
import json
import os
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from agent.tests.test_cli import Run, Start, command, start, until

from waystation_agent import doctor, live
from waystation_agent.doctor import Check, Verdict, examine
from waystation_agent.folder import Folder
from waystation_agent.identity import Identity, Paired
from waystation_agent.link import Server
from waystation_agent.local_hub import LocalHub
from waystation_agent.watch import frame, watch

pytestmark = pytest.mark.servers  # real processes, seconds each

__all__ = ["command", "start"]


def _found(folder: Folder) -> dict[str, Check]:
    return {check.name: check for check in examine(folder)}


# Status


def _status(command: Run) -> dict[str, object]:
    return json.loads(command("status", "--json").stdout)


def test_status_shows_each_sensor_with_its_fault__JR_A16(
    command: Run, start: Start, folder: Folder, device: Identity
) -> None:
    folder.sensors.write_text(
        '[[sensor]]\nkind = "exec"\nname = "rain"\ncommand = ["printf", "rain_mm=0.2"]\n'
        '[[sensor]]\nkind = "file"\nname = "tank"\npath = "/does/not/exist"\n'
    )
    start()
    until(lambda: len(json.dumps(_status(command)["sensors"]).split("0.2")) > 1)
    system, rain, tank = _status(command)["sensors"]  # type: ignore[misc]
    assert "memory_percent" in system["values"]
    assert (rain["values"], rain["fault"]) == ({"rain_mm": 0.2}, None)
    assert tank["fault"] == "/does/not/exist cannot be read: No such file or directory"
    shown = command("status").stdout
    assert "sensor tank: not read yet, FAULT: /does/not/exist cannot be read" in shown
    assert re.search(r"sensor rain: \d+ s ago\n  rain_mm +0.2\n", shown)


def test_sensor_values_arrive_at_the_hub(start: Start, hub: LocalHub, folder: Folder, device: Identity) -> None:
    folder.sensors.write_text(
        '[[sensor]]\nkind = "exec"\nprefix = "roof"\ncommand = ["printf", "rain_mm=0.2\\nsky=grey"]\n'
    )
    start()
    until(lambda: len(hub.ledger.times("roof_rain_mm")) >= 2 and len(hub.ledger.times("roof_sky")) >= 2)


def test_a_wrong_agent_toml_is_code_2_before_anything_starts(command: Run, folder: Folder, device: Identity) -> None:
    folder.sensors.write_text('[[sensor]]\nkind = "bme820"\n')
    ended = command("run")
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "agent.toml: [[sensor]] 1 (bme820): there is no sensor of kind 'bme820'" in ended.stderr
    assert not folder.spool.exists()


def test_a_sensor_that_hangs_does_not_hold_up_the_end__JR_A25(
    start: Start, hub: LocalHub, folder: Folder, device: Identity
) -> None:
    os.mkfifo(folder.path / "never written")
    path = json.dumps(str(folder.path / "never written"))
    folder.sensors.write_text(f'[[sensor]]\nkind = "file"\npath = {path}\n')
    agent = start()
    until(lambda: len(hub.ledger.times("load_1m")) >= 1)
    agent.send_signal(signal.SIGTERM)
    agent.communicate(timeout=30)
    assert agent.returncode == 0


def test_status_is_drawn_anew_until_ctrl_c(folder: Folder, device: Identity) -> None:
    master, terminal = pty.openpty()
    line = [sys.executable, "-m", "waystation_agent", "status", "--watch", "--data", str(folder.path)]
    watching = subprocess.Popen(line, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
    os.close(terminal)
    shown = b""
    while shown.count(b"\x1b[H") < 2:
        shown += os.read(master, 65_536)
    watching.send_signal(signal.SIGINT)
    while b"\x1b[?25h" not in shown:
        shown += os.read(master, 65_536)
    assert watching.wait(30) == 0
    os.close(master)
    assert b"attic" in shown
    assert b"Traceback" not in shown


def test_what_others_say_cannot_steer_the_terminal() -> None:
    drawn = frame("last error: \x1b[2Jgone\nlong " + "x" * 200, (40, 10))
    assert "\x1b[2J" not in drawn
    lines = [line.partition("\x1b[K")[0] for line in drawn.split("\r\n")]
    assert max(map(len, lines[1:])) == 40


def test_a_low_screen_shows_what_fits() -> None:
    assert frame("\n".join(map(str, range(50))), (40, 10)).count("\r\n") == 9


def test_without_a_terminal_no_escape_codes_are_written() -> None:
    def end(_seconds: float) -> None:
        raise KeyboardInterrupt

    out = io.StringIO()
    watch(lambda: "all is well", out, pause=end)
    assert out.getvalue() == "all is well\n\n"


def test_a_running_agent_tells_and_a_gone_one_does_not(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 20) / ("deeper" * 10)
    deep.mkdir(parents=True)
    path = deep / "agent.sock"
    assert live.ask(path) is None
    with live.told(path, lambda: {"pid": 7}):
        assert path.stat().st_mode & 0o777 == 0o600
        assert live.ask(path) == {"pid": 7}
        assert live.ask(path) == {"pid": 7}
    assert live.ask(path) is None
    assert not path.exists()


# Doctor


def test_a_healthy_agent_has_nothing_to_do(command: Run, start: Start, folder: Folder, device: Identity) -> None:
    start()
    until(lambda: live.ask(folder.live) is not None)
    ended = command("doctor")
    assert (ended.returncode, "fail" in ended.stdout) == (0, False), ended.stdout
    for name in (
        "folder",
        "disk",
        "spool",
        "clock",
        "agent",
        "state",
        "name",
        "connection",
        "tls",
        "server",
        "credential",
    ):
        assert re.search(rf"^ok    {name} ", ended.stdout, re.MULTILINE), ended.stdout


def test_the_doctors_findings_are_json_for_programs(command: Run, folder: Folder, device: Identity) -> None:
    found = json.loads(command("doctor", "--json").stdout)
    assert {"name": "credential", "verdict": "ok", "found": "accepted", "to_do": ""} in found


def test_not_paired_is_a_failure_with_the_command_to_pair(command: Run) -> None:
    ended = command("doctor")
    assert ended.returncode == 1
    assert "waystation-agent pair CODE" in ended.stdout
    assert "credential" not in ended.stdout


def test_a_refused_credential_is_found(folder: Folder, hub: LocalHub, device: Identity) -> None:
    hub.fault = lambda: 401
    assert _found(folder)["credential"].verdict is Verdict.FAIL
    hub.fault = lambda: 503
    assert _found(folder)["credential"].verdict is Verdict.WARN


def test_a_hub_that_is_off_ends_the_search_at_the_connection(folder: Folder, hub: LocalHub, device: Identity) -> None:
    hub.stop()
    found = _found(folder)
    assert found["connection"].verdict is Verdict.FAIL
    assert "refused" in found["connection"].found.lower()
    assert "server" not in found


def test_a_name_that_does_not_exist_is_found() -> None:
    check = doctor._name("no-such-hub.invalid", 80)
    assert check.verdict is Verdict.FAIL
    assert "no-such-hub.invalid" in check.found


def test_a_clock_that_differs_from_the_hubs_is_found(folder: Folder, hub: LocalHub, device: Identity) -> None:
    hub.wall = (datetime.now(UTC) - timedelta(hours=1)).timestamp
    check = _found(folder)["time"]
    assert (check.verdict, "ahead of" in check.found) == (Verdict.WARN, True)


def test_rights_that_are_too_wide_are_found(folder: Folder, device: Identity) -> None:
    folder.path.chmod(0o755)
    assert _found(folder)["folder"].verdict is Verdict.WARN
    folder.path.chmod(0o700)
    folder.identity.chmod(0o644)
    check = _found(folder)["folder"]
    assert (check.verdict, "agent.json" in check.found) == (Verdict.FAIL, True)


def test_a_damaged_spool_and_a_broken_state_file_are_found(folder: Folder) -> None:
    folder.spool.write_bytes(b"no database at all" * 100)
    folder.identity.write_text("{")
    found = _found(folder)
    assert found["spool"].verdict is Verdict.FAIL
    assert "pair this device again" in found["state"].to_do


def test_sensors_are_tried_by_the_doctor(folder: Folder) -> None:
    folder.sensors.write_text('[[sensor]]\nkind = "file"\nname = "tank"\npath = "/does/not/exist"\n')
    assert _found(folder)["sensor tank"].verdict is Verdict.FAIL
    folder.sensors.write_text("[[sensor]")
    assert _found(folder)["sensors"].verdict is Verdict.FAIL


# TLS, with certificates of a day


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Callable[[int], tuple[Paired, int]]]:
    """`secured(days)` listens with a certificate that is good for so long, and gives who trusts it."""
    listeners: list[socket.socket] = []

    def listen(days: int) -> tuple[Paired, int]:
        certificate = _certificate(tmp_path, days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=_shake_hands, args=(listener, context), daemon=True).start()
        port = listener.getsockname()[1]
        server = Server(f"https://localhost:{port}", str(certificate))
        return Identity(server, "", "k", "s", "attic", "secret"), port

    yield listen
    for listener in listeners:
        listener.close()


def _certificate(folder: Path, days: int) -> Path:
    path = folder / "certificate.pem"
    line = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=hub",
    ]
    line += [
        "-days",
        str(days),
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(path),
        "-out",
        str(folder / "c"),
    ]
    subprocess.run(line, check=True, capture_output=True)
    path.write_text(path.read_text() + (folder / "c").read_text())
    return path


def _shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = listener.accept()
    with connection:
        try:
            context.wrap_socket(connection, server_side=True).close()
        except OSError:
            return


def test_a_sound_certificate_is_told_with_its_end(secured: Callable[[int], tuple[Paired, int]]) -> None:
    paired, port = secured(90)
    check = doctor._tls(paired, "localhost", port)
    assert (check.verdict, "certificate until 20" in check.found) == (Verdict.OK, True)


def test_a_certificate_that_ends_soon_is_a_warning(secured: Callable[[int], tuple[Paired, int]]) -> None:
    paired, port = secured(5)
    assert doctor._tls(paired, "localhost", port).verdict is Verdict.WARN


def test_a_certificate_nobody_vouches_for_is_a_failure(secured: Callable[[int], tuple[Paired, int]]) -> None:
    paired, port = secured(90)
    stranger = Identity(Server(paired.server.url), "", "k", "s", "attic", "secret")
    check = doctor._tls(stranger, "localhost", port)
    assert (check.verdict, "not trusted" in check.found) == (Verdict.FAIL, True)


# Sensors, tried


def test_sensor_list_shows_kinds_options_and_what_is_set_up(command: Run, folder: Folder) -> None:
    folder.sensors.write_text('[[sensor]]\nkind = "file"\nprefix = "tank"\npath = "/x"\n')
    shown = command("sensor", "list").stdout
    for words in ("bme280", "bus = 1, address = 0x76", "1wire", "exec", "tank (file, prefix tank)"):
        assert words in shown


def test_sensor_test_reads_once_and_fails_if_one_does(command: Run, folder: Folder) -> None:
    folder.sensors.write_text(
        '[[sensor]]\nkind = "exec"\nname = "rain"\ncommand = ["printf", "0.2"]\nmetric = "rain_mm"\n'
    )
    tried = command("sensor", "test")
    assert (tried.returncode, "rain: ok\n  rain_mm = 0.2\n" in tried.stdout) == (0, True)
    folder.sensors.write_text('[[sensor]]\nkind = "file"\nname = "tank"\npath = "/does/not/exist"\n')
    tried = command("sensor", "test", "file")
    assert (tried.returncode, "tank: FAULT: /does/not/exist" in tried.stdout) == (1, True)
    assert "memory_percent" not in tried.stdout


def test_a_kind_that_is_not_set_up_is_tried_as_it_would_be(command: Run) -> None:
    assert "memory_percent" in command("sensor", "test", "system").stdout
    ended = command("sensor", "test", "bme820")
    assert (ended.returncode, "there is no sensor of kind 'bme820'" in ended.stderr) == (2, True)


def test_the_doctor_looks_at_scripts_packages_and_reboots(folder: Folder) -> None:
    folder.sensors.write_text(
        "system = false\n[commands]\nreboot = true\nreboot_command = ['true']\n"
        "[packages.config]\npath = '/none'\ncheck = ['/no/program']\n"
        "[[script]]\nname = 'valve'\ncommand = ['sh', '-c', 'true']\n"
    )
    found = {check.name: check for check in examine(folder)}
    assert [found[name].verdict for name in ("reboot", "script valve")] == [Verdict.OK, Verdict.OK]
    assert found["packages.config"].verdict is Verdict.WARN  # of several checks the last
    folder.sensors.write_text("[[script]]\nname = 'valve'\ncommand = ['/no/program']\n")
    assert {check.name: check.verdict for check in examine(folder)}["script valve"] is Verdict.FAIL
    assert "not allowed" in {check.name: check.found for check in examine(folder)}["reboot"]
    folder.sensors.write_text("[script]\n")
    assert {check.name: check.verdict for check in examine(folder)}["commands"] is Verdict.FAIL
