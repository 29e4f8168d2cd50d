"""Sensors beside the machine itself: what they read, what they leave out, and what they say about it."""

import os
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation_agent.sensors import Unreadable, bme280
from waystation_agent.sensors.bme280 import Bme280, humidity_percent
from waystation_agent.sensors.file import File
from waystation_agent.sensors.one_wire import OneWire, crc8
from waystation_agent.sensors.program import MOST_BYTES, Exec
from waystation_agent.sensors.system import tool_temperature
from waystation_agent.sensors.values import parse, sound

# 1-Wire: the kernel's files, written as the kernel writes them

WARM = "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n"
POWER_ON = "50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000\n"
BAD_SUM = "72 01 4b 46 7f ff 0e 10 56 : crc=57 NO\n72 01 4b 46 7f ff 0e 10 56 t=23125\n"
SHORTED = "00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n"


def _thermometer(root: Path, id_: str, **files: str) -> None:
    (root / id_).mkdir()
    for name, content in files.items():
        (root / id_ / name).write_text(content)


def test_thermometers_are_read_by_their_ids_and_names(tmp_path: Path) -> None:
    _thermometer(tmp_path, "28-000005e2fdc3", w1_slave=WARM)
    _thermometer(tmp_path, "28-0000065a1b2c", temperature="-1250\n")
    _thermometer(tmp_path, "w1_bus_master1")
    sensor = OneWire(str(tmp_path), {"28-0000065a1b2c": "freezer"})
    assert sensor.read() == {"w1_000005e2fdc3_temperature_c": 23.125, "freezer_temperature_c": -1.25}


@pytest.mark.parametrize(
    ("answer", "why"), [(POWER_ON, "85 °C it starts with"), (BAD_SUM, "wrong checksum"), (SHORTED, "wrong checksum")]
)
def test_a_bad_answer_is_left_out_and_the_other_thermometers_are_read__JR_A16(
    tmp_path: Path, answer: str, why: str
) -> None:
    _thermometer(tmp_path, "28-000005e2fdc3", w1_slave=answer)
    _thermometer(tmp_path, "28-0000065a1b2c", w1_slave=WARM)
    with pytest.raises(Unreadable, match=f"28-000005e2fdc3 .*{why}") as told:
        OneWire(str(tmp_path)).read()
    assert told.value.values == {"w1_0000065a1b2c_temperature_c": 23.125}


@pytest.mark.parametrize("answer", ["85000", "127000", "", "warm"])
def test_a_number_that_is_no_measurement_is_left_out(tmp_path: Path, answer: str) -> None:
    _thermometer(tmp_path, "28-000005e2fdc3", temperature=answer)
    with pytest.raises(Unreadable) as told:
        OneWire(str(tmp_path)).read()
    assert told.value.values == {}


def test_a_named_thermometer_that_is_gone_is_missed(tmp_path: Path) -> None:
    _thermometer(tmp_path, "28-000005e2fdc3", w1_slave=WARM)
    with pytest.raises(Unreadable, match="28-0000065a1b2c is not on the bus"):
        OneWire(str(tmp_path), {"28-0000065a1b2c": "freezer"}).read()


def test_a_bus_without_thermometers_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no thermometer"):
        OneWire(str(tmp_path)).read()


@given(st.binary(min_size=8, max_size=8), st.integers(0, 7), st.integers(1, 255))
def test_the_checksum_finds_every_wrong_byte(content: bytes, place: int, change: int) -> None:
    wrong = bytearray(content)
    wrong[place] ^= change
    assert crc8(content) != crc8(bytes(wrong))


# I²C: a chip as its registers. Calibration and raw values are the worked example of the data sheet (BMP280, 3.12);
# what it does not give, the humidity's, is of a chip on a desk.

