"""Chunks of deleted devices: nobody sees them any more, and a little of them goes in each transaction."""

from datetime import datetime

from waystation.kernel.db import Database
from waystation.telemetry import store as telemetry_store
from waystation.telemetry.keeping.sweeps import store as stored
from waystation.telemetry.keeping.sweeps.retention import CHUNKS_AT_ONCE, few

SERIES_AT_ONCE = 200


def clear(database: Database, now: datetime) -> int:  # noqa: ARG001  as every sweep
    """A step; 0 when nothing is left. Neither the sealer nor another sweep touches what has no series."""
    with database.read() as tx:
        series_ids = stored.left_behind(tx, SERIES_AT_ONCE)
        gone = few(stored.oldest(tx, series_ids, CHUNKS_AT_ONCE + 1)) if series_ids else ()
    if not series_ids:
        return 0
    with database.write() as tx:
        if gone:
            telemetry_store.replace_chunks(tx, [part.id for part in gone], [])
        else:
            stored.forget_lasts(tx, series_ids)
    return 1
