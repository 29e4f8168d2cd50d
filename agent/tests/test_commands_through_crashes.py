"""The crash matrix of commands: agent, hub or line dies at every step; none is lost, done twice or falsely done."""

import itertools
import random
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from agent.tests.lives import Lives, Power

from waystation_agent.folder import Folder
from waystation_agent.identity import Identity
from waystation_agent.local_hub import LocalHub

pytestmark = pytest.mark.servers  # thousands of commits

KINDS = {"look": False, "again": False, "act": False, "reboot": True}
FAULTS: tuple[int | str, ...] = ("cut", "lost", 500, 503, 401)


@pytest.fixture
def lives(folder: Folder, hub: LocalHub, device: Identity) -> Iterator[Lives]:
    hub.errands.lease_seconds = 0.0  # what is not answered at once is handed out again
    made = Lives(folder, hub)
    yield made
    made.end()


def _check(lives: Lives, name: str, command: str) -> str:
    """Returns how it ended, after everything that must never be has been found not to be."""
    state, result = lives.hub.errands.outcome(command)
    times = lives.done.count(command)
    assert state in {"done", "failed"}, f"{name} was lost: {state}"
    if name in {"act", "reboot"}:
        assert times <= 1, f"{name} was done {times} times"
    if state == "done" and name != "look":
        assert times >= 1, f"{name} is falsely said to be done: {result}"
    return state


@pytest.mark.parametrize("name", KINDS)
def test_the_agent_dies_at_every_step(lives: Lives, name: str) -> None:
    ended: Counter[str] = Counter()
    for moment in itertools.count(1):
        lives.power.off_at, lives.power.moments = moment, 0
        command = lives.hub.errands.order(name, once=KINDS[name])
        deaths = lives.obey(command)
        ended[_check(lives, name, command)] += 1
        if lives.power.off_at is not None or (name == "reboot" and deaths == 1 and moment > 10):
            break  # the power was still on at the end
    assert sum(ended.values()) > 6
    assert ended["done"] > 2
    sys.stdout.write(f"{name}: {dict(ended)}\n")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_line_or_the_hub_fails_at_every_call(lives: Lives, name: str, fault: int | str) -> None:
    for before in range(5):
        sound = itertools.chain(itertools.repeat(None, before), [fault], itertools.repeat(None))
        lives.hub.fault = lambda sound=sound: next(sound)  # type: ignore[misc]
        command = lives.hub.errands.order(name, once=KINDS[name])
        lives.obey(command)
        _check(lives, name, command)
    lives.hub.fault = lambda: None


def test_a_hub_that_was_restarted_gets_what_it_did_not_hear(lives: Lives) -> None:
    command = lives.hub.errands.order("act")
    lives.work(lives.errands.step, lambda: bool(lives.done))
    path, port = lives.folder.path.parent / "hub.db", lives.hub.port
    lives.hub.stop()
    assert lives.errands.step().seconds >= 0
    lives.hub = LocalHub(path, port)
    try:
        lives.obey(command)
        assert lives.hub.errands.outcome(command)[0] == "done"
        assert lives.done == [command]
    finally:
        lives.hub.stop()


def test_three_hundred_commands_through_chance(lives: Lives) -> None:
    _many(lives, 300)


@pytest.mark.faults
def test_ten_thousand_commands_through_chance(lives: Lives) -> None:
    _many(lives, 10_000)


def _many(lives: Lives, number: int) -> None:
    chance = random.Random(number)
    lives.hub.fault = lambda: chance.choice([*FAULTS[:-1], *[None] * 12])
    ended: Counter[str] = Counter()
    deaths = 0
    for _ in range(number):
        name = chance.choice(list(KINDS))
        lives.power = Power(chance.choice([None, *range(1, 14)]))
        lives.begin()
        command = lives.hub.errands.order(name, once=KINDS[name])
        deaths += lives.obey(command)
        ended[f"{name} {_check(lives, name, command)}"] += 1
    assert deaths > number / 3
    sys.stdout.write(f"{number} commands, {deaths} crashes, lost 0, done twice 0, falsely done 0: {dict(ended)}\n")
