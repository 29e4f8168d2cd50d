"""The last value of each series, from chunks and tail by one statement, so that sealing in between hides none."""

from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa

from waystation.kernel.db import Tx
from waystation.kernel.prepared import Prepared
from waystation.telemetry.model import Series
from waystation.telemetry.store import KINDS, OfDevices

# Of equal stamps the sealed one counts, then the first to come: SQLite gives the other columns of the first row that
# has the maximum. `is true` keeps PostgreSQL from a join with the tail, which takes longer than a look into a set.
NEWEST = """
    with wanted as materialized (
        select id, device_id, metric, kind, unit from series where device_id in {devices} {of_metrics}
    ),
    newest as ({newest})
    select wanted.*, newest.stamp, newest.value, newest.text from wanted join newest on newest.series_id = wanted.id
    order by wanted.device_id, wanted.metric, wanted.kind
"""
SQLITE_NEWEST = """
    select series_id, max(stamp) as stamp, value, text from (
        select * from last_value where series_id in (select id from wanted)
        union all
        select * from (
            select series_id, max(stamp), value, text from tail
            where series_id in (select id from wanted) group by series_id
        )
    )
    group by series_id
"""
POSTGRES_NEWEST = """
    select distinct on (series_id) * from (
        select 0 as id, * from last_value where series_id in (select id from wanted)
        union all
        select tail.* from tail join (
            select series_id, max(stamp) as stamp from tail
            where (series_id in (select id from wanted)) is true group by series_id
        ) latest using (series_id, stamp)
    ) any_of
    order by series_id, stamp desc, id
"""
SQLITE = (SQLITE_NEWEST, "(select value from json_each(:devices))", "(select value from json_each(:metrics))")
POSTGRES = (POSTGRES_NEWEST, "(select unnest(cast(:devices as bigint[])))", "(select unnest(cast(:metrics as text[])))")


def _last(is_sqlite: bool, of_metrics: str = "") -> sa.Executable:  # noqa: FBT001
    newest, devices, metrics = SQLITE if is_sqlite else POSTGRES
    return sa.text(NEWEST.format(newest=newest, devices=devices, of_metrics=of_metrics.format(metrics)))


LAST_OF = OfDevices(Prepared(_last), Prepared(lambda on: _last(on, "and metric in {}")))


class LastValue(NamedTuple):
    series: Series
    stamp: int
    value: float | str


def last_values(tx: Tx, device_ids: Collection[int], metrics: Collection[str] | None = None) -> list[LastValue]:
    """Of every series of these devices (or of these metrics of them) the latest value, by device and metric."""
    rows = LAST_OF.rows(tx, device_ids, metrics)
    return [
        LastValue(Series(series_id, device_id, metric, KINDS[kind], unit), stamp, value if text is None else text)
        for series_id, device_id, metric, kind, unit, stamp, value, text in rows
    ]
