"""Any series over any range, in few points or in buckets; docs/reference/history.md says it in full."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from fastapi import Query
from starlette.responses import Response

from waystation import devices
from waystation.homes import HomeViewer, Membership
from waystation.kernel.clock import micros
from waystation.kernel.errors import Invalid
from waystation.kernel.routes import Now, Router, Tx
from waystation.telemetry import store
from waystation.telemetry.codec import Ints, Run
from waystation.telemetry.history import asked as read
from waystation.telemetry.history import picture, service
from waystation.telemetry.history.calendar import CALENDAR, Buckets, zone
from waystation.telemetry.history.model import Asked, Lines
from waystation.telemetry.history.service import Range
from waystation.telemetry.model import EARLIEST, LATEST, Kind, Series, first_from, last_until

router = Router(tags=["telemetry"])

MOST_SERIES = 1000
MOST_NUMBERS = 200_000  # in one answer
MOST_BUCKETS = 10_000
LEAST_HOLD_SECONDS = 1
NOT_SHIFTED = timedelta()

Names = Annotated[list[str], Query()]
From = Annotated[str, Query(alias="from")]
Points = Annotated[int, Query(ge=2, le=10_000)]


class Shown(NamedTuple):
    """A series and the key of its device."""

    series: Series
    key: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of which series, and from where on the answer goes."""

    shown: Sequence[Shown]
    span: read.Span
    now: int
    points: int
    asked: Asked
    compared: Sequence[read.Comparison]
    place: read.Place

    @property
    def sets(self) -> int:
        return 1 + len(self.compared)

    def spans(self) -> list[tuple[timedelta, read.Span, Callable[[int], int]]]:
        """Every shift with its own range and the way back to the time that was asked for."""
        moved = [
            (each.shift, read.Span(each.back(self.span.first), each.back(self.span.last)), each.forth)
            for each in self.compared
        ]
        return [(NOT_SHIFTED, self.span, int), *moved]


@router.get("/api/history", summary="History of any number of series, in few points or in buckets")
@router.get("/api/history/", include_in_schema=False)
def history(  # noqa: PLR0913
    caller: HomeViewer,
    tx: Tx,
    now: Now,
    series: Names = [],  # noqa: B006  FastAPI copies it
    device: Names = [],  # noqa: B006
    metric: Names = [],  # noqa: B006
    from_: From = "-1d",
    to: str = "now",
    points: Points = 1000,
    bucket: str = "",
    tz: str = "UTC",
    aggregate: Names = [],  # noqa: B006
    hold: str = "1h",
    empty: Literal["null"] | None = None,
    compare: Names = [],  # noqa: B006
    cursor: str = "",
) -> Response:
    """Without `bucket` at most `points` points, which keep the least and the greatest; with it the aggregates of each
    bucket. `next` is the cursor of the rest. Times are epoch milliseconds.
    """
    at = micros(now)
    span, place, within = read.Span.parse(from_, to, at), read.Place.parse(cursor), zone(tz)
    buckets = read.buckets_of(bucket or "day", span, within, points=points)
    hold_seconds = read.seconds_of(hold, "hold", least=LEAST_HOLD_SECONDS)
    asked = Asked(buckets, read.aggregates(split(aggregate)), hold_seconds * 10**6, empty is not None)
    compared = read.comparisons(split(compare), asked)
    question = Question(
        _shown(tx, caller, series, device=device, metric=metric), span, at, points, asked, compared, place
    )
    answer = in_buckets(tx, question) if bucket else in_points(tx, question)
    known = {"from": span.first / 1000, "to": span.last / 1000, "tz": tz, "bucket": buckets.word if bucket else None}
    return json({**known, **answer})


def split(given: Sequence[str]) -> list[str]:
    """A parameter that is repeated or comma-separated, or both."""
    return [word for part in given for word in part.split(",") if word]


def json(body: Any) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")


# Which series


def _shown(
    tx: Tx, caller: Membership, series: Sequence[str], *, device: Sequence[str], metric: Sequence[str]
) -> list[Shown]:
    wanted, keys = read.wanted_series(series), split(device)
    if not wanted and not keys:
        raise Invalid("say which series, as in ?series=KEY:metric or ?device=KEY&metric=temperature")
    if len(wanted) + len(keys) > MOST_SERIES:
        raise Invalid(f"at most {MOST_SERIES} series at once")
    found = shown_series(tx, caller.home_id, wanted)
    named = [devices.find(tx, caller.home_id, key) for key in dict.fromkeys(keys)]
    key_of = {one.id: one.key for one in named}
    whole = store.series_of(tx, key_of.keys(), split(metric) or None) if key_of else []
    found += [Shown(one, key_of[one.device_id]) for one in whole]
    if len(found) > MOST_SERIES:
        raise Invalid(f"at most {MOST_SERIES} series at once; these are {len(found)}")
    return list({one.series.id: one for one in found}.values())


