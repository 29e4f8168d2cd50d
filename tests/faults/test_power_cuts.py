"""The power goes in the middle of the hub's work, on a disk that keeps only what was synced."""

from pathlib import Path

import pytest
from tests.faults.figures import report
from tests.faults.load import HttpLoad
from tests.faults.mounting import lossy_disk
from tests.servers import StartHub

pytestmark = pytest.mark.servers

MORE_EACH_ROUND = 60


def cut_power(hub: StartHub, place: Path, *, rounds: int, seed: int) -> None:
    with lossy_disk(place / "disk", seed=seed) as disk:
        running = hub(data=disk.folder / "data", log=place / "hub.log")
        device, _ = running.register_device("on a bad disk"), running.token
        with HttpLoad(running, device) as load:
            for _ in range(rounds):
                load.wait_for(MORE_EACH_ROUND)
                disk.cut()
                running.kill_all()
                disk.mount()
                running.start()
        found = load.found()
        running.stop()
        verdict = running.integrity()
    report(
        f"power cut hub seed {seed}",
        rounds=rounds,
        acknowledged=found.acknowledged,
        lost=found.lost,
        doubled=found.doubled,
    )
    assert (found.lost, found.doubled, verdict) == (0, 0, "ok")


def test_two_power_cuts_lose_and_double_nothing(hub: StartHub, tmp_path: Path) -> None:
    cut_power(hub, tmp_path, rounds=2, seed=1)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(100, 600, 100))
def test_many_power_cuts_lose_and_double_nothing(seed: int, hub: StartHub, tmp_path: Path) -> None:
    cut_power(hub, tmp_path, rounds=10, seed=seed)
