"""The words of telemetry: kinds, series, stamps, and a reading before and after it has been stamped.

A **stamp** is the time a value is stored under: `microseconds << 8 | source`. The low byte says whose time it is, so
that two values meet on one stamp only when they are the same reading:

    0           the device's own time: the device sent this reading twice
    1 … 127     arrival time, given by the HTTP/WebSocket process in that slot, which never gives one twice
    128 … 255   arrival time by MQTT, with the message's sequence: a redelivery gets the same stamp again

A reading that is stored never changes: of several values with one series and stamp, the first one stored stays.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Self, cast

import msgspec

from waystation.kernel.errors import Invalid

SOURCE_BITS = 8
OWN = 0
MOST_SLOTS = 127
FIRST_MQTT = 128
EARLIEST, LATEST = -(2**63), 2**63 - 1


class Kind(IntEnum):
    """A metric that changes its kind goes on in a second series of the same name, so every series is of one kind."""

    NUMBER = 0
    BOOLEAN = 1
    TEXT = 2


Value = float | bool | str


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One decoded line of a device. `at` is the device's own time in microseconds, or None when it gave none.

    There are as many as readings come in, and a frozen dataclass takes ten times as long to make.
    """

    at: int | None
    values: dict[str, Value]


Row = tuple[str, int, int, float | str]
"""metric, kind, stamp, value; a boolean's value is 0.0 or 1.0."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """What a device sent in one call, as it goes to the writer: stored whole or not at all."""

    device_id: int
    rows: list[Row]


class Series(NamedTuple):
    """All values of one metric of one device, of one kind."""

    id: int
    device_id: int
    metric: str
    kind: Kind
    unit: str | None = None


class Cursor(NamedTuple):
    """The last point of a page; the next page starts behind it."""

    stamp: int
    series_id: int

    def text(self) -> str:
        return f"{self.stamp:x}.{self.series_id:x}"

    @classmethod
    def parse(cls, text: str) -> Self:
        stamp, dot, series_id = text.partition(".")
        try:
            cursor = cls(int(stamp, 16), int(series_id, 16))
        except ValueError:
            dot = ""
            cursor = cls(0, 0)
        if not dot or not EARLIEST <= cursor.stamp <= LATEST or not 0 <= cursor.series_id <= LATEST:
            raise Invalid("the cursor is not one that this hub gave out; start again without it")
        return cursor


def own(at: int) -> int:
    """The stamp of a reading with the device's own time `at` in microseconds."""
    return at << SOURCE_BITS | OWN


def arrived(at: int, slot: int) -> int:
    """The stamp of a reading without a time; `slot` is the process's number, 1 … 127, and `at` is unique within it."""
    return at << SOURCE_BITS | slot


def by_mqtt(at: int, sequence: int) -> int:
    """The stamp of a reading without a time from a queued MQTT message: arrival and sequence in its stream."""
    return at << SOURCE_BITS | FIRST_MQTT + sequence % FIRST_MQTT


def at_of(stamp: int) -> int:
    """The time in microseconds."""
    return stamp >> SOURCE_BITS


def first_from(at: int) -> int:
    """The least stamp at or after the time `at`."""
    return at << SOURCE_BITS


def last_until(at: int) -> int:
    """The greatest stamp at or before the time `at`."""
    return (at << SOURCE_BITS) + (1 << SOURCE_BITS) - 1


def kind_of(value: Value) -> Kind:
    if isinstance(value, bool):
        return Kind.BOOLEAN
    return Kind.TEXT if isinstance(value, str) else Kind.NUMBER


# Looked up for every value, which `Kind.TEXT` and its like would make much slower.
NUMBER, BOOLEAN, TEXT = map(int, Kind)
KIND_OF_CLASS: dict[type, int] = {float: NUMBER, int: NUMBER, bool: BOOLEAN, str: TEXT}


def rows_of(sample: Sample, stamp: int) -> list[Row]:
    rows: list[Row] = []
    for metric, value in sample.values.items():
        kind = KIND_OF_CLASS[value.__class__]
        rows.append((metric, kind, stamp, cast("str", value) if kind == TEXT else float(value)))
    return rows
