"""A number or a JSON object that something else keeps in a file."""

from dataclasses import dataclass
from pathlib import Path

from waystation_agent.sensors import Unreadable, Value, Values
from waystation_agent.sensors.values import parse, tidied

MOST_BYTES = 65_536


@dataclass
class File:
    """A number (as `metric`), a JSON object or name=value lines from a file; numbers become number × scale + offset."""

    path: str
    metric: str = "value"
    scale: float = 1.0
    offset: float = 0.0

    @property
    def paths(self) -> tuple[str, ...]:
        return (str(Path(self.path).parent),)  # the file itself may be replaced by another one

    def read(self) -> Values:
        try:
            with Path(self.path).open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise Unreadable(f"{self.path} cannot be read: {error.strerror}") from error
        if len(content) > MOST_BYTES:
            raise Unreadable(f"{self.path} is larger than {MOST_BYTES} bytes")
        try:
            return self._scaled(parse(content.decode(errors="replace"), self.metric))
        except Unreadable as fault:
            raise Unreadable(f"{self.path}: {fault}", self._scaled(fault.values)) from fault

    def _scaled(self, values: Values) -> Values:
        return {metric: self._scaled_one(value) for metric, value in values.items()}

    def _scaled_one(self, value: Value) -> Value:
        if isinstance(value, bool | str) or (self.scale, self.offset) == (1.0, 0.0):
            return value
        return tidied(value * self.scale + self.offset)
