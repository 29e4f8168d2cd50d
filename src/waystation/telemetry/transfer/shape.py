"""Windows of values as the bytes of a file: CSV with one row per value or per moment, and NDJSON."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from waystation.telemetry.codec import Ints, Run
from waystation.telemetry.model import SOURCE_BITS, Kind, Series
from waystation.telemetry.transfer import cells
from waystation.telemetry.transfer.cells import Bytes
from waystation.telemetry.transfer.reader import Block, Window

WIDEST = 200


class Format(StrEnum):
    CSV = "csv"
    WIDE = "csv-wide"
    NDJSON = "ndjson"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        return _TYPES.get(self, "text/csv; charset=utf-8")

    @property
    def suffix(self) -> str:
        return self.value if self in _TYPES else "csv"


_TYPES = {Format.NDJSON: "application/x-ndjson", Format.PARQUET: "application/vnd.apache.parquet"}


class Shape:
    """How the windows of one export are written. `keys` are the devices' keys by id."""

    def __init__(self, form: Format, keys: Mapping[int, str], series: Sequence[Series], zone: ZoneInfo | None) -> None:
        self.keys = keys
        self.zone = zone
        self._metrics = sorted({one.metric for one in series})
        self._form = form

    def head(self) -> bytes:
        if self._form in (Format.NDJSON, Format.PARQUET):
            return b""
        times = ["time", *(["local_time"] if self.zone else [])]
        long = ["device", "metric", *times, "value"]
        return ",".join(long if self._form is Format.CSV else ["device", *times, *self._metrics]).encode() + b"\n"

    def blocks(self, series: Sequence[Series]) -> list[Block]:
        """In which order rows come: by device and metric, or all metrics of a device together."""
        if self._form is not Format.WIDE:
            return [Block(one.id, (one,)) for one in series]
        return [Block(device, tuple(some)) for device, some in groupby(series, attrgetter("device_id"))]

    def body(self, window: Window) -> tuple[bytes, int]:
        """The bytes and how many rows they are."""
        if self._form is Format.WIDE:
            return self._wide(window)
        write = self._long if self._form is Format.CSV else self._ndjson
        runs = [(one, window.runs[one.id]) for one in window.block.series if one.id in window.runs]
        return b"".join(write(one, run) for one, run in runs), sum(len(run) for _, run in runs)

    def _long(self, series: Series, run: Run) -> bytes:
        count, before = len(run), f"{self._key(series)},{series.metric},".encode()
        values = _column(series.kind, run)
        head = [cells.each(before, count), *self._times(run.stamps >> SOURCE_BITS)]
        if values is None:
            return _row_by_row(head, [cells.csv_text(text) for text in run.values.tolist()], "\n")
        return cells.joined([*head, values, cells.each(b"\n", count)])

    def _ndjson(self, series: Series, run: Run) -> bytes:
        at, count = run.stamps >> SOURCE_BITS, len(run)
        say = partial(cells.each, count=count)
        before = msgspec.json.encode({"device": self._key(series), "metric": series.metric})[:-1]
        head = [say(before + b',"at":"'), cells.utc(at), say(b'"')]
        if self.zone:
            head += [say(b',"local":"'), cells.local(at, self.zone), say(b'"')]
        head.append(say(b',"value":'))
        if series.kind is Kind.TEXT:
            return _row_by_row(head, [msgspec.json.encode(text).decode() for text in run.values.tolist()], "}\n")
        return cells.joined([*head, _NUMERIC[series.kind](run.values), say(b"}\n")])

    def _wide(self, window: Window) -> tuple[bytes, int]:
        layers = _layers(window)
        places = [_moments([run.stamps for _, run in layer]) for layer in layers]
        stamps = np.concatenate(places)
        order = np.argsort(stamps, kind="stable")
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        columns: dict[str, list[tuple[Ints, Kind, Run]]] = {}
        start = 0
        for layer, known in zip(layers, places, strict=True):
            for one, run in layer:
                rows = back[start + np.searchsorted(known, run.stamps)]
                columns.setdefault(one.metric, []).append((rows, one.kind, run))
            start += len(known)
        at = stamps[order] >> SOURCE_BITS
        key = self.keys[window.block.series[0].device_id]
        head = [cells.each(f"{key},".encode(), len(at)), *self._times(at)]
        return _table(head, [_cells_of(columns.get(metric, ()), len(at)) for metric in self._metrics]), len(at)

    def _times(self, at: Ints) -> list[Bytes]:
        """With a comma behind each."""
        comma = cells.each(b",", len(at))
        return [cells.utc(at), comma, *([cells.local(at, self.zone), comma] if self.zone else [])]

    def _key(self, series: Series) -> str:
        return self.keys[series.device_id]


