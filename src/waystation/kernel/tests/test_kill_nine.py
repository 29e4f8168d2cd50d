"""`kill -9` of the whole hub while devices send: nothing acknowledged is lost, and doubles can be told."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from waystation.kernel.tests import hub_to_kill
from waystation.kernel.tests.nats_site import Device, free_port, until

pytestmark = [pytest.mark.anyio, pytest.mark.servers]

TELEMETRY = "d/kitchen2/up/telemetry"
MESSAGES = 200


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def running(folder: Path, port: int) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """The hub's process and its server's pid."""
    hub = await asyncio.create_subprocess_exec(
        sys.executable, hub_to_kill.__file__, str(folder), str(port), stdout=asyncio.subprocess.PIPE
    )
    assert hub.stdout is not None
    try:
        said = b""
        while not said.strip().isdigit():
            said = await hub.stdout.readline()
            assert said, "the hub ended"
        yield hub, int(said)
    finally:
        if hub.returncode is None:
            hub.kill()
        await hub.communicate()


def stored(folder: Path) -> list[tuple[bytes, bytes, bytes]]:
    """(at, sequence, payload) of every whole line."""
    whole = (folder / "stored").read_bytes().rpartition(b"\n")[0]
    return [tuple(line.split(b" ", 2)) for line in whole.split(b"\n") if line]  # type: ignore[misc]


@pytest.mark.parametrize("rounds", [2, pytest.param(25, marks=pytest.mark.faults)])
async def test_what_a_device_was_told_is_stored_is_stored(tmp_path: Path, rounds: int) -> None:
    port = free_port()
    acknowledged: set[bytes] = set()
    for one_round in range(rounds):
        async with running(tmp_path, port) as (hub, server_pid):
            device = Device(port, "kitchen2")
            assert await asyncio.to_thread(device.connect)
            sent = {b"%d.%d" % (one_round, number): None for number in range(MESSAGES)}
            answers = {payload: device.client.publish(TELEMETRY, payload, 1) for payload in sent}
            await until(lambda answers=answers: sum(one.is_published() for one in answers.values()) > MESSAGES // 3)
            hub.kill()
            await until(lambda pid=server_pid: not psutil.pid_exists(pid))
            acknowledged |= {payload for payload, one in answers.items() if one.is_published()}
            await asyncio.to_thread(device.close)

    async with running(tmp_path, port):
        await until(lambda: acknowledged <= {payload for _, _, payload in stored(tmp_path)})
    by_stamp = {(at, sequence): payload for at, sequence, payload in stored(tmp_path)}
    assert len(acknowledged) > rounds * MESSAGES // 3
    assert len(set(by_stamp.values())) == len(by_stamp), "a redelivery has the stamp of the first delivery"


async def test_the_server_ends_with_a_killed_hub(tmp_path: Path) -> None:
    async with running(tmp_path, free_port()) as (hub, server_pid):
        os.kill(hub.pid, 9)
        await until(lambda: not psutil.pid_exists(server_pid))
