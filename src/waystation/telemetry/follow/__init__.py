"""Following the tail: a named reader sees every row that was committed, once, and the sealer waits for it a while.

A follower keeps its place in the database, in the transaction of what it made of the rows, so a crash repeats and
loses nothing. On PostgreSQL a lower id may be committed after a higher one: such a **hole** is looked at again until it
is filled, or so old that its transaction must have been rolled back.
"""

from waystation.telemetry.follow.model import MOST_BEHIND, MOST_ROWS, Place, Stretch, Summary
from waystation.telemetry.follow.store import (
    begin,
    disturb,
    end,
    look,
    move,
    newest_series,
    place,
    restart,
    rows,
    series_after,
    summaries,
    unread,
)

__all__ = [
    "MOST_BEHIND",
    "MOST_ROWS",
    "Place",
    "Stretch",
    "Summary",
    "begin",
    "disturb",
    "end",
    "look",
    "move",
    "newest_series",
    "place",
    "restart",
    "rows",
    "series_after",
    "summaries",
    "unread",
]
