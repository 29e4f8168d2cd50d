"""The disk is full: readings are refused with a clear word, nothing breaks, and with space again it simply goes on."""

import shutil
import time
from pathlib import Path

import pytest
from tests.faults.figures import report
from tests.faults.mounting import Disk, lossy_disk
from tests.hub import Hub, Registered
from tests.servers import StartHub

pytestmark = pytest.mark.servers

MEBIBYTE = 1 << 20
VALUES_A_CALL = 500
RECOVERY_SECONDS = 30


def send(hub: Hub, device: Registered, first: int) -> tuple[int, str]:
    """Status and word of a call with many readings."""
    base = 1_767_225_600_000
    batch = [{"at": base + n, "values": {"n": n}} for n in range(first, first + VALUES_A_CALL)]
    status, body = hub.post("/api/readings", batch, device.authorization)
    return status, body.get("code", "")


def fill(disk: Disk, *, leave_bytes: int) -> Path:
    ballast = disk.folder / "ballast"
    with ballast.open("ab") as file:
        while (room := shutil.disk_usage(disk.folder).free - leave_bytes) > 0:
            file.write(bytes(min(room, MEBIBYTE)))
            file.flush()
    return ballast


def sent_until_refused(hub: Hub, device: Registered) -> tuple[int, str]:
    """How many readings were acknowledged before the first refusal, and its word."""
    for call in range(2_000):
        status, word = send(hub, device, call * VALUES_A_CALL)
        if status != 200:
            assert status == 507, f"{status} {word}"
            return call * VALUES_A_CALL, word
    raise AssertionError("the disk never got full")


def sent_again(hub: Hub, device: Registered, first: int) -> None:
    until = time.monotonic() + RECOVERY_SECONDS
    while (answer := send(hub, device, first))[0] != 200:
        assert time.monotonic() < until, f"still refused with space again: {answer}"
        time.sleep(0.2)


@pytest.mark.parametrize(("min_free_bytes", "leave_bytes"), [(64 * MEBIBYTE, 70 * MEBIBYTE), (0, 2 * MEBIBYTE)])
def test_a_full_disk_refuses_readings_and_recovers_without_a_restart(
    min_free_bytes: int, leave_bytes: int, hub: StartHub, tmp_path: Path
) -> None:
    """With the reserve that keeps the hub's own housekeeping alive, and without any, down to the last page."""
    environment = {"WAYSTATION_MIN_FREE_BYTES": str(min_free_bytes)}
    with lossy_disk(tmp_path / "disk", quota_bytes=256 * MEBIBYTE, early=0) as disk:
        running = hub(data=disk.folder / "data", log=tmp_path / "hub.log", environment=environment)
        device, pid, _ = running.register_device("filling"), running.pid, running.token
        ballast = fill(disk, leave_bytes=leave_bytes)
        acknowledged, word = sent_until_refused(running, device)
        assert word == "storage_full"
        ballast.unlink()
        sent_again(running, device, acknowledged)
        acknowledged += VALUES_A_CALL
        values = [value for _, value in running.readings(device)["n"]]
        report(f"full disk reserve {min_free_bytes}", acknowledged=acknowledged, stored=len(values))
        assert values == list(range(acknowledged))
        assert running.pid == pid
        running.stop()
        assert running.integrity() == "ok"
