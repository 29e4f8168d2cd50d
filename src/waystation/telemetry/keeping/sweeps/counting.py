"""How much every device has stored (docs/decisions/0010), counted anew once an hour and after whatever deletes."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from waystation import devices
from waystation.kernel.clock import EPOCH
from waystation.kernel.db import Database, Tx
from waystation.telemetry import codec
from waystation.telemetry.keeping import store
from waystation.telemetry.keeping.model import CHUNK_BYTES, POST, POST_BYTES, POST_METRICS, VALUE_BYTES
from waystation.telemetry.keeping.sweeps import store as stored
from waystation.telemetry.model import Kind

EVERY = timedelta(hours=1)
AT_ONCE = 100
NEWEST_POSTS = 100
KEPT_SIZES = timedelta(days=30)


@dataclass(slots=True)
class Counted:
    size: float = 0
    readings: int = 0


def count(database: Database, now: datetime) -> int:
    """A sweep over those devices whose count is old, or that have none; how many it counted."""
    with database.read() as tx:
        due = stored.never_counted(tx, AT_ONCE) or store.due_for_counting(tx, now - EVERY, AT_ONCE)
    if not due:
        return 0
    recount(database, due, now)
    return len(due)


def recount(database: Database, device_ids: Collection[int], now: datetime) -> None:
    """Reads outside of any transaction that writes."""
    with database.read() as tx:
        before = store.counted(tx, device_ids)
        placed = devices.placed(tx, device_ids)
        found = measured(tx, placed.keys())
    rows: list[dict[str, Any]] = [
        {
            "device_id": device_id,
            "home_id": placed[device_id].home_id,
            "size_bytes": round(one.size),
            "readings": one.readings,
            "counted_at": now,
        }
        for device_id, one in sorted(found.items())
    ]
    with database.write() as tx:
        alive = devices.placed(tx, found.keys())
        store.set_usage(tx, [row for row in rows if row["device_id"] in alive], before)
        store.forget_usage(tx, [one for one in device_ids if one not in alive])
        for home_id in {place.home_id for place in alive.values()}:
            store.note_size(tx, scope_of(home_id), store.usage_of_home(tx, home_id), now)


def scope_of(home_id: int) -> str:
    return f"home:{home_id}"


def measured(tx: Tx, device_ids: Collection[int]) -> dict[int, Counted]:
    """Every device has an entry, also one that has stored nothing."""
    held = [*stored.sealed_of(tx, device_ids, CHUNK_BYTES), *stored.unsealed_of(tx, device_ids, VALUE_BYTES)]
    posts: dict[int, int] = {}
    by_post = {one.device_id: one.series_id for one in held if one.metric == POST and one.kind == Kind.TEXT}
    counted = {device_id: Counted() for device_id in device_ids}
    for one in held:
        counted[one.device_id].readings += one.readings
        if one.device_id not in by_post or one.metric not in POST_METRICS:
            counted[one.device_id].size += one.size
        if one.series_id in by_post.values():
            posts[one.device_id] = posts.get(one.device_id, 0) + one.readings
    lengths = _mean_lengths(tx, by_post.values())
    for device_id, number in posts.items():
        counted[device_id].size += number * (POST_BYTES + lengths[by_post[device_id]])
    return counted


def _mean_lengths(tx: Tx, series_ids: Iterable[int]) -> dict[int, float]:
    """Of the newest posts of each series, in bytes."""
    ids = list(series_ids)
    fresh = stored.newest_texts_of_tail(tx, ids) if ids else {}
    return {one: _mean(_newest(tx, one, fresh.get(one, []))) for one in ids}


def _newest(tx: Tx, series_id: int, fresh: list[str]) -> list[str]:
    if len(fresh) < NEWEST_POSTS and (packed := stored.newest_chunk(tx, series_id)) is not None:
        fresh = codec.decode(packed).values.tolist() + fresh
    return fresh[-NEWEST_POSTS:]


def _mean(texts: list[str]) -> float:
    return sum(len(text.encode()) for text in texts) / len(texts) if texts else 0


def forget_old(tx: Tx, now: datetime) -> int:
    """Sizes of days that no forecast looks at, refusals and deletions of long ago."""
    old = now - KEPT_SIZES
    return store.forget_sizes(tx, old) + store.forget_refused(tx, old) + store.forget_deletions(tx, old)


def count_again(tx: Tx, home_id: int) -> None:
    """The next sweep does."""
    store.count_again(tx, home_id, EPOCH)
