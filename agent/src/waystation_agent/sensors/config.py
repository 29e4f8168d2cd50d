"""Which sensors this machine has, as `agent.toml` says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from waystation_agent import written
from waystation_agent.errors import BadInput
from waystation_agent.sensors import Sensor
from waystation_agent.sensors.catalogue import make
from waystation_agent.sensors.system import SystemSensor

PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,39}")
ANSWER_SECONDS = 10.0
COMMON = ("kind", "name", "prefix")


@dataclass(frozen=True)
class Configured:
    """A sensor with what every sensor has: a name for people, and a prefix that keeps its metrics apart."""

    name: str
    kind: str
    sensor: Sensor
    prefix: str = ""

    @property
    def answer_seconds(self) -> float:
        """How long it may take before it counts as stuck."""
        own: object = getattr(self.sensor, "timeout_seconds", None)
        return max(ANSWER_SECONDS, own + 1) if isinstance(own, float) else ANSWER_SECONDS


def load(path: Path) -> list[Configured]:
    """Return the machine itself and the sensors of the file; without a file, the machine itself."""
    with written.opened(path) as tables:
        return _configured(tables)


def _configured(tables: written.Table) -> list[Configured]:
    if not isinstance(tables.get("system", True), bool):
        raise BadInput("system must be true or false")
    found = [Configured("system", "system", SystemSensor())] if tables.get("system", True) else []
    for number, entry in enumerate(written.list_of_tables(tables, "sensor"), 1):
        try:
            found.append(_sensor(entry, {other.name for other in found}))
        except BadInput as error:
            raise BadInput(f"[[sensor]] {number}{_of_kind(entry)}: {error}") from error
    return found


def _of_kind(entry: Mapping[str, object]) -> str:
    return f" ({entry['kind']})" if isinstance(entry.get("kind"), str) else ""


def _sensor(entry: Mapping[str, object], taken: set[str]) -> Configured:
    kind, prefix = entry.get("kind"), entry.get("prefix", "")
    if not isinstance(kind, str):
        raise BadInput('kind is missing, like kind = "bme280"; `waystation-agent sensor list` shows all')
    if not isinstance(prefix, str) or not (prefix == "" or PREFIX.fullmatch(prefix)):
        raise BadInput("prefix must be a letter and at most 39 of letters, digits, _ . : -")
    name = entry.get("name", prefix or kind)
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise BadInput("name must be a text")
    if name in taken:
        raise BadInput(f"there is another sensor called {name!r}; give this one a name or a prefix of its own")
    sensor = make(kind, {key: value for key, value in entry.items() if key not in COMMON})
    return Configured(name, kind, sensor, prefix)
