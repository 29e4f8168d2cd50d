import json
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.hub import Hub, waystation
from tests.servers import StartHub

from waystation import devices, telemetry
from waystation.kernel.errors import Invalid
from waystation.operation import start
from waystation.operation.simulate import fleet, past, verify
from waystation.operation.simulate.kinds import Thermostat
from waystation.operation.simulate.tally import Latencies
from waystation.operation.simulate.wording import FIRMWARE
from waystation.operation.tests.conftest import settings_of


def unheard(_step: str, _done: int, _total: int) -> None:
    """Nobody looks at the progress."""


def command(hub: Hub, *words: object) -> list[str]:
    return [*waystation(), "simulate", "--data", str(hub.data), "--json", "--verify", *map(str, words)]


def simulated(hub: Hub, *words: object) -> dict[str, Any]:
    ended = subprocess.run(command(hub, *words), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


@given(st.floats(0, 1), st.integers(1, 500))
def test_the_share_of_mqtt_is_what_was_asked_for(share: float, count: int) -> None:
    chosen = sum(fleet.speaks_mqtt(number, share) for number in range(count))
    assert abs(chosen - share * count) < len(fleet.KINDS), "off by more than one of each kind"


def test_every_kind_has_some_that_speak_mqtt_and_some_that_do_not() -> None:
    chosen = {(n % 5, fleet.speaks_mqtt(n, 0.3)) for n in range(50)}
    assert len(chosen) == 10


def test_the_same_devices_serve_again_with_new_keys(data: Path) -> None:
    desk = start.open_desk(settings_of(data), {})
    first = fleet.enlist(desk, 7, 0.3, unheard)
    fleet.dismiss(desk, first, unheard)
    again = fleet.enlist(desk, 9, 0.3, unheard)
    with desk.database.read() as tx:
        live = [
            one.is_live(desk.now())
            for member in first
            for one in devices.credentials(tx, devices.find(tx, desk.home_id, member.key).id)
        ]
        assert devices.count(tx, desk.home_id) == 3 + 9
    desk.database.close()
    assert [member.key for member in again[:7]] == [member.key for member in first]
    assert not {member.api_key for member in again} & {member.api_key for member in first}
    assert live == [True, False] * 7
    assert again[3].name == "Greenhouse 1"


@given(st.lists(st.floats(1e-5, 1e3), min_size=1), st.floats(0.01, 1))
def test_quantiles_are_exact_to_a_twentieth(seconds: list[float], share: float) -> None:
    latencies = Latencies()
    for one in seconds:
        latencies.add(one)
    told = latencies.quantile(share)
    assert told is not None
    exact = sorted(seconds)[min(len(seconds), max(1, -int(-share * len(seconds) // 1))) - 1]
    assert exact * 0.999 <= told <= exact * 1.051


def test_what_is_missing_or_doubled_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "ARRIVE_SECONDS", 0)
    hub_has = {"a": [[1, 20.5], [2, 20.5]], "b": [[1, 3], [1, 3], [9, 3]]}

    def get(asked: Any) -> Any:
        return {"series": [{"points": hub_has[asked["device"]]}], "next": None}

    expected = {"a": Counter({1: 1, 2: 1, 3: 1}), "b": Counter({1: 1})}
    found = verify.verdict(expected, get, unheard)
    assert (found.acknowledged, found.missing, found.doubled, found.is_good) == (4, 1, 1, False)


def test_pages_are_read_to_the_end() -> None:
    pages = {"": ([[1, 0], [2, 0]], "next"), "next": ([[3, 0]], None)}

    def get(asked: Any) -> Any:
        points, cursor = pages[asked["cursor"]]
        return {"series": [{"points": points}], "next": cursor}

    assert verify.stored("a", Counter({1: 1, 3: 1}), get) == Counter({1: 1, 2: 1, 3: 1})


def test_without_a_hub_it_says_how_to_start_one(data: Path) -> None:
    told = [*waystation(), "simulate", "--data", str(data)]
    ended = subprocess.run(told, capture_output=True, text=True, check=False)
    assert (ended.returncode, "waystation serve" in ended.stderr) == (1, True)


@pytest.mark.servers
def test_a_fleet_by_http_and_mqtt_finds_everything_stored(hub: StartHub) -> None:
    running = hub(mqtt=True)
    done = simulated(running, "--devices", 30, "--rate", 60, "--seconds", 3, "--mqtt-share", 0.5)
    assert done["acknowledged"] == done["sent"] > 0
    assert 0 < done["by_mqtt"] < 30
    assert (done["missing"], done["doubled"], done["refused"]) == (0, 0, 0)
    listed = running.command("device", "list")
    assert len(listed) == 30
    assert all(device["last_seen_at"] for device in listed)
    assert [token["revoked_at"] for token in running.command("token", "list")].count(None) == 0


@pytest.mark.servers
def test_a_fleet_survives_its_hub(hub: StartHub) -> None:
    """Every device repeats what it was not told is safe, so nothing is missing and nothing is there twice."""
    running = hub(mqtt=True)
    words = ("--devices", 20, "--rate", 40, "--seconds", 30, "--mqtt-share", 0.5)
    with subprocess.Popen(command(running, *words), stdout=subprocess.PIPE, text=True) as program:
        until = time.monotonic() + 90
        while len(running.command("device", "list")) < 20 and time.monotonic() < until:
            time.sleep(0.2)
        time.sleep(3)
        running.kill_all()
        running.start()
        told, _ = program.communicate(timeout=120)
    done = json.loads(told)
    assert done["retried"] > 0
    assert (done["missing"], done["doubled"], done["refused"]) == (0, 0, 0)


@pytest.mark.servers
def test_ctrl_c_ends_a_run_in_order(hub: StartHub) -> None:
    running = hub()
    with subprocess.Popen(command(running, "--devices", 5, "--rate", 20), stdout=subprocess.PIPE, text=True) as program:
        until = time.monotonic() + 90
        while not any(device["last_seen_at"] for device in running.command("device", "list")):
            assert time.monotonic() < until
        program.send_signal(signal.SIGINT)
        told, _ = program.communicate(timeout=60)
    assert (program.returncode, json.loads(told)["missing"]) == (0, 0)


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("12h", 43_200), ("365d", 31_536_000), (" 2D ", 172_800)])
def test_a_history_is_as_long_as_it_says(text: str, seconds: int) -> None:
    assert past.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["0d", "365", "d", "-1d", "99999d", "1w", "1.5d", "nan"])
def test_a_history_of_no_possible_length_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="--backfill"):
        past.seconds_of(text)


