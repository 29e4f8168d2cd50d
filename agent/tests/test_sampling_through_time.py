"""Samples on disk through clock steps, kills, reboots and late knowledge of the time: all there, in order, once."""

from pathlib import Path
from tempfile import TemporaryDirectory

from agent.tests.conftest import NOON_US, Bench
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from waystation_agent.clock import SANE_FROM_US
from waystation_agent.folder import Folder

HOUR_US = 3_600_000_000


def test_a_boot_in_1970_holds_samples_and_dates_them_when_the_hub_tells_the_time(bench: Bench) -> None:
    bench.ticks.wall = 0
    bench.sample(3)
    assert bench.spool.oldest(10) == []
    bench.timekeeper.hear(NOON_US)
    bench.sample()
    assert [(sample.at_us - NOON_US) // 1_000_000 for sample in bench.spool.oldest(10)] == [-30, -20, -10, 0]


def test_held_samples_outlive_a_kill_and_are_dated_when_the_wall_clock_is_set(bench: Bench) -> None:
    bench.ticks.wall = 0
    bench.sample(2)
    bench.restart()
    bench.ticks.wall = NOON_US
    bench.sample()
    assert [sample.at_us - NOON_US for sample in bench.spool.oldest(10)] == [-20_000_000, -10_000_000, 0]


def test_samples_of_a_boot_that_never_knew_the_time_are_given_up_and_counted(bench: Bench) -> None:
    bench.ticks.wall = 0
    bench.sample(2)
    bench.ticks = bench.ticks.__class__(wall=NOON_US, boot="second boot")
    bench.restart()
    bench.sample()
    assert (bench.spool.depth(), bench.spool.count("undatable_total")) == (1, 2)


def test_a_step_of_an_hour_back_keeps_order_and_catches_up(bench: Bench) -> None:
    bench.sample(2)
    bench.ticks.wall -= HOUR_US
    bench.sample(2 * 360 + 20)
    found = [sample.at_us for sample in bench.spool.oldest(10_000)]
    assert found == sorted(set(found))
    assert found[-1] == bench.ticks.wall - 10_000_000


def test_a_machine_that_starts_at_the_time_of_its_last_shutdown_waits_for_better(bench: Bench) -> None:
    bench.sample(2)
    bench.ticks = bench.ticks.__class__(wall=NOON_US, boot="second boot")
    bench.restart()
    bench.sample()
    assert (len(bench.spool.oldest(10)), bench.spool.depth()) == (2, 3)
    bench.ticks.wall += 8 * HOUR_US
    bench.sample()
    assert [sample.at_us - NOON_US for sample in bench.spool.oldest(10)] == [
        0,
        10_000_000,
        8 * HOUR_US,
        8 * HOUR_US + 10_000_000,
    ]


class Life(RuleBasedStateMachine):
    """Any life of a machine with a bad clock. The hub's part is only to take samples and to tell the time."""

    def __init__(self) -> None:
        super().__init__()
        self._place = TemporaryDirectory()
        folder = Folder(Path(self._place.name))
        self.bench = Bench(folder)
        self.true_us = NOON_US
        self.taken = 0
        self.at_hub: list[int] = []

    @rule(seconds=st.floats(0.001, 5_000))
    def a_sample_is_taken(self, seconds: float) -> None:
        self.bench.sample(every_seconds=seconds)
        self.taken += 1

    @rule(wall=st.one_of(st.just(0), st.integers(SANE_FROM_US, 2 * NOON_US)))
    def the_wall_clock_is_set(self, wall: int) -> None:
        self.bench.ticks.wall = wall

    @rule()
    def the_hub_tells_the_time(self) -> None:
        self.bench.timekeeper.hear(self.true_us)

    @rule()
    def the_agent_is_killed(self) -> None:
        self.bench.restart()

    @rule(wall=st.one_of(st.just(0), st.integers(SANE_FROM_US, 2 * NOON_US)))
    def the_machine_is_rebooted(self, wall: int) -> None:
        self.bench.ticks.wall, self.bench.ticks.monotonic = wall, 1_000_000
        self.bench.ticks.boot += "+"
        self.bench.restart()

    @rule(most=st.integers(1, 5))
    def the_hub_takes_some(self, most: int) -> None:
        batch = self.bench.spool.oldest(most)
        if batch:
            self.bench.spool.delivered(batch, self.true_us)
            self.at_hub += [sample.at_us for sample in batch]

    @invariant()
    def all_times_differ_and_go_forward(self) -> None:
        times = self.at_hub + [sample.at_us for sample in self.bench.spool.oldest(10_000)]
        assert times == sorted(set(times))

    @invariant()
    def nothing_is_missing(self) -> None:
        spool = self.bench.spool
        assert len(self.at_hub) + spool.depth() + spool.count("undatable_total") == self.taken

    def teardown(self) -> None:
        self.bench.close()
        self._place.cleanup()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
