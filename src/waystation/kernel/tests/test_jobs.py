import threading
from datetime import timedelta

import pytest
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from structlog.testing import capture_logs

from waystation.kernel import jobs
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database, metadata
from waystation.kernel.jobs import LEASE_SECONDS, SWEEPS, Job, Sweeper

WAIT_SECONDS = 20
NEVER = 1e9


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def takes(database: Database, clock: ManualClock, holder: str) -> bool:
    with database.write() as tx:
        return jobs.take(tx, SWEEPS, holder, clock.now())


def holds(database: Database, clock: ManualClock, holder: str) -> bool:
    with database.write() as tx:
        return jobs.held(tx, SWEEPS, holder, clock.now())


def test_a_lease_is_one_holders_until_it_runs_out(database: Database, clock: ManualClock) -> None:
    assert takes(database, clock, "one")
    assert not takes(database, clock, "other")
    clock.turn(LEASE_SECONDS)
    assert not takes(database, clock, "other")
    clock.turn(0.001)
    assert takes(database, clock, "other")
    assert not takes(database, clock, "one")


def test_a_lease_is_renewed_for_its_holder(database: Database, clock: ManualClock) -> None:
    for _ in range(5):
        assert takes(database, clock, "one")
        clock.turn(LEASE_SECONDS - 1)
    assert not takes(database, clock, "other")


def test_who_slept_finds_out_that_the_lease_is_anothers(database: Database, clock: ManualClock) -> None:
    takes(database, clock, "one")
    assert holds(database, clock, "one")
    clock.turn(LEASE_SECONDS)
    assert not holds(database, clock, "one")
    clock.turn(1)
    takes(database, clock, "other")
    assert (holds(database, clock, "one"), holds(database, clock, "other")) == (False, True)


def test_a_lease_that_is_given_up_is_free_at_once(database: Database, clock: ManualClock) -> None:
    takes(database, clock, "one")
    with database.write() as tx:
        jobs.give_up(tx, SWEEPS, "other")  # not its own
    assert not takes(database, clock, "other")
    with database.write() as tx:
        jobs.give_up(tx, SWEEPS, "one")
    assert takes(database, clock, "other")


def test_leases_of_different_names_have_nothing_to_do_with_each_other(database: Database, clock: ManualClock) -> None:
    takes(database, clock, "one")
    with database.write() as tx:
        assert jobs.take(tx, "another", "other", clock.now())