def shown_series(tx: Tx, home_id: int, wanted: Sequence[read.Wanted]) -> list[Shown]:
    """In the order in which they were named; one that has no readings yet is left out. NotFound for a device."""
    by_key = {key: devices.find(tx, home_id, key) for key in dict.fromkeys(one.key for one in wanted)}
    ids = {device.id: key for key, device in by_key.items()}
    of_name: dict[read.Wanted, list[Series]] = {}
    for one in store.series_of(tx, ids.keys(), {one.metric for one in wanted}) if wanted else ():
        of_name.setdefault(read.Wanted(ids[one.device_id], one.metric), []).append(one)
    return [Shown(one, name.key) for name in wanted for one in of_name.get(name, ())]


def _named(one: Shown, shift: timedelta) -> dict[str, Any]:
    series = one.series
    kind = {"kind": series.kind.name.lower(), "unit": series.unit}
    return {"device": one.key, "metric": series.metric, **kind, "shift": shift.total_seconds()}


# In points


def in_points(tx: Tx, question: Question) -> dict[str, Any]:
    at_once = max(1, MOST_NUMBERS // question.points // question.sets)
    start, end = question.place.series, question.place.series + at_once
    mine = question.shown[start:end]
    found = [
        {**_named(one, shift), **_points(runs.get(one.series.id), one.series.kind, span, forth)}
        for shift, span, forth in question.spans()
        for runs in (_runs(tx, mine, span, question.points),)
        for one in mine
    ]
    return {"series": found, "next": read.Place(end).text() if end < len(question.shown) else None}


def _runs(tx: Tx, shown: Sequence[Shown], span: read.Span, points: int) -> Mapping[int, Run]:
    first, last = max(EARLIEST, first_from(span.first)), min(LATEST, last_until(span.last))
    return picture.points_of(tx, [one.series for one in shown], first, last, points=points)


def _points(run: Run | None, kind: Kind, span: read.Span, forth: Callable[[int], int]) -> dict[str, Any]:
    if run is None:
        return {"at": [], "value": []}
    later = forth(span.first) - span.first
    values = run.values.astype(bool) if kind == Kind.BOOLEAN else run.values
    return {"at": (((run.stamps >> 8) + later) / 1000).tolist(), "value": values.tolist()}


# In buckets


def in_buckets(tx: Tx, question: Question) -> dict[str, Any]:
    most = max(1, min(MOST_BUCKETS, MOST_NUMBERS // max(len(question.shown) * question.sets, 1)))
    first = question.span.first if question.place.at is None else max(question.place.at, question.span.first)
    series = [one.series for one in question.shown]
    page = service.bucketed(tx, series, Range(first, question.span.last, question.now), question.asked, most=most)
    empty = question.asked.with_empty
    found = [
        _filled(one, page.edges, page.tables[one.series.id], with_empty=empty, shift=NOT_SHIFTED)
        for one in question.shown
    ]
    for each in question.compared:
        found += _compared(tx, question, each, page.edges)
    return {"series": found, "next": None if page.next is None else read.Place(0, page.next).text()}


def _compared(tx: Tx, question: Question, each: read.Comparison, edges: Ints) -> list[dict[str, Any]]:
    """The buckets that lie so much earlier, told at the times of those that they are compared with."""
    ends = (max(int(edges[0]), question.span.first), min(int(edges[-1]) - 1, question.span.last))
    first, last = (each.back(at) for at in ends)
    before = service.bucketed(
        tx, [one.series for one in question.shown], Range(first, last, last), question.asked, most=len(edges) + 1
    )
    moved = _forth(before.edges, each, question.asked.buckets)
    return [
        _filled(one, moved, before.tables[one.series.id], with_empty=question.asked.with_empty, shift=each.shift)
        for one in question.shown
    ]


def _forth(edges: Ints, each: read.Comparison, buckets: Buckets) -> Ints:
    if buckets.word in CALENDAR:
        return np.array([each.forth(at) for at in edges.tolist()], np.int64)
    return edges + (each.forth(int(edges[0])) - int(edges[0]))


def _filled(one: Shown, edges: Ints, lines: Lines, *, with_empty: bool, shift: timedelta) -> dict[str, Any]:
    kept = slice(None) if with_empty else np.flatnonzero(lines.covered)
    columns: dict[str, Any] = {"at": (edges[:-1][kept] / 1000).tolist()}
    for name, column in lines.columns.items():
        if name == "states":
            columns |= _states(column, kept)
        else:
            columns[name] = _plain(column, kept)
    return {**_named(one, shift), **columns}


def _plain(column: Any, kept: Any) -> list[Any]:
    """What is no number is null, in JSON."""
    if isinstance(column, list):
        return np.array(column, object)[kept].tolist()
    return column[kept].tolist()


def _states(column: Mapping[str | None, Any], kept: Any) -> dict[str, Any]:
    known = {"states": {word: seconds[kept].tolist() for word, seconds in column.items() if word is not None}}
    return known | ({"other_states": column[None][kept].tolist()} if None in column else {})
