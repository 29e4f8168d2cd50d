"""The whole store against a dict: whatever arrives, in any order, sealed or killed half-way, every query is right."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from waystation.kernel.clock import micros
from waystation.kernel.db import Database, Tx
from waystation.telemetry import codec, query, seal, store
from waystation.telemetry.keeping.sweeps import orphans
from waystation.telemetry.last import last_values
from waystation.telemetry.model import (
    EARLIEST,
    LATEST,
    Kind,
    Sample,
    Stamped,
    Value,
    arrived,
    at_of,
    by_mqtt,
    kind_of,
    own,
    rows_of,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
START = micros(NOW)
HOUR = 3_600_000_000

Key = tuple[int, str, Kind]


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


def plain(value: Value) -> float | str:
    return value if isinstance(value, str) else float(value)


DEVICES = st.integers(1, 3)
METRICS = st.sampled_from(["temperature", "door", "mode"])
SENSOR = st.integers(-400, 900).map(lambda n: n / 10)
VALUES = st.dictionaries(
    METRICS, SENSOR | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.text("ab ü"), min_size=1
)
OWN_TIMES = st.integers(-40, 40).map(lambda step: START + step * HOUR // 7) | st.integers(
    START - 300 * HOUR, START + 24 * HOUR
)
STEPS = ("take_turn", "replace_chunks", "keep_newest", "drop_tail", "after all")


class History(RuleBasedStateMachine):
    """`expected` is what was stored first under each stamp."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.expected: dict[Key, dict[int, float | str]] = {}
        self.ids = store.SeriesIds()
        self.arrivals = 0
        self.now = NOW

    @initialize()
    def empty(self) -> None:
        with self.database.write() as tx:
            for table in (store.series, store.tail, store.chunk, store.last_value, store.seal_turn):
                tx.execute(sa.delete(table))
        self.database.kept.clear()  # no turn says that the tail was emptied here

    def put(self, arrivals: list[tuple[int, Sample, int]]) -> None:
        with self.database.write() as tx:
            store.append(tx, self.ids, [Stamped(device, rows_of(sample, stamp)) for device, sample, stamp in arrivals])
        for device, sample, stamp in arrivals:
            for metric, value in sample.values.items():
                self.expected.setdefault((device, metric, kind_of(value)), {}).setdefault(stamp, plain(value))

    @rule(readings=st.lists(st.tuples(DEVICES, OWN_TIMES, VALUES), min_size=1, max_size=20))
    def devices_send_with_their_own_times(self, readings: list[tuple[int, int, dict[str, Value]]]) -> None:
        self.put([(device, Sample(at, values), own(at)) for device, at, values in readings])

    @rule(device=DEVICES, values=VALUES, slot=st.integers(1, 127), again=st.booleans())
    def a_device_sends_without_a_time(self, device: int, values: dict[str, Value], slot: int, again: bool) -> None:  # noqa: FBT001
        self.arrivals += 1
        stamp = by_mqtt(START + self.arrivals, slot) if again else arrived(START + self.arrivals, slot)
        self.put([(device, Sample(None, values), stamp)] * (1 + again))

    @rule(choose=st.data(), value=SENSOR)
    def a_stored_reading_is_sent_again_with_other_values(self, choose: st.DataObject, value: float) -> None:
        numbers = {key: values for key, values in self.expected.items() if key[2] == Kind.NUMBER}
        if numbers:
            device, metric, _ = key = choose.draw(st.sampled_from(sorted(numbers)))
            stamp = choose.draw(st.just(max(numbers[key])) | st.sampled_from(sorted(numbers[key])))
            self.put([(device, Sample(at_of(stamp), {metric: value}), stamp)])

    @rule(device=DEVICES, step=st.integers(1, 1000), count=st.integers(1, 300), late=st.integers(0, 300))
    def a_device_sends_a_regular_series(self, device: int, step: int, count: int, late: int) -> None:
        first = START - late * HOUR
        samples = [Sample(first + n * step * 10**6, {"temperature": n % 50 / 10}) for n in range(count)]
        self.put([(device, sample, own(sample.at or 0)) for sample in samples])

    @rule()
    def the_tail_is_sealed(self) -> None:
        self.now += timedelta(hours=1)
        with self.database.read() as tx:
            waiting = store.tail_span(tx)
        sealed = seal.seal(self.database, self.now)
        assert sealed <= seal.MOST_ROWS
        assert bool(sealed) == (waiting is not None)

    @rule(step=st.sampled_from(STEPS))
    def the_sealer_is_killed(self, step: str) -> None:
        with killed_at(step), pytest.raises(Killed) if self.something_waits() else _nothing():
            seal.seal(self.database, self.now + timedelta(hours=1))

    def something_waits(self) -> bool:
        with self.database.read() as tx:
            return store.tail_span(tx) is not None

    @rule()
    def the_hub_starts_again(self) -> None:
        self.ids = store.SeriesIds()

    @rule(device=DEVICES)
    def a_device_is_deleted(self, device: int) -> None:
        with self.database.write() as tx:
            store.forget_device(tx, device)
        while orphans.clear(self.database, NOW):
            pass
        self.ids = store.SeriesIds()
        self.expected = {key: values for key, values in self.expected.items() if key[0] != device}

    def read(self, tx: Tx) -> dict[Key, int]:
        return {(one.device_id, one.metric, one.kind): one.id for one in store.series_of(tx, [1, 2, 3])}

    @invariant()
    def every_value_is_read_once(self) -> None:
        with self.database.read() as tx:
            ids = self.read(tx)
            runs = query.read(tx, list(ids.values()), EARLIEST, LATEST)
        assert set(ids) == set(self.expected)
        found = {key: dict(as_pairs(runs[series_id])) for key, series_id in ids.items()}
        assert found == self.expected
        assert all(len(runs[ids[key]]) == len(values) for key, values in self.expected.items())

    @rule(at=OWN_TIMES, hours=st.integers(0, 100))
    def a_range_holds_what_lies_in_it(self, at: int, hours: int) -> None:
        first, last = own(at), own(at + hours * HOUR)
        with self.database.read() as tx:
            ids = self.read(tx)
            runs = query.read(tx, list(ids.values()), first, last)
            newest = query.newest(tx, list(ids.values()), first, last, limit=3)
        for key, values in self.expected.items():
            within = sorted((stamp, value) for stamp, value in values.items() if first <= stamp <= last)
            assert as_pairs(runs.get(ids[key])) == within
            assert as_pairs(newest.get(ids[key])) == within[-3:]

    @rule(at=OWN_TIMES, hours=st.integers(0, 100), limit=st.integers(1, 40))
    def pages_give_every_value_of_a_range_once_in_order(self, at: int, hours: int, limit: int) -> None:
        first, last = own(at), own(at + hours * HOUR)
        given: list[tuple[int, int, float | str]] = []
        after = None
        with self.database.read() as tx:
            ids = self.read(tx)
            for _ in range(2000):
                page = query.raw(tx, list(ids.values()), first, last, limit=limit, after=after)
                rows = [
                    (stamp, series_id, value) for series_id, run in page.runs.items() for stamp, value in as_pairs(run)
                ]
                assert len(rows) == limit or (page.next is None and len(rows) < limit)
                given += sorted(rows)
                after = page.next
                if after is None:
                    break
        wanted = [
            (s, ids[key], v) for key, values in self.expected.items() for s, v in values.items() if first <= s <= last
        ]
        assert given == sorted(wanted)

    @invariant()
    def last_values_are_the_latest(self) -> None:
        with self.database.read() as tx:
            found = last_values(tx, [1, 2, 3])
        latest = {key: max(values.items()) for key, values in self.expected.items()}
        assert {(v.series.device_id, v.series.metric, v.series.kind): (v.stamp, v.value) for v in found} == latest

    @invariant()
    def chunks_of_a_series_never_overlap(self) -> None:
        with self.database.read() as tx:
            chunks = store.chunks_between(tx, list(self.read(tx).values()), EARLIEST, LATEST)
            assert len(chunks) == tx.scalar(sa.select(sa.func.count()).select_from(store.chunk))
        for one, following in pairwise(chunks):
            assert one.series_id < following.series_id or one.last < following.first


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def killed_at(step: str) -> Iterator[None]:
    """The named statement of the exchange happens, then the process dies before its commit."""
    owner, name = (seal, "_exchange") if step == "after all" else (store, step)
    real: Callable[..., object] = getattr(owner, name)

    def then_die(*given: object) -> None:
        real(*given)
        raise Killed

    setattr(owner, name, then_die)
    try:
        yield
    finally:
        setattr(owner, name, real)


def as_pairs(run: codec.Run | None) -> list[tuple[int, float | str]]:
    return [] if run is None else list(zip(run.stamps.tolist(), run.values.tolist(), strict=True))


@pytest.mark.parametrize("examples", [30, pytest.param(400, marks=pytest.mark.faults)])
def test_the_store_is_a_dict_that_forgets_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    class ThisHistory(History):
        pass

    ThisHistory.database = database
    monkeypatch.setattr(codec, "MOST_VALUES", 64)  # many chunks of few values meet more cases than few of many
    monkeypatch.setattr(codec, "MOST_TEXTS", 5)
    rules = settings(
        max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(ThisHistory, settings=rules)
