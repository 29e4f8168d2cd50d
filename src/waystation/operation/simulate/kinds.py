"""What the simulated devices are: each keeps a little state and gives its values for a time that only goes forward."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from waystation.operation.simulate.physics import (
    DAY_SECONDS,
    HOUR,
    MINUTE,
    Mode,
    Output,
    hour_of_day,
    humidity_percent,
    is_open,
    noise,
    outside_c,
    sunlight,
    thermostat,
    towards,
)

Values = Mapping[str, float | bool | str]
LONGEST_STEP_SECONDS = 30.0  # control loops are stepped at least this often, however seldom the device reports
MOST_STEPS = 240


class Kind(Protocol):
    """`seed` makes every device one of its own; `weather` is the same for all of a site."""

    label: ClassVar[str]

    def __init__(self, seed: int, weather: int, at: float) -> None: ...
    def values(self, at: float) -> Values: ...


def steps(before: float, at: float) -> Sequence[float]:
    """The lengths, in seconds, of the steps from one time to the next; none when time stood still or was set back."""
    seconds = max(0.0, at - before)
    count = min(MOST_STEPS, int(seconds // LONGEST_STEP_SECONDS) + 1)
    return [seconds / count] * count if seconds else []


class WeatherStation:
    label: ClassVar = "Weather station"

    def __init__(self, seed: int, weather: int, at: float) -> None:
        del at
        self._seed, self._weather = seed, weather

    def values(self, at: float) -> Values:
        own = 0.3 * noise(self._seed, at, 5 * MINUTE)
        return {
            "temperature_c": round(outside_c(self._weather, at) + own, 2),
            "humidity_percent": round(humidity_percent(self._weather, at), 1),
            "pressure_hpa": round(1013.0 + 14.0 * noise(self._weather + 4, at, 2 * DAY_SECONDS), 1),
            "wind_m_s": round(
                4.0 * (1.0 + noise(self._weather + 5, at, HOUR)) * (1.2 + noise(self._seed + 1, at, 45)) / 2, 1
            ),
            "light_lux": round(90_000 * sunlight(self._weather, at)),
        }


class Fridge:
    label: ClassVar = "Fridge"
    TARGET_C, BAND_C = 4.5, 1.2

    def __init__(self, seed: int, weather: int, at: float) -> None:
        del weather
        self._seed, self._at = seed, at
        self._inside_c = self.TARGET_C + noise(seed, at, HOUR)
        self._runs = False

    def values(self, at: float) -> Values:
        opened = is_open(self._seed, at, a_day=30, seconds=45)
        for seconds in steps(self._at, at):
            self._step(seconds, opened=opened)
        self._at = max(self._at, at)
        watts = 85.0 + 6.0 * noise(self._seed + 1, at, 20) if self._runs else 1.5
        return {
            "temperature_c": round(self._inside_c + 0.05 * noise(self._seed + 2, at, 30), 2),
            "door_open": opened,
            "compressor": self._runs,
            "power_w": round(watts + (15.0 if opened else 0.0), 1),  # the lamp
        }

    def _step(self, seconds: float, *, opened: bool) -> None:
        if self._runs != (self._inside_c > self.TARGET_C + (-self.BAND_C if self._runs else self.BAND_C)):
            self._runs = not self._runs
        kitchen = towards(self._inside_c, 21.0, seconds, 0.5 * HOUR if opened else 9 * HOUR)
        self._inside_c = towards(kitchen, -6.0, seconds, HOUR) if self._runs else kitchen


class EnergyMeter:
    label: ClassVar = "Energy meter"

    def __init__(self, seed: int, weather: int, at: float) -> None:
        self._seed, self._weather, self._at = seed, weather, at
        self._wh = 1_000_000.0 + seed % 7_000_000

    def values(self, at: float) -> Values:
        load_w = self._load_w(at)
        sun_w = 4200.0 * sunlight(self._weather, at)
        net_w = load_w - sun_w
        self._wh += max(0.0, net_w) * max(0.0, at - self._at) / HOUR
        self._at = max(self._at, at)
        return {
            "power_w": round(net_w, 1),
            "solar_w": round(sun_w, 1),
            "voltage_v": round(230.0 + 3.0 * noise(self._seed + 1, at, 90), 1),
            "imported_kwh": round(self._wh / 1000.0, 3),
        }

    def _load_w(self, at: float) -> float:
        """What always runs, meals and evenings, and machines that somebody switches on."""
        hour = hour_of_day(at)
        meals = max(0.0, 1.0 - abs(hour - 12.3) / 1.2) + 1.5 * max(0.0, 1.0 - abs(hour - 19.0) / 2.5)
        machine = 2000.0 if is_open(self._seed, at, a_day=5, seconds=45 * MINUTE) else 0.0
        return 220.0 + 900.0 * meals + machine + 60.0 * (1.0 + noise(self._seed, at, 3 * MINUTE))


class Greenhouse:
    label: ClassVar = "Greenhouse"
    AIRS_ABOVE_C, WATERS_BELOW_PERCENT = 26.0, 30.0

    def __init__(self, seed: int, weather: int, at: float) -> None:
        self._seed, self._weather, self._at = seed, weather, at
        self._inside_c = outside_c(weather, at) + 4.0
        self._soil_percent = 45.0 + 12.0 * noise(seed, at, DAY_SECONDS)
        self._vent_percent, self._pump = 0.0, False

    def values(self, at: float) -> Values:
        sun, outside = sunlight(self._weather, at), outside_c(self._weather, at)
        for seconds in steps(self._at, at):
            self._step(seconds, sun, outside)
        self._at = max(self._at, at)
        return {
            "temperature_c": round(self._inside_c + 0.1 * noise(self._seed + 1, at, 60), 2),
            "humidity_percent": round(min(99.0, 60.0 + 0.5 * self._soil_percent - 0.25 * self._vent_percent), 1),
            "soil_moisture_percent": round(self._soil_percent, 1),
            "vent_percent": round(self._vent_percent),
            "pump": self._pump,
            "state": "watering" if self._pump else "airing" if self._vent_percent > 1 else "resting",
        }

    def _step(self, seconds: float, sun: float, outside: float) -> None:
        wanted = min(100.0, max(0.0, (self._inside_c - self.AIRS_ABOVE_C) * 25.0))
        self._vent_percent = towards(self._vent_percent, wanted, seconds, 2 * MINUTE)
        warmth = outside + 24.0 * sun * (1.0 - 0.7 * self._vent_percent / 100.0)
        self._inside_c = towards(self._inside_c, warmth, seconds, 25 * MINUTE)
        self._pump = self._soil_percent < (
            self.WATERS_BELOW_PERCENT + 25.0 if self._pump else self.WATERS_BELOW_PERCENT
        )
        goal, pace = (80.0, 20 * MINUTE) if self._pump else (10.0, 40 * HOUR / (0.5 + sun))
        self._soil_percent = towards(self._soil_percent, goal, seconds, pace)


class Thermostat:
    """Its words are those of the thermostat's contract."""

    label: ClassVar = "Thermostat"
    HYSTERESIS_C = 0.5

    def __init__(self, seed: int, weather: int, at: float) -> None:
        self._seed, self._weather, self._at = seed, weather, at
        self._mode = (Mode.HEAT, Mode.AUTO, Mode.HEAT, Mode.COOL)[seed % 4]
        self._output = Output.OFF
        self._inside_c = self._setpoint_c(at) + noise(seed, at, HOUR)

    def values(self, at: float) -> Values:
        outside, setpoint = outside_c(self._weather, at), self._setpoint_c(at)
        for seconds in steps(self._at, at):
            self._step(seconds, outside, setpoint)
        self._at = max(self._at, at)
        return {
            "mode": self._mode.value,
            "temp_inside_c": round(self._inside_c, 2),
            "temp_outside_c": round(outside, 2),
            "setpoint_c": setpoint,
            "hysteresis_c": self.HYSTERESIS_C,
            "humidity_percent": round(44.0 + 7.0 * noise(self._seed + 3, at, 3 * HOUR), 1),
            "output": self._output.value,
        }

    def _setpoint_c(self, at: float) -> float:
        """Less at night."""
        return 22.0 if 6.0 <= hour_of_day(at) < 22.0 else 19.0

    def _step(self, seconds: float, outside: float, setpoint: float) -> None:
        self._output = thermostat(self._mode, self._inside_c, setpoint, self.HYSTERESIS_C, before=self._output)
        push = {Output.HEATING: 28.0, Output.COOLING: -16.0, Output.OFF: 3.0}[
            self._output
        ]  # 3: people and their machines
        self._inside_c = towards(self._inside_c, outside + push, seconds, 4 * HOUR)


KINDS: Sequence[type[Kind]] = (WeatherStation, Fridge, EnergyMeter, Greenhouse, Thermostat)
