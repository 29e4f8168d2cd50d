"""Many sensors side by side, and the file that sets them up."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from waystation_agent.errors import BadInput
from waystation_agent.sensors import Unreadable, Value, Values, catalogue
from waystation_agent.sensors.board import Board
from waystation_agent.sensors.config import Configured, load
from waystation_agent.sensors.one_wire import OneWire


@dataclass
class Said:
    """Answers at once."""

    values: dict[str, Value]

    def read(self) -> Values:
        return self.values


@dataclass
class Held:
    """Answers when it is let go."""

    go: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    def read(self) -> Values:
        self.go.wait()
        self.done.set()
        return {"slow": 1.0}


@dataclass
class Broken:
    """Fails in a way of its own."""

    how: Callable[[], Values]

    def read(self) -> Values:
        return self.how()


def _fail() -> Values:
    raise ZeroDivisionError("a bug")


def _partly() -> Values:
    raise Unreadable("half is gone", {"half": 0.5})


@pytest.fixture
def held() -> Iterator[Held]:
    sensor = Held()
    yield sensor
    sensor.go.set()


def _board(patience_seconds: float = 60.0, **sensors: object) -> Board:
    return Board([Configured(name, "test", sensor, "") for name, sensor in sensors.items()], patience_seconds)  # type: ignore[arg-type]


def test_a_sensor_that_hangs_costs_only_its_own_values__JR_A15(held: Held) -> None:
    board = _board(0.05, held=held, well=Said({"a": 1.0}))
    assert board() == {"a": 1.0}
    assert board() == {"a": 1.0}


def test_a_slow_value_comes_once_with_a_later_sample(held: Held) -> None:
    board = _board(0.05, held=held)
    assert board() == {}
    held.go.set()
    held.done.wait()
    found = [board() for _ in range(3)]
    assert {"slow": 1.0} in found


def test_a_sensor_that_stays_silent_is_a_fault(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("waystation_agent.sensors.config.ANSWER_SECONDS", 0.01)
    board = _board(0.05, held=held)
    board()
    assert (board.report()[0].fault or "").startswith("no answer for more than")


def test_whatever_goes_wrong_in_a_sensor_is_its_fault_alone__JR_A16() -> None:
    board = _board(bug=Broken(_fail), part=Broken(_partly), odd=Broken(lambda: 7), well=Said({"a": 1.0}))  # type: ignore[arg-type, return-value]
    assert board() == {"half": 0.5, "a": 1.0}
    bug, part, odd, well = board.report()
    assert (bug.fault, part.fault, well.fault) == ("ZeroDivisionError: a bug", "half is gone", None)
    assert odd.fault
    assert (well.values, bug.values) == ({"a": 1.0}, {})


def test_two_sensors_with_one_metric_are_told_apart_by_a_prefix() -> None:
    first, second = Said({"temperature_c": 1.0}), Said({"temperature_c": 2.0, "b": 3.0})
    board = _board(first=first, second=second)
    assert board() == {"temperature_c": 1.0, "b": 3.0}
    assert "give this one a prefix" in (board.report()[1].fault or "")
    apart = Board([Configured("a", "test", first, "a"), Configured("b", "test", second, "b")])
    assert apart() == {"a_temperature_c": 1.0, "b_temperature_c": 2.0, "b_b": 3.0}


# agent.toml


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], list[Configured]]:
    def load_written(text: str) -> list[Configured]:
        (tmp_path / "agent.toml").write_text(text)
        return load(tmp_path / "agent.toml")

    return load_written


Written = Callable[[str], list[Configured]]


def test_without_a_file_the_machine_itself_is_sampled(tmp_path: Path) -> None:
    assert [sensor.kind for sensor in load(tmp_path / "agent.toml")] == ["system"]


def test_sensors_are_set_up_as_written(written: Written) -> None:
    found = written(
        """
        system = false
        [[sensor]]
        kind = "bme280"
        bus = 1
        address = 0x77
        prefix = "porch"
        [[sensor]]
        kind = "1wire"
        root = "/tmp"
        names = { "28-000005e2fdc3" = "boiler" }
        [[sensor]]
        kind = "exec"
        name = "rain gauge"
        command = ["/usr/local/bin/rain", "--json"]
        timeout_seconds = 30
        """
    )
    assert [(sensor.name, sensor.prefix) for sensor in found] == [("porch", "porch"), ("1wire", ""), ("rain gauge", "")]
    assert found[1].sensor == OneWire("/tmp", {"28-000005e2fdc3": "boiler"})
    assert found[2].answer_seconds == 31


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[sensor]", "at line 1"),
        ("sensors = 3", "sensors is not known here"),
        ("system = 1", "system must be true or false"),
        ('[sensor]\nkind = "file"', "two pairs of brackets"),
        ("[[sensor]]\nbus = 1", "[[sensor]] 1: kind is missing"),
        ('[[sensor]]\nkind = "bme820"', "there is no sensor of kind 'bme820'; there are system, 1wire, bme280"),
        ('[[sensor]]\nkind = "bme280"\nadress = 0x76', "[[sensor]] 1 (bme280): adress is not an option of bme280"),
        ('[[sensor]]\nkind = "bme280"\nbus = "1"', "bus must be a whole number"),
        ('[[sensor]]\nkind = "bme280"\nbus = true', "bus must be a whole number"),
        ('[[sensor]]\nkind = "bme280"\naddress = 76', "address is 0x76 or 0x77, not 0x4c"),
        ('[[sensor]]\nkind = "file"', "path is missing"),
        ('[[sensor]]\nkind = "exec"\ncommand = "rain --json"', 'command must be a list of texts, like ["a", "b"]'),
        ('[[sensor]]\nkind = "exec"\ncommand = []', "command is a list"),
        ('[[sensor]]\nkind = "system"', "another sensor called 'system'"),
        ('[[sensor]]\nkind = "file"\npath = "/a"\nprefix = "1 2"', "prefix must be"),
    ],
)
def test_a_wrong_file_is_one_sentence_with_the_place(written: Written, text: str, why: str) -> None:
    with pytest.raises(BadInput) as told:
        written(text)
    assert why in str(told.value)
    assert "agent.toml: " in str(told.value)
    assert "\n" not in str(told.value)


def test_other_packages_offer_sensors_by_an_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Written
) -> None:
    (tmp_path / "rain_gauge.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Rain:\n"
        '    """Rain."""\n    pin: int = 4\n'
        '    def read(self):\n        return {"rain_mm": self.pin / 10}\n'
    )
    information = tmp_path / "rain_gauge-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: rain-gauge\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        f"[{catalogue.GROUP}]\nrain = rain_gauge:Rain\ngone = rain_gauge:Gone\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    board = Board(written('system = false\n[[sensor]]\nkind = "rain"\npin = 7\n'))
    assert board() == {"rain_mm": 0.7}
    with pytest.raises(BadInput, match=r"gone .* cannot be loaded"):
        written('[[sensor]]\nkind = "gone"\n')
