"""MQTT: published at QoS 1 to a real broker, with and without its password."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from tests.hub import free_port
from tests.servers import required

from waystation.alerts import channels
from waystation.alerts.channels.tests.site import Site
from waystation.kernel.errors import Invalid

pytestmark = pytest.mark.servers
PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


@dataclass
class Broker:
    port: int
    heard: list[bytes]


@contextmanager
def broker(folder: Path, *, protected: bool = False) -> Iterator[Broker]:
    required(PROGRAM and shutil.which("mosquitto_sub"), "mosquitto")
    port, login = free_port(), ["-u", "hub", "-P", "secret word"] if protected else []
    lines = [f"listener {port} 127.0.0.1", f"allow_anonymous {str(not protected).lower()}"]
    if protected:
        passwords = folder / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "hub", "secret word"], check=True)
        passwords.chmod(0o644)
        lines.append(f"password_file {passwords}")
    (folder / "mosquitto.conf").write_text("\n".join([*lines, "user root", ""]))
    running = subprocess.Popen([str(PROGRAM), "-c", str(folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)
    listen = ["stdbuf", "-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), *login, "-q", "1", "-t", "#", "-d"]
    _until_open(port)
    listening = subprocess.Popen(listen, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert listening.stdout is not None
    ready, heard = threading.Event(), list[bytes]()

    def hear() -> None:
        assert listening.stdout is not None
        for line in listening.stdout:
            if b"Subscribed" in line:
                ready.set()
            elif line.startswith(b"{"):
                heard.append(line.strip())

    thread = threading.Thread(target=hear)
    thread.start()
    try:
        assert ready.wait(20), "the listener did not subscribe"
        yield Broker(port, heard)
    finally:
        for program in (listening, running):
            program.terminate()
            program.wait()
        thread.join()
        listening.stdout.close()


def _until_open(port: int) -> None:

    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline, "mosquitto did not start"
            time.sleep(0.02)
        else:
            return


def until_heard(at: Broker) -> bytes:
    deadline = time.monotonic() + 60
    while not at.heard:
        assert time.monotonic() < deadline, "nothing was heard"
        time.sleep(0.02)
    return at.heard[0]


def test_a_notice_is_published_as_json(home: Site, tmp_path: Path) -> None:
    with broker(tmp_path) as at:
        home.add("mqtt", url=f"mqtt://127.0.0.1:{at.port}")
        home.put()
        home.send_all()
        told = msgspec.json.decode(until_heard(at))
    assert told["type"] == "fired"
    assert told["subject"] == "High Temperature Alert - Küche"
    assert told["lines"][0]["value"] == "31.2"
    assert [one.state for one in home.deliveries()] == ["sent"]


def test_a_wrong_password_waits_and_the_right_one_sends_it(home: Site, tmp_path: Path) -> None:
    with broker(tmp_path, protected=True) as at:
        made = home.add("mqtt", url=f"mqtt://127.0.0.1:{at.port}", username="hub", password="wrong")
        home.put()
        home.send_all()
        [one] = home.deliveries()
        assert one.state == "waiting"
        assert "did not take it" in (one.fault or "")
        assert b"wrong" not in home.kept(made).sealed
        with home.house.database.write() as tx:
            desk = channels.Desk(home.sealing, home.settings)
            given = {"password": "secret word"}
            desk.change(tx, home.actor, home.house.clock.now(), channel_id=made.channel.id, given=given)
        home.house.clock.turn(5)
        home.send_all()
        assert until_heard(at)
    assert [one.state for one in home.deliveries()] == ["sent"]


def test_a_broker_that_is_away_is_tried_again(home: Site) -> None:
    home.add("mqtt", url=f"mqtt://127.0.0.1:{free_port()}")
    home.put()
    home.send_all()
    assert [one.state for one in home.deliveries()] == ["waiting"]


@pytest.mark.parametrize(
    "given",
    [
        {"url": "http://broker.example/"},
        {"url": "mqtt://10.0.0.1:1883"},
        {"url": "mqtt://127.0.0.1", "topic": "a/#"},
        {"url": "mqtt://127.0.0.1", "topic": "$SYS/x"},
        {"url": "mqtt://127.0.0.1", "password": "secret"},
    ],
)
def test_what_no_broker_would_take_is_refused(home: Site, given: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        home.add("mqtt", **given)
