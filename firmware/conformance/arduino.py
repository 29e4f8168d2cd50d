"""The Arduino library's full node, compiled for this machine under the sanitizers."""

import fcntl
import os
import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path

from firmware.conformance.client import Client, Manner
from tests.servers import required

HOST = Path(__file__).parents[1] / "arduino" / "host"
HEAD = struct.Struct("<4I")  # magic, number, size, checksum
BUILT = Path(__file__).parents[2] / "build" / "arduino"


class Arduino(Client):
    name = "arduino"

    @classmethod
    def prepare(cls) -> None:
        build()

    def command_line(self, server: str, claim: str, manner: Manner) -> list[str]:
        words = [str(BUILT / "waystation-node"), "--server", server, "--dir", str(self.folder)]
        words += ["--name", self.folder.name, "--period", str(manner.period_seconds)]
        words += ["--claim", claim] if claim else []
        words += [] if manner.knows_time else ["--no-clock"]
        return [*words, "--long-poll"] if manner.long_poll else words

    def put(self, name: str, content: bytes) -> None:
        (self.folder / "flash").mkdir(exist_ok=True)
        (self.folder / "flash" / name).write_bytes(content)

    def package_folder(self, kind: str) -> Path | None:
        """By the pointer of Packages.h, in the newer of the two slots of Record.h."""
        flash = self.folder / "flash" / "ws"
        slots = [slot.read_bytes() for slot in (flash / f"{kind}.0", flash / f"{kind}.1") if slot.exists()]
        if not slots:
            return None
        newest = max(slots, key=lambda slot: HEAD.unpack_from(slot)[1])
        active = chr(newest[HEAD.size])
        return flash / kind / active if active in "ab" else None


@cache
def build(*targets: str) -> None:
    """Once for all processes of a test run; what has not changed is not compiled again."""
    required(shutil.which("g++") and shutil.which("make"), "g++ or make")
    BUILT.mkdir(parents=True, exist_ok=True)
    command = ["make", "-C", str(HOST), f"-j{os.cpu_count()}", *targets]
    with (BUILT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
