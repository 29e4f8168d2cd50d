"""Stored posts, found again by their arrival or by the device's own time, and those that say a moment twice."""

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from waystation import telemetry
from waystation.devices import Device
from waystation.dialects.thermostat import wire
from waystation.kernel.clock import micros
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import Invalid
from waystation.telemetry import Kind, Series

DEVICE_TS = "device_ts"


class Post(NamedTuple):
    """What a device sent, with its arrival in microseconds."""

    at: int
    serial: str
    raw: str


class Wanted(NamedTuple):
    """The newest `rows` posts from `first` to `last`, in microseconds."""

    first: int
    last: int
    rows: int


def arrived(tx: Tx, found: Collection[Device], wanted: Wanted) -> list[Post]:
    """The newest of all these devices, ascending by arrival."""
    serials = {device.id: device.serial for device in found}
    kept = _series(tx, serials.keys(), wire.RAW)
    stamps = telemetry.first_from(wanted.first), telemetry.last_until(wanted.last)
    runs = telemetry.newest(tx, [one.id for one in kept], *stamps, limit=wanted.rows)
    posts = [
        Post(telemetry.at_of(stamp), serials[one.device_id], raw)
        for one in kept
        if one.id in runs
        for stamp, raw in zip(runs[one.id].stamps.tolist(), runs[one.id].values.tolist(), strict=True)
    ]
    return sorted(posts)[-wanted.rows :]


def happened(tx: Tx, database: Database, found: Sequence[Device], wanted: Wanted) -> list[Post]:
    """The newest by the devices' own clocks, ascending by these. A device without one has none.

    Its clock may be years off, so nothing tells where such a post has been stored: all of its times are looked through.
    """
    ends: list[tuple[int, int, Device]] = []
    for device in found:
        times = _moments(database, _series(tx, [device.id], wire.DEVICE_TS), wanted)
        more = ((at, stamp, device) for at, stamp in times)
        ends = heapq.nlargest(wanted.rows, chain(ends, more), key=_by_time)
    posts = _by_stamp(tx, database, found, ends)
    keys = [(device.id, stamp) for _, stamp, device in sorted(ends, key=_by_time)]
    return [posts[key] for key in keys if key in posts]


def _by_time(end: tuple[int, int, Device]) -> tuple[int, int]:
    return end[:2]


def _moments(database: Database, series: Sequence[Series], wanted: Wanted) -> Iterator[tuple[int, int]]:
    """Device time and stamp of those in the range."""
    for stamp, values in telemetry.rows_between(database, series, telemetry.EARLIEST, telemetry.LATEST):
        said = wire.moment(str(values.get(wire.DEVICE_TS)))
        if said is not None and wanted.first <= (at := micros(said)) <= wanted.last:
            yield at, stamp


def _by_stamp(
    tx: Tx, database: Database, found: Sequence[Device], ends: Sequence[tuple[int, int, Device]]
) -> Mapping[tuple[int, int], Post]:
    posts: dict[tuple[int, int], Post] = {}
    for device in found:
        stamps = {stamp for _, stamp, whose in ends if whose.id == device.id}
        if not stamps:
            continue
        series = _series(tx, [device.id], wire.RAW)
        for stamp, values in telemetry.rows_between(database, series, min(stamps), max(stamps)):
            if stamp in stamps:
                posts[device.id, stamp] = Post(telemetry.at_of(stamp), device.serial, str(values[wire.RAW]))
    return posts


def shown(posts: Iterable[Post], *, rows: int, collapsed: bool) -> list[wire.Fields]:
    """The last `rows` as `query` shows them. One that gives a moment which its device has given before is flagged as a
    duplicate, or left out; nothing is shown of a metric of that name which did not come over this dialect.
    """
    given: set[tuple[str, str]] = set()
    found: list[wire.Fields] = []
    for post in posts:
        try:
            row = wire.row(post.serial, post.at, post.raw)
        except Invalid:
            continue
        moment = row[wire.DEVICE_TS]
        if moment is not None:
            if (post.serial, moment) in given:
                if collapsed:
                    continue
                row["duplicate"] = True
            given.add((post.serial, moment))
        found.append(row)
    return found[-rows:]


def _series(tx: Tx, device_ids: Collection[int], metric: str) -> list[Series]:
    return [one for one in telemetry.series_of(tx, device_ids, [metric]) if one.kind == Kind.TEXT]
