"""Where the next value is."""

from collections.abc import Collection

import sqlalchemy as sa

from waystation.kernel.db import Tx
from waystation.kernel.prepared import Prepared, among, many
from waystation.telemetry.store import Sealed, chunk, chunks_between, tail, within

FIRST_IN_TAIL = Prepared(
    lambda on: sa.select(sa.func.min(tail.c.stamp)).where(within(tail.c.stamp), among(on, tail.c.series_id, "series"))
)
FIRST_CHUNK = Prepared(
    lambda on: (
        sa.select(sa.func.min(chunk.c.first_stamp))
        .where(within(chunk.c.first_stamp))
        .where(among(on, chunk.c.series_id, "series"))
    )
)


def first_in_tail(tx: Tx, series_ids: Collection[int], first: int, last: int) -> int | None:
    return FIRST_IN_TAIL.rows(tx, first=first, last=last, series=many(tx, series_ids))[0][0]


def first_chunk(tx: Tx, series_ids: Collection[int], first: int, last: int) -> int | None:
    """The first stamp of those chunks that begin in the range."""
    return FIRST_CHUNK.rows(tx, first=first, last=last, series=many(tx, series_ids))[0][0]


def chunks_across(tx: Tx, series_ids: Collection[int], stamp: int) -> list[Sealed]:
    """Those that begin before the stamp and end at or behind it."""
    return [sealed for sealed in chunks_between(tx, series_ids, stamp, stamp) if sealed.first < stamp]
