"""Which kinds of sensors there are, and the checking of what a person wrote for one."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from waystation_agent.errors import BadInput
from waystation_agent.sensors import Sensor
from waystation_agent.sensors.bme280 import Bme280
from waystation_agent.sensors.file import File
from waystation_agent.sensors.one_wire import OneWire
from waystation_agent.sensors.program import Exec
from waystation_agent.sensors.system import SystemSensor
from waystation_agent.written import fill

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "waystation_agent.sensors"
BUILT_IN: Mapping[str, Callable[..., Sensor]] = {
    "system": SystemSensor,
    "1wire": OneWire,
    "bme280": Bme280,
    "exec": Exec,
    "file": File,
}


def plug_ins() -> "dict[str, EntryPoint]":
    from importlib.metadata import entry_points  # noqa: PLC0415  slow to load, and seldom asked

    return {point.name: point for point in entry_points(group=GROUP) if point.name not in BUILT_IN}


def kind_named(kind: str) -> Callable[..., Sensor]:
    if kind in BUILT_IN:
        return BUILT_IN[kind]
    offered = plug_ins()
    if kind not in offered:
        raise BadInput(f"there is no sensor of kind {kind!r}; there are {', '.join([*BUILT_IN, *offered])}")
    try:
        return cast("Callable[..., Sensor]", offered[kind].load())
    except Exception as error:
        raise BadInput(f"the sensor {kind} ({offered[kind].value}) cannot be loaded: {error}") from error


def summary(kind: Callable[..., Sensor]) -> str:
    return (kind.__doc__ or "").partition("\n")[0]


def describe(field: dataclasses.Field[Any]) -> str:
    """Return `bus = 1`, or `path = …` for what has no default."""
    if field.default is not dataclasses.MISSING:
        shown = f"0x{field.default:02x}" if field.name == "address" else _toml(field.default)
    elif field.default_factory is not dataclasses.MISSING:
        shown = _toml(field.default_factory())
    else:
        shown = "…"
    return f"{field.name} = {shown}"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def make(kind: str, wanted: Mapping[str, object]) -> Sensor:
    """Make a sensor from what stands in `agent.toml`. Raises BadInput with the key that is wrong."""
    return fill(kind_named(kind), kind, wanted)