TEMPERATURE = struct.pack("<Hhh", 27504, 26435, -1000)
PRESSURE = struct.pack("<H8h", 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
HUMIDITY = (75, 362, 0, 315, 50, 30)


class Chip:
    """Registers behind the part of smbus2's interface that is used; measures when it is told to, as the chip does."""

    def __init__(self, id_: int = 0x60, temperature: int = 519_888, pressure: int = 415_148) -> None:
        h1, h2, h3, h4, h5, h6 = HUMIDITY
        self.registers = {0xD0: id_, 0xA1: h1}
        self._put(0x88, TEMPERATURE + PRESSURE)
        self._put(0xE1, struct.pack("<hBbBbb", h2, h3, h4 >> 4, h4 & 0x0F | (h5 & 0x0F) << 4, h5 >> 4, h6))
        self._put(0xF7, bytes.fromhex("80000080000080 00"))
        self._measured = (pressure << 4).to_bytes(3) + (temperature << 4).to_bytes(3) + (30_281).to_bytes(2)
        self._busy = 0
        self.answers = True

    def _put(self, start: int, content: bytes) -> None:
        self.registers |= dict(enumerate(content, start))

    def read_byte_data(self, i2c_addr: int, register: int, /) -> int:
        self._heed(i2c_addr)
        if register == 0xF3 and self._busy:
            self._busy -= 1
            return 0b1000
        return self.registers.get(register, 0)

    def write_byte_data(self, i2c_addr: int, register: int, value: int, /) -> None:
        self._heed(i2c_addr)
        if register == 0xF4 and value & 0b11:
            self._busy = 2
            self._put(0xF7, self._measured)

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int, /) -> list[int]:
        self._heed(i2c_addr)
        return [self.registers.get(register + n, 0) for n in range(length)]

    def _heed(self, address: int) -> None:
        if address != 0x76:
            raise OSError(121, "Remote I/O error")

    @contextmanager
    def on_bus(self, _number: int) -> Iterator["Chip"]:
        yield self


def test_a_bme280_answers_what_its_data_sheet_works_out() -> None:
    values = Bme280(open_bus=Chip().on_bus).read()
    assert (values["temperature_c"], values["pressure_hpa"]) == (25.08, 1006.53)
    assert values["humidity_percent"] == pytest.approx(_humidity_in_integers(30_281, 128_422), abs=0.1)


def _humidity_in_integers(raw: int, fine: int) -> float:
    """The data sheet's other formula, in whole numbers, to compare with."""
    h1, h2, h3, h4, h5, h6 = HUMIDITY
    v = fine - 76_800
    scale = ((v * h6 >> 10) * ((v * h3 >> 11) + 32_768) >> 10) + 2_097_152
    v = ((raw << 14) - (h4 << 20) - h5 * v + 16_384 >> 15) * (scale * h2 + 8_192 >> 14)
    v -= (((v >> 15) * (v >> 15) >> 7) * h1) >> 4
    return (min(max(v, 0), 419_430_400) >> 12) / 1_024


@given(st.integers(20_000, 50_000), st.integers(0, 300_000))
def test_humidity_agrees_with_the_data_sheets_whole_numbers(raw: int, fine: int) -> None:
    assert humidity_percent(raw, fine, HUMIDITY) == pytest.approx(_humidity_in_integers(raw, fine), abs=0.1)


@given(st.tuples(st.integers(0, 255), st.integers(-32768, 32767), st.integers(0, 255)), st.data())
def test_humidity_calibration_is_read_back_as_it_was_burnt_in(first: tuple[int, int, int], data: st.DataObject) -> None:
    h4, h5 = (data.draw(st.integers(-2048, 2047)) for _ in "45")
    h6 = data.draw(st.integers(-128, 127))
    shared = h4 & 0x0F | (h5 & 0x0F) << 4
    registers = struct.pack("<BhBbBbb", *first, h4 >> 4, shared, h5 >> 4, h6)
    assert bme280.humidity_calibration(registers) == (*first, h4, h5, h6)


def test_a_bmp280_has_no_humidity() -> None:
    assert Bme280(open_bus=Chip(0x58).on_bus).read().keys() == {"temperature_c", "pressure_hpa"}


def test_a_chip_of_another_kind_is_named() -> None:
    with pytest.raises(Unreadable, match="0x61"):
        Bme280(open_bus=Chip(0x61).on_bus).read()


def test_a_chip_that_has_not_measured_gives_no_mild_day__JR_A16() -> None:
    with pytest.raises(Unreadable, match="has not measured"):
        Bme280(open_bus=Chip(temperature=0x80000).on_bus).read()


def test_a_measurement_out_of_range_is_left_out() -> None:
    with pytest.raises(Unreadable, match="out of its range"):
        Bme280(open_bus=Chip(temperature=900_000).on_bus).read()


def test_nobody_at_the_address_is_a_sentence() -> None:
    with pytest.raises(Unreadable, match="nothing answers at 0x77"):
        Bme280(address=0x77, open_bus=Chip().on_bus).read()


def test_a_bus_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(Unreadable, match="there is no /dev/i2c-77; switch I²C on"):
        Bme280(bus=77).read()  # by the real library


# Programs


@pytest.mark.parametrize(
    ("printed", "values"),
    [
        ("21.5", {"rain": 21.5}),
        ('{"rain_mm": 0.2, "wind": {"speed": 3, "gust": null}, "dry": false, "sky": "grey"}',
         {"rain_mm": 0.2, "wind_speed": 3, "dry": False, "sky": "grey"}),
        ("# made by hand\nrain_mm=0.2\n\nopen = true\nsky=grey\n", {"rain_mm": 0.2, "open": True, "sky": "grey"}),
    ],
)  # fmt: skip
def test_a_program_prints_values(printed: str, values: Mapping[str, object]) -> None:
    assert Exec(("printf", "%s", printed), "rain").read() == values


