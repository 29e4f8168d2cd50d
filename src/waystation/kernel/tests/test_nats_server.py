import asyncio
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation.kernel import children, nats_server
from waystation.kernel.errors import Conflict
from waystation.kernel.mqtt_inbox import Delivery
from waystation.kernel.nats_keys import AccountKey, claims_of
from waystation.kernel.nats_server import EmbeddedNats
from waystation.kernel.tests.nats_site import device, embedded, free_port, site, until

pytestmark = [pytest.mark.anyio, pytest.mark.servers]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedNats]:
    made = embedded(tmp_path, free_port())
    await made.start()
    yield made
    await made.stop()


async def test_a_server_tells_how_it_is(server: EmbeddedNats) -> None:
    state = server.state()
    assert state.is_running
    assert state.version
    assert state.pid
    assert state.memory_bytes > 0
    assert (state.restarts, state.trouble) == (0, None)


async def test_a_stopped_server_leaves_no_process_and_no_url(tmp_path: Path) -> None:
    server = embedded(tmp_path, 0)
    await server.start()
    pid = server.state().pid
    await server.stop()
    assert pid
    assert not psutil.pid_exists(pid)
    assert server.url() is None
    assert not server.state().is_running


async def test_passwords_and_keys_are_the_owners_only(server: EmbeddedNats, tmp_path: Path) -> None:
    names = ("nats/server.conf", "nats/server.pid", "keys/nats-account.key", "keys/nats-password.key")
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in names} == {0o600}


async def test_a_killed_server_is_started_again(server: EmbeddedNats) -> None:
    first = server.state().pid
    os.kill(first or 0, signal.SIGKILL)
    await until(lambda: server.state().restarts)
    assert server.state().is_running
    assert server.state().pid != first


async def test_a_taken_mqtt_port_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = embedded(tmp_path, port)
        with pytest.raises(Conflict, match=f"port {port} for MQTT is in use"):
            await server.start()
        await server.stop()
    assert server.url() is None


async def test_a_folder_has_one_server(server: EmbeddedNats, tmp_path: Path) -> None:
    """The second start is another process's; here its pid is written down as one that lives and is not ours."""
    path = tmp_path / "nats" / "server.pid"
    told = json.loads(path.read_bytes())
    parent = psutil.Process(os.getppid())
    path.write_text(json.dumps({**told, "parent": {"pid": parent.pid, "began_at": parent.create_time()}}))
    with pytest.raises(Conflict, match="another Waystation"):
        await embedded(tmp_path, free_port()).start()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def told(path: Path, child: children.Living) -> Path:
    gone = {"pid": 2**22 + 1, "began_at": 1.0}
    path.write_text(json.dumps({"child": {"pid": child.pid, "began_at": child.began_at}, "parent": gone}))
    return path


def test_a_leftover_of_a_killed_parent_is_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    leftover = children.Living.of(sleeper.pid)
    children.end_leftover(told(tmp_path / "pid", leftover))
    assert leftover.find() is None


def test_a_strangers_process_with_the_same_number_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    stranger = children.Living(sleeper.pid, children.Living.of(sleeper.pid).began_at - 1000)
    children.end_leftover(told(tmp_path / "pid", stranger))
    assert sleeper.poll() is None


@pytest.mark.parametrize("content", [b"", b"17", b"{}", b"[]", b'{"child": 3, "parent": 4}'])
def test_a_damaged_note_of_a_child_is_ignored(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pid"
    path.write_bytes(content)
    children.end_leftover(path)


async def test_a_platform_without_the_binary_goes_on_without_mqtt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_server, "find_binary", lambda: None)
    server = embedded(tmp_path, free_port())
    await server.start()
    assert server.url() is None
    assert "no nats-server for this machine" in (server.state().trouble or "")
    await server.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """24 MB that can really be full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.faults
async def test_after_a_full_disk_the_server_is_started_anew(small_disk: Path) -> None:
    async with site(small_disk) as hub, device(hub.port, "kitchen2") as kitchen:
        ballast = small_disk / "ballast"
        topic = "d/kitchen2/up/telemetry"
        assert await asyncio.to_thread(kitchen.send, topic, b"before")
        _fill(ballast)
        sent = [kitchen.client.publish(topic, bytes(100_000), 1) for _ in range(20)]
        await until(lambda: "disk is full" in (hub.server.state().trouble or ""))
        assert not all(one.is_published() for one in sent)
        ballast.unlink()
        await until(lambda: hub.server.state().restarts)
        await asyncio.to_thread(kitchen.return_)
        await until(lambda: all(one.is_published() for one in sent))
        await until(lambda: len({message.sequence for message in hub.store.messages}) >= 21)
    assert hub.server.state().restarts == 1


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


numbers = st.integers(0, 2**63)
names = st.text("abc_-", min_size=1)


@given(numbers, numbers, numbers, names, st.booleans())
def test_a_reply_subject_tells_of_its_delivery(times: int, sequence: int, at_ns: int, name: str, short: bool) -> None:  # noqa: FBT001
    ending = f"$MQTT_msgs.{name}.{times}.{sequence}.7.{at_ns}.3"
    reply = f"$JS.ACK.{ending}" if short else f"$JS.ACK._.hash.{ending}.random"
    assert Delivery.of(reply) == Delivery(times, sequence, at_ns // 1000)


@given(st.binary(min_size=32, max_size=32), st.dictionaries(names, st.text() | st.integers()))
def test_claims_are_read_as_they_were_signed(raw: bytes, claims: dict[str, str | int]) -> None:
    key = AccountKey(base64.urlsafe_b64encode(raw).rstrip(b"="))
    read = claims_of(key.signed(claims).encode())
    assert claims.items() <= read.items()
    assert read["iss"] == key.public
    assert key.public.startswith("A")
    assert len(key.public) == 56
