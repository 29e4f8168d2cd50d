"""The history page: any series of the home on one chart, and the same numbers as a table for who has no JavaScript."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from waystation import devices
from waystation.devices import Device
from waystation.homes import HomeViewer, Membership
from waystation.kernel import db
from waystation.kernel.clock import from_micros, micros
from waystation.kernel.errors import Invalid
from waystation.kernel.pages import Pages
from waystation.kernel.routes import Now, Router, Tx
from waystation.telemetry import store
from waystation.telemetry.history import api
from waystation.telemetry.history import asked as read
from waystation.telemetry.history.calendar import zone
from waystation.telemetry.history.model import Asked

router = Router(include_in_schema=False)

MOST_CHOSEN = 100
MOST_OFFERED = 300
MOST_OFFERED_PLAINLY = 1000
PLAIN_BUCKETS = 40
MOST_PLAIN_ROWS = 500
HOLD = timedelta(hours=1)

RANGES = {"1h": "1 h", "6h": "6 h", "24h": "24 h", "7d": "7 d", "30d": "30 d", "90d": "90 d", "365d": "1 y"}
SHOWS = {
    "points": "As measured",
    "band": "Mean, least and greatest",
    "time_mean": "Mean over time",
    "sum": "Sum",
    "count": "Number of readings",
    "rate": "Change per second (counters)",
}
COLUMNS = {"points": ("mean", "min", "max"), "band": ("mean", "min", "max")}
BUCKETS = {"auto": "Automatic", "hour": "Hours", "day": "Days", "week": "Weeks", "month": "Months"}
COMPARES = {
    "": "Nothing",
    "1d": "A day before",
    "7d": "A week before",
    "28d": "4 weeks before",
    "364d": "52 weeks before",
}
HEADS = {"mean": "mean", "min": "least", "max": "greatest", "time_mean": "mean over time", "rate": "per second"}

Names = Annotated[list[str], Query()]
From = Annotated[str, Query(alias="from")]


@router.get("/history")
def show_history(  # noqa: PLR0913
    request: Request,
    me: HomeViewer,
    tx: Tx,
    now: Now,
    series: Names = [],  # noqa: B006  FastAPI copies it
    range: str = "24h",  # noqa: A002
    from_: From = "",
    to: str = "",
    show: str = "points",
    bucket: str = "auto",
    tz: str = "UTC",
    plain: str = "",
) -> Response:
    """The page's script reads the address itself; with `plain` the server shows the numbers."""
    found = {device.key: device for device in devices.search(tx, me.home_id, "", most=10_000)}
    chosen = _chosen(tx, found, series[:MOST_CHOSEN])
    draft = {"range": range, "from": from_, "to": to, "show": show, "bucket": bucket, "tz": tz}
    table = None
    if plain and chosen:
        names = [one["series"] for one in chosen]
        table = _table(tx, me, names, _question(draft, micros(now)))
    pages: Pages = request.app.state.parts.get(Pages)
    return pages.html(
        request,
        "history/history.html",
        chosen=chosen,
        gone=len(set(series)) - len(chosen),
        offered=_offered(tx, found.values(), "", most=MOST_OFFERED_PLAINLY)[0],
        choices={"range": RANGES, "show": SHOWS, "bucket": BUCKETS, "compare": COMPARES},
        draft=draft,
        table=table,
    )


@router.get("/history/series")
def offer_series(me: HomeViewer, tx: Tx, q: str = "", series: Names = []) -> Response:  # noqa: B006
    """What the words of `q` fit, by device; with `series` the devices of those."""
    found = devices.search(tx, me.home_id, "", most=10_000)
    if series:
        keys = {name.partition(":")[0] for name in series}
        return api.json({"devices": [{"key": one.key, "name": one.name} for one in found if one.key in keys]})
    offered, more = _offered(tx, found, q[:100], most=MOST_OFFERED)
    return api.json({"devices": offered, "more": more})


