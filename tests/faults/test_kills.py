"""kill -9 in the middle of its work, again and again: nothing acknowledged is lost, nothing is doubled."""

import random
import time

import pytest
from tests.faults.figures import report
from tests.faults.load import HttpLoad, MqttLoad
from tests.servers import StartHub

pytestmark = pytest.mark.servers

MORE_EACH_ROUND = 30


def crash(hub: StartHub, rounds: int) -> None:
    luck = random.Random(rounds)
    running = hub(mqtt=True)
    loads = [load(running, running.register_device(load.__name__)) for load in (HttpLoad, MqttLoad)]
    with loads[0], loads[1]:
        for _ in range(rounds):
            for load in loads:
                load.wait_for(MORE_EACH_ROUND)
            time.sleep(luck.random() / 2)
            if luck.random() < 0.5:
                running.kill()  # its NATS goes on, and must be ended or taken over
            else:
                running.kill_all()
            running.start()
    for load, way in zip(loads, ("HTTP", "MQTT"), strict=True):
        found = load.found()
        report(
            f"kill -9 {way} {rounds} rounds", acknowledged=found.acknowledged, lost=found.lost, doubled=found.doubled
        )
        assert found.lost == 0
        assert found.doubled == 0
    running.stop()
    assert running.integrity() == "ok"


def test_three_kills_lose_and_double_nothing(hub: StartHub) -> None:
    crash(hub, 3)


@pytest.mark.faults
def test_fifty_kills_lose_and_double_nothing(hub: StartHub) -> None:
    crash(hub, 50)
