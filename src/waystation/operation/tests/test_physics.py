import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation.operation.simulate.kinds import KINDS, EnergyMeter, Fridge, Greenhouse, Kind, Thermostat
from waystation.operation.simulate.physics import (
    Mode,
    Output,
    humidity_percent,
    is_open,
    noise,
    outside_c,
    sunlight,
    thermostat,
    towards,
)

SEEDS = st.integers(0, 1 << 31)
TIMES = st.floats(0, 4e9)
DAY = 86_400.0
NOON = 1_800_000_000.0 - 1_800_000_000.0 % DAY + DAY / 2


@given(SEEDS, TIMES, st.floats(1, 1e6))
def test_noise_stays_in_its_bounds_and_is_the_same_again(seed: int, at: float, period: float) -> None:
    assert -1.0 <= noise(seed, at, period) <= 1.0
    assert noise(seed, at, period) == noise(seed, at, period)


@given(SEEDS, st.floats(0, 2e9), st.floats(10, 1e5))
def test_noise_is_smooth(seed: int, at: float, period: float) -> None:
    """A smoothstep between two points of [-1, 1] is nowhere steeper than 3 in a period."""
    step = period / 100
    assert abs(noise(seed, at + step, period) - noise(seed, at, period)) <= 3.0 * step / period + 1e-6


@given(SEEDS, TIMES)
def test_weather_is_the_weather_of_this_planet(seed: int, at: float) -> None:
    assert -5.0 <= outside_c(seed, at) <= 25.0
    assert 20.0 <= humidity_percent(seed, at) <= 99.0
    assert 0.0 <= sunlight(seed, at) <= 1.0


def test_nights_are_dark_and_days_are_warmer() -> None:
    days = [NOON + n * DAY for n in range(30)]
    assert all(sunlight(1, at - DAY / 2) == 0.0 for at in days)
    assert sum(outside_c(1, at + 3 * 3600) for at in days) > sum(outside_c(1, at - 9 * 3600) for at in days)


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0, 1e7), st.floats(1, 1e6))
def test_cooling_never_goes_beyond_its_target(value: float, target: float, seconds: float, constant: float) -> None:
    after = towards(value, target, seconds, constant)
    assert min(value, target) - 1e-9 <= after <= max(value, target) + 1e-9


@given(st.sampled_from(Mode), st.sampled_from(Output), st.floats(-20, 50), st.floats(15, 28), st.floats(0.1, 3.0))
def test_the_thermostat_keeps_its_contracts_law__TH_4_3(
    mode: Mode, before: Output, inside: float, setpoint: float, hysteresis: float
) -> None:
    output = thermostat(mode, inside, setpoint, hysteresis, before=before)
    if inside < setpoint - hysteresis:
        assert output is (Output.HEATING if mode in (Mode.HEAT, Mode.AUTO) else Output.OFF)
    elif inside > setpoint + hysteresis:
        assert output is (Output.COOLING if mode in (Mode.COOL, Mode.AUTO) else Output.OFF)
    elif mode is Mode.HEAT:
        assert output is (before if before is Output.HEATING else Output.OFF)
    elif mode is Mode.COOL:
        assert output is (before if before is Output.COOLING else Output.OFF)
    else:
        assert output is Output.OFF


@given(SEEDS, st.floats(1, 100), st.floats(1, 600))
def test_doors_stay_shut_at_night(seed: int, a_day: float, seconds: float) -> None:
    midnight = NOON + DAY / 2
    assert not any(is_open(seed, midnight + n * 600, a_day=a_day, seconds=seconds) for n in range(40))


@pytest.mark.parametrize("kind", KINDS)
def test_a_day_of_every_kind_is_believable(kind: type[Kind]) -> None:
    device = kind(3, 7, NOON)
    day = [device.values(NOON + n * 60) for n in range(1440)]
    assert all(values.keys() == day[0].keys() for values in day)
    assert all(
        type(value) is type(day[0][name]) or isinstance(value, int | float)
        for values in day
        for name, value in values.items()
    )
    assert all(math.isfinite(value) for values in day for value in values.values() if isinstance(value, float))
    for name, value in day[0].items():
        if name.endswith("_c"):
            assert all(-10 < float(values[name]) < 60 for values in day), name
            assert max(abs(float(b[name]) - float(a[name])) for a, b in pairwise(day)) < 4, name
        if name.endswith("_percent"):
            assert all(0 <= float(values[name]) <= 100 for values in day), name
        assert isinstance(value, int | float | str)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_lives_the_same_life(kind: type[Kind]) -> None:
    lives = [[kind(5, 7, NOON).values(NOON + n * 97) for n in range(50)] for _ in range(2)]
    assert lives[0] == lives[1]


@pytest.mark.parametrize("kind", KINDS)
@given(jumps=st.lists(st.floats(-1e6, 1e6), max_size=8))
def test_a_clock_that_jumps_hurts_no_device(kind: type[Kind], jumps: list[float]) -> None:
    device, at = kind(1, 7, NOON), NOON
    for jump in jumps:
        at = max(0.0, at + jump)
        values = device.values(at)
        assert all(math.isfinite(value) for value in values.values() if isinstance(value, float))


def test_a_meter_never_counts_backwards() -> None:
    meter = EnergyMeter(4, 7, NOON)
    counts = [float(meter.values(NOON + n * 300)["imported_kwh"]) for n in range(1000)]
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


def test_a_fridge_stays_cold_by_running_now_and_then() -> None:
    fridge = Fridge(2, 7, NOON)
    day = [fridge.values(NOON + n * 60) for n in range(1440)]
    runs = [bool(values["compressor"]) for values in day]
    assert 10 < sum(a != b for a, b in pairwise(runs)) < 400
    assert all(float(values["temperature_c"]) < 12 for values in day)
    assert any(values["door_open"] for values in day)


def test_a_greenhouse_airs_by_day_and_waters_when_it_is_dry() -> None:
    greenhouse = Greenhouse(2, 7, NOON)
    month = [greenhouse.values(NOON + n * 300) for n in range(288 * 20)]
    assert {values["state"] for values in month} == {"watering", "airing", "resting"}


def test_a_heating_thermostat_holds_its_setpoint() -> None:
    device = Thermostat(4, 7, NOON)
    day = [device.values(NOON + n * 60) for n in range(1440)]
    by_day = [v for v in day[-600:] if v["setpoint_c"] == 22.0][120:]
    assert all(abs(float(v["temp_inside_c"]) - 22.0) < 2.0 for v in by_day)
    assert {v["output"] for v in day} == {"OFF", "HEAT_ON"}
