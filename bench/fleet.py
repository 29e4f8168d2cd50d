"""Believable sensors from a seeded generator: what the telemetry benches store."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Chance = np.random.Generator

DAY_SECONDS = 86_400


def _walk(chance: Chance, count: int, step: float) -> Floats:
    return np.cumsum(chance.normal(0, step, count))


def _daily(count: int, every_seconds: float) -> Floats:
    return np.sin(np.arange(count) * every_seconds / DAY_SECONDS * 2 * np.pi)


def _temperature(chance: Chance, count: int, every_seconds: float) -> Floats:
    return np.round(
        20 + 4 * _daily(count, every_seconds) + _walk(chance, count, 0.01) + chance.normal(0, 0.05, count), 1
    )


def _fine_temperature(chance: Chance, count: int, every_seconds: float) -> Floats:
    return np.round(20 + 4 * _daily(count, every_seconds) + chance.normal(0, 0.05, count), 2)


def _humidity(chance: Chance, count: int, every_seconds: float) -> Floats:
    return np.round(50 - 9 * _daily(count, every_seconds) + chance.normal(0, 0.3, count), 1)


def _load(chance: Chance, count: int, _: float) -> Floats:
    return np.round(np.clip(chance.gamma(2, 5, count), 0, 100), 1)


def _free_memory(chance: Chance, count: int, _: float) -> Floats:
    return np.round((9e8 + _walk(chance, count, 1e5)) / 4096) * 4096


def _bytes_sent(chance: Chance, count: int, _: float) -> Floats:
    return np.cumsum(chance.gamma(1, 50_000, count)).round()


def _battery(chance: Chance, count: int, _: float) -> Floats:
    return np.round(4.1 - np.linspace(0, 0.8, count) + chance.normal(0, 0.004, count), 3)


def _setpoint(chance: Chance, count: int, _: float) -> Floats:
    return np.repeat(chance.choice([17.0, 19.5, 21.0], count // 200 + 1), 200)[:count]


def _power(chance: Chance, count: int, _: float) -> Floats:
    runs = np.repeat(chance.random(count // 30 + 1) < 0.3, 30)[:count]
    return np.round(np.where(runs, 2000 + chance.normal(0, 20, count), 3 + chance.random(count)), 1)


def _single_precision(chance: Chance, count: int, every_seconds: float) -> Floats:
    return (20 + 4 * _daily(count, every_seconds) + chance.normal(0, 0.1, count)).astype(np.float32).astype(np.float64)


SENSORS: tuple[Callable[[Chance, int, float], Floats], ...] = (
    _temperature,
    _humidity,
    _load,
    _free_memory,
    _bytes_sent,
    _battery,
    _setpoint,
    _power,
    _fine_temperature,
    _single_precision,
)


def values(number: int, count: int, every_seconds: float) -> Floats:
    """Of series `number`; the sensors take turns."""
    chance = np.random.default_rng(number)
    return SENSORS[number % len(SENSORS)](chance, count, every_seconds)


def times(number: int, count: int, *, first_at: int, every_seconds: float) -> Ints:
    """Microseconds: of three devices one keeps whole seconds, one milliseconds, one is stamped on arrival."""
    chance = np.random.default_rng(-number - 1 & 0xFFFFFFFF)
    at = first_at + np.arange(count, dtype=np.int64) * int(every_seconds * 1_000_000)
    late = np.minimum(chance.exponential(4_000, count), 900_000).astype(np.int64)
    return at + (0, late // 1000 * 1000, late)[number % 3]