def _sh(script: str, seconds: float = 10.0) -> Exec:
    return Exec(("sh", "-c", script), timeout_seconds=seconds)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo no such pin >&2; exit 3", "sh ended with code 3: no such pin"),
        ("kill -9 $$", "sh was ended by SIGKILL"),
        ("echo warm", "'warm' is neither a number, nor JSON, nor name=value"),
        ("echo '{\"a\": '", "not whole JSON"),
        ("true", "nothing in it"),
        ("yes 12345678", f"more than {MOST_BYTES} bytes"),
    ],
)
def test_a_program_that_fails_says_why(script: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        _sh(script).read()


def test_a_program_that_hangs_is_ended_with_everything_it_started(tmp_path: Path) -> None:
    script = f"sleep 300 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/parent; sleep 300"
    with pytest.raises(Unreadable, match=r"was not done after 0\.5 s"):
        _sh(script, 0.5).read()
    for pid in (int((tmp_path / name).read_text()) for name in ("child", "parent")):
        _wait_for_the_end_of(pid)


def _wait_for_the_end_of(pid: int) -> None:
    give_up_at = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < give_up_at, f"{pid} still runs"
        time.sleep(0.01)


def test_what_a_program_leaves_in_the_background_does_not_hold_up_the_reading() -> None:
    assert _sh("sleep 300 & echo 4").read() == {"value": 4.0}


def test_a_program_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(Unreadable, match="/no/such/program cannot be run: No such file"):
        Exec(("/no/such/program",)).read()


def test_a_program_does_not_see_the_agents_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WAYSTATION_AGENT_TOKEN", "NOTIFY_SOCKET", "WATCHDOG_USEC"):
        monkeypatch.setenv(name, "1")
    with pytest.raises(Unreadable, match="nothing in it"):
        _sh("env | grep -E 'WAYSTATION|NOTIFY|WATCHDOG' || true").read()
    assert os.environ["NOTIFY_SOCKET"] == "1"


def test_a_program_is_given_no_shell() -> None:
    assert Exec(("printf", "%s", "a=$HOME;exit 3")).read() == {"a": "$HOME;exit 3"}


def test_the_vendors_tool_tells_the_processors_temperature__JR_A15() -> None:
    assert tool_temperature(("printf", "temp=48.3'C\n")) == 48.3
    assert tool_temperature(("no-such-vendors-tool",)) is None
    with pytest.raises(Unreadable, match="VCHI"):
        tool_temperature(("printf", "VCHI initialization failed\n"))


# Files


def test_a_number_in_a_file_is_scaled(tmp_path: Path) -> None:
    (tmp_path / "in_voltage0_raw").write_text("1846\n")
    sensor = File(str(tmp_path / "in_voltage0_raw"), "battery_v", scale=0.00625, offset=0.3)
    assert sensor.read() == {"battery_v": 11.8375}


def test_json_in_a_file_keeps_what_is_no_number(tmp_path: Path) -> None:
    (tmp_path / "tank.json").write_text('{"level_percent": 40, "pump": "off", "full": false}')
    sensor = File(str(tmp_path / "tank.json"), scale=2)
    assert sensor.read() == {"level_percent": 80, "pump": "off", "full": False}


def test_a_file_that_is_not_there_too_large_or_empty_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="cannot be read: No such file"):
        File(str(tmp_path / "gone")).read()
    (tmp_path / "large").write_text("1" * (MOST_BYTES + 1))
    with pytest.raises(Unreadable, match="larger than"):
        File(str(tmp_path / "large")).read()
    (tmp_path / "empty").touch()
    with pytest.raises(Unreadable, match="nothing in it"):
        File(str(tmp_path / "empty")).read()


# Values


@given(st.text())
def test_any_text_is_values_or_a_sentence(text: str) -> None:
    try:
        kept, _ = sound(parse(text, "value"))
    except Unreadable as fault:
        kept, _ = sound(fault.values)
    assert all(metric.isascii() and isinstance(value, float | int | str) for metric, value in kept.items())


def test_what_a_hub_would_refuse_is_left_out_alone() -> None:
    kept, faults = sound({"a": 1, "b": float("nan"), "c d": 1.0, "e": "x" * 5000, "f": 10**400, "g": "\0", "h": True})
    assert kept == {"a": 1, "h": True}
    assert len(faults) == 5
