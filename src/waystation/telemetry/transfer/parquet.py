"""Readings as Apache Parquet, with a library that not every hub has (the extra `parquet`).

A row has one value: `number`, `boolean` or `text`, whichever is not null.
"""

import importlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from waystation.kernel.errors import Invalid, TooLarge
from waystation.telemetry.codec import Run
from waystation.telemetry.model import SOURCE_BITS, Kind, Series, Value
from waystation.telemetry.transfer.reader import Window

MAGIC = b"PAR1"
ROWS_IN_GROUP = 65_536
ROWS_AT_ONCE = 10_000
IN_MEMORY_BYTES = 8_388_608
LARGEST_BYTES = 4_294_967_296
LARGEST_GROUP_BYTES = 268_435_456
VALUES = {Kind.NUMBER: "number", Kind.BOOLEAN: "boolean", Kind.TEXT: "text"}
NO_PARQUET = "this is no Parquet file of readings"


class Row(NamedTuple):
    """As it stands in a file, counted from 1; `at` in microseconds."""

    number: int
    device: str
    metric: str
    at: int
    value: Value


def library() -> tuple[Any, Any]:
    """Pyarrow and its Parquet part; Invalid when it is not installed."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as missing:
        raise Invalid(
            "Parquet needs a library that is not installed here: pip install 'waystation[parquet]'"
        ) from missing


def groups(windows: Iterator[Window], keys: Mapping[int, str], where: ZoneInfo | None) -> Iterator[tuple[bytes, int]]:
    """The bytes of a file and how many rows they are, a row group at a time, its end last.

    Row groups are equally long whatever windows the rows came in, so the same readings are the same bytes.
    """
    arrow, parquet = library()
    layout, sink = _layout(arrow, where), _Sink()
    waiting = arrow.table({field.name: arrow.nulls(0, field.type) for field in layout}, layout)
    with parquet.ParquetWriter(sink, layout, compression="zstd") as writer:
        for window in windows:
            series = [one for one in window.block.series if one.id in window.runs]
            tables = [_table(arrow, layout, one, window.runs[one.id], key=keys[one.device_id]) for one in series]
            waiting = arrow.concat_tables([waiting, *tables])
            while len(waiting) >= ROWS_IN_GROUP:
                writer.write_table(waiting.slice(0, ROWS_IN_GROUP).combine_chunks())
                waiting = waiting.slice(ROWS_IN_GROUP)
                yield sink.taken(), ROWS_IN_GROUP
        if len(waiting):
            writer.write_table(waiting.combine_chunks())
    yield sink.taken(), len(waiting)


def _layout(arrow: Any, where: ZoneInfo | None) -> Any:
    local = [("local_time", arrow.timestamp("us", where.key))] if where else []
    kinds = [("number", arrow.float64()), ("boolean", arrow.bool_()), ("text", arrow.string())]
    named = [("device", arrow.string()), ("metric", arrow.string()), ("time", arrow.timestamp("us", "UTC"))]
    return arrow.schema([*named, *local, *kinds])


def _table(arrow: Any, layout: Any, series: Series, run: Run, *, key: str) -> Any:
    at = arrow.array(run.stamps >> SOURCE_BITS)
    same = {"device": key, "metric": series.metric}
    found: dict[str, Any] = {VALUES[series.kind]: _values(arrow, series.kind, run)}
    for field in layout:
        if field.name in same:
            found[field.name] = arrow.repeat(arrow.scalar(same[field.name], field.type), len(run))
        elif field.name in ("time", "local_time"):
            found[field.name] = at.cast(field.type)
        else:
            found.setdefault(field.name, arrow.nulls(len(run), field.type))
    return arrow.table(found).select(layout.names).cast(layout)


def _values(arrow: Any, kind: Kind, run: Run) -> Any:
    if kind is Kind.TEXT:
        return arrow.array(run.values.tolist(), arrow.string())
    return arrow.array(run.values != 0 if kind is Kind.BOOLEAN else run.values)


class _Sink:
    """A file that is taken away as it is written."""

    closed = False

    def __init__(self) -> None:
        self._size = 0
        self._parts: list[bytes] = []

    def write(self, part: Any) -> int:
        self._parts.append(bytes(part))
        self._size += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """What was written may still be taken."""

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


class Spool:
    """A file that comes in pieces and can be read only when it is whole, for its end says what is in it."""

    def __init__(self) -> None:
        library()
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115  closed when it has been read
        self._size = 0

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > LARGEST_BYTES:
            self._file.close()
            raise TooLarge("a Parquet file has at most 4 GiB here; import it in parts")
        self._file.write(part)

    def rows(self) -> Iterator[Row]:
        """Invalid at the first that is none."""
        arrow, parquet = library()
        with self._file:
            try:
                opened = parquet.ParquetFile(self._file)
                names = _checked(opened)
                number = 0
                for batch in opened.iter_batches(ROWS_AT_ONCE, columns=names, use_threads=False):
                    yield from _rows(arrow, batch, number)
                    number += len(batch)
            except (arrow.ArrowException, OSError, UnicodeDecodeError) as fault:
                raise Invalid(f"{NO_PARQUET}: {str(fault)[:200]}") from fault


def _checked(opened: Any) -> list[str]:
    """The columns to read."""
    names = [name for name in ("device", "metric", "time", *VALUES.values()) if name in opened.schema_arrow.names]
    if not {"metric", "time"} <= set(names) or not set(VALUES.values()) & set(names):
        raise Invalid(f"{NO_PARQUET}: it needs columns `metric`, `time` and `number`, `boolean` or `text`")
    sizes = [opened.metadata.row_group(place).total_byte_size for place in range(opened.num_row_groups)]
    if max(sizes, default=0) > LARGEST_GROUP_BYTES:
        raise Invalid("this Parquet file has row groups of more than 256 MiB; write it with smaller ones")
    return names


def _rows(arrow: Any, batch: Any, before: int) -> Iterator[Row]:
    types = {"device": arrow.string(), "metric": arrow.string(), "text": arrow.string()}
    types |= {"number": arrow.float64(), "boolean": arrow.bool_()}
    known = {name: kind for name, kind in types.items() if name in batch.schema.names}
    told = {name: batch.column(name).cast(kind).to_pylist() for name, kind in known.items()}
    times = _micros(arrow, batch.column("time"))
    nothing = [None] * len(batch)
    values = zip(*(told.get(name, nothing) for name in VALUES.values()), strict=True)
    named = zip(told.get("device", nothing), told["metric"], times, values, strict=True)
    for number, (device, metric, at, given) in enumerate(named, before + 1):
        value = next((one for one in given if one is not None), None)
        if value is None or at is None or metric is None:
            raise Invalid(f"row {number} has no value, no time or no metric; {NO_PARQUET}")
        yield Row(number, device or "", metric, at, value)


def _micros(arrow: Any, times: Any) -> list[int | None]:
    """Of times without a zone it is taken that they are UTC."""
    if not arrow.types.is_timestamp(times.type):
        raise Invalid(f"{NO_PARQUET}: `time` must be a timestamp, and is {times.type}")
    return times.cast(arrow.timestamp("us", times.type.tz), safe=False).cast(arrow.int64()).to_pylist()
