"""From hours and readings to one line per bucket; pure, a column at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from waystation.telemetry.codec import Floats, Ints
from waystation.telemetry.history.model import BETWEEN_READINGS, MOST_STATES, Frame, Lines
from waystation.telemetry.hours import Hours, rise
from waystation.telemetry.model import LATEST

SECOND = 1e6


@dataclass(frozen=True, slots=True)
class Pieces:
    """Spans of time, divided by buckets: of which span each piece is, in which bucket, how many microseconds."""

    spans: Ints
    buckets: Ints
    lengths: Ints


def of_numbers(hours: Hours, frame: Frame) -> Lines:
    """`hours` by time, readings beyond the frame as far as they reach into it included."""
    table = _of_readings(hours, frame)
    if frame.wanted & BETWEEN_READINGS:
        area, seconds = _lasting(hours, frame)
        if "time_mean" in frame.wanted:
            table.columns["time_mean"] = _divided(area, seconds)
        if "states" in frame.wanted:
            known = np.where(seconds > 0, 0.0, np.nan)
            table.columns["states"] = {"false": known + (seconds - area), "true": known + area}
        np.logical_or(table.covered, seconds > 0, out=table.covered)
        if "rate" in frame.wanted:
            rises, between = _rising(hours, frame)
            table.columns["rate"] = _divided(rises, between)
            np.logical_or(table.covered, between > 0, out=table.covered)
    return table


def of_texts(codes: Hours, words: Sequence[str], frame: Frame) -> Lines:
    """`codes` as the values of hours: which of the words each reading is."""
    table = _of_readings(codes, frame)
    for name in {"first", "last"} & frame.wanted:
        numbers = table.columns[name]
        table.columns[name] = [None if np.isnan(number) else words[int(number)] for number in numbers]
    for name in table.columns.keys() - {"count", "first", "last"}:
        del table.columns[name]
    if "states" in frame.wanted:
        pieces = _lasting_pieces(codes, frame)
        code = codes.lasts[pieces.spans].astype(np.int64)
        size = len(frame.edges) - 1
        seconds = np.bincount(
            code * size + pieces.buckets, pieces.lengths / SECOND, minlength=size * len(words)
        ).reshape(len(words), size)
        known = seconds.sum(0) > 0
        table.columns["states"] = _states(words, np.where(known, seconds, np.nan))
        np.logical_or(table.covered, known, out=table.covered)
    return table


def _states(words: Sequence[str], seconds: Floats) -> dict[str | None, Floats]:
    """Those that lasted longest; all others together under None."""
    totals = np.nansum(seconds, 1)
    ranking: list[int] = np.argsort(-totals, kind="stable").tolist()
    order = [place for place in ranking if totals[place] > 0]
    found: dict[str | None, Floats] = {}
    for place in order[:MOST_STATES]:
        found[words[place]] = seconds[place]
    if order[MOST_STATES:]:
        found[None] = seconds[order[MOST_STATES:]].sum(0)
    return found


# Of readings


def _of_readings(hours: Hours, frame: Frame) -> Lines:
    size = len(frame.edges) - 1
    hours = _inside(hours, frame)
    begins = np.searchsorted(hours.starts, frame.edges)
    places = np.flatnonzero(np.diff(begins))
    starts = begins[places]
    counts = np.zeros(size, np.int64)
    if len(starts):
        counts[places] = np.add.reduceat(hours.counts, starts)
    columns: dict[str, Any] = {"count": counts} if "count" in frame.wanted else {}
    for name in frame.wanted - BETWEEN_READINGS - {"count"}:
        column = np.full(size, np.nan)
        if len(starts):
            column[places] = OF_READINGS[name](hours, starts)
        columns[name] = column
    return Lines(counts > 0, columns)


def _sums(hours: Hours, starts: Ints) -> Floats:
    with np.errstate(over="ignore"):
        return np.add.reduceat(hours.sums, starts)


def _means(hours: Hours, starts: Ints) -> Floats:
    totals, counts = _sums(hours, starts), np.add.reduceat(hours.counts, starts)
    if np.isfinite(totals).all():
        return totals / counts
    lengths = np.diff(starts, append=len(hours))
    return np.add.reduceat(hours.sums / np.repeat(counts, lengths), starts)  # less exact, but within a float


OF_READINGS: Mapping[str, Callable[[Hours, Ints], Floats]] = {
    "min": lambda hours, starts: np.minimum.reduceat(hours.least, starts),
    "max": lambda hours, starts: np.maximum.reduceat(hours.greatest, starts),
    "sum": _sums,
    "mean": _means,
    "first": lambda hours, starts: hours.firsts[starts],
    "last": lambda hours, starts: hours.lasts[np.append(starts[1:], len(hours)) - 1],
}


# Of the time between them


def _lasting(hours: Hours, frame: Frame) -> tuple[Floats, Floats]:
    """Value times seconds, and seconds, of each bucket."""
    pieces = _lasting_pieces(hours, frame)
    with np.errstate(over="ignore", invalid="ignore"):
        area = _by_bucket(frame, pieces.buckets, hours.lasts[pieces.spans] * (pieces.lengths / SECOND))
        within, number = _within(hours, frame)
        area += _by_bucket(frame, number, within.areas)
    seconds = _by_bucket(frame, pieces.buckets, pieces.lengths / SECOND)
    return area, seconds + _by_bucket(frame, number, (within.ends - within.starts) / SECOND)


def _lasting_pieces(hours: Hours, frame: Frame) -> Pieces:
    if not len(hours):
        return Pieces(*(np.zeros(0, np.int64) for _ in range(3)))
    alone = np.maximum(hours.ends, np.minimum(hours.ends + frame.hold, frame.now))
    following = np.append(hours.starts[1:], LATEST)
    followed = following <= hours.ends + frame.hold
    return _divided_by_buckets(hours.ends, np.where(followed, following, alone), frame)


def _rising(hours: Hours, frame: Frame) -> tuple[Floats, Floats]:
    """What was counted, and in how many seconds, of each bucket."""
    starts, ends = hours.ends[:-1], hours.starts[1:]
    near = np.flatnonzero(ends - starts <= frame.hold)
    pieces = _divided_by_buckets(starts[near], ends[near], frame)
    span = near[pieces.spans]
    length = np.maximum(ends[span] - starts[span], 1)
    share = np.where(ends[span] == starts[span], 1, pieces.lengths / length)
    with np.errstate(over="ignore", invalid="ignore"):
        rises = _by_bucket(frame, pieces.buckets, rise(hours.lasts[:-1], hours.firsts[1:])[span] * share)
        within, number = _within(hours, frame)
        rises += _by_bucket(frame, number, within.rises)
    seconds = _by_bucket(frame, pieces.buckets, pieces.lengths / SECOND)
    return rises, seconds + _by_bucket(frame, number, (within.ends - within.starts) / SECOND)


def _within(hours: Hours, frame: Frame) -> tuple[Hours, Ints]:
    """The hours that lie in the frame, and their buckets."""
    whole = _inside(hours, frame)
    return whole, np.searchsorted(frame.edges, whole.starts, "right") - 1


def _inside(hours: Hours, frame: Frame) -> Hours:
    """Those that begin in the frame, as views: they may be many."""
    return hours.part(slice(*np.searchsorted(hours.starts, (frame.first, frame.values_until + 1)).tolist()))


def _divided_by_buckets(starts: Ints, ends: Ints, frame: Frame) -> Pieces:
    """A span of no length is a piece of no length."""
    from_, until = np.maximum(starts, frame.first), np.minimum(ends, frame.time_until)
    kept = np.flatnonzero((from_ < until) | ((starts == ends) & (from_ == starts) & (from_ <= frame.values_until)))
    from_, until = from_[kept], until[kept]
    one = np.searchsorted(frame.edges, from_, "right") - 1
    other = np.maximum(np.searchsorted(frame.edges, until, "left") - 1, one)
    pieces = other - one + 1
    span = np.repeat(np.arange(len(kept)), pieces)
    number = one[span] + np.arange(len(span)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    lengths = np.minimum(until[span], frame.edges[number + 1]) - np.maximum(from_[span], frame.edges[number])
    return Pieces(kept[span], number, lengths)


def _by_bucket(frame: Frame, buckets: Ints, amounts: Floats) -> Floats:
    return np.bincount(buckets, amounts, minlength=len(frame.edges) - 1).astype(np.float64)


def _divided(amounts: Floats, seconds: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(seconds > 0, amounts / seconds, np.nan)
