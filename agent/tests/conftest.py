"""A hub, a paired folder and clocks that tests turn, shared by the agent's tests."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from waystation_agent import identity
from waystation_agent.delivery import ALL_SENT, Delivery, Pause
from waystation_agent.folder import Folder
from waystation_agent.identity import Identity, IdentityFile
from waystation_agent.link import Server
from waystation_agent.local_hub import LocalHub
from waystation_agent.pairing import Invitation, pair
from waystation_agent.sampler import Sampler
from waystation_agent.spool import LIMIT_BYTES, Spool
from waystation_agent.timekeeper import Timekeeper

CODE = "ABCDEFGHJKLM"
NOON_US = 1_800_000_000_000_000


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "faults: long fault runs; the normal run has a short form")


@dataclass
class HandTicks:
    """Clocks turned by hand: time passes on both, the wall clock alone can be set."""

    wall: int = NOON_US
    monotonic: int = 60_000_000
    boot: str = "first boot"

    def wall_us(self) -> int:
        return self.wall

    def monotonic_us(self) -> int:
        return self.monotonic

    def pass_seconds(self, seconds: float) -> None:
        self.wall += int(seconds * 1_000_000)
        self.monotonic += int(seconds * 1_000_000)


@dataclass
class Bench:
    """An agent taken apart: its pieces on one folder, each moved by the test."""

    folder: Folder
    ticks: HandTicks = field(default_factory=HandTicks)
    limit_bytes: int = LIMIT_BYTES
    values: dict[str, float] = field(default_factory=lambda: {"load_1m": 0.5, "uptime_seconds": 7.0})

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """What a kill -9 and a start leave: the files, and nothing that was in memory."""
        self.close()
        self.spool = Spool(self.folder.spool, self.limit_bytes)
        self.timekeeper = Timekeeper(self.ticks)
        self.sampler = Sampler(lambda: self.values, self.spool, self.timekeeper)
        identities = IdentityFile(self.folder.identity)
        self.delivery = Delivery(self.spool, identities, self.timekeeper, luck=lambda: 0.5)

    def sample(self, times: int = 1, every_seconds: float = 10.0) -> None:
        for _ in range(times):
            self.sampler.take()
            self.ticks.pass_seconds(every_seconds)

    def deliver(self, most_steps: int = 10_000) -> Pause:
        """Step without pausing until all is sent or the agent would wait."""
        for _ in range(most_steps):
            pause = self.delivery.step()
            if pause is ALL_SENT or pause.seconds > 0:
                return pause
        raise AssertionError("delivery does not come to rest")

    def close(self) -> None:
        if hasattr(self, "spool"):
            self.delivery.close()
            self.spool.close()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    hub = LocalHub(tmp_path / "hub.db")
    yield hub
    hub.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "agent")
    folder.make()
    return folder


@pytest.fixture
def device(hub: LocalHub, folder: Folder) -> Identity:
    return pair(folder.identity, Invitation(hub.url, CODE), Server(hub.url), name="attic")


@pytest.fixture
def bench(folder: Folder) -> Iterator[Bench]:
    """An agent that is not paired; tests that deliver ask for `device` too."""
    bench = Bench(folder)
    yield bench
    bench.close()


@pytest.fixture
def unpair(folder: Folder) -> Callable[[], None]:
    return lambda: identity.save(folder.identity, identity.State())
