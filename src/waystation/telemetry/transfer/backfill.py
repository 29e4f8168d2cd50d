"""Back-filling: a file of readings becomes stored readings, in commits of bounded size, each reading once.

What is there already is not stored again: a value of the same metric and device at the same microsecond, whatever it
says and however it came. So a file may be imported again, and after a crash simply is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from waystation import devices
from waystation.kernel.audit import Actor
from waystation.kernel.clock import Clock, micros
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import Invalid
from waystation.telemetry import codec, seal
from waystation.telemetry import store as readings
from waystation.telemetry.codec import Ints
from waystation.telemetry.model import SOURCE_BITS, Kind, Row, Stamped, Value, first_from, kind_of, last_until, own
from waystation.telemetry.transfer.parse import Bad, File, Moment

MOST_VALUES = 20_000
MOST_UNSEALED = 100_000
MOST_CHUNKS = 64
MOST_REFUSALS = 20

SeriesKey = tuple[int, str, int]
Stored = Callable[[int, Sequence[Row]], None]


@dataclass(frozen=True, slots=True)
class Rules:
    """Whose readings these are, and what to do with what does not fit."""

    home_id: int
    by: Actor
    device: str = ""  # key or serial to which all lines go; else each names its own
    make_devices: bool = False
    skip_bad: bool = False
    max_future_seconds: int = 86_400


@dataclass(slots=True)
class Outcome:
    """So far. `read` counts values, `refused` lines."""

    read: int = 0
    stored: int = 0
    duplicates: int = 0
    refused: int = 0
    refusals: list[Bad] = field(default_factory=list[Bad])
    made_devices: list[str] = field(default_factory=list[str])


class Backfill:
    """Give it the bytes by `feed`, then `finish`. Both raise Invalid at the first bad line, unless these are skipped.

    Nothing of a batch with a bad line is stored; `outcome.stored` says what was before.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        rules: Rules,
        *,
        series: readings.SeriesIds | None = None,
        may_store: Callable[[], None] = lambda: None,
        stored: Stored = lambda _device, _rows: None,
    ) -> None:
        self.outcome = Outcome()
        self._database = database
        self._clock = clock
        self._rules = rules
        self._series = series or readings.SeriesIds(clock)
        self._may_store = may_store
        self._stored = stored
        self._file = File(micros(clock.now()) + rules.max_future_seconds * 1_000_000)
        self._ids: dict[str, int] = {}
        self._name = ""
        self._waiting: dict[SeriesKey, list[tuple[int, Value]]] = {}
        self._values = 0

    def feed(self, part: bytes) -> None:
        self._take(self._file.feed(part))

    def finish(self) -> Outcome:
        self._take(self._file.finish())
        self._store()
        return self.outcome

    def _take(self, lines: Iterable[Moment | Bad]) -> None:
        for line in lines:
            bad = line if isinstance(line, Bad) else self._add(line)
            if bad is not None:
                self._refuse(bad)
            if self._values >= MOST_VALUES:
                self._store()

    def _add(self, line: Moment) -> Bad | None:
        device_id = self._device(line.device)
        if isinstance(device_id, str):
            return Bad(line.line, device_id)
        for metric, value in line.values:
            self._waiting.setdefault((device_id, metric, kind_of(value)), []).append((line.at, value))
        self._values += len(line.values)
        return None

    def _refuse(self, bad: Bad) -> None:
        self.outcome.refused += 1
        if len(self.outcome.refusals) < MOST_REFUSALS:
            self.outcome.refusals.append(bad)
        if not self._rules.skip_bad:
            raise Invalid(
                f"line {bad.line}: {bad.reason}; {self.outcome.stored} values before it were stored, and it is safe to"
                " import the corrected file again"
            )

    def _device(self, name: str) -> int | str:
        """Its id, or what is wrong."""
        if self._rules.device:
            self._name = self._name or name
            if name != self._name:
                return f"it is of device {name[:40]!r} and others are of {self._name[:40]!r}, but all go to one"
            name = self._rules.device
        if not name:
            return "it names no device, and none was given for the whole file"
        if (known := self._ids.get(name)) is not None:
            return known
        found = self._found(name)
        if found is None:
            return f"there is no device {name[:40]!r} here, by key or serial"
        self._ids[name] = found
        return found

    def _found(self, name: str) -> int | None:
        home_id = self._rules.home_id
        with self._database.read() as tx:
            found = devices.by_key(tx, home_id, name) or devices.by_serial(tx, home_id, name)
        if found is not None or not self._rules.make_devices:
            return None if found is None else found.id
        with self._database.write() as tx:
            made = devices.register(tx, self._rules.by, home_id, self._clock.now(), name=name, serial=name)
            self.outcome.made_devices.append(made.key)
            return devices.find(tx, home_id, made.key).id

    def _store(self) -> None:
        waiting, self._waiting = self._waiting, {}
        values, self._values = self._values, 0
        if not waiting:
            return
        self._may_store()
        with self._database.read() as tx:
            new = _new_rows(tx, waiting)
        count = sum(map(len, new.values()))
        if count:
            with self._database.write() as tx:
                readings.append(tx, self._series, [Stamped(device, rows) for device, rows in new.items()])
        self.outcome.read += values
        self.outcome.stored += count
        self.outcome.duplicates += values - count
        for device, rows in new.items():
            self._stored(device, rows)
        self._seal(self._clock.now())

    def _seal(self, now: datetime) -> None:
        """A command may run without a hub; and a file comes faster than readings do."""
        with self._database.read() as tx:
            span = readings.tail_span(tx)
        if span is not None and span.rows >= MOST_UNSEALED:
            seal.seal(self._database, now)