def _chosen(tx: db.Tx, found: dict[str, Device], names: Sequence[str]) -> list[dict[str, Any]]:
    """What is named and still here, in that order."""
    wanted = [tuple(name.partition(":")[::2]) for name in dict.fromkeys(names)]
    ids = {found[key].id: key for key, _ in wanted if key in found}
    known = {(ids[one.device_id], one.metric): one for one in store.series_of(tx, ids.keys())} if ids else {}
    return [
        {"series": f"{key}:{metric}", "name": found[key].name, "key": key, **_told(known[key, metric])}
        for key, metric in wanted
        if (key, metric) in known
    ]


def _told(one: store.Series) -> dict[str, Any]:
    return {"metric": one.metric, "kind": one.kind.name.lower(), "unit": one.unit}


def _offered(tx: db.Tx, found: Iterable[Device], words: str, *, most: int) -> tuple[list[dict[str, Any]], bool]:
    """Devices with their series, and whether there are more than `most`."""
    by_id = {device.id: device for device in found}
    listed: dict[int, list[dict[str, Any]]] = {}
    wanted, count = words.lower().split(), 0
    for one in store.series_of(tx, by_id.keys()) if by_id else ():
        device = by_id[one.device_id]
        text = f"{device.name} {device.key} {one.metric} {one.metric.replace('_', ' ')}".lower()
        if any(word not in text for word in wanted):
            continue
        count += 1
        if count <= most:
            listed.setdefault(device.id, []).append(_told(one))
    shown = [
        {"key": device.key, "name": device.name, "series": listed[number]}
        for number, device in by_id.items()
        if number in listed
    ]
    return shown, count > most


# Without JavaScript


def _question(draft: dict[str, str], now: int) -> tuple[api.Question, str]:
    """What is asked, of series that are still to be named."""
    first, last = (draft["from"], draft["to"] or "now") if draft["from"] else (f"-{draft['range']}", "now")
    span, within = read.Span.parse(first, last, now), zone(draft["tz"])
    if draft["show"] not in SHOWS:
        raise Invalid(f"`show` is one of {', '.join(SHOWS)}")
    buckets = read.buckets_of(draft["bucket"], span, within, points=PLAIN_BUCKETS)
    aggregates = read.aggregates([*COLUMNS.get(draft["show"], (draft["show"],)), "last"])
    asked = Asked(buckets, aggregates, HOLD // timedelta(microseconds=1))
    return api.Question([], span, now, PLAIN_BUCKETS, asked, [], read.Place()), draft["show"]


def _table(tx: db.Tx, me: Membership, names: list[str], told: tuple[api.Question, str]) -> dict[str, Any]:
    """{heads, rows, bucket, more}: one row per bucket, the newest first."""
    blank, show = told
    shown = api.shown_series(tx, me.home_id, read.wanted_series(names))
    question = api.Question(shown, blank.span, blank.now, blank.points, blank.asked, [], blank.place)
    answer = api.in_buckets(tx, question)
    columns = [
        (one, name)
        for one in answer["series"]
        for name in (COLUMNS.get(show, (show,)) if one["kind"] == "number" else ("last",))
        if name in one
    ]
    cells = [dict(zip(one["at"], one[name], strict=True)) for one, name in columns]
    times = sorted({at for column in cells for at in column}, reverse=True)
    rows = [
        (_local(at, question), [_cell(one, column.get(at)) for (one, _), column in zip(columns, cells, strict=True)])
        for at in times[:MOST_PLAIN_ROWS]
    ]
    heads = [(one["device"], one["metric"], HEADS.get(name, name)) for one, name in columns]
    bucket = question.asked.buckets.word
    more = len(times) > MOST_PLAIN_ROWS or answer["next"] is not None
    return {"heads": heads, "rows": rows, "bucket": bucket, "tz": str(question.asked.buckets.zone), "more": more}


def _local(at: float, question: api.Question) -> str:
    return from_micros(round(at * 1000)).astimezone(question.asked.buckets.zone).strftime("%Y-%m-%d %H:%M")


def _cell(one: dict[str, Any], value: Any) -> Any:
    """A number that is none is told as nothing is; a boolean's last value is 1 or 0."""
    if value is None or value != value:  # noqa: PLR0124  NaN
        return None
    return bool(value) if one["kind"] == "boolean" else value
