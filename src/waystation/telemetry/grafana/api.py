"""The addresses that Grafana's JSON data source asks, below the one that is entered in its settings."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from waystation import devices
from waystation.homes import HomeViewer
from waystation.kernel import db
from waystation.kernel.clock import micros
from waystation.kernel.errors import Invalid, NotFound
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, PartsOf, Router
from waystation.telemetry import store
from waystation.telemetry.grafana.asked import MOST_NAMES, Filter, Wish, names
from waystation.telemetry.grafana.frames import Frame, frames
from waystation.telemetry.history import api as history
from waystation.telemetry.history import asked as read
from waystation.telemetry.history.calendar import zone
from waystation.telemetry.history.model import AGGREGATES, OF_KIND, Asked
from waystation.telemetry.model import Series

router = Router(tags=["telemetry"])

MOST_DEVICES = 1000
MOST_TARGETS = 200
USUAL_POINTS, MOST_POINTS = 1000, 10_000
TAGS = ("device", "key", "model", "metric", "kind")
BUCKETS = ("auto", "$__interval", "1m", "5m", "15m", "hour", "day", "week", "month", "year")
PAYLOADS = (
    {"name": "aggregate", "label": "Aggregate", "type": "multi-select", "placeholder": "every point", "width": 24},
    {"name": "bucket", "label": "Bucket", "type": "select", "placeholder": "none", "width": 16},
    {"name": "tz", "label": "Time zone", "type": "input", "placeholder": "UTC"},
)

Words = Annotated[str, Field(max_length=20_000)]


class Body(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Within(Body):
    first: Words = Field(alias="from")
    last: Words = Field(alias="to")


class Target(Body):
    target: Words | None = None
    refId: Words = ""  # noqa: N815  Grafana's names
    payload: Any = None
    hide: bool | None = None


class Narrowed(Body):
    key: Words
    operator: Words = "="
    value: Words = ""
    values: list[Words] | None = None


class Query(Body):
    range: Within
    targets: list[Target] = Field(max_length=MOST_TARGETS)
    maxDataPoints: float | None = None  # noqa: N815
    timezone: Words | None = None
    adhocFilters: list[Narrowed] | None = None  # noqa: N815
    filters: list[Narrowed] | None = None  # what newer versions call them

    @property
    def points(self) -> int:
        return int(min(max(self.maxDataPoints or USUAL_POINTS, 2), MOST_POINTS))

    def narrowed(self) -> list[Filter]:
        given = [*(self.adhocFilters or ()), *(self.filters or ())]
        return [Filter.parse(one.key, one.operator, one.values or [one.value], TAGS) for one in given]


class Metrics(Body):
    metric: Any = None


class Options(Body):
    metric: Words | None = None
    name: Words


class VariableQuery(Body):
    target: Words = ""


class Variable(Body):
    """As Grafana sends it, from a query as text or as JSON; a bare text is taken too."""

    payload: VariableQuery | Words | None = None

    @property
    def query(self) -> str:
        given = self.payload.target if isinstance(self.payload, VariableQuery) else self.payload
        return (given or "").strip()


class TagValues(Body):
    key: Words


class Known(NamedTuple):
    device: devices.Device
    series: Series

    @property
    def name(self) -> str:
        return f"{self.device.key}:{self.series.metric}"

    def tags(self) -> dict[str, str]:
        device, series = self.device, self.series
        kind = series.kind.name.lower()
        return dict(zip(TAGS, (_title(device), device.key, device.model, series.metric, kind), strict=True))


def _title(device: devices.Device) -> str:
    return device.name or device.key


@router.get("/api/grafana", summary="Grafana's JSON data source: whether it may read here")
@router.get("/api/grafana/", include_in_schema=False)
def test_connection(caller: HomeViewer) -> dict[str, str]:
    """For its button Save & test."""
    return {"status": "ok", "home": caller.home_name}


@router.post("/api/grafana/metrics", summary="Grafana's JSON data source: what can be shown")
@router.post("/api/grafana/metrics/", include_in_schema=False)
async def metrics(caller: HomeViewer, parts: PartsOf, body: Metrics | None = None) -> Response:  # noqa: ARG001
    """Series of the first 1,000 devices by name; others can be typed in as `KEY:metric`."""

    def ask(tx: db.Tx) -> list[Any]:
        return [
            {"label": f"{_title(one.device)} · {one.series.metric}", "value": one.name, "payloads": PAYLOADS}
            for one in _once(_known(tx, caller.home_id))
        ]

    return await _reading(parts, ask)


@router.post("/api/grafana/metric-payload-options", summary="Grafana's JSON data source: choices of a field")
@router.post("/api/grafana/metric-payload-options/", include_in_schema=False)
async def metric_payload_options(caller: HomeViewer, parts: PartsOf, body: Options) -> Response:
    """Of `aggregate` those that the series has; of `bucket` the usual ones."""

    def ask(tx: db.Tx) -> list[Any]:
        words = BUCKETS if body.name == "bucket" else ()
        if body.name == "aggregate":
            words = _aggregates(tx, caller.home_id, body.metric or "")
        return [{"label": word, "value": word} for word in words]

    return await _reading(parts, ask)


def _aggregates(tx: db.Tx, home_id: int, target: str) -> Sequence[str]:
    """All of them where the target is none yet."""
    try:
        shown = history.shown_series(tx, home_id, read.wanted_series(names(target)))
    except (Invalid, NotFound):
        return AGGREGATES
    had = [OF_KIND[one.series.kind] for one in shown] or [frozenset(AGGREGATES)]
    return [word for word in AGGREGATES if any(word in some for some in had)]


@router.post("/api/grafana/query", summary="Grafana's JSON data source: what a panel shows")
@router.post("/api/grafana/query/", include_in_schema=False)
async def query(caller: HomeViewer, parts: PartsOf, now: Now, body: Query) -> Response:
    """A target is `KEY:metric`; its payload may hold `aggregate`, `bucket`, `tz`, `hold` and `empty` of /api/history.
    Numbers come as time series, booleans and texts as tables with a column of times.
    """
    return await _reading(parts, lambda tx: list(_answer(tx, caller.home_id, micros(now), body)))


def _answer(tx: db.Tx, home_id: int, now: int, body: Query) -> Iterator[Frame]:
    filters, span = body.narrowed(), read.Span.parse(body.range.first, body.range.last, now)
    asked = [one for one in body.targets if one.target and not one.hide]
    wanted = [(one, read.wanted_series(names(one.target or ""))) for one in asked]
    count = sum(len(some) for _, some in wanted)
    if count > MOST_NAMES:
        raise Invalid(f"at most {MOST_NAMES} series at once; these are {count}")
    points, numbers = max(2, min(body.points, history.MOST_NUMBERS // max(count, 1))), 0
    for one, some in wanted:
        wish = Wish.parse(one.payload, body.timezone or "")
        shown = {each.series.id: each for each in history.shown_series(tx, home_id, some)}
        tags = _tags(tx, home_id, list(shown.values()))
        kept = [each for each in shown.values() if all(each_one.admits(tags[each]) for each_one in filters)]
        question = _question(kept, span, now, points=points, wish=wish)
        for each, found in zip(kept, _series(tx, question, wish), strict=True):
            only = None if wish.aggregates or not wish.bucket else ("mean" if "mean" in found else "last")
            for frame in frames(found, tags[each], one.refId, only=only):
                numbers += len(found["at"])
                if numbers > history.MOST_NUMBERS:
                    raise Invalid(f"more than {history.MOST_NUMBERS:,} values at once; ask for longer buckets")
                yield frame


def _question(
    shown: Sequence[history.Shown], span: read.Span, now: int, *, points: int, wish: Wish
) -> history.Question:
    buckets = read.buckets_of(wish.bucket or "day", span, zone(wish.tz), points=points)
    hold_seconds = read.seconds_of(wish.hold, "hold", least=history.LEAST_HOLD_SECONDS)
    aggregates = read.aggregates(wish.aggregates or ("mean", "last"))
    asked = Asked(buckets, aggregates, hold_seconds * 10**6, wish.with_empty)
    return history.Question(shown, span, now, points, asked, (), read.Place())


def _series(tx: db.Tx, question: history.Question, wish: Wish) -> list[dict[str, Any]]:
    if not question.shown:
        return []
    answer = history.in_buckets(tx, question) if wish.bucket else history.in_points(tx, question)
    if answer["next"] is not None:
        raise Invalid(f"`bucket`: {wish.bucket[:20]!r} makes too many of them in this range; choose a longer one")
    return answer["series"]


def _tags(tx: db.Tx, home_id: int, shown: Sequence[history.Shown]) -> Mapping[history.Shown, dict[str, str]]:
    named = {key: devices.find(tx, home_id, key) for key in {one.key for one in shown}}
    return {one: Known(named[one.key], one.series).tags() for one in shown}


@router.post("/api/grafana/variable", summary="Grafana's JSON data source: values of a variable")
@router.post("/api/grafana/variable/", include_in_schema=False)
async def variable(caller: HomeViewer, parts: PartsOf, body: Variable) -> Response:
    """`devices`, `metrics` or `series`; the last two also of some devices only, as in `metrics KEY`."""
    word, _, rest = body.query.partition(" ")
    if word not in VARIABLES:
        raise Invalid(f"the variable's query is one of {', '.join(VARIABLES)}, as in `devices` or `metrics $device`")

    def ask(tx: db.Tx) -> list[Any]:
        keys = set(names(rest.strip())) if rest.strip() else None
        known = [one for one in _known(tx, caller.home_id) if keys is None or one.device.key in keys]
        found = dict.fromkeys(VARIABLES[word](one) for one in known)
        return [{"__text": text, "__value": value} for text, value in found]

    return await _reading(parts, ask)


VARIABLES: Mapping[str, Callable[[Known], tuple[str, str]]] = {
    "devices": lambda one: (_title(one.device), one.device.key),
    "metrics": lambda one: (one.series.metric, one.series.metric),
    "series": lambda one: (f"{_title(one.device)} · {one.series.metric}", one.name),
}


@router.post("/api/grafana/tag-keys", summary="Grafana's JSON data source: what ad hoc filters speak of")
@router.post("/api/grafana/tag-keys/", include_in_schema=False)
async def tag_keys(caller: HomeViewer) -> list[dict[str, str]]:  # noqa: ARG001
    return [{"type": "string", "text": key} for key in TAGS]


@router.post("/api/grafana/tag-values", summary="Grafana's JSON data source: values of an ad hoc filter")
@router.post("/api/grafana/tag-values/", include_in_schema=False)
async def tag_values(caller: HomeViewer, parts: PartsOf, body: TagValues) -> Response:
    """None for a key that there is not."""

    def ask(tx: db.Tx) -> list[Any]:
        known = _known(tx, caller.home_id) if body.key in TAGS else []
        return [{"text": value} for value in sorted({one.tags()[body.key] for one in known} - {""})]

    return await _reading(parts, ask)


def _known(tx: db.Tx, home_id: int) -> list[Known]:
    """Every series, by the device's name and metric."""
    named = {device.id: device for device in devices.search(tx, home_id, "", MOST_DEVICES)}
    places = {device_id: place for place, device_id in enumerate(named)}
    known = [Known(named[one.device_id], one) for one in store.series_of(tx, named.keys())]
    return sorted(known, key=lambda one: (places[one.device.id], one.series.metric))


def _once(known: Sequence[Known]) -> list[Known]:
    """A metric may have been of two kinds; they have one name."""
    return list({one.name: one for one in known}.values())


async def _reading(parts: Parts, ask: Callable[[db.Tx], Any]) -> Response:
    """Its answer as JSON. These POSTs change nothing, so that they wait for no writer."""

    def read_all() -> Response:
        with parts.get(db.Database).read() as tx:
            return history.json(ask(tx))

    return await asyncio.to_thread(read_all)
