"""The crash matrix of packages: the agent dies, the line breaks at every step; every package ends, and as a whole."""

import itertools
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from agent.tests.lives import Cut, Lives

from waystation_agent import programs
from waystation_agent.folder import Folder
from waystation_agent.identity import Identity
from waystation_agent.local_hub import LocalHub
from waystation_agent.packages.config import Manner
from waystation_agent.packages.rounds import MOST_TRIES

pytestmark = pytest.mark.servers  # thousands of commits

OLD = {"a.txt": b"old", "deep/b.bin": b"b" * 100_000}
NEW = {"a.txt": b"new", "deep/b.bin": b"c" * 100_000, "more.txt": b""}


@pytest.fixture
def lives(folder: Folder, hub: LocalHub, device: Identity) -> Iterator[Lives]:
    made = Lives(folder, hub)
    made.manners = {
        "config": Manner(
            str(folder.packages / "config"),
            after=("true",),
            check=("sh", "-c", "! test -e $WAYSTATION_PACKAGE_FOLDER/bad"),
        )
    }
    made.begin()
    made.deploy(hub.files.stage("config-0", "config", OLD))
    yield made
    made.end()


@pytest.mark.parametrize("is_good", [True, False], ids=["good", "bad"])
def test_the_agent_dies_at_every_step(lives: Lives, *, is_good: bool) -> None:
    deaths, before = 0, OLD
    for moment in itertools.count(1):
        wanted = {**NEW, "n": f"{moment}".encode()} | ({} if is_good else {"bad": b""})
        lives.power.off_at, lives.power.moments = moment, 0
        package = lives.hub.files.stage(f"config-{moment}", "config", wanted)
        died = lives.deploy(package)
        deaths += died
        after = lives.deployed("config")
        assert lives.hub.files.package(package)[0] == ("deployed" if is_good else "failed")
        assert after == (wanted if is_good else before)
        said = Counter(lives.hub.files.reports(package))
        assert said["deployed"] + said["failed"] in {1, 2}, said  # the answer to the first may have been lost
        before = after
        if not died:
            break
    assert deaths > 20
    sys.stdout.write(f"{'good' if is_good else 'bad'} package: the agent died at each of {deaths} moments\n")


@pytest.mark.parametrize("fault", ["cut", "lost", 503, 401])
def test_the_line_or_the_hub_fails_at_every_call(lives: Lives, fault: int | str) -> None:
    for before in range(10):
        sound = itertools.chain(itertools.repeat(None, before), [fault], itertools.repeat(None))
        lives.hub.fault = lambda sound=sound: next(sound)  # type: ignore[misc]
        wanted = {**NEW, "n": f"{before}".encode()}
        package = lives.hub.files.stage(f"config-{before}", "config", wanted)
        lives.deploy(package)
        lives.hub.fault = lambda: None
        assert lives.hub.files.package(package) == ("deployed", "")
        assert lives.deployed("config") == wanted


def test_a_package_whose_check_always_ends_the_agent_is_rolled_back(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    def deadly(command: tuple[str, ...], timeout_seconds: float, **_named: object) -> programs.Ended:
        runs.append(command[0])
        if len(runs) <= MOST_TRIES:
            raise Cut
        return programs.Ended(0, (b"",))

    monkeypatch.setattr(programs, "carry_out", deadly)
    package = lives.hub.files.stage("config-9", "config", NEW)
    assert lives.deploy(package) == MOST_TRIES
    state, detail = lives.hub.files.package(package)
    assert (state, detail) == ("failed", "the agent ended whenever it was checked; the former version is back")
    assert lives.deployed("config") == OLD
    assert runs == ["true"] * (MOST_TRIES + 1)  # the last after the switch back
