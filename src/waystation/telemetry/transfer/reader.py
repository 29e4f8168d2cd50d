"""A stream of stored values of any length in little memory: window after window, each in a short transaction.

Values move from the tail into chunks while this goes on. A window holds all values of some series between two stamps,
from chunks and tail at one moment, and the next begins behind it: so none is missed and none comes twice.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from waystation.kernel.db import Database, Tx
from waystation.telemetry import codec
from waystation.telemetry import store as readings
from waystation.telemetry.codec import Run
from waystation.telemetry.model import LATEST, Cursor, Kind, Series, Value
from waystation.telemetry.seal import merged
from waystation.telemetry.transfer import store

CHUNKS_AT_ONCE = 8
MOST_CHUNKS = 64
BLOCKS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Block:
    """Series that are given together, by time; blocks come one after the other."""

    id: int
    series: tuple[Series, ...]


class Window(NamedTuple):
    """All values of a block behind the window before it, up to and with the stamp `until`; a run is never empty."""

    block: Block
    runs: Mapping[int, Run]
    until: int

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.until, self.block.id)


@dataclass(slots=True)
class _Part:
    """What one transaction reads: small blocks whole, or one block up to `until`."""

    blocks: list[Block]
    first: int
    until: int
    chunks: int = 0


def windows(
    database: Database, blocks: Sequence[Block], first: int, last: int, *, after: Cursor | None = None
) -> Iterator[Window]:
    """Of stamps from `first` to `last`, both included, behind the cursor of an earlier window if one is given."""
    if after is not None:
        at = [block.id for block in blocks].index(after.series_id)
        if after.stamp < last:
            yield from _windows(database, blocks[at : at + 1], max(first, after.stamp + 1), last)
        blocks = blocks[at + 1 :]
    yield from _windows(database, blocks, first, last)


def rows_between(
    database: Database, series: Sequence[Series], first: int, last: int
) -> Iterator[tuple[int, dict[str, Value]]]:
    """By ascending stamp every moment at which one of the series has a value, with the values by metric."""
    for window in windows(database, [Block(0, tuple(series))], first, last):
        yield from _moments(window)


def _moments(window: Window) -> Iterator[tuple[int, dict[str, Value]]]:
    found: dict[int, dict[str, Value]] = {}
    for one in window.block.series:
        if (run := window.runs.get(one.id)) is not None:
            values = run.values.astype(bool) if one.kind is Kind.BOOLEAN else run.values
            for stamp, value in zip(run.stamps.tolist(), values.tolist(), strict=True):
                found.setdefault(stamp, {})[one.metric] = value
    yield from sorted(found.items())


def _windows(database: Database, blocks: Sequence[Block], first: int, last: int) -> Iterator[Window]:
    for start in range(0, len(blocks), BLOCKS_AT_ONCE):
        some = blocks[start : start + BLOCKS_AT_ONCE]
        with database.read() as tx:
            ends = store.ends(tx, [one.id for block in some for one in block.series], first, last)
        for part in _parts(some, ends, first, last):
            with database.read() as tx:
                runs = _runs(tx, [one.id for block in part.blocks for one in block.series], part.first, part.until)
            for block in part.blocks:
                mine = {one.id: runs[one.id] for one in block.series if one.id in runs}
                if mine:
                    yield Window(block, mine, part.until)


def _parts(blocks: Iterable[Block], ends: Mapping[int, Sequence[int]], first: int, last: int) -> Iterator[_Part]:
    small = _Part([], first, last)
    for number, block in enumerate(blocks):
        reached = sorted(end for one in block.series for end in ends.get(one.id, ()))
        if small.blocks and small.chunks + len(reached) > CHUNKS_AT_ONCE:
            yield small
            small = _Part([], first, last)
        if len(reached) <= (CHUNKS_AT_ONCE if number else 1):
            small.blocks.append(block)
            small.chunks += len(reached)
            continue
        yield from _slices(block, reached, first, last)
    if small.blocks:
        yield small


def _slices(block: Block, reached: Sequence[int], first: int, last: int) -> Iterator[_Part]:
    """One block in stretches of time in each of which a few chunks end, in the first one: somebody waits to see it."""
    many = max(CHUNKS_AT_ONCE, min(len(block.series), MOST_CHUNKS))  # fewer would open each chunk several times
    for until in [*reached[::many], last]:
        if first <= (until := min(until, last)):
            yield _Part([block], first, until)
        if until == LATEST:
            return
        first = until + 1


def _runs(tx: Tx, series_ids: Sequence[int], first: int, last: int) -> dict[int, Run]:
    fresh = _unsealed(tx, series_ids, first, last)  # before the chunks: PostgreSQL may seal in between
    old: dict[int, list[Run]] = {}
    for series_id, data in store.sealed(tx, series_ids, first, last):
        old.setdefault(series_id, []).append(_cut(codec.decode(data), first, last))
    whole = {number: merged(old.get(number, ()), fresh.get(number, ())) for number in old.keys() | fresh.keys()}
    return {number: run for number, run in whole.items() if len(run)}


def _cut(run: Run, first: int, last: int) -> Run:
    if run.stamps[0] >= first and run.stamps[-1] <= last:
        return run
    start = np.searchsorted(run.stamps, first)
    return run.part(slice(int(start), int(np.searchsorted(run.stamps, last, "right"))))


def _unsealed(tx: Tx, series_ids: Sequence[int], first: int, last: int) -> dict[int, list[Run]]:
    columns: dict[int, tuple[list[int], list[Any]]] = {}
    for series_id, stamp, value, text in readings.tail_of(tx, series_ids, first, last):
        stamps, values = columns.setdefault(series_id, ([], []))
        stamps.append(stamp)
        values.append(value if text is None else text)
    return {number: [_sorted(*both)] for number, both in columns.items()}


def _sorted(stamps: list[int], values: list[Any]) -> Run:
    """Of equal stamps the first that arrived."""
    run = Run(np.array(stamps, np.int64), np.array(values, object if isinstance(values[0], str) else np.float64))
    order = np.argsort(run.stamps, kind="stable")
    kept = np.diff(run.stamps[order], prepend=run.stamps[order[0]] - 1) > 0
    return run.part(order[kept])
