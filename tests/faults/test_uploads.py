"""Uploads through kill -9, power cuts and a full disk: acknowledged bytes stay, and nothing half is left."""

import base64
import hashlib
import http.client
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from tests.faults.figures import report
from tests.faults.mounting import lossy_disk
from tests.faults.test_full_disk import fill
from tests.hub import Hub, Registered
from tests.servers import StartHub

pytestmark = pytest.mark.servers

MEBIBYTE = 1 << 20
PART_BYTES = 150_000
PATIENCE_SECONDS = 120
FINISHED_EACH_ROUND = 2


@dataclass
class Uploads:
    """A device that uploads one file after the other, in parts, and goes on after every break; in a thread."""

    hub: Hub
    device: Registered
    finished: dict[str, str] = field(default_factory=dict[str, str])  # SHA-256 by id
    acknowledged: int = 0
    wrong: list[str] = field(default_factory=list[str])

    def __enter__(self) -> Self:
        self._luck = random.Random(3)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_ended: object) -> None:
        self._stopping.set()
        self._thread.join(PATIENCE_SECONDS)

    def wait_for(self, more: int) -> None:
        wanted, until = len(self.finished) + more, time.monotonic() + PATIENCE_SECONDS
        while len(self.finished) < wanted:
            assert time.monotonic() < until, self.hub.log[-2000:]
            assert self._thread.is_alive()
            time.sleep(0.02)

    def _run(self) -> None:
        number = 0
        while not self._stopping.is_set():
            number += 1
            self._send(f"{number}.bin", self._luck.randbytes(self._luck.randrange(1, 6 * PART_BYTES)))

    def _send(self, name: str, content: bytes) -> None:
        told = {
            "Upload-Length": str(len(content)),
            "Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()}",
        }
        _, headers = self._until_answered("POST", "/api/uploads", told)
        place, offset = headers["location"], 0
        while "x-file" not in headers:
            part = content[offset : offset + PART_BYTES]
            named = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
            answered = self._ask("PATCH", place, named, part)
            if answered is None or answered[0] in (409, 423) or answered[0] >= 500:  # a disk without power says so
                answered = self._until_answered("HEAD", place, {})
            status, headers = answered
            if status not in (200, 204):
                self.wrong.append(f"{name} at {offset}: {status}")
                return
            reached = int(headers["upload-offset"])
            if reached < offset:
                self.wrong.append(f"{name}: {offset} bytes were acknowledged, {reached} are there")
            self.acknowledged += max(0, reached - offset)
            offset = reached
        self.finished[headers["x-file"]] = hashlib.sha256(content).hexdigest()

    def _until_answered(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        until = time.monotonic() + PATIENCE_SECONDS
        while (answered := self._ask(method, path, headers)) is None or answered[0] >= 500:
            assert time.monotonic() < until
            time.sleep(0.05)
        return answered

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[int, dict[str, str]] | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.hub.port, timeout=60)
        named = {"Authorization": self.device.authorization, "Tus-Resumable": "1.0.0", **headers}
        try:
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return None
        else:
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()


def check(uploads: Uploads, hub: Hub, name: str, rounds: int) -> None:
    """Every finished file is there and is what was sent; every blob is what its name says."""
    listed = {one["id"]: one["sha256"] for one in hub.get("/api/files?limit=500")["files"]}
    lost = [uid for uid, sha256 in uploads.finished.items() if listed.get(uid) != sha256]
    blobs = hub.data / "blobs"
    damaged = [
        path.name for path in blobs.glob("??/??/*") if hashlib.sha256(path.read_bytes()).hexdigest() != path.name
    ]
    kept = {path.name for path in blobs.glob("??/??/*")}
    missing = [sha256 for sha256 in uploads.finished.values() if sha256 not in kept]
    report(
        name,
        rounds=rounds,
        files=len(uploads.finished),
        acknowledged_bytes=uploads.acknowledged,
        lost=len(lost) + len(missing),
        damaged=len(damaged),
    )
    assert (lost, missing, damaged, uploads.wrong) == ([], [], [], [])


def cut_power(hub: StartHub, place: Path, *, rounds: int, seed: int) -> None:
    luck = random.Random(seed)
    with lossy_disk(place / "disk", seed=seed) as disk:
        running = hub(data=disk.folder / "data", log=place / "hub.log")
        device, _ = running.register_device("on a bad disk"), running.token
        with Uploads(running, device) as uploads:
            for _ in range(rounds):
                uploads.wait_for(FINISHED_EACH_ROUND)
                time.sleep(luck.random() / 2)
                disk.cut()
                running.kill_all()
                disk.mount()
                running.start()
            uploads.wait_for(1)
        check(uploads, running, f"uploads, power cut seed {seed}", rounds)
        running.stop()


def crash(hub: StartHub, rounds: int) -> None:
    luck = random.Random(rounds)
    running = hub()
    with Uploads(running, running.register_device("unlucky")) as uploads:
        for _ in range(rounds):
            uploads.wait_for(FINISHED_EACH_ROUND)
            time.sleep(luck.random() / 2)
            running.kill_all()
            running.start()
        uploads.wait_for(1)
    check(uploads, running, f"uploads, kill -9 {rounds} rounds", rounds)
    running.stop()


def test_power_cuts_lose_nothing_of_an_upload(hub: StartHub, tmp_path: Path) -> None:
    cut_power(hub, tmp_path, rounds=2, seed=1)


def test_kills_lose_nothing_of_an_upload(hub: StartHub) -> None:
    crash(hub, 3)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(100, 600, 100))
def test_many_power_cuts_lose_nothing_of_an_upload(seed: int, hub: StartHub, tmp_path: Path) -> None:
    cut_power(hub, tmp_path, rounds=10, seed=seed)


@pytest.mark.faults
def test_fifty_kills_lose_nothing_of_an_upload(hub: StartHub) -> None:
    crash(hub, 50)


@pytest.mark.parametrize(("min_free_bytes", "leave_bytes"), [(64 * MEBIBYTE, 70 * MEBIBYTE), (0, 6 * MEBIBYTE)])
def test_a_full_disk_refuses_files_and_leaves_nothing_half(
    min_free_bytes: int, leave_bytes: int, hub: StartHub, tmp_path: Path
) -> None:
    """With the reserve, and without any: then it is the write itself that fails."""
    environment = {"WAYSTATION_MIN_FREE_BYTES": str(min_free_bytes)}
    with lossy_disk(tmp_path / "disk", quota_bytes=256 * MEBIBYTE, early=0) as disk:
        running = hub(data=disk.folder / "data", log=tmp_path / "hub.log", environment=environment)
        device, _ = running.register_device("filling"), running.token
        ballast = fill(disk, leave_bytes=leave_bytes)
        status = sent_whole(running, device, bytes(8 * MEBIBYTE))
        assert status == 507
        blobs = running.data / "blobs"
        assert [path for path in blobs.rglob("*") if path.is_file()] == []
        ballast.unlink()
        assert sent_whole(running, device, b"small again") == 200
        running.stop()
        assert running.integrity() == "ok"


def sent_whole(hub: Hub, device: Registered, content: bytes) -> int:
    """Chunked, so that nothing says beforehand how long it is."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=120)
    pieces = (content[at : at + 65_536] for at in range(0, len(content), 65_536))
    headers = {"Authorization": device.authorization}
    connection.request("POST", "/api/uploads/whole?name=a.bin", pieces, headers, encode_chunked=True)
    status = connection.getresponse().status
    connection.close()
    return status
