"""One secret after another: a lost answer strands nobody, and two never hold the line at once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.strategies import integers

from waystation.kernel.db import Database, Tx, sqlite_url
from waystation.kernel.secrets import digest
from waystation.kernel.succession import State, Succession, Verdict, Why, columns

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
GRACE = timedelta(minutes=2)
WEEK = timedelta(days=7)

apart = sa.MetaData()
table = sa.Table("secret", apart, *columns())
watched = Succession(table, grace=GRACE, watched=True)
unwatched = Succession(table)


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Tx]:
    database = Database(sqlite_url(tmp_path / "secrets.db"))
    apart.create_all(database.engine)
    with database.write() as tx:
        watched.start(tx, digest("first"), START, expires_at=START + WEEK)
        yield tx
    database.close()


def row(tx: Tx, secret: str) -> sa.Row[Any]:
    found = watched.by_digest(tx, digest(secret))
    assert found is not None
    return found


def use(tx: Tx, secret: str, after: timedelta = timedelta(), family: Succession = watched) -> Verdict:
    return family.use(tx, row(tx, secret), START + after)


def renew(tx: Tx, secret: str, successor: str, after: timedelta = timedelta(), family: Succession = watched) -> Verdict:
    now = START + after
    return family.renew(tx, row(tx, secret), now, digest(successor), expires_at=now + WEEK)


def test_the_first_secret_opens(tx: Tx) -> None:
    assert use(tx, "first") is Verdict.GOOD


def test_the_old_secret_is_good_until_the_new_one_is_first_used(tx: Tx) -> None:
    renew(tx, "first", "second")
    assert use(tx, "first", timedelta(days=6)) is Verdict.GOOD
    assert use(tx, "second", timedelta(days=6)) is Verdict.FIRST_USE
    assert use(tx, "second", timedelta(days=6)) is Verdict.GOOD
    assert use(tx, "first", timedelta(days=6)) is Verdict.REFUSED


def test_a_lost_answer_is_asked_for_again_and_again(tx: Tx) -> None:
    """Beyond a few that never arrived the oldest are dropped; the newest is always good."""
    for number in range(20):
        assert renew(tx, "first", f"lost {number}") is Verdict.GOOD
    assert use(tx, "lost 0") is Verdict.REFUSED
    assert use(tx, "lost 19") is Verdict.FIRST_USE


def test_an_answer_that_overtook_another_is_good_as_well(tx: Tx) -> None:
    renew(tx, "first", "asked first, answered last")
    renew(tx, "first", "asked last, answered first")
    assert use(tx, "asked first, answered last") is Verdict.FIRST_USE
    assert use(tx, "asked last, answered first") is Verdict.REFUSED


def test_a_spent_secret_that_comes_back_ends_the_line(tx: Tx) -> None:
    renew(tx, "first", "second")
    use(tx, "second")
    assert use(tx, "first", GRACE) is Verdict.STOLEN
    assert use(tx, "second", GRACE) is Verdict.REFUSED
    assert renew(tx, "second", "third", GRACE) is Verdict.REFUSED


def test_a_spent_key_that_is_not_watched_is_only_refused(tx: Tx) -> None:
    """Or whoever found an old key could take the device's new one from it."""
    renew(tx, "first", "second", family=unwatched)
    use(tx, "second", family=unwatched)
    assert use(tx, "first", WEEK / 2, unwatched) is Verdict.REFUSED
    assert use(tx, "second", WEEK / 2, unwatched) is Verdict.GOOD


def test_the_power_cut_that_took_the_new_secret_is_forgiven_once__JR_13(tx: Tx) -> None:
    renew(tx, "first", "second")
    use(tx, "second")
    assert renew(tx, "first", "third", GRACE / 2) is Verdict.SECOND_CHANCE
    assert use(tx, "second", GRACE / 2) is Verdict.GOOD
    assert use(tx, "third", GRACE / 2) is Verdict.FIRST_USE
    assert use(tx, "second", GRACE / 2) is Verdict.STOLEN
    assert use(tx, "third", GRACE / 2) is Verdict.REFUSED


