"""Believable numbers: weather, houses and machines as smooth functions of time. Pure; the same seed, the same world."""

import math
import random
from enum import StrEnum

DAY_SECONDS = 86_400.0
MINUTE, HOUR = 60.0, 3600.0
COLDEST_HOUR = 4.0
SUNRISE_HOUR, SUNSET_HOUR = 6.0, 20.0


class Mode(StrEnum):
    OFF = "OFF"
    HEAT = "HEAT"
    COOL = "COOL"
    AUTO = "AUTO"


class Output(StrEnum):
    OFF = "OFF"
    HEATING = "HEAT_ON"
    COOLING = "COOL_ON"


def noise(seed: int, at: float, period_seconds: float) -> float:
    """Between -1 and 1, smooth, without a pattern that repeats; it turns about once in a period."""
    step, part = divmod(at / period_seconds, 1.0)
    left, right = _lattice(seed, int(step)), _lattice(seed, int(step) + 1)
    eased = part * part * (3.0 - 2.0 * part)
    return left + (right - left) * eased


def _lattice(seed: int, number: int) -> float:
    """A fixed value of [-1, 1) for every point."""
    mixed = (seed * 0x9E3779B1 + number * 0x85EBCA77) & 0xFFFFFFFF
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        mixed = ((mixed ^ (mixed >> shift)) * factor) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 16)) / 2**31 - 1.0


def hour_of_day(at: float) -> float:
    return (at % DAY_SECONDS) / HOUR


def outside_c(seed: int, at: float) -> float:
    """A temperate day between about 4 and 18 °C, warmer and colder weeks, gusts."""
    phase = (hour_of_day(at) - COLDEST_HOUR) / 24.0 * math.tau
    weather = 4.0 * noise(seed, at, 3 * DAY_SECONDS)
    return 11.0 - 7.0 * math.cos(phase) + weather + 0.4 * noise(seed + 1, at, 10 * MINUTE)


def sunlight(seed: int, at: float) -> float:
    """From 0 at night to 1 at a cloudless noon."""
    height = math.sin((hour_of_day(at) - SUNRISE_HOUR) / (SUNSET_HOUR - SUNRISE_HOUR) * math.pi)
    clouds = 0.35 * (1.0 + noise(seed + 2, at, 40 * MINUTE))
    return max(0.0, height) * (1.0 - clouds) if SUNRISE_HOUR < hour_of_day(at) < SUNSET_HOUR else 0.0


def humidity_percent(seed: int, at: float) -> float:
    """Air that warms up gets drier."""
    return min(99.0, max(20.0, 95.0 - 2.2 * outside_c(seed, at) + 8.0 * noise(seed + 3, at, 2 * HOUR)))


def towards(value: float, target: float, seconds: float, time_constant_seconds: float) -> float:
    """Newton's law of cooling: where `value` is after `seconds`; never beyond the target, however long that is."""
    return target + (value - target) * math.exp(-max(0.0, seconds) / time_constant_seconds)


def is_open(seed: int, at: float, *, a_day: float, seconds: float) -> bool:
    """Whether somebody has the door open just now, about `a_day` times a day, by day rather than by night."""
    slot_seconds = DAY_SECONDS / (4.0 * a_day)
    slot, inside = divmod(at, slot_seconds)
    luck = random.Random(f"{seed} {slot}")  # noqa: S311  weather is no secret
    awake = 7.0 <= hour_of_day(at) < 23.0
    begins_at = luck.random() * max(0.0, slot_seconds - seconds)
    return awake and luck.random() < 0.375 and begins_at <= inside < begins_at + seconds


def thermostat(mode: Mode, inside_c: float, setpoint_c: float, hysteresis_c: float, *, before: Output) -> Output:
    """The control law of the thermostat's contract, section 4.3: heating goes on below the setpoint less the hysteresis
    and off above their sum, cooling mirrored; AUTO heats below, cools above, and rests between.
    """
    cold, hot = inside_c < setpoint_c - hysteresis_c, inside_c > setpoint_c + hysteresis_c
    if mode is Mode.HEAT:
        return Output.HEATING if cold or (before is Output.HEATING and not hot) else Output.OFF
    if mode is Mode.COOL:
        return Output.COOLING if hot or (before is Output.COOLING and not cold) else Output.OFF
    if mode is Mode.AUTO:
        return Output.HEATING if cold else Output.COOLING if hot else Output.OFF
    return Output.OFF
