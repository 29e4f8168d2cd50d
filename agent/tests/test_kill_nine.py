"""The promise, on a real process: every sample once at the hub, whatever dies in between."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from waystation_agent.delivery import ALL_SENT, Delivery
from waystation_agent.folder import Folder
from waystation_agent.identity import Identity, IdentityFile
from waystation_agent.local_hub import LocalHub
from waystation_agent.spool import Spool
from waystation_agent.timekeeper import MachineTicks, Timekeeper

pytestmark = pytest.mark.servers  # real processes, seconds each

FAULTS: tuple[int | str | None, ...] = (None, None, "cut", 503, 507, 429)


def test_four_kills_lose_and_double_nothing(folder: Folder, hub: LocalHub, device: Identity, tmp_path: Path) -> None:
    _live_and_die(folder, hub, 4, tmp_path / "hub.db")


@pytest.mark.faults
def test_a_hundred_kills_lose_and_double_nothing(
    folder: Folder, hub: LocalHub, device: Identity, tmp_path: Path
) -> None:
    _live_and_die(folder, hub, 100, tmp_path / "hub.db")


def _live_and_die(folder: Folder, hub: LocalHub, rounds: int, ledger: Path) -> None:
    chance = random.Random(rounds)
    port = hub.port
    for n in range(rounds):
        agent = _start(folder)
        hub.fault = lambda: chance.choice(FAULTS)
        _await_samples(folder, 4 * (n + 1))
        time.sleep(chance.uniform(0.0, 0.3))
        if n % 3 == 2:
            hub.stop()
            time.sleep(chance.uniform(0.0, 0.3))
            hub = LocalHub(ledger, port)
            time.sleep(chance.uniform(0.0, 0.3))
        agent.send_signal(signal.SIGKILL)
        agent.wait(10)
    hub.fault = lambda: None
    _deliver_the_rest(folder)
    _compare(folder, ledger)
    hub.stop()


def _start(folder: Folder) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "waystation_agent", "run", "--data", str(folder.path), "--period", "0.01"]
    return subprocess.Popen([*line, "--log-level", "error"])


def _await_samples(folder: Folder, most: int) -> None:
    """On a busy machine a start takes its time; a round without a sample would prove nothing."""
    give_up_at = time.monotonic() + 60
    with closing(Spool(folder.spool)) as spool:
        while spool._one("select seq from sqlite_sequence where name = 'sample'") < most:
            assert time.monotonic() < give_up_at, "nothing was sampled"
            time.sleep(0.02)


def _deliver_the_rest(folder: Folder) -> None:
    spool = Spool(folder.spool)
    delivery = Delivery(spool, IdentityFile(folder.identity), Timekeeper(MachineTicks()))
    while delivery.step() is not ALL_SENT:
        pass
    delivery.close()
    spool.close()


def _compare(folder: Folder, ledger: Path) -> None:
    """Every sample ever spooled has a number, without gaps; every sample at the hub has a time of its own."""
    with closing(sqlite3.connect(folder.spool)) as spool, closing(sqlite3.connect(ledger)) as hub:
        (spooled,) = spool.execute("select seq from sqlite_sequence where name = 'sample'").fetchone()
        arrived = dict(hub.execute("select metric, count(distinct at) from reading group by metric"))
        assert spool.execute("pragma integrity_check").fetchone() == ("ok",)
        assert spool.execute("select count(*) from quarantine").fetchone() == (0,)
    assert spooled > 10
    assert arrived["load_1m"] == arrived["uptime_seconds"] == arrived["memory_percent"] == spooled
    sys.stdout.write(f"{spooled} samples spooled, {arrived['load_1m']} arrived\n")
