"""`kill -9` while old readings go and others are deleted: nothing is lost that should stay, and nothing comes back."""

import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from waystation.kernel.db import Database
from waystation.telemetry.keeping.sweeps import deletion
from waystation.telemetry.keeping.tests import sweeps_to_kill
from waystation.telemetry.keeping.tests.test_sweeps import DAY, NOON, Hub, every

pytestmark = pytest.mark.servers
DEVICES = ("kitchen", "attic", "porch")


def run_for(url: str, now: str, seconds: float) -> bool:
    """Whether it came to its end before it was killed."""
    program = [sys.executable, sweeps_to_kill.__file__, url, now]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        knife = threading.Timer(seconds, running.kill)
        knife.start()
        said = running.stdout.readline()
        knife.cancel()
    return said == "done\n"


def filled(database: Database) -> Hub:
    hub = Hub(database).add_home()
    for name in DEVICES[1:]:
        hub.add_device(name)
    for day in range(12, 0, -1):  # in many chunks
        for name in DEVICES:
            hub.put(every(5, NOON - day * DAY, 288), device=name)
        hub.seal()
    return hub


@pytest.mark.parametrize("rounds", [4, pytest.param(40, marks=pytest.mark.faults)])
def test_killed_sweeps_end_as_if_nothing_had_happened(database: Database, rounds: int) -> None:
    hub = filled(database)
    before = {name: hub.raw(name) for name in DEVICES}
    hub.keep(6)
    span = NOON - 5 * DAY, NOON - 4 * DAY
    hub.ask(device="attic", first=span[0], last=span[1], typed="DELETE THIS RANGE")
    hub.now += timedelta(hours=1)
    url = database.url.render_as_string(hide_password=False)
    for one in range(rounds):
        run_for(url, hub.now.isoformat(), 0.02 + 0.015 * one)
        for name in DEVICES:
            now = hub.raw(name)
            assert now.items() <= before[name].items(), "nothing comes back, and nothing that was not there"
            young = {at for at in before[name] if at >= hub.now - 6 * DAY}
            if name == "attic":
                young -= {at for at in young if span[0] <= at <= span[1]}
            assert young <= now.keys(), "what should stay has stayed"
            assert hub.known(name) + (name == "attic") * 289 >= 12 * 288
    assert run_for(url, hub.now.isoformat(), 60)
    for name in DEVICES:
        young = {at: value for at, value in before[name].items() if at >= hub.now - 6 * DAY}
        if name == "attic":
            young = {at: value for at, value in young.items() if not span[0] <= at <= span[1]}
        assert hub.raw(name) == young
        assert hub.known(name) == 12 * 288 - (289 if name == "attic" else 0)
    assert deletion.delete(database, hub.now) == 0