def test_a_fleet_lives_on_from_the_history_that_was_written_for_it(data: Path) -> None:
    desk = start.open_desk(settings_of(data), {})
    members = fleet.enlist(desk, 2, 0.0, unheard, kinds=(Thermostat,))
    alive = past.write(desk, members, 7, seconds=7200, step_seconds=60, tell=unheard)
    with desk.database.read() as tx:
        ids = [devices.find(tx, desk.home_id, member.key).id for member in members]
        series = {one.id: one for one in telemetry.series_of(tx, ids, None)}
        runs = telemetry.newest(tx, list(series), telemetry.EARLIEST, telemetry.LATEST, limit=1000)
    desk.database.close()
    counts = Counter((series[number].device_id, series[number].metric, len(run.stamps)) for number, run in runs.items())
    assert set(counts) == {(device_id, metric, 120) for device_id in ids for metric in alive[0].values(0)}
    assert alive.keys() == {0, 1}


def test_a_thermostat_posts_as_its_firmware_does__TH_G3() -> None:
    member = fleet.Member(3, Thermostat, "Thermostat 4", "key", "serial", "secret", by_mqtt=False)
    body = FIRMWARE.body(member, 1_763_678_040_000, {"mode": "AUTO", "temp_inside_c": 21.5, "setpoint_c": 22.0})
    assert body == {
        "mode": "AUTO",
        "temp_inside_c": 21.5,
        "setpoint_c": 22.0,
        "timestamp": "2025-11-20T22:34:00+0000",
        "device_ip": "10.77.0.4",
    }