def test_of_several_who_come_at_once_one_gets_the_lease(database: Database, clock: ManualClock) -> None:
    together = threading.Barrier(4)
    answers: list[tuple[bool, str]] = []

    def come(name: str) -> None:
        together.wait(WAIT_SECONDS)
        answers.append((takes(database, clock, name), name))

    threads = [threading.Thread(target=come, args=(f"process {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert sorted(took for took, _ in answers) == [False, False, False, True]
    assert holds(database, clock, max(answers)[1])


class Lease(RuleBasedStateMachine):
    """Three processes take, give up and sleep: two never hold it, and it never stays with one that is gone."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        with database.write() as tx:
            tx.execute(jobs.lease.delete())
        self.clock = ManualClock()
        self.until: dict[str, float] = {}

    def now(self) -> float:
        return self.clock.at.timestamp()

    def owners(self) -> set[str]:
        return {holder for holder, until in self.until.items() if until > self.now()}

    @rule(holder=st.sampled_from("abc"))
    def take(self, holder: str) -> None:
        others = self.owners() - {holder}
        took = takes(self.database, self.clock, holder)
        assert not (took and others)
        if took:
            self.until = {holder: self.now() + LEASE_SECONDS}

    @rule(holder=st.sampled_from("abc"))
    def give_up(self, holder: str) -> None:
        with self.database.write() as tx:
            jobs.give_up(tx, SWEEPS, holder)
        self.until.pop(holder, None)

    @rule(seconds=st.sampled_from([1, LEASE_SECONDS / 2, LEASE_SECONDS, LEASE_SECONDS + 1]))
    def wait(self, seconds: float) -> None:
        self.clock.turn(seconds)

    @invariant()
    def the_holder_is_who_was_told_so(self) -> None:
        with self.database.read() as tx:
            holders = {holder for holder in "abc" if jobs.held(tx, SWEEPS, holder, self.clock.now())}
        assert holders == self.owners()

    @rule()
    def a_lease_nobody_holds_can_be_had(self) -> None:
        if not self.owners():
            with self.database.write() as tx:
                later = self.clock.now() + timedelta(seconds=1)
                assert jobs.take(tx, SWEEPS, "a", later)
                jobs.give_up(tx, SWEEPS, "a")


def test_a_lease_has_one_holder_whatever_happens_in_whatever_order() -> None:
    database = Database("sqlite://", pool_size=1)
    metadata.create_all(database.engine, tables=[jobs.lease])
    tried = property_settings(max_examples=10, stateful_step_count=15, deadline=None)
    run_state_machine_as_test(lambda: Lease(database), settings=tried)
    database.close()


class Counted:
    """A sweep with so much left to do, which a test can wait for."""

    def __init__(self, left: int = 0) -> None:
        self.left = left
        self.calls = 0
        self.is_done = threading.Event()

    def __call__(self) -> int:
        self.calls += 1
        if self.left == 0:
            self.is_done.set()
            return 0
        self.left -= 1
        return 1


def test_a_sweep_with_more_to_do_is_called_again_at_once(database: Database) -> None:
    sweep = Counted(left=50)
    sweeper = Sweeper(database, ManualClock(), [Job("much", NEVER, sweep)])
    sweeper.start()
    assert sweep.is_done.wait(WAIT_SECONDS)
    sweeper.close()
    assert sweep.calls == 51


def test_a_sweep_that_fails_ends_neither_itself_nor_the_others(database: Database) -> None:
    broken, well = Counted(), Counted()

    def fail() -> int:
        broken()
        raise ZeroDivisionError

    sweeper = Sweeper(database, ManualClock(), [Job("broken", 0, fail), Job("well", NEVER, well)])
    with capture_logs() as lines:
        sweeper.start()
        assert well.is_done.wait(WAIT_SECONDS)
        while broken.calls < 3:
            broken.is_done.clear()
            assert broken.is_done.wait(WAIT_SECONDS)
        sweeper.close()
    assert {line["sweep"] for line in lines if line["event"] == "sweep failed"} == {"broken"}
    assert well.calls == 1


def test_without_the_lease_nothing_is_swept(database: Database) -> None:
    clock, sweep, refused = ManualClock(), Counted(), threading.Event()
    takes(database, clock, "another process")
    sweeper = Sweeper(database, clock, [Job("mine", 0, sweep)])
    asked = sweeper._take

    def take() -> int:
        took = asked()
        refused.set()
        return took

    sweeper._take = take  # type: ignore[method-assign]
    sweeper.start()
    assert refused.wait(WAIT_SECONDS)
    sweeper.close()
    assert (sweep.calls, sweeper.owns) == (0, False)
    assert holds(database, clock, "another process")


def test_an_orderly_end_leaves_the_lease_to_the_next(database: Database) -> None:
    clock, sweep = ManualClock(), Counted()
    sweeper = Sweeper(database, clock, [Job("mine", NEVER, sweep)])
    sweeper.start()
    assert sweep.is_done.wait(WAIT_SECONDS)
    assert not takes(database, clock, "next")
    sweeper.close()
    assert takes(database, clock, "next")


def test_after_a_crash_a_hub_finds_its_own_lease(database: Database) -> None:
    """On SQLite, where one process at a time has the folder. On PostgreSQL it may be another machine that lives on."""
    clock = ManualClock()
    before, after = Sweeper(database, clock, []), Sweeper(database, clock, [])
    assert takes(database, clock, before.holder)
    assert takes(database, clock, after.holder) == database.is_sqlite