_NUMERIC: Mapping[Kind, Callable[[Any], Bytes]] = {Kind.NUMBER: cells.numbers, Kind.BOOLEAN: cells.booleans}


def _column(kind: Kind, run: Run) -> Bytes | None:
    return cells.texts(run.values, longest=WIDEST) if kind is Kind.TEXT else _NUMERIC[kind](run.values)


def _row_by_row(head: list[Bytes], values: list[str], end: str) -> bytes:
    """For values too long to stand in columns of equal width."""
    lines = cells.joined([*head, cells.each(b"\n", len(values))]).decode().split("\n")
    return "".join([part for line, value in zip(lines, values, strict=False) for part in (line, value, end)]).encode()


def _moments(stamps: Sequence[Ints]) -> Ints:
    """All of them, each once, rising; they rise already in each part, so a sort is faster than numpy's `unique`."""
    whole = np.sort(np.concatenate(stamps), kind="stable")
    return whole[np.diff(whole, prepend=whole[0] - 1) > 0]


def _layers(window: Window) -> list[list[tuple[Series, Run]]]:
    """A metric that changed its kind may have two values at one moment: the second goes into a row of its own."""
    layers: list[list[tuple[Series, Run]]] = [[]]
    taken: dict[str, Ints] = {}
    many = Counter(one.metric for one in window.block.series)
    for one in window.block.series:
        run = window.runs.get(one.id)
        if run is None:
            continue
        if many[one.metric] == 1:
            layers[0].append((one, run))
            continue
        again = np.isin(run.stamps, taken.get(one.metric, ()))
        for number, some in ((0, ~again), (one.kind, again)):
            if some.any():
                layers += [[] for _ in range(number + 1 - len(layers))]
                layers[number].append((one, run.part(some)))
        taken[one.metric] = np.union1d(taken.get(one.metric, ()), run.stamps).astype(np.int64)
    return [layer for layer in layers if layer]


class _Column(NamedTuple):
    """Cells of equal width and the rows in which they stand; the others are empty."""

    width: int
    parts: Sequence[tuple[Ints, Bytes]]


def _cells_of(parts: Sequence[tuple[Ints, Kind, Run]], count: int) -> _Column | list[str]:
    """One column; as a list of cells when one is too long."""
    columns = [(rows, _column(kind, run)) for rows, kind, run in parts]
    found = [(rows, column) for rows, column in columns if column is not None]
    if len(found) < len(columns):
        return _long_cells(parts, count)
    return _Column(max((column.shape[1] for _, column in found), default=0), found)


def _long_cells(parts: Sequence[tuple[Ints, Kind, Run]], count: int) -> list[str]:
    whole = [""] * count
    for rows, kind, run in parts:
        values = run.values.tolist()
        said = [cells.csv_text(text) for text in values] if kind is Kind.TEXT else _split(_column(kind, run))
        for row, value in zip(rows.tolist(), said, strict=True):
            whole[row] = value
    return whole


def _split(column: Bytes | None) -> list[str]:
    assert column is not None
    width = column.shape[1]
    if not width:
        return [""] * len(column)
    return [cell.decode() for cell in np.ascontiguousarray(column).view(f"S{width}")[:, 0].tolist()]


def _table(head: list[Bytes], columns: Sequence[_Column | list[str]]) -> bytes:
    count = len(head[0])
    flat = [column for column in columns if isinstance(column, _Column)]
    if len(flat) < len(columns):
        said = [column if isinstance(column, list) else _listed(column, count) for column in columns]
        return _row_by_row(head, [",".join(row) for row in zip(*said, strict=True)], "\n")
    before = np.hstack(head)
    at = before.shape[1]
    whole = np.zeros((count, at + sum(column.width + 1 for column in flat)), np.uint8)
    whole[:, :at] = before
    for column in flat:
        for rows, written in column.parts:
            whole[rows, at : at + written.shape[1]] = written
        at += column.width + 1
        whole[:, at - 1] = ord(",")
    whole[:, -1] = ord("\n")
    return whole.tobytes().translate(None, b"\0")


def _listed(column: _Column, count: int) -> list[str]:
    listed = [""] * count
    for rows, written in column.parts:
        for row, cell in zip(rows.tolist(), _split(written), strict=True):
            listed[row] = cell
    return listed
