"""DS18B20 thermometers and their relatives, by the kernel's 1-Wire files."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from waystation_agent.sensors import Unreadable, Values

THERMOMETERS = re.compile(r"(10|22|28|3b|42)-[0-9a-f]{12}")
POWER_ON_C = 85.0
COLDEST_C, HOTTEST_C = -55.0, 125.0
SCRATCHPAD = re.compile(r"((?:[0-9a-f]{2} ){9})t=(-?\d+)")


@dataclass
class OneWire:
    """Thermometers on the 1-Wire bus (DS18B20 and relatives), each by its id or by the name given to it in `names`."""

    root: str = "/sys/bus/w1/devices"
    names: dict[str, str] = field(default_factory=dict[str, str])

    def read(self) -> Values:
        values: dict[str, float] = {}
        faults: list[str] = []
        for thermometer in self._thermometers():
            try:
                values[self._metric(thermometer.name)] = temperature_c(thermometer)
            except Unreadable as fault:
                faults.append(f"{thermometer.name} {fault}")
        faults += [f"{id_} is not on the bus" for id_ in sorted(self.names) if self._metric(id_) not in values]
        if faults:
            raise Unreadable("; ".join(dict.fromkeys(faults)), values)
        return values

    def _thermometers(self) -> list[Path]:
        found = [path for path in sorted(Path(self.root).glob("*-*")) if THERMOMETERS.fullmatch(path.name)]
        if not found:
            raise Unreadable(f"no thermometer in {self.root}; is the 1-Wire bus on (dtoverlay=w1-gpio)?")
        return found

    def _metric(self, id_: str) -> str:
        name = self.names.get(id_, f"w1_{id_.partition('-')[2]}")
        return f"{name}_temperature_c"


def temperature_c(thermometer: Path) -> float:
    try:
        degrees = _from_scratchpad(thermometer) if (thermometer / "w1_slave").exists() else _from_number(thermometer)
    except OSError as error:
        raise Unreadable(f"does not answer: {error.strerror}") from error
    if degrees == POWER_ON_C:
        raise Unreadable("answers the 85 °C it starts with, not a measurement; is its supply steady?")
    if not COLDEST_C <= degrees <= HOTTEST_C:
        raise Unreadable(f"answers {degrees} °C, which it cannot measure")
    return degrees


def _from_number(thermometer: Path) -> float:
    text = (thermometer / "temperature").read_text(errors="replace").strip()
    if not re.fullmatch(r"-?\d+", text):
        raise Unreadable(f"answers {text[:40]!r}, which is no temperature")
    return int(text) / 1_000


def _from_scratchpad(thermometer: Path) -> float:
    """Read the kernel's two lines: nine bytes and the verdict on their checksum, the bytes again and the value."""
    text = (thermometer / "w1_slave").read_text(errors="replace")
    found = SCRATCHPAD.search(text)
    if not found:
        raise Unreadable("answers something that is no temperature")
    scratchpad = bytes.fromhex(found[1])
    # A bus that is shorted reads as zeros, and the checksum of zeros is right.
    if "YES" not in text or crc8(scratchpad[:8]) != scratchpad[8] or not any(scratchpad):
        raise Unreadable("answers with a wrong checksum; check the wires and the pull-up resistor")
    return int(found[2]) / 1_000


def crc8(content: bytes) -> int:
    """Return the checksum of the 1-Wire bus (Maxim application note 27)."""
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc
