import threading
from collections import defaultdict
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from waystation.kernel import outbox
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database, Listener, Tx, metadata
from waystation.kernel.outbox import Courier, Put

KIND = "post"
LONGEST_WAIT_SECONDS = 3600
WAIT_SECONDS = 20


class Undone(Exception):
    """The transaction is rolled back."""


class Post:
    """Takes what it is handed unless it is closed or knows the subject as bad."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int]] = []
        self.refuses: set[str] = set()
        self.is_closed = False

    def send(self, subject: str, body: bytes) -> None:
        if self.is_closed or subject in self.refuses:
            raise ConnectionError("nobody there")
        self.taken.append((subject, msgspec.json.decode(body)))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def put(database: Database, clock: ManualClock, subject: str, number: int = 0, *, kind: str = KIND) -> None:
    with database.write() as tx:
        outbox.put(tx, subject, number, clock.now(), kind=kind)


def courier(database: Database, clock: ManualClock, post: Post) -> Courier:
    return Courier(database, clock, {KIND: post.send}, may_send=lambda: True)


def waiting(database: Database) -> list[sa.Row]:
    with database.read() as tx:
        return list(tx.all(outbox.outbox.select().order_by(outbox.outbox.c.id)))


def test_what_is_put_is_sent_once_in_order(database: Database, clock: ManualClock) -> None:
    post = Post()
    for number in range(5):
        put(database, clock, "a", number)
    sender = courier(database, clock, post)
    assert (sender.deliver(), sender.deliver()) == (5, 0)
    assert post.taken == [("a", number) for number in range(5)]
    assert waiting(database) == []


def test_what_is_rolled_back_never_leaves__G_12(database: Database, clock: ManualClock) -> None:
    with suppress(Undone), database.write() as tx:
        outbox.put(tx, "a", 1, clock.now(), kind=KIND)
        raise Undone
    post = Post()
    courier(database, clock, post).deliver()
    assert post.taken == []


def test_what_was_not_taken_stays_with_its_reason_and_waits_longer_each_time(
    database: Database, clock: ManualClock
) -> None:
    post = Post()
    post.is_closed = True
    sender = courier(database, clock, post)
    put(database, clock, "a")
    waits = []
    for tries in range(1, 15):
        assert sender.deliver() == 1
        assert sender.deliver() == 0  # not before its time
        row = waiting(database)[0]
        assert (row.tries, "nobody there" in row.fault) == (tries, True)
        waits.append((row.due_at - clock.now()).total_seconds())
        clock.at = row.due_at
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (5, LONGEST_WAIT_SECONDS)
    post.is_closed = False
    sender.deliver()
    assert post.taken == [("a", 0)]


def test_one_that_is_never_taken_holds_nobody_else_back(database: Database, clock: ManualClock) -> None:
    post = Post()
    post.refuses.add("bad")
    for subject in ("bad", "good", "bad", "fine"):
        put(database, clock, subject)
    courier(database, clock, post).deliver()
    assert post.taken == [("good", 0), ("fine", 0)]
    assert [row.subject for row in waiting(database)] == ["bad", "bad"]


def test_a_kind_that_nobody_sends_stays(database: Database, clock: ManualClock) -> None:
    put(database, clock, "a", kind="carrier pigeon")
    assert courier(database, clock, Post()).deliver() == 0
    assert len(waiting(database)) == 1


def test_a_crash_between_sending_and_settling_sends_again(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Post()
    put(database, clock, "a")
    with monkeypatch.context() as crashing:
        crashing.setattr(outbox, "_settle", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            courier(database, clock, post).deliver()
    courier(database, clock, post).deliver()  # after the next start
    assert post.taken == [("a", 0), ("a", 0)]
    assert waiting(database) == []


class Watched(Post):
    """A post that a test can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Event()

    def send(self, subject: str, body: bytes) -> None:
        super().send(subject, body)
        self.came.set()


@pytest.fixture
def heard(database: Database) -> dict[type, list[Listener]]:
    listeners: dict[type, list[Listener]] = defaultdict(list)
    database.listeners = listeners
    return listeners


def test_a_put_wakes_the_courier_once_it_is_committed(
    database: Database, clock: ManualClock, heard: dict[type, list[Listener]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "LOOK_SECONDS", WAIT_SECONDS * 10)  # only the nudge can be in time
    post = Watched()
    sender = courier(database, clock, post)
    heard[Put].append(lambda tx, told, _now: tx.after_commit(partial(sender.nudge, told.kind)))
    sender.start()
    for number in range(3):
        post.came.clear()
        put(database, clock, "a", number)
        assert post.came.wait(WAIT_SECONDS)
    sender.close()
    assert post.taken == [("a", number) for number in range(3)]


def test_another_processs_row_is_found_without_a_nudge(database: Database, clock: ManualClock) -> None:
    post = Watched()
    sender = courier(database, clock, post)
    sender.start()
    put(database, clock, "a")
    assert post.came.wait(WAIT_SECONDS)
    sender.close()


def test_who_does_not_own_the_sweeps_sends_nothing(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "LOOK_SECONDS", 0.01)
    post, asked, mine = Watched(), threading.Event(), threading.Event()

    def may_send() -> bool:
        asked.set()
        return mine.is_set()

    put(database, clock, "a")
    sender = Courier(database, clock, {KIND: post.send}, may_send=may_send)
    sender.start()
    for _ in range(2):  # the second question comes after the first answer was obeyed
        asked.clear()
        assert asked.wait(WAIT_SECONDS)
    assert post.taken == []
    mine.set()
    assert post.came.wait(WAIT_SECONDS)
    sender.close()


def test_a_database_that_is_away_does_not_end_the_courier(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, failed = Watched(), threading.Event()
    read = database.read

    def away() -> None:
        monkeypatch.setattr(database, "read", read)
        failed.set()
        raise ConnectionError("away")

    monkeypatch.setattr(database, "read", away)
    sender = courier(database, clock, post)
    sender.start()
    assert failed.wait(WAIT_SECONDS)
    put(database, clock, "a")
    assert post.came.wait(WAIT_SECONDS)
    sender.close()


class Outbox(RuleBasedStateMachine):
    """Whatever fails and for how long: nothing committed is lost or sent twice, what is due leaves oldest first."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        with database.write() as tx:
            tx.execute(outbox.outbox.delete())
        self.clock, self.post = ManualClock(), Post()
        self.courier = courier(self.database, self.clock, self.post)
        self.committed: list[tuple[str, int]] = []

    @rule(subject=st.sampled_from("abc"), commits=st.booleans())
    def put(self, subject: str, commits: bool) -> None:  # noqa: FBT001
        number = len(self.committed)
        with suppress(Undone), self.database.write() as tx:
            outbox.put(tx, subject, number, self.clock.now(), kind=KIND)
            if not commits:
                raise Undone
            self.committed.append((subject, number))

    @rule(subject=st.sampled_from("abc"))
    def refuse_or_take(self, subject: str) -> None:
        self.post.refuses ^= {subject}

    @rule()
    def open_or_close(self) -> None:
        self.post.is_closed = not self.post.is_closed

    @rule(seconds=st.integers(0, 2 * LONGEST_WAIT_SECONDS))
    def wait(self, seconds: int) -> None:
        self.clock.turn(seconds)

    @rule(most=st.integers(1, 5))
    def deliver(self, most: int) -> None:
        before = len(self.post.taken)
        self.courier.deliver(most)
        numbers = [number for _, number in self.post.taken[before:]]
        assert numbers == sorted(numbers)
        assert len(numbers) <= most

    @rule()
    def restart(self) -> None:
        self.courier = courier(self.database, self.clock, self.post)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        stored = [(row.subject, msgspec.json.decode(row.body)) for row in waiting(self.database)]
        assert sorted(self.post.taken + stored) == sorted(self.committed)

    def teardown(self) -> None:
        self.post.is_closed, self.post.refuses = False, set()
        for _ in range(len(self.committed) + 1):
            self.clock.turn(LONGEST_WAIT_SECONDS)
            self.courier.deliver()
        assert sorted(self.post.taken) == sorted(self.committed)


def test_the_outbox_loses_and_doubles_nothing_whatever_fails() -> None:
    database = Database("sqlite://", pool_size=1)
    metadata.create_all(database.engine, tables=[outbox.outbox])
    tried = property_settings(max_examples=20, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(lambda: Outbox(database), settings=tried)
    database.close()


def test_a_notice_has_a_kind_of_its_own(database: Database, clock: ManualClock, tmp_path: Path) -> None:
    with database.write() as tx:
        outbox.notice(tx, "devices.1.abc", {"event": "renamed"}, clock.now() - timedelta(seconds=1))
    heard: list[tuple[str, bytes]] = []
    Courier(database, clock, {outbox.NOTICE: lambda *told: heard.append(told)}, may_send=lambda: True).deliver()
    assert heard == [("devices.1.abc", b'{"event":"renamed"}')]


def test_a_row_for_later_wakes_nobody_and_goes_when_it_is_due(
    database: Database, clock: ManualClock, heard: dict[type, list[Listener]]
) -> None:
    woken: list[str] = []
    heard[Put].append(lambda _tx, told, _now: woken.append(told.kind))
    told: list[tuple[str, bytes]] = []
    sender = Courier(database, clock, {outbox.NOTICE: lambda *what: told.append(what)}, may_send=lambda: True)
    with database.write() as tx:
        outbox.notice(tx, "commands.1.abc", {}, clock.now(), due_at=clock.now() + timedelta(seconds=1))
    sender.deliver()
    assert (woken, told) == ([], [])
    clock.turn(1)
    sender.deliver()
    assert told == [("commands.1.abc", b"{}")]


def in_lanes(database: Database, clock: ManualClock, post: Post, settled: list[tuple[int, bool]]) -> Courier:
    def note(_tx: Tx, row: sa.Row, fault: outbox.Fault | None, _now: datetime) -> None:
        settled.append((msgspec.json.decode(row.body), fault is None))

    sender = outbox.Sender(post.send, lanes=2, longest_wait=timedelta(minutes=5), settled=note)
    return Courier(database, clock, {KIND: sender}, may_send=lambda: True)


def test_in_lanes_what_is_behind_a_row_that_waits_waits_with_it_and_other_subjects_do_not(
    database: Database, clock: ManualClock
) -> None:
    post, settled = Post(), list[tuple[int, bool]]()
    post.refuses = {"away"}
    sending = in_lanes(database, clock, post, settled)
    for number, subject in enumerate(["away", "away", "here", "here", "there"]):
        put(database, clock, subject, number)
    while sending.deliver():
        pass
    assert sorted(post.taken) == [("here", 2), ("here", 3), ("there", 4)]
    assert settled.count((0, False)) == 1
    assert (1, False) not in settled
    post.refuses = set()
    clock.turn(5)
    while sending.deliver():
        pass
    assert [number for subject, number in post.taken if subject == "away"] == [0, 1]
    assert waiting(database) == []


def test_lanes_send_at_the_same_time(database: Database, clock: ManualClock) -> None:
    meeting = threading.Barrier(2, timeout=10)
    sender = outbox.Sender(lambda _subject, _body: meeting.wait() and None, lanes=2)  # each waits for the other
    put(database, clock, "one")
    put(database, clock, "two")
    assert Courier(database, clock, {KIND: sender}, may_send=lambda: True).deliver() == 2
    assert waiting(database) == []


def test_in_lanes_the_longest_wait_is_the_senders_own(database: Database, clock: ManualClock) -> None:
    post = Post()
    post.is_closed = True
    sending = in_lanes(database, clock, post, [])
    put(database, clock, "away")
    for _ in range(12):
        sending.deliver()
        [row] = waiting(database)
        assert row.due_at - clock.now() <= timedelta(minutes=5)
        clock.turn((row.due_at - clock.now()).total_seconds())
    assert row.tries == 12