def _new_rows(tx: Tx, waiting: Mapping[SeriesKey, Sequence[tuple[int, Value]]]) -> dict[int, list[Row]]:
    """By device, without what is stored already and without repetitions; of these the first stays."""
    known = readings.series_of(tx, {key[0] for key in waiting}, {key[1] for key in waiting})
    ids = {(one.device_id, one.metric, int(one.kind)): one.id for one in known}
    found: dict[int, list[Row]] = {}
    times = {ids[key]: np.unique([at for at, _ in given]) for key, given in waiting.items() if key in ids}
    taken = _taken(tx, times)
    for key, given in waiting.items():
        device, metric, kind = key
        seen = taken.get(ids[key], set[int]()) if key in ids else set[int]()
        rows = found.setdefault(device, [])
        for at, value in given:
            if at not in seen:
                seen.add(at)
                rows.append((metric, kind, own(at), value if kind == Kind.TEXT else float(value)))
    return {device: rows for device, rows in found.items() if rows}


def _taken(tx: Tx, times: Mapping[int, Ints]) -> dict[int, set[int]]:
    """Of each series the times, among these, at which it has a value, in chunks and tail."""
    if not times:
        return {}
    first = first_from(min(int(ats[0]) for ats in times.values()))
    last = last_until(max(int(ats[-1]) for ats in times.values()))
    taken: dict[int, set[int]] = {series_id: set() for series_id in times}
    for series_id, stamp, *_ in readings.tail_of(tx, list(times), first, last):
        taken[series_id].add(stamp >> SOURCE_BITS)
    near = [
        sealed
        for sealed in readings.chunks_between(tx, list(times), first, last)
        if np.diff(
            np.searchsorted(times[sealed.series_id], (sealed.first >> SOURCE_BITS, (sealed.last >> SOURCE_BITS) + 1))
        )
    ]
    for start in range(0, len(near), MOST_CHUNKS):
        some = {sealed.id: sealed.series_id for sealed in near[start : start + MOST_CHUNKS]}
        for chunk_id, data in readings.contents(tx, list(some)).items():
            if data:
                stamps = codec.decode(data).stamps >> SOURCE_BITS
                mine = times[some[chunk_id]]
                taken[some[chunk_id]].update(stamps[np.isin(stamps, mine)].tolist())
    return taken
