"""Every service of the MicroPython client leaves a quarter of a small board's heap free; all at once fit it."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from firmware.conformance.desk import Desk
from firmware.micropython.tests.interpreter import FOLDER, HEAP_BYTES, WORD_BYTES, rom, run
from tests.hub import Hub

from waystation.commands import feature

pytestmark = pytest.mark.servers

MAIN = FOLDER / "tests/measure.py"
FREE = {"readings": 0.25, "messages": 0.25, "commands": 0.25, "upload": 0.25, "packages": 0.25, "all": 0.05}
MEMBERS = {f"part-{number}.bin": random.Random(number).randbytes(number * 700) for number in range(20)}


@pytest.mark.skipif(not feature.hot, reason="devices cannot ask for commands yet")
def test_every_service_fits_a_heap_of_40_kb(
    standing_hub: Hub, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    rom(MAIN)  # skips where there is no MicroPython
    desk = Desk(standing_hub)
    for service in FREE:
        folder = tmp_path / service
        folder.mkdir()
        peak = _peak(standing_hub, desk, service, folder)
        record_property("heap", f"{service:10}{peak:10}{peak * 4 // WORD_BYTES:14}")


def _peak(hub: Hub, desk: Desk, service: str, folder: Path) -> int:
    """Bytes alive at most. What is to stay free is not there: a service that needs more ends with a MemoryError."""
    device = hub.register_device(f"heap {service}")
    if service in ("commands", "all"):
        desk.send(device.key, "note", {"text": "hello"})
    if service in ("packages", "all"):
        desk.stage(device.key, "config", MEMBERS)
    wanted: dict[str, Any] = {"server": hub.url, "key": device.key, "api_key": device.api_key, "service": service}
    wanted["now_ms"] = time.time_ns() // 1_000_000
    return int(run(MAIN, [wanted], folder=folder, heap_bytes=round(HEAP_BYTES * (1 - FREE[service]))))
