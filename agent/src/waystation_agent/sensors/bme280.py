"""Bosch BME280 and BMP280 on an I²C bus that `smbus2` opens; the arithmetic is the data sheet's, BST-BME280-DS002."""

import errno
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Protocol

from waystation_agent.sensors import Unreadable, Values

CHIP_ID, HUMIDITY_CONTROL, STATUS, CONTROL, MEASUREMENT = 0xD0, 0xF2, 0xF3, 0xF4, 0xF7
CALIBRATION, CALIBRATION_H1, CALIBRATION_H = (0x88, 24), (0xA1, 1), (0xE1, 7)
BME280, BMP280 = {0x60}, {0x56, 0x57, 0x58}
ONCE = 0b001_001_01
"""Temperature and pressure once each (oversampling ×1), then back to sleep."""
IS_MEASURING = 0b1000
STEP_SECONDS = 0.005
MOST_STEPS = 20
NOT_MEASURED = 0x80000
"""What the chip holds before its first measurement, or in place of one that is switched off."""


class Bus(Protocol):
    """The part of `smbus2.SMBus` that is used here."""

    def read_byte_data(self, i2c_addr: int, register: int, /) -> int: ...
    def write_byte_data(self, i2c_addr: int, register: int, value: int, /) -> None: ...
    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int, /) -> list[int]: ...


OpenBus = Callable[[int], AbstractContextManager[Bus]]


def open_bus(number: int) -> AbstractContextManager[Bus]:
    from smbus2 import SMBus  # noqa: PLC0415  an extra, loaded only where such a sensor is

    return SMBus(number)


@dataclass
class Bme280:
    """Temperature, air pressure and, of a BME280, humidity from a Bosch BME280 or BMP280 on an I²C bus."""

    bus: int = 1
    address: int = 0x76
    open_bus: OpenBus = field(default=open_bus, repr=False, metadata={"option": False})

    def __post_init__(self) -> None:
        if self.address not in {0x76, 0x77}:
            raise ValueError(f"address is 0x76 or 0x77, not 0x{self.address:02x}")
        if not find_spec("smbus2"):
            raise ValueError("a library is missing: pip install smbus2, or the agent with its extra [i2c]")

    @property
    def devices(self) -> tuple[str, ...]:
        return (f"/dev/i2c-{self.bus}",)

    groups = ("i2c",)

    def read(self) -> Values:
        try:
            with self.open_bus(self.bus) as bus:
                return _measure(bus, self.address)
        except OSError as error:
            raise Unreadable(self._sentence(error)) from error

    def _sentence(self, error: OSError) -> str:
        device = f"/dev/i2c-{self.bus}"
        match error.errno:
            case errno.ENOENT:
                return f"there is no {device}; switch I²C on (raspi-config)"
            case errno.EACCES | errno.EPERM:
                return f"this user may not use {device}; add it to the group i2c, or install the service again"
            case errno.EREMOTEIO | errno.EIO | errno.ENXIO | errno.ETIMEDOUT:
                return f"nothing answers at 0x{self.address:02x} on {device}; check the wires and the address"
            case _:
                return f"{device} cannot be used: {error.strerror}"


def _measure(bus: Bus, address: int) -> Values:
    chip = bus.read_byte_data(address, CHIP_ID)
    if chip not in BME280 | BMP280:
        raise Unreadable(f"the chip at 0x{address:02x} calls itself 0x{chip:02x}, which is no BME280 or BMP280")
    has_humidity = chip in BME280
    pressure, temperature, humidity = _raw(bus, address, has_humidity=has_humidity)
    first = _block(bus, address, CALIBRATION)
    celsius, fine = temperature_c(temperature, struct.unpack("<Hhh", first[:6]))
    pascal = pressure_pa(pressure, fine, struct.unpack("<H8h", first[6:]))
    if not (-40 <= celsius <= 85 and 30_000 <= pascal <= 110_000):
        raise Unreadable(f"answers {celsius:.1f} °C and {pascal / 100:.1f} hPa, which is out of its range")
    values = {"temperature_c": round(celsius, 2), "pressure_hpa": round(pascal / 100, 2)}
    if has_humidity:
        second = _block(bus, address, CALIBRATION_H1) + _block(bus, address, CALIBRATION_H)
        values["humidity_percent"] = round(humidity_percent(humidity, fine, humidity_calibration(second)), 1)
    return values


def _raw(bus: Bus, address: int, *, has_humidity: bool) -> tuple[int, int, int]:
    """Have it measure once, and return pressure, temperature and humidity as the chip counts them."""
    if has_humidity:
        bus.write_byte_data(address, HUMIDITY_CONTROL, 1)
    bus.write_byte_data(address, CONTROL, ONCE)
    for _ in range(MOST_STEPS):
        time.sleep(STEP_SECONDS)
        if not bus.read_byte_data(address, STATUS) & IS_MEASURING:
            break
    block = _block(bus, address, (MEASUREMENT, 8))
    pressure, temperature = (int.from_bytes(block[start : start + 3]) >> 4 for start in (0, 3))
    if NOT_MEASURED in {pressure, temperature}:
        raise Unreadable("the chip has not measured; is its supply steady?")
    return pressure, temperature, int.from_bytes(block[6:8])


def _block(bus: Bus, address: int, registers: tuple[int, int]) -> bytes:
    return bytes(bus.read_i2c_block_data(address, *registers))


def temperature_c(raw: int, t: Sequence[int]) -> tuple[float, float]:
    """Return the temperature, and the same on the fine scale that the other two formulas want."""
    coarse = raw / 16_384 - t[0] / 1_024
    fine = coarse * t[1] + (coarse / 8) ** 2 * t[2]
    return fine / 5_120, fine


def pressure_pa(raw: int, fine: float, p: Sequence[int]) -> float:
    warmth = fine / 2 - 64_000
    slope = (1 + (p[2] * warmth * warmth / 524_288 + p[1] * warmth) / 524_288 / 32_768) * p[0]
    if slope == 0:
        raise Unreadable("the chip's calibration is empty")
    offset = (warmth * warmth * p[5] / 32_768 + warmth * p[4] * 2) / 4 + p[3] * 65_536
    pressure = (1_048_576 - raw - offset / 4_096) * 6_250 / slope
    return pressure + (p[8] * pressure * pressure / 2_147_483_648 + pressure * p[7] / 32_768 + p[6]) / 16


def humidity_calibration(registers: bytes) -> tuple[int, ...]:
    """Return H1 to H6 from registers A1 and E1 to E7; H4 and H5 are 12 bits wide and share a byte."""
    h1, h2, h3, h4, shared, h5, h6 = struct.unpack("<BhBbBbb", registers)
    return h1, h2, h3, h4 << 4 | shared & 0x0F, h5 << 4 | shared >> 4, h6


def humidity_percent(raw: int, fine: float, h: Sequence[int]) -> float:
    warmth = fine - 76_800
    h1, h2, h3, h4, h5, h6 = h
    scale = h2 / 65_536 * (1 + h6 / 67_108_864 * warmth * (1 + h3 / 67_108_864 * warmth))
    humidity = (raw - (h4 * 64 + h5 / 16_384 * warmth)) * scale
    return max(0.0, min(100.0, humidity * (1 - h1 * humidity / 524_288)))
