"""Retention, deletions, sealing and late readings together, against a naive model; and kill -9 at every step."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from waystation import devices, homes
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import micros
from waystation.kernel.db import Database, metadata, sqlite_url
from waystation.telemetry import codec, hours, query, seal
from waystation.telemetry import store as rows_of_telemetry
from waystation.telemetry.keeping import service, store
from waystation.telemetry.keeping.model import Limits
from waystation.telemetry.keeping.service import Scope, Unwanted
from waystation.telemetry.keeping.sweeps import counting, deletion, orphans, retention
from waystation.telemetry.last import last_values
from waystation.telemetry.model import EARLIEST, LATEST, Kind, Stamped, own

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass
class Hub:
    """A home with devices, on a clock that stands in `now`."""

    database: Database
    now: datetime = NOON
    home_id: int = 0
    sealed: int = 0
    ids: dict[str, int] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def add_home(self, name: str = "kitchen") -> "Hub":
        with self.database.write() as tx:
            self.home_id = homes.the_home(tx, self.now).id
        return self.add_device(name)

    def add_device(self, name: str) -> "Hub":
        with self.database.write() as tx:
            made = devices.register(tx, COMMAND_LINE, self.home_id, self.now, name=name)
            self.ids[name], self.keys[name] = devices.find(tx, self.home_id, made.key).id, made.key
        return self

    def put(self, values: dict[datetime, float | str], device: str = "kitchen", metric: str = "m") -> None:
        kind = Kind.TEXT if any(isinstance(value, str) for value in values.values()) else Kind.NUMBER
        rows = [(metric, int(kind), own(micros(at)), value) for at, value in values.items()]
        with self.database.write() as tx:
            rows_of_telemetry.append(tx, rows_of_telemetry.SeriesIds(), [Stamped(self.ids[device], rows)])

    def seal(self) -> None:
        self.sealed += 1
        while seal.seal(self.database, self.now + self.sealed * timedelta(hours=1)):
            pass

    def keep(self, raw: int | None, rollups: int | None = None, **scope: str) -> None:
        with self.database.write() as tx:
            limits = Limits(raw, rollups)
            service.set_retention(tx, COMMAND_LINE, self.home_id, Scope(**scope), limits=limits, now=self.now)

    def expire(self) -> int:
        """A whole round; how many steps it took."""
        self.now += timedelta(hours=1)
        steps = 0
        while retention.expire(self.database, self.now):
            steps += 1
        return steps

    def ask(self, **unwanted: Any) -> int:
        with self.database.write() as tx:
            asked = Unwanted(device_key=self.keys.get(unwanted.pop("device", ""), ""), **unwanted)
            return service.ask_deletion(tx, COMMAND_LINE, self.home_id, asked, now=self.now)

    def delete(self, **unwanted: Any) -> Any:
        """The row of the deletion, once it is done."""
        number = self.ask(**unwanted)
        while deletion.delete(self.database, self.now):
            pass
        with self.database.read() as tx:
            return store.deletion_by_id(tx, number)

    def raw(self, device: str = "kitchen") -> dict[datetime, Any]:
        with self.database.read() as tx:
            ids = [one.id for one in rows_of_telemetry.series_of(tx, [self.ids[device]])]
            runs = query.read(tx, ids, EARLIEST, LATEST)
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return {
            epoch + timedelta(microseconds=stamp >> 8): value
            for run in runs.values()
            for stamp, value in zip(run.stamps.tolist(), run.values.tolist(), strict=True)
        }

    def known(self, device: str = "kitchen") -> int:
        """How many readings chunks know of, by their values or by their hours."""
        with self.database.read() as tx:
            ids = [one.id for one in rows_of_telemetry.series_of(tx, [self.ids[device]])]
            chunks = rows_of_telemetry.chunks_between(tx, ids, EARLIEST, LATEST)
            by_hour = rows_of_telemetry.hours_of(tx, [one.id for one in chunks if one.is_stripped])
        assert by_hour.keys() == {one.id for one in chunks if one.is_stripped}
        assert all(
            int(hours.unpack(packed).counts.sum()) == one.count
            for one in chunks
            for packed in [by_hour.get(one.id)]
            if packed is not None
        )
        assert all(
            before.last < after.first for before, after in pairwise(chunks) if before.series_id == after.series_id
        )
        return sum(one.count for one in chunks)

    def last(self, device: str = "kitchen") -> list[Any]:
        with self.database.read() as tx:
            return [one.value for one in last_values(tx, [self.ids[device]])]

    def counted(self) -> Any:
        with self.database.write() as tx:
            service.count_again(tx, self.home_id)
        while counting.count(self.database, self.now):
            pass
        with self.database.read() as tx:
            return service.usage(tx, self.home_id, self.now)


@pytest.fixture
def hub(database: Database) -> Hub:
    return Hub(database).add_home()


def every(minutes: float, first: datetime, count: int) -> dict[datetime, float | str]:
    return {first + number * timedelta(minutes=minutes): float(number % 100) for number in range(count)}


def test_old_readings_go_and_their_hours_stay(hub: Hub) -> None:
    values = every(10, NOON - 10 * DAY, 1440)
    hub.put(values)
    hub.seal()
    hub.keep(3)
    hub.expire()
    kept = hub.raw()
    assert kept == {at: value for at, value in values.items() if at >= hub.now - 3 * DAY}
    assert hub.known() == 1440
    assert hub.last() == [values[max(values)]]


def test_roll_ups_go_when_their_time_has_come_too(hub: Hub) -> None:
    hub.put(every(60, NOON - 40 * DAY, 240))
    hub.put(every(60, NOON - DAY, 24))
    hub.seal()
    hub.keep(3, 30)
    hub.expire()
    assert hub.known() == 24


def test_when_nothing_is_left_there_is_no_last_value(hub: Hub) -> None:
    hub.put({NOON - 40 * DAY: 1.0})
    hub.seal()
    hub.keep(3, 30)
    hub.expire()
    assert (hub.raw(), hub.last(), hub.known()) == ({}, [], 0)


def test_old_texts_go_as_a_whole(hub: Hub) -> None:
    texts: dict[datetime, float | str] = {NOON - day * DAY: f"said {day}" for day in range(10)}
    hub.put(texts)
    hub.seal()
    hub.keep(4)
    hub.expire()
    assert hub.raw() == {at: text for at, text in texts.items() if at >= hub.now - 4 * DAY}


def test_the_narrowest_rule_counts(hub: Hub) -> None:
    for metric in ("m", "n"):
        hub.put({NOON - 5 * DAY: 1.0, NOON: 2.0}, metric=metric)
    hub.add_device("attic").put({NOON - 5 * DAY: 1.0, NOON: 2.0}, device="attic")
    hub.seal()
    hub.keep(2)
    hub.keep(None, metric="m")
    hub.keep(3, device_key=hub.keys["attic"])
    hub.expire()
    with hub.database.read() as tx:
        held = {one.metric: one.id for one in rows_of_telemetry.series_of(tx, [hub.ids["kitchen"]])}
        found = query.read(tx, list(held.values()), EARLIEST, LATEST)
    assert {metric: len(found[number]) for metric, number in held.items()} == {"m": 2, "n": 1}
    assert len(hub.raw("attic")) == 1


def test_what_comes_too_late_is_dropped_and_counted(hub: Hub) -> None:
    hub.put(every(10, NOON - 10 * DAY, 1440))
    hub.seal()
    hub.keep(3)
    hub.expire()
    hub.put({NOON - 8 * DAY + timedelta(seconds=1): 777.0, NOON: 1.0})
    hub.seal()
    assert 777.0 not in hub.raw().values()
    assert hub.known() == 1441
    with hub.database.read() as tx:
        ids = [one.id for one in rows_of_telemetry.series_of(tx, [hub.ids["kitchen"]])]
        assert store.dropped_of(tx, ids) == 1


def test_a_range_is_deleted_from_chunks_and_tail(hub: Hub) -> None:
    values = every(10, NOON - 3 * DAY, 432)
    early = dict(list(values.items())[:300])
    hub.put(early)
    hub.seal()
    hub.put({at: value for at, value in values.items() if at not in early})
    first, last = NOON - 2 * DAY, NOON - DAY / 2
    done = hub.delete(device="kitchen", first=first, last=last, typed="DELETE THIS RANGE")
    kept = {at: value for at, value in values.items() if not first <= at <= last}
    assert hub.raw() == kept
    assert (done.readings, done.series_done, done.was_cancelled) == (432 - len(kept), 1, False)
    hub.seal()
    assert hub.raw() == kept


def test_the_newest_that_is_left_is_the_last_value(hub: Hub) -> None:
    hub.put(every(10, NOON - DAY, 100))
    hub.seal()
    hub.delete(first=NOON - DAY + timedelta(minutes=500), typed="DELETE THIS RANGE")
    assert hub.last() == [49.0]
    hub.delete(typed="DELETE ALL MY DATA")
    assert (hub.last(), hub.raw()) == ([], {})


def test_a_device_goes_on_after_its_readings_were_deleted(hub: Hub) -> None:
    hub.put({NOON: 1.0})
    hub.seal()
    hub.delete(device="kitchen", typed="kitchen")
    hub.put({NOON: 2.0})
    assert hub.raw() == {NOON: 2.0}
    hub.seal()
    assert (hub.raw(), hub.last()) == ({NOON: 2.0}, [2.0])


def test_a_range_takes_whole_hours_of_what_was_rolled_up(hub: Hub) -> None:
    hub.put(every(10, NOON - 10 * DAY, 1440))
    hub.seal()
    hub.keep(3)
    hub.expire()
    hub.delete(first=NOON - 10 * DAY, last=NOON - 9 * DAY - timedelta(minutes=5), typed="DELETE THIS RANGE")
    assert hub.known() == 1440 - 144


def test_what_arrives_behind_a_deletion_stays(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put({NOON: 1.0})
    hub.put({NOON: 1.0}, metric="n")
    monkeypatch.setattr(deletion, "SERIES_AT_ONCE", 1)
    hub.ask(typed="DELETE ALL MY DATA")
    deletion.delete(hub.database, hub.now)
    hub.put({NOON + timedelta(minutes=1): 2.0})
    hub.put({NOON + timedelta(minutes=1): 2.0}, metric="n")
    while deletion.delete(hub.database, hub.now):
        pass
    assert hub.raw() == {NOON + timedelta(minutes=1): 2.0}


def test_a_long_tail_is_deleted_a_part_at_a_time(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put(every(1, NOON - DAY, 100))
    monkeypatch.setattr(deletion, "ROWS_AT_ONCE", 30)
    number = hub.ask(typed="DELETE ALL MY DATA")
    steps = 0
    while deletion.delete(hub.database, hub.now):
        steps += 1
        with hub.database.read() as tx:
            told = store.deletion_by_id(tx, number).readings
        assert told + len(hub.raw()) == 100
    assert (told, steps) == (100, 5)  # 30, 30, 30, the last 10, and the end


def test_the_last_value_is_right_after_every_step_of_a_deletion(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in range(6, 0, -1):
        hub.put(every(1, NOON - day * DAY, 40))
        hub.seal()
    monkeypatch.setattr(retention, "CHUNKS_AT_ONCE", 1)
    hub.ask(first=NOON - 6 * DAY + timedelta(minutes=10), typed="DELETE THIS RANGE")
    while deletion.delete(hub.database, hub.now):
        assert hub.last() == [list(hub.raw().values())[-1]]
    assert len(hub.raw()) == 10


def test_chunks_of_a_deleted_device_go_a_few_at_a_time_and_nobody_sees_them(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec, "MOST_VALUES", 20)
    hub.put(every(1, NOON - DAY, 100))
    hub.add_device("porch")
    hub.put({NOON: 7.0}, device="porch")
    hub.seal()
    hub.put({NOON: 1.0})  # still unsealed
    with hub.database.write() as tx:
        rows_of_telemetry.forget_device(tx, hub.ids["kitchen"])
    assert (hub.raw(), hub.last()) == ({}, [])
    monkeypatch.setattr(orphans, "CHUNKS_AT_ONCE", 2)
    monkeypatch.setattr(retention, "CHUNKS_AT_ONCE", 2)
    steps = 0
    while orphans.clear(hub.database, hub.now):
        steps += 1
    hub.seal()
    assert steps >= 3
    with hub.database.read() as tx:
        extent = rows_of_telemetry.extent(tx)
        assert (extent.values, extent.unsealed, extent.chunks) == (1, 0, 1)
        assert [one.value for one in last_values(tx, hub.ids.values())] == [7.0]


def test_a_sealer_that_is_overtaken_by_a_deletion_brings_nothing_back(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.put(every(10, NOON - DAY, 100))
    encoded = seal._encoded

    def overtaken(taken: seal.Slice) -> seal.Written:
        monkeypatch.setattr(seal, "_encoded", encoded)
        hub.delete(typed="DELETE ALL MY DATA")
        return encoded(taken)

    monkeypatch.setattr(seal, "_encoded", overtaken)
    assert seal.seal(hub.database, hub.now) == 0
    assert hub.raw() == {}


def test_a_cancelled_deletion_leaves_the_rest(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    for metric in "abc":
        hub.put({NOON: 1.0}, metric=metric)
    monkeypatch.setattr(deletion, "SERIES_AT_ONCE", 1)
    number = hub.ask(typed="DELETE ALL MY DATA")
    deletion.delete(hub.database, hub.now)
    with hub.database.write() as tx:
        service.cancel_deletion(tx, COMMAND_LINE, hub.home_id, number, now=hub.now)
    assert deletion.delete(hub.database, hub.now) == 0
    assert hub.counted().readings == 2


def test_usage_is_what_lies_in_chunks_and_falls_with_deletions__TH_6(hub: Hub) -> None:
    hub.put(every(1, NOON - 2 * DAY, 2880))
    hub.seal()
    found = hub.counted()
    assert (found.readings, found.devices[0].share) == (2880, 1.0)
    assert 0 < found.size_bytes < 2880 * 4
    hub.delete(device="kitchen", typed="kitchen")
    with hub.database.read() as tx:
        assert service.usage(tx, hub.home_id, hub.now).size_bytes == 0


def test_posts_are_counted_as_the_contract_says__TH_5_4(hub: Hub) -> None:
    hub.put({NOON + timedelta(seconds=n): "x" * 55 for n in range(3)}, metric="raw_payload")
    hub.put({NOON + timedelta(seconds=n): 21.5 for n in range(3)}, metric="temp_inside_c")
    assert hub.counted().size_bytes == 3 * 355
    hub.seal()
    assert hub.counted().size_bytes == 3 * 355


AMONG = st.integers(0, 30 * 24)  # hours back from the first noon


class Kept(RuleBasedStateMachine):
    """Values are their own hours, so that the model is a set of times."""

    folder: Path

    @initialize()
    def begin(self) -> None:
        self.path = self.folder / f"{id(self)}.db"
        self.hub = Hub(Database(sqlite_url(self.path)))
        metadata.create_all(self.hub.database.engine)
        self.hub.add_home()
        self.model: dict[datetime, float] = {}
        self.floor = NOON - 400 * DAY

    @rule(start=AMONG, count=st.integers(1, 60), minutes=st.sampled_from([7, 60, 600]))
    def put(self, start: int, count: int, minutes: int) -> None:
        values = {
            at: float(round((at - NOON).total_seconds()))
            for number in range(count)
            for at in [NOON - timedelta(hours=start) + number * timedelta(minutes=minutes)]
        }
        self.hub.put(dict(values))
        self.model |= values

    @rule()
    def seal(self) -> None:
        self.hub.seal()
        self.model = {at: value for at, value in self.model.items() if at >= self.floor}

    @rule(days=st.integers(1, 40))
    def expire(self, days: int) -> None:
        self.hub.seal()
        self.model = {at: value for at, value in self.model.items() if at >= self.floor}
        self.hub.keep(days)
        before = set(self.hub.raw())
        self.hub.expire()
        cut = self.hub.now - days * DAY
        after = self.hub.raw()
        assert {at for at in before if at >= cut} == {at for at in after if at >= cut}
        assert all(at >= cut - DAY for at in after), "older than the limit and a day"
        with self.hub.database.read() as tx:
            ids = [one.id for one in rows_of_telemetry.series_of(tx, [self.hub.ids["kitchen"]])]
            stamps = store.kept_since(tx, ids)
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        self.floor = max([self.floor, *(epoch + timedelta(microseconds=stamp / 256) for stamp in stamps.values())])
        self.model = {at: value for at, value in self.model.items() if at in after}

    @rule(start=AMONG, hours=st.integers(0, 200))
    def delete(self, start: int, hours: int) -> None:
        first = NOON - timedelta(hours=start)
        last = first + timedelta(hours=hours)
        self.hub.delete(first=first, last=last, typed="DELETE THIS RANGE")
        self.model = {at: value for at, value in self.model.items() if not first <= at <= last}

    @rule()
    def look(self) -> None:
        self._compare()
        self.hub.known()

    def _compare(self) -> None:
        """What came late for the limit goes with the next sealing; until then it may be seen or not."""
        found = self.hub.raw()
        assert found.items() <= self.model.items()
        assert {at for at in self.model if at >= self.floor} <= found.keys()

    def teardown(self) -> None:
        if hasattr(self, "hub"):
            self._compare()
            self.hub.database.close()
            self.path.unlink()


def test_any_order_of_keeping_and_deleting_is_as_the_model_says(tmp_path: Path) -> None:
    chosen = settings(max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))
    machine = type("KeptHere", (Kept,), {"folder": tmp_path})
    run_state_machine_as_test(machine, settings=chosen)
