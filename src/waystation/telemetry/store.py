"""Telemetry's tables and every statement on them."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from waystation.kernel.clock import now_micros
from waystation.kernel.db import Moment, Tx, metadata, type_of_id
from waystation.telemetry.model import Kind, Row, Stamped

series = sa.Table(
    "series",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("device_id", sa.BigInteger, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("unit", sa.Text),
    sa.Column("created_at", Moment, nullable=False),
    sa.UniqueConstraint("device_id", "metric", "kind"),
    sqlite_autoincrement=True,  # rows in the tail may outlive their series: an id is never given again
)

# What has arrived, in order of arrival. Nothing but appends and the sealer's deletes from its old end; no index.
tail = sa.Table(
    "tail",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("series_id", sa.BigInteger, nullable=False),
    sa.Column("stamp", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("text", sa.Text),
)

# Sealed runs of one series; the chunks of a series never overlap. Sums are null for text, and where they overflow.
chunk = sa.Table(
    "chunk",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("series_id", sa.BigInteger, nullable=False),
    sa.Column("first_stamp", sa.BigInteger, nullable=False),
    sa.Column("last_stamp", sa.BigInteger, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("min", sa.Double),
    sa.Column("max", sa.Double),
    sa.Column("sum", sa.Double),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Index("chunk_by_series_and_end", "series_id", "last_stamp"),
)

# The newest sealed value of every series, written by the sealer only; a newer one may be in the tail.
last_value = sa.Table(
    "last_value",
    metadata,
    sa.Column("series_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("stamp", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("text", sa.Text),
)

# One row. Whoever takes rows away from the tail or chunks first moves `turn` from what it saw: only one can.
seal_turn = sa.Table(
    "seal_turn",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("turn", sa.BigInteger, nullable=False),
    sa.Column("sealed_at", Moment, nullable=False),
)

SeriesKey = tuple[int, str, int]
"""device id, metric, kind"""

MOST_REMEMBERED = 500_000


class SeriesIds:
    """What this process knows of the ids of series. It learns an id only after the commit that made it."""

    def __init__(self) -> None:
        self._known: dict[SeriesKey, int] = {}

    def get(self, key: SeriesKey) -> int | None:
        return self._known.get(key)

    @property
    def known(self) -> dict[SeriesKey, int]:
        return self._known

    def learn(self, found: dict[SeriesKey, int]) -> None:
        if len(self._known) + len(found) > MOST_REMEMBERED:
            self._known = {}
        self._known.update(found)


def append(tx: Tx, ids: SeriesIds, arrived: Sequence[Stamped]) -> None:
    """Stores all rows behind the tail; nothing is looked up, so a duplicate is stored and disappears later."""
    raise NotImplementedError
