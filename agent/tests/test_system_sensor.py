"""The machine's own figures: real where they can be read, left out where not."""

from pathlib import Path

import psutil
import pytest

from waystation_agent import machine
from waystation_agent.sampler import finite
from waystation_agent.sensors import Unreadable, system


def test_this_machine_is_sampled() -> None:
    sensor = system.SystemSensor()
    sum(range(2_000_000))  # let some processor time pass
    values = sensor.read()
    assert {
        "uptime_seconds",
        "memory_total_bytes",
        "memory_available_bytes",
        "memory_percent",
        "cpu_percent",
        "disk_percent",
        "disk_free_bytes",
        "net_received_bytes_per_second",
        "net_sent_bytes_per_second",
        "load_1m",
    } <= values.keys()
    assert values["memory_total_bytes"] == psutil.virtual_memory().total
    assert 0 <= values["cpu_percent"] <= 100


def test_what_cannot_be_read_is_left_out_and_the_rest_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_path: str) -> None:
        raise OSError

    sensor = system.SystemSensor()
    monkeypatch.setattr(psutil, "disk_usage", gone)
    with pytest.raises(Unreadable, match="disk: ") as told:
        sensor.read()
    assert "disk_percent" not in told.value.values
    assert "memory_percent" in told.value.values


def _zone(thermal: Path, number: int, *, kind: str, temp: str) -> None:
    zone = thermal / f"thermal_zone{number}"
    zone.mkdir()
    (zone / "type").write_text(kind + "\n")
    (zone / "temp").write_text(temp + "\n")


def test_the_processors_thermal_zone_is_found_among_others(tmp_path: Path) -> None:
    _zone(tmp_path, 0, kind="acpitz", temp="27800")
    _zone(tmp_path, 1, kind="cpu-thermal", temp="48312")
    assert system.zone_temperature(tmp_path) == pytest.approx(48.312)


@pytest.mark.parametrize("temp", ["0", "-274000", "255000", "", "N/A"])
def test_a_temperature_that_cannot_be_is_left_out(tmp_path: Path, temp: str) -> None:
    _zone(tmp_path, 0, kind="cpu-thermal", temp=temp)
    assert system.zone_temperature(tmp_path) is None


def test_network_rates_are_over_cards_seen_both_times() -> None:
    found = system.rates({"eth0": (100, 10)}, {"eth0": (300, 20), "usb0": (9_999, 9_999)}, 2.0)
    assert found == {"net_received_bytes_per_second": 100.0, "net_sent_bytes_per_second": 5.0}


def test_a_network_counter_that_went_back_gives_no_rate() -> None:
    assert system.rates({"eth0": (100, 10)}, {"eth0": (3, 20)}, 2.0) == {}
    assert system.rates({}, {"eth0": (3, 20)}, 2.0) == {}


def test_values_that_are_no_numbers_are_left_out() -> None:
    assert finite({"a": 1.0, "b": float("nan"), "c": float("inf")}) == {"a": 1.0}


def test_the_mac_is_of_a_real_card(tmp_path: Path) -> None:
    for card, address, is_real in (("docker0", "02:42:ac:11:00:02", False), ("wlan0", "B8:27:EB:01:02:03", True)):
        (tmp_path / card).mkdir()
        (tmp_path / card / "address").write_text(address + "\n")
        if is_real:
            (tmp_path / card / "device").mkdir()
    assert machine.mac(tmp_path) == "b8:27:eb:01:02:03"
    assert machine.mac(tmp_path / "docker0") is None


def test_ids_that_the_hardware_does_not_have_are_left_out() -> None:
    assert all(machine.external_ids().values())
    assert machine.model()
    assert machine.name()
