"""Faults while the hub imports, seals, deletes, thins old readings and exports, and devices send on: nothing that was
acknowledged is lost or doubled, and nothing that went comes back.
"""

import random
import sqlite3
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from tests.faults.figures import report
from tests.faults.housekeeping import DELETING, EXPORTING, IMPORTING, Housekeeper
from tests.faults.load import HttpLoad
from tests.faults.mounting import lossy_disk
from tests.faults.test_full_disk import MEBIBYTE, fill
from tests.hub import Hub
from tests.servers import StartHub

pytestmark = pytest.mark.servers

SWEEPS = "sweeping"  # after a start everything that is due begins at once: sealing, retention, deletions
PHASES = (DELETING, SWEEPS, EXPORTING, SWEEPS, IMPORTING, SWEEPS)
MOST_WAIT_SECONDS = {IMPORTING: 0.4, DELETING: 1.0, EXPORTING: 0.05, SWEEPS: 1.5}
FULL_SECONDS = 1.5
AN_HOUR_PASSES = "update retention_round set ended_at = 0 where ended_at is not null"  # so a round is due
THINNED = "select count(*), count(*) filter (where length(data) = 0) from chunk"


def survive(
    running: Hub, name: str, rounds: int, fault: Callable[[random.Random], None], *, may_say: Collection[int] = ()
) -> None:
    luck = random.Random(rounds)
    device = running.register_device("sending")
    with HttpLoad(running, device, senders=2) as load, Housekeeper(running, may_say=may_say) as keeper:
        for one in range(rounds):
            phase = PHASES[one % len(PHASES)]
            if phase != SWEEPS:
                keeper.wait_for(phase)
            time.sleep(luck.random() * MOST_WAIT_SECONDS[phase])
            fault(luck)
            load.wait_for(20)
            keeper.look_at_fading()
    found, seen = load.found(), keeper.look()
    running.stop()
    verdict = running.integrity()
    chunks, thinned = of_database(running, THINNED)
    report(
        f"{name} while housekeeping {rounds} rounds",
        days_imported=keeper.done.imported,
        days_deleted=keeper.done.deleted,
        exports=seen.exports,
        chunks=chunks,
        thinned=thinned,
        faded=keeper.faded,
        refusals=str(dict(keeper.done.refusals)),
        acknowledged=found.acknowledged,
        lost=found.lost + seen.lost,
        doubled=found.doubled + seen.doubled,
        came_back=seen.came_back,
        broken_exports=seen.broken_exports,
    )
    assert (found.lost, found.doubled, seen.faults, verdict) == (0, 0, 0, "ok")
    assert thinned
    assert keeper.done.deleted


def of_database(hub: Hub, statement: str) -> Any:
    """Its first row, if any; the hub does not run."""
    with sqlite3.connect(hub.data / "waystation.db") as database:
        found = database.execute(statement).fetchone()
    database.close()
    return found


def start_an_hour_later(hub: Hub) -> None:
    of_database(hub, AN_HOUR_PASSES)
    hub.start()


def kill(hub: StartHub, rounds: int) -> None:
    running = hub()

    def killed(_luck: random.Random) -> None:
        running.kill_all()
        start_an_hour_later(running)

    survive(running, "kill -9", rounds, killed)


def cut_power(hub: StartHub, place: Path, *, rounds: int, seed: int) -> None:
    with lossy_disk(place / "disk", seed=seed) as disk:
        running = hub(data=disk.folder / "data", log=place / "hub.log")

        def cut(_luck: random.Random) -> None:
            disk.cut()
            running.kill_all()
            disk.mount()
            start_an_hour_later(running)

        survive(running, f"power cut seed {seed}", rounds, cut, may_say=[500])


def fill_disk(hub: StartHub, place: Path, *, rounds: int) -> None:
    """Full from some moment of the sweeps on, down to the last page or nearly; only before that is it started anew."""
    with lossy_disk(place / "disk", quota_bytes=256 * MEBIBYTE, early=0) as disk:
        environment = {"WAYSTATION_MIN_FREE_BYTES": "0"}
        running = hub(data=disk.folder / "data", log=place / "hub.log", environment=environment)

        def filled(luck: random.Random) -> None:
            running.kill_all()
            start_an_hour_later(running)
            time.sleep(luck.random())
            ballast = fill(disk, leave_bytes=round(luck.random() * MEBIBYTE))
            time.sleep(FULL_SECONDS)
            ballast.unlink()

        survive(running, "full disk", rounds, filled)


def test_some_kills_while_housekeeping_lose_nothing_and_bring_nothing_back(hub: StartHub) -> None:
    kill(hub, 3)


def test_some_power_cuts_while_housekeeping_lose_nothing_and_bring_nothing_back(hub: StartHub, tmp_path: Path) -> None:
    cut_power(hub, tmp_path, rounds=3, seed=1)


def test_a_full_disk_while_housekeeping_loses_nothing_and_brings_nothing_back(hub: StartHub, tmp_path: Path) -> None:
    fill_disk(hub, tmp_path, rounds=2)


@pytest.mark.faults
def test_twenty_kills_while_housekeeping_lose_nothing_and_bring_nothing_back(hub: StartHub) -> None:
    kill(hub, 20)


@pytest.mark.faults
@pytest.mark.parametrize("seed", [700, 800])
def test_many_power_cuts_while_housekeeping_lose_nothing_and_bring_nothing_back(
    seed: int, hub: StartHub, tmp_path: Path
) -> None:
    cut_power(hub, tmp_path, rounds=10, seed=seed)


@pytest.mark.faults
def test_a_disk_that_is_often_full_while_housekeeping_loses_nothing_and_brings_nothing_back(
    hub: StartHub, tmp_path: Path
) -> None:
    fill_disk(hub, tmp_path, rounds=8)
