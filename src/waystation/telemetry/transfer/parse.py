"""Files of readings as lines, checked one by one: CSV, wide CSV, NDJSON and Parquet, as exports write or by hand."""

import csv
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from waystation.kernel.clock import micros, parse_iso
from waystation.kernel.errors import Invalid
from waystation.telemetry.decode import LONGEST_TEXT, METRIC, METRIC_RULE
from waystation.telemetry.model import EARLIEST, Value, at_of
from waystation.telemetry.transfer import parquet
from waystation.telemetry.transfer.cells import iso_micros, meant

LONGEST_LINE = 1_048_576
NEWLINE, QUOTE = b"\n", b'"'
OWN_COLUMNS = ("device", "metric", "time", "local_time", "value")


class Moment(NamedTuple):
    """One good line: what one device had at one time, in microseconds. No name means the file names none."""

    line: int
    device: str
    at: int
    values: Sequence[tuple[str, Value]]


class Bad(NamedTuple):
    """One line that is refused, counted from 1, and why."""

    line: int
    reason: str


class File:
    """Takes the bytes as they come, in pieces of any size, and gives the lines that are whole."""

    def __init__(self, latest: int) -> None:
        self._latest = latest
        self._rest = b""
        self._line = 1
        self._form: Csv | Ndjson | None = None
        self._spool: parquet.Spool | None = None

    def feed(self, part: bytes) -> Iterator[Moment | Bad]:
        if self._spool is not None:
            self._spool.add(part)
            return
        self._rest += part
        if self._form is None and self._rest.startswith(parquet.MAGIC):
            self._spool = parquet.Spool()
            self._spool.add(self._rest)
            return
        end = self._end()
        if end:
            whole, self._rest = self._rest[:end], self._rest[end:]
            yield from self._read(whole)
        if len(self._rest) > LONGEST_LINE:
            raise Invalid(f"line {self._line} is longer than {LONGEST_LINE} bytes, or its quotes do not end")

    def finish(self) -> Iterator[Moment | Bad]:
        if self._spool is not None:
            yield from (_moment_of(row, self._latest) for row in self._spool.rows())
            return
        if self._rest:
            yield from self._read(self._rest)
        if self._form is None:
            raise Invalid("the file is empty; it begins with a header (CSV) or a JSON object (NDJSON)")

    def _end(self) -> int:
        """Behind the last whole line; a line of CSV does not end within quotes."""
        end = self._rest.rfind(NEWLINE) + 1
        if isinstance(self._form, Ndjson) or not end:
            return end
        quotes = self._rest.count(QUOTE, 0, end)
        while end and quotes % 2:
            before = self._rest.rfind(NEWLINE, 0, end - 1) + 1
            quotes -= self._rest.count(QUOTE, before, end)
            end = before
        return end

    def _read(self, whole: bytes) -> Iterator[Moment | Bad]:
        first = self._line
        self._line += whole.count(NEWLINE)
        if self._form is None:
            whole = whole.removeprefix(b"\xef\xbb\xbf")
            self._form = Ndjson(self._latest) if whole.lstrip()[:1] == b"{" else Csv(self._latest)
        try:
            text = whole.decode()
        except UnicodeDecodeError as fault:
            line = first + whole.count(NEWLINE, 0, fault.start)
            raise Invalid(f"line {line} is not UTF-8 text; save the file as UTF-8") from fault
        yield from self._form.read(text, first)


class Csv:
    """With one value or one moment a row; which it is, its header says."""

    def __init__(self, latest: int) -> None:
        self._latest = latest
        self._columns: list[str] = []
        self._device = self._time = self._metric = self._value = -1
        self._metrics: list[tuple[int, str]] = []

    def read(self, text: str, first: int) -> Iterator[Moment | Bad]:
        rows = csv.reader(_lines(text), strict=True)
        before = 0
        while True:
            line, before = first + rows.line_num, rows.line_num
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as fault:
                if rows.line_num == before:
                    return
                yield Bad(line, f"it is not CSV: {fault}")
                continue
            if not self._columns:
                self._head(row)
            elif row:
                yield self._moment(row, line)

    def _head(self, row: list[str]) -> None:
        self._columns = [name.strip() for name in row]
        if "time" not in self._columns:
            raise Invalid("the first line is no header: a column `time` is missing; see an export for an example")
        if len(set(self._columns)) < len(self._columns):
            raise Invalid("the header names a column twice")
        self._device, self._time, self._metric, self._value = (
            self._columns.index(name) if name in self._columns else -1 for name in ("device", "time", "metric", "value")
        )
        if self._metric >= 0 and self._value >= 0:
            return
        self._metrics = [
            (at, name) for at, name in enumerate(self._columns) if name not in OWN_COLUMNS[:1] + OWN_COLUMNS[2:4]
        ]
        for _, name in self._metrics:
            if METRIC.fullmatch(name) is None:
                raise Invalid(f"the header's {name[:80]!r} is not a metric's name: {METRIC_RULE}")
        if not self._metrics:
            raise Invalid("the header has neither `metric` and `value` nor columns of metrics")

    def _moment(self, row: list[str], line: int) -> Moment | Bad:
        if len(row) != len(self._columns):
            return Bad(line, f"it has {len(row)} cells where the header has {len(self._columns)}")
        device = meant_text(row[self._device]) if self._device >= 0 else ""
        at = _time(row[self._time], self._latest)
        if isinstance(at, str):
            return Bad(line, at)
        if self._metrics:
            values = [(name, meant(cell)) for place, name in self._metrics if (cell := row[place]) != ""]
        elif row[self._value] == "":
            return Bad(line, "it has no value")
        else:
            values = [(row[self._metric], meant(row[self._value]))]
        wrong = _wrong(values)
        return Bad(line, wrong) if wrong else Moment(line, device, at, values)


