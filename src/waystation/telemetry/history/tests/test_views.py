"""Every view of history against a naive model: late, doubled, future, 1970 and on days when the clock is changed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from waystation.kernel.clock import micros
from waystation.kernel.db import Database
from waystation.telemetry import codec, hours, query, seal, store
from waystation.telemetry.history import picture, service
from waystation.telemetry.history.calendar import Buckets, zone
from waystation.telemetry.history.model import OF_KIND, Asked
from waystation.telemetry.history.service import Range
from waystation.telemetry.history.tests.naive import Naive, bucket_of
from waystation.telemetry.hours import HOUR
from waystation.telemetry.model import EARLIEST, LATEST, Kind, Stamped, first_from, last_until, own

NOW = datetime(2026, 10, 25, 12, tzinfo=UTC)
START = micros(NOW)
DAY = 24 * HOUR
KINDS = {"t": Kind.NUMBER, "on": Kind.BOOLEAN, "mode": Kind.TEXT}
SPRING = micros(datetime(2026, 3, 29, tzinfo=UTC))

TIMES = (
    st.integers(-400, 400).map(lambda n: START + n * HOUR // 7)
    | st.integers(-40, 40).map(lambda n: SPRING + n * HOUR // 3)
    | st.integers(START - 3 * DAY, START + 2 * DAY)
    | st.integers(0, 5 * HOUR)  # a device that has no clock yet
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "t": st.integers(-400, 900).map(lambda n: n / 10) | st.floats(-1e6, 1e6),
    "on": st.sampled_from([0.0, 1.0]),
    "mode": st.sampled_from(["off", "heat", "cool", "ü"]),
}
METRICS = st.sampled_from(sorted(KINDS))
HOURS_AT = st.integers(-100, 60).map(lambda n: START + n * HOUR) | st.just(SPRING) | st.just(0)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Sao_Paulo"])
WORDS = st.sampled_from(["3600", "5400", "600", "86400", "hour", "day", "week", "month", "year"])
HOLDS = st.sampled_from([600 * 10**6, HOUR, 5 * HOUR])


class Views(RuleBasedStateMachine):
    database: Database

    @initialize(seconds=st.sampled_from([60, 400, 900]), draw=st.data())
    def a_hub_has_run_for_some_time(self, seconds: int, draw: st.DataObject) -> None:
        self.empty()
        for metric in ("on", "t"):
            self.a_regular_series_comes_in(START - 2 * DAY, seconds, 200, metric, draw)
        self.the_tail_is_sealed()

    def empty(self) -> None:
        self.naive = {metric: Naive() for metric in KINDS}
        self.now = NOW
        with self.database.write() as tx:
            for table in (store.series, store.tail, store.chunk, store.last_value, store.seal_turn):
                tx.execute(sa.delete(table))
        self.database.kept.clear()  # no turn says that the tail was emptied here
        self.ids = store.SeriesIds()
        with self.database.write() as tx:
            self.ids.found(tx, [(1, metric, kind) for metric, kind in KINDS.items()])
        with self.database.read() as tx:
            self.series = {one.metric: one for one in store.series_of(tx, [1])}

    def put(self, readings: list[tuple[str, int, Any]]) -> None:
        with self.database.write() as tx:
            rows = [(metric, int(KINDS[metric]), own(at), value) for metric, at, value in readings]
            store.append(tx, self.ids, [Stamped(1, rows)])
        for metric, at, value in readings:
            self.naive[metric].put(own(at), value)

    @rule(
        readings=METRICS.flatmap(
            lambda metric: st.lists(st.tuples(st.just(metric), TIMES, VALUES[metric]), max_size=20)
        )
    )
    def readings_come_in_any_order(self, readings: list[tuple[str, int, Any]]) -> None:
        self.put(readings)

    @rule(
        at=HOURS_AT, seconds=st.sampled_from([7, 60, 600]), count=st.integers(20, 200), metric=METRICS, draw=st.data()
    )
    def a_regular_series_comes_in(self, at: int, seconds: int, count: int, metric: str, draw: st.DataObject) -> None:
        few = draw.draw(st.lists(VALUES[metric], min_size=1, max_size=6))
        self.put([(metric, at + n * seconds * 10**6 + 1, few[n % len(few)]) for n in range(count)])

    @rule()
    def the_tail_is_sealed(self) -> None:
        self.now += timedelta(hours=1)
        seal.seal(self.database, self.now)

    @rule(metric=st.sampled_from(["t", "on"]), draw=st.data())
    def an_old_chunk_is_thinned_out(self, metric: str, draw: st.DataObject) -> None:
        """As retention does, after all is sealed."""
        self.the_tail_is_sealed()
        with self.database.write() as tx:
            chunks = store.chunks_between(tx, [self.series[metric].id], EARLIEST, LATEST)
            whole = [sealed for sealed in chunks if not sealed.is_stripped]
            if whole:
                sealed = draw.draw(st.sampled_from(whole))
                [run] = query.opened(tx, [sealed])[sealed.series_id]
                thinned = sa.update(store.chunk).where(store.chunk.c.id == sealed.id)
                tx.execute(thinned.values(data=b"", hours=hours.pack(hours.of_run(run))))
                self.naive[metric].thin(sealed.first, sealed.last)

    def is_aligned(self, first: int, last: int, buckets: Buckets) -> bool:
        edges = buckets.edges(first, last, 10_000).tolist()
        return all(at % HOUR == 0 for at in [*edges, first, last + 1])

    @invariant()
    def raw_pages_and_newest_are_all_there_is(self) -> None:
        ids = [one.id for one in self.series.values()]
        with self.database.read() as tx:
            runs = query.read(tx, ids, EARLIEST, LATEST)
            page = query.raw(tx, ids, EARLIEST, LATEST, limit=100_000)
            newest = query.newest(tx, ids, EARLIEST, LATEST, limit=4)
        for metric, one in self.series.items():
            raw = self.naive[metric].raw(-(2**55), 2**55)
            assert as_pairs(runs.get(one.id)) == raw
            assert as_pairs(page.runs.get(one.id)) == raw
            assert as_pairs(newest.get(one.id)) == raw[-4:]

    @rule(
        first=HOURS_AT, days=st.integers(0, 40), word=WORDS, tz=ZONES, hold=HOLDS, most=st.sampled_from([3, 50, 5000])
    )
    def every_aggregate_is_what_the_readings_say(
        self, first: int, days: int, word: str, tz: str, hold: int, most: int
    ) -> None:
        last = first + days * DAY + 3 * HOUR - 1
        buckets = Buckets(word, zone(tz))
        for metric, one in self.series.items():
            naive = self.naive[metric]
            if naive.thinned and (hold < HOUR or not self.is_aligned(first, last, buckets)):
                continue
            asked = Asked(buckets, OF_KIND[one.kind], hold)
            found = self.pages(one, Range(first, last, START), asked, most)
            self.compare_readings(naive, found, (first, last), (word, tz))
            self.compare_times(naive, found, Range(first, last, START), asked)

    def teardown(self) -> None:
        for word, tz in (("day", "Europe/Berlin"), ("3600", "UTC"), ("5400", "UTC"), ("hour", "Asia/Kolkata")):
            self.every_aggregate_is_what_the_readings_say(START - 3 * DAY, 4, word, tz, HOUR, 40)

    def pages(self, one: Any, within: Range, asked: Asked, most: int) -> dict[int, dict[str, Any]]:
        """All buckets by their start."""
        found: dict[int, dict[str, Any]] = {}
        start: int | None = within.first
        while start is not None:
            with self.database.read() as tx:
                here = Range(max(start, within.first), within.last, within.now)
                page = service.bucketed(tx, [one], here, asked, most=most)
            table = page.tables[one.id]
            for place, (at, end) in enumerate(pairwise(page.edges.tolist())):
                if table.covered[place]:
                    assert at not in found
                    states = {word: column[place] for word, column in table.columns.get("states", {}).items()}
                    found[at] = {name: column[place] for name, column in table.columns.items() if name != "states"}
                    found[at] |= {"states": states, "end": end}
            assert page.next is None or page.next > start
            start = page.next
        return found

    def compare_readings(
        self, naive: Naive, found: dict[int, Any], span: tuple[int, int], how: tuple[str, str]
    ) -> None:
        wanted = naive.by_bucket(*span, *how)
        with_readings = {at: line for at, line in found.items() if line["count"]}
        assert len(with_readings) == len(wanted)
        for (at, line), (bucket, values) in zip(sorted(with_readings.items()), sorted(wanted.items()), strict=True):
            assert bucket_of(at, *how) == bucket
            assert (line["count"], line["first"], line["last"]) == (len(values), values[0], values[-1])
            if "mean" in line:
                assert (line["min"], line["max"]) == (min(values), max(values))
                assert line["sum"] == near(sum(values))
                assert line["mean"] == near(sum(values) / len(values))

    def compare_times(self, naive: Naive, found: dict[int, Any], within: Range, asked: Asked) -> None:
        edges = sorted({edge for at, line in found.items() for edge in (at, line["end"])})
        places = {at: place for place, at in enumerate(edges)}
        spans = list(naive.lasting(within.first, within.last, within.now, asked.hold))
        states = naive.states(edges, spans)
        assert sum(end - start for start, end, _ in spans) / 1e6 == near(sum(map(sum, states.values())))
        rates = naive.rate(edges, within.first, within.last, asked.hold) if "rate" in asked.wanted else []
        for at, line in found.items():
            lasted = {value: seconds[places[at]] for value, seconds in states.items() if seconds[places[at]]}
            if "rate" in asked.wanted:
                wanted = sum(value * seconds for value, seconds in lasted.items()) / (sum(lasted.values()) or 1)
                assert line["time_mean"] == (near(wanted) if lasted else near(float("nan")))
                rate = rates[places[at]]
                assert line["rate"] == near(float("nan") if rate is None else rate)
            if line["states"] and lasted:
                named = {
                    BOOLEANS.get(value, value): near(seconds) for value, seconds in lasted.items() if seconds > 1e-4
                }
                assert {word: seconds for word, seconds in line["states"].items() if seconds > 1e-4} == named

    @rule(first=HOURS_AT, days=st.integers(0, 300), points=st.sampled_from([4, 10, 40, 1000]))
    def a_picture_shows_readings_and_their_extremes(self, first: int, days: int, points: int) -> None:
        last = first + (days + 1) * DAY - 1
        with self.database.read() as tx:
            runs = picture.points_of(tx, list(self.series.values()), first_from(first), last_until(last), points=points)
        for metric, one in self.series.items():
            shown = [(stamp >> 8, value) for stamp, value in as_pairs(runs.get(one.id))]
            readings = [(at, value) for at, value in self.naive[metric].readings() if first <= at <= last]
            assert len(shown) <= points
            assert set(shown) <= set(readings)
            if metric == "t" and readings:
                assert (shown[0], shown[-1]) == (readings[0], readings[-1])
                values = [value for _, value in shown]
                assert (min(values), max(values)) == (min(v for _, v in readings), max(v for _, v in readings))


BOOLEANS = {0.0: "false", 1.0: "true"}


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-7, abs=1e-4, nan_ok=True)


def as_pairs(run: codec.Run | None) -> list[tuple[int, Any]]:
    return [] if run is None else list(zip(run.stamps.tolist(), run.values.tolist(), strict=True))


@pytest.mark.parametrize("examples", [6, pytest.param(150, marks=pytest.mark.faults)])
def test_every_view_of_history_is_what_the_readings_say(
    database: Database, monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    class TheseViews(Views):
        pass

    TheseViews.database = database
    monkeypatch.setattr(codec, "MOST_VALUES", 64)  # many chunks of few values meet more cases than few of many
    monkeypatch.setattr(codec, "MOST_TEXTS", 7)
    monkeypatch.setattr(hours, "ENOUGH", 8)
    monkeypatch.setattr(hours, "DENSE", 2)
    rules = settings(
        max_examples=examples, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(TheseViews, settings=rules)
