"""A lossy file system as a process that a test may kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.architecture.sources import ROOT

READY_SECONDS = 20


class Disk:
    """A folder on a volume of its own. After `cut()` comes `mount()` again, with what survived."""

    def __init__(self, place: Path, *, seed: int = 0, early: float = 0.2, quota_bytes: int = 1 << 30) -> None:
        self.folder, self._backing = place / "mounted", place / "backing"
        self.folder.mkdir(parents=True)
        self._backing.mkdir()
        self._options = (f"--early={early}", f"--quota-bytes={quota_bytes}")
        self._seed = seed
        self._serving: subprocess.Popen[bytes] | None = None

    def mount(self) -> None:
        """The luck of unsynced writes differs each time, by the seed."""
        self._seed += 1
        command = [sys.executable, "-m", "tests.faults.lossy_fs", self._backing, self.folder, f"--seed={self._seed}"]
        self._serving = subprocess.Popen([*command, *self._options], cwd=ROOT)
        until = time.monotonic() + READY_SECONDS
        while not os.path.ismount(self.folder):
            if self._serving.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the lossy file system could not be mounted")
            time.sleep(0.02)

    def cut(self) -> None:
        """The power goes: from now on nothing reaches the disk, and what was not synced is gone."""
        if self._serving is None:
            return
        self._serving.send_signal(signal.SIGKILL)
        self._serving.wait()
        self._serving = None
        subprocess.run(["fusermount3", "-u", "-z", "-q", self.folder], check=False)


@contextmanager
def lossy_disk(place: Path, **options: float) -> Iterator[Disk]:
    if not Path("/dev/fuse").exists() and not os.environ.get("CI"):
        pytest.skip("this machine has no /dev/fuse")
    disk = Disk(place, **options)  # type: ignore[arg-type]
    disk.mount()
    try:
        yield disk
    finally:
        disk.cut()