class Ndjson:
    """With `metric` and `value`, or with `values` as devices send them."""

    def __init__(self, latest: int) -> None:
        self._latest = latest
        self._decode = msgspec.json.Decoder(JsonLine).decode

    def read(self, text: str, first: int) -> Iterator[Moment | Bad]:
        for line, said in enumerate(text.split("\n"), first):
            if said and not said.isspace():
                yield self._moment(said, line)

    def _moment(self, said: str, line: int) -> Moment | Bad:
        try:
            given = self._decode(said)
        except (msgspec.MsgspecError, RecursionError, ValueError) as fault:
            return Bad(line, f"it is no reading: {str(fault)[:200]}")
        values = [(name, value) for name, value in (given.values or {}).items() if value is not None]
        if given.metric is not None and given.value is not None:
            values.append((given.metric, given.value))
        if not values and given.values is None:
            return Bad(line, "it has neither `metric` and `value` nor `values`")
        at = _time(given.at, self._latest)
        if isinstance(at, str):
            return Bad(line, at)
        wrong = _wrong(values)
        return Bad(line, wrong) if wrong else Moment(line, given.device, at, values)


class JsonLine(msgspec.Struct):
    at: str | int | float
    device: str = ""
    metric: str | None = None
    value: float | bool | str | None = None
    values: dict[str, float | bool | str | None] | None = None


def meant_text(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" else cell


def _lines(text: str) -> list[str]:
    """With their ends. Nothing else ends a line within quotes, though Python's splitlines says so."""
    return [f"{line}\n" for line in text.removesuffix("\n").split("\n")]


def _moment_of(row: parquet.Row, latest: int) -> Moment | Bad:
    at = _in_time(row.at, f"{row.at} µs", latest)
    if isinstance(at, str):
        return Bad(row.number, at)
    if isinstance(row.value, float) and not math.isfinite(row.value):
        return Bad(row.number, f"{row.value} is no number")
    wrong = _wrong([(row.metric, row.value)])
    return Bad(row.number, wrong) if wrong else Moment(row.number, row.device, at, [(row.metric, row.value)])


def _time(given: Any, latest: int) -> int | str:
    """Microseconds, or what is wrong."""
    at = _micros(given)
    if at is None:
        return f"{str(given)[:40]!r} is no time; write 2026-01-31T12:00:00Z or epoch milliseconds"
    return _in_time(at, str(given)[:40], latest)


def _in_time(at: int, given: str, latest: int) -> int | str:
    if at > latest:
        return f"its time {given} is in the future"
    return at if at >= at_of(EARLIEST) else f"its time {given} is too long ago"


def _micros(given: Any) -> int | None:
    if isinstance(given, str):
        if (at := iso_micros(given)) is not None:
            return at
        try:
            return micros(parse_iso(given))
        except Invalid:
            pass
    try:
        number = float(given) * 1000
    except (ValueError, OverflowError):
        return None
    return round(number) if math.isfinite(number) else None


_known_metrics: set[str] = set()


def _wrong(values: Sequence[tuple[str, Any]]) -> str | None:
    for metric, value in values:
        if metric not in _known_metrics:
            if METRIC.fullmatch(metric) is None:
                return f"{metric[:80]!r} is not a metric's name: {METRIC_RULE}"
            if len(_known_metrics) > 10_000:
                _known_metrics.clear()
            _known_metrics.add(metric)
        if value.__class__ is str:
            text = cast("str", value)
            if len(text) > LONGEST_TEXT:
                return f"value of {metric!r} is text of more than {LONGEST_TEXT} characters"
            if "\x00" in text:
                return f"value of {metric!r} contains a NUL character"
    return None
