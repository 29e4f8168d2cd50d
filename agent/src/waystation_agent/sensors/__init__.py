"""What can be sampled. A sensor returns the values it could read, leaves out what it could not, and says why."""

from collections.abc import Callable, Mapping
from typing import Protocol

Value = float | bool | str
Values = Mapping[str, Value]
"""Metric to value. Metric names carry their unit: `cpu_temperature_c`."""

Source = Callable[[], Values]
"""Where the sampler gets a whole sample: called once per period, always from the same thread."""


class Sensor(Protocol):
    """A dataclass whose fields are the options that `agent.toml` may set, and whose docstring says what it reads.

    Options are `bool`, `int`, `float`, `str`, `tuple[str, ...]` or `dict[str, str]`; a `ValueError` raised by
    `__post_init__` is a fault of the configuration. Attributes that a service with few rights looks for: `devices`, the
    device files it must be given, `groups`, the groups that own them, and `paths`, what it must see of other folders.

    Other packages offer kinds by the entry-point group `waystation_agent.sensors`.
    """

    def read(self) -> Values:
        """Return what can be read now. It may take its time: every sensor has a thread of its own."""
        ...


class Unreadable(Exception):
    """Why a sensor, or a part of one, could not be read. What could be read nevertheless comes along in `values`."""

    def __init__(self, sentence: str, values: Values | None = None) -> None:
        super().__init__(sentence)
        self.values: Values = values or {}