def test_an_expired_secret_is_refused_and_ends_nothing(tx: Tx) -> None:
    renew(tx, "first", "second", WEEK - timedelta(days=1))
    assert use(tx, "first", WEEK) is Verdict.REFUSED
    assert use(tx, "second", WEEK) is Verdict.FIRST_USE


def test_the_end_of_a_line_ends_those_in_waiting(tx: Tx) -> None:
    renew(tx, "first", "second")
    assert watched.end(tx, row(tx, "first").lineage, START) == 2
    assert {use(tx, "first"), use(tx, "second")} == {Verdict.REFUSED}


def test_what_has_expired_is_forgotten_in_portions(tx: Tx) -> None:
    for number in range(3):
        renew(tx, "first", f"lost {number}")
    assert [watched.forget(tx, START + WEEK * 2, most=3) for _ in range(3)] == [3, 1, 0]


class Line(RuleBasedStateMachine):
    """An honest holder that saves what it gets before it uses it, and a thief who copies its files."""

    @initialize()
    def begin(self) -> None:
        self.database = Database("sqlite://")
        apart.create_all(self.database.engine)
        self.now, self.made = START, 0
        self.held = self.new()
        self.stolen: list[str] = []
        self.thief_acted = self.revoked = False
        with self.database.write() as tx:
            watched.start(tx, digest(self.held), self.now, expires_at=None)

    def teardown(self) -> None:
        self.database.close()

    def new(self) -> str:
        self.made += 1
        return f"secret {self.made}"

    def uses(self, secret: str) -> Verdict:
        with self.database.write() as tx:
            return watched.use(tx, row(tx, secret), self.now)

    def renews(self, secret: str) -> tuple[Verdict, str]:
        successor = self.new()
        with self.database.write() as tx:
            return watched.renew(tx, row(tx, secret), self.now, digest(successor), expires_at=None), successor

    @rule(seconds=integers(0, 300))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def holder_uses(self) -> None:
        verdict = self.uses(self.held)
        self.check(verdict)

    @rule()
    def holder_renews(self) -> None:
        verdict, successor = self.renews(self.held)
        if verdict.opens:
            self.held = successor
        self.check(verdict)

    @rule()
    def holder_asks_and_the_answer_is_lost(self) -> None:
        self.check(self.renews(self.held)[0])

    @rule()
    def thief_copies(self) -> None:
        self.stolen.append(self.held)

    @precondition(lambda self: self.stolen)
    @rule(which=integers(0, 99))
    def thief_renews(self, which: int) -> None:
        self.thief_acted = True
        verdict, successor = self.renews(self.stolen[which % len(self.stolen)])
        if verdict.opens:
            self.stolen.append(successor)

    @precondition(lambda self: self.stolen)
    @rule(which=integers(0, 99))
    def thief_uses(self, which: int) -> None:
        self.thief_acted = True
        self.uses(self.stolen[which % len(self.stolen)])

    @rule()
    def owner_revokes(self) -> None:
        if self.made > 12:
            self.revoked = True
            with self.database.write() as tx:
                watched.end(tx, 1, self.now)

    def check(self, verdict: Verdict) -> None:
        """Without a thief and an owner's word an honest holder is never refused."""
        assert verdict.opens or self.thief_acted or self.revoked, verdict
        assert not (self.revoked and verdict.opens), verdict

    @invariant()
    def only_one_is_alive(self) -> None:
        with self.database.read() as tx:
            active = tx.all(table.select().where(table.c.state == State.ACTIVE))
            waiting = tx.all(table.select().where(table.c.state == State.CANDIDATE))
        assert len(active) <= 1
        assert len(waiting) <= 3
        assert not (self.revoked and (active or waiting))

    @invariant()
    def a_displaced_one_never_opens(self) -> None:
        with self.database.read() as tx:
            spent = tx.all(table.select().where(table.c.why == Why.DISPLACED))
            assert all(one.state == State.RETIRED for one in spent)


Line.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLine = Line.TestCase


def test_what_was_ended_gets_no_second_chance_and_is_no_second_theft(tx: Tx) -> None:
    renew(tx, "first", "second")
    use(tx, "second")
    watched.end(tx, row(tx, "second").lineage, START)
    assert renew(tx, "first", "third", GRACE / 2) is Verdict.REFUSED
    assert use(tx, "first", GRACE) is Verdict.REFUSED
