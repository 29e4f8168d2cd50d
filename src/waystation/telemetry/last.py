"""The last value of each series: a sealed one by its table, a newer one by what this process remembers of the tail."""

from collections.abc import Collection, Mapping
from threading import Lock
from typing import NamedTuple

import sqlalchemy as sa

from waystation.kernel.clock import SystemClock
from waystation.kernel.db import Tx
from waystation.kernel.prepared import Prepared
from waystation.telemetry import follow
from waystation.telemetry.follow import Place
from waystation.telemetry.model import Series
from waystation.telemetry.store import KINDS, SERIES, OfDevices, Turn, last_value, series, tail_span, turn

SEALED = OfDevices(
    SERIES.add_columns(last_value.c.stamp, last_value.c.value, last_value.c.text).outerjoin_from(
        series, last_value, last_value.c.series_id == series.c.id
    )
)
# Of equal stamps the first that came: SQLite takes the other columns from the first row that has the maximum.
SQLITE_NEWEST = """
    select series_id, id, max(stamp), value, text from tail where id between :lo and :hi group by series_id
"""
POSTGRES_NEWEST = """
    select distinct on (series_id) series_id, id, stamp, value, text from tail where id between :lo and :hi
    order by series_id, stamp desc, id
"""
NEWEST = Prepared(lambda on: sa.text(SQLITE_NEWEST if on else POSTGRES_NEWEST))


class LastValue(NamedTuple):
    series: Series
    stamp: int
    value: float | str


class Unsealed(NamedTuple):
    id: int  # in the tail
    stamp: int
    value: float | str

    def is_before(self, other: "Unsealed") -> bool:
        return (self.stamp, -self.id) < (other.stamp, -other.id)


class Tail:
    """The newest value of each series that has been seen in the tail, where `look` reads only what has come since.

    What the sealer took away meanwhile is sealed, and may be known still. With every turn all is read anew, so that
    nothing is known any more that somebody deleted.
    """

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._lock = Lock()
        self._turn: Turn | None = None
        self._place: Place | None = None
        self._newest: dict[int, Unsealed] = {}

    def look(self, tx: Tx) -> Mapping[int, Unsealed]:
        """By series. Ask for what is sealed afterwards: in between, a value may only go from here to there."""
        with self._lock:
            now = turn(tx)
            if self._place is None or now != self._turn:
                self._turn, self._place, self._newest = now, self._beginning(tx), {}
            while True:
                before, self._place = self._place, self._read_on(tx, self._place)
                if self._place.position == before.position:
                    return self._newest

    def _beginning(self, tx: Tx) -> Place:
        span = tail_span(tx)
        return Place("last values", 0 if span is None else span.lo - 1, (), 0, self._clock.now())

    def _read_on(self, tx: Tx, place: Place) -> Place:
        stretch = follow.look(tx, place, self._clock.now())
        for lo, hi in stretch.ranges:
            for series_id, id_, stamp, value, text in NEWEST.rows(tx, lo=lo, hi=hi):
                found, known = Unsealed(id_, stamp, value if text is None else text), self._newest.get(series_id)
                if known is None or known.is_before(found):
                    self._newest[series_id] = found
        return stretch.after


def last_values(tx: Tx, device_ids: Collection[int], metrics: Collection[str] | None = None) -> list[LastValue]:
    """Of every series of these devices (or of these metrics of them) the latest value, by device and metric.

    Of equal stamps the sealed one counts, then the first to come.
    """
    unsealed = (Tail() if tx.writes else tx.kept(Tail)).look(tx)
    found: list[LastValue] = []
    for series_id, device_id, metric, kind, unit, stamp, value, text in SEALED.rows(tx, device_ids, metrics):
        newer = unsealed.get(series_id)
        one = Series(series_id, device_id, metric, KINDS[kind], unit)
        if newer is not None and (stamp is None or newer.stamp > stamp):
            found.append(LastValue(one, newer.stamp, newer.value))
        elif stamp is not None:
            found.append(LastValue(one, stamp, value if text is None else text))
    return found
