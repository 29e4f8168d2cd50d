"""An agent paired by the text of a QR code; its hub is away for a while, it is killed twice: no gap, no double."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from tests.hub import DIES_WITH_THE_TEST, Hub, Registered

from waystation_agent.spool import Spool

pytestmark = pytest.mark.servers
PATIENCE_SECONDS = 120
METRIC = "memory_percent"


class Agent:
    """The program on its folder, started and killed any number of times."""

    def __init__(self, folder: Path, period_seconds: float) -> None:
        self.folder = folder
        self.period_seconds = period_seconds
        self._program: subprocess.Popen[bytes] | None = None

    def pair(self, text: str) -> None:
        line = [sys.executable, "-m", "waystation_agent", "pair", text, "--data", str(self.folder)]
        subprocess.run(line, check=True, capture_output=True, timeout=60)

    def start(self) -> None:
        line = [sys.executable, "-m", "waystation_agent", "run", "--data", str(self.folder)]
        line += ["--period", str(self.period_seconds), "--log-level", "error"]
        self._program = subprocess.Popen([*DIES_WITH_THE_TEST, *line])

    def kill(self) -> None:
        assert self._program
        self._program.send_signal(signal.SIGKILL)
        self._program.wait()

    def sampled(self) -> int:
        """How many samples it has ever put on its disk."""
        with closing(Spool(self.folder / "spool.db")) as spool:
            return spool._one("select seq from sqlite_sequence where name = 'sample'")

    def wait_for(self, more: int) -> None:
        wanted, give_up_at = self.sampled() + more, time.monotonic() + PATIENCE_SECONDS
        while self.sampled() < wanted:
            assert time.monotonic() < give_up_at, "it does not sample"
            time.sleep(0.05)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub")
    made.start()
    yield made
    made.kill_all()


def _chart(hub: Hub, device: Registered) -> list[float]:
    """The times of the points, in milliseconds, as the page draws them."""
    return [point[0] for point in hub.readings(device).get(METRIC, [])]


def _walk(hub: Hub, agent: Agent, away_seconds: float) -> None:
    code = hub.command("device", "claim", "Porch Pi")["code"]
    agent.pair(json.dumps({"server": hub.url, "code": code}))  # what the QR code of the page says
    (found,) = hub.command("device", "list")
    device = Registered(found["key"], "", "")
    agent.start()
    agent.wait_for(5)
    hub.kill_all()
    deaths: list[float] = []
    for _ in range(2):
        time.sleep(away_seconds / 2)
        agent.wait_for(3)
        deaths.append(time.time() * 1_000)
        agent.kill()
        agent.start()
        agent.wait_for(3)
        if len(deaths) == 1:
            hub.start()
    agent.wait_for(5)
    agent.kill()
    _compare(hub, agent, device, deaths)


def _compare(hub: Hub, agent: Agent, device: Registered, deaths: list[float]) -> None:
    """Every sample has a number on the agent's disk, without gaps: each is one point, with a time of its own.

    What died with unsent samples delivers them in its next life.
    """
    sampled = agent.sampled()
    agent.period_seconds = 3_600.0
    agent.start()
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while len(times := _chart(hub, device)) < sampled:
        assert time.monotonic() < give_up_at, f"{sampled} samples, {len(times)} arrived"
        time.sleep(0.2)
    agent.kill()
    times = times[:sampled]  # the last life has taken one of its own
    assert times == sorted(set(times)), "two points of one time"
    steps = [(after - before, before) for before, after in pairwise(times)]
    alive = [step for step, before in steps if not any(before <= death <= before + step for death in deaths)]
    sys.stdout.write(
        f"{sampled} samples, {len(times)} points, 0 doubles; largest step while it ran: {max(alive):.0f} ms\n"
    )


def test_an_agent_paired_by_qr_text_leaves_no_gap_and_no_double_in_the_chart(hub: Hub, tmp_path: Path) -> None:
    _walk(hub, Agent(tmp_path / "agent", 0.5), 4)


@pytest.mark.faults
def test_a_hub_that_is_away_for_a_minute_leaves_no_gap_and_no_double_in_the_chart(hub: Hub, tmp_path: Path) -> None:
    _walk(hub, Agent(tmp_path / "agent", 2.0), 60)
