"""The MicroPython client of `firmware/micropython`, in the unix port of MicroPython, with the heap of a small board."""

import json
import time
from pathlib import Path

from firmware.conformance.client import Client, Manner
from firmware.micropython.tests.interpreter import FOLDER, command_line, rom

MAIN = FOLDER / "examples/full_node.py"


class MicroPython(Client):
    name = "micropython"

    @classmethod
    def prepare(cls) -> None:
        rom(MAIN)

    def command_line(self, server: str, claim: str, manner: Manner) -> list[str]:
        wanted = {
            "server": server,
            "code": claim,
            "name": self.folder.name,
            "period_ms": round(manner.period_seconds * 1000),
            "now_ms": time.time_ns() // 1_000_000 if manner.knows_time else 0,
            "wait_seconds": 30 if manner.long_poll else 0,
            "poll_seconds": 1,
        }
        return command_line(MAIN, [wanted])

    def package_folder(self, kind: str) -> Path | None:
        packages = self.folder / "state/packages"
        pointer = packages / f"current-{kind}"
        if not pointer.exists():
            return None
        return packages / json.loads(pointer.read_text().partition(" ")[2])["id"]
