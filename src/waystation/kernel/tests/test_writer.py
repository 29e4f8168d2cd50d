import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from waystation.kernel.db import Database, Tx, sqlite_url
from waystation.kernel.errors import StorageFull, Unavailable
from waystation.kernel.writer import Writer

WAIT_SECONDS = 20
kept = sa.Table("kept", sa.MetaData(), sa.Column("number", sa.Integer, primary_key=True, autoincrement=False))


class Shelf:
    """Stores numbers. It fails for those that are bad, and waits at its door when a test closes that."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.bad: set[int] = set()
        self.fault: Exception | None = None
        self.batches: list[int] = []
        self.entered, self.door = threading.Event(), threading.Event()
        self.door.set()

    def store(self, tx: Tx, items: Sequence[Any]) -> None:
        self.batches.append(len(items))
        self.entered.set()
        assert self.door.wait(WAIT_SECONDS)
        if self.fault:
            raise self.fault
        for number in items:
            if number in self.bad:
                raise ValueError(f"{number} is bad")
            tx.execute(kept.insert().values(number=number))

    def kept(self) -> list[int]:
        with self.database.read() as tx:
            return [row.number for row in tx.all(kept.select().order_by(kept.c.number))]


@pytest.fixture
def shelf(database: Database) -> Iterator[Shelf]:
    kept.create(database.engine)
    yield Shelf(database)
    kept.drop(database.engine)


def run(shelf: Shelf, test: Callable[[Writer], Awaitable[None]], **options: int) -> None:
    writer = Writer(shelf.database, shelf.store, **options)
    writer.start()

    async def whole() -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            await test(writer)

    try:
        asyncio.run(whole())
    finally:
        shelf.door.set()
        writer.close()


async def busy(shelf: Shelf, writer: Writer, number: int) -> asyncio.Future[None]:
    """The writer is in the middle of storing the number and stays there until the door is opened."""
    shelf.door.clear()
    shelf.entered.clear()
    durable = writer.put(number)
    await asyncio.to_thread(shelf.entered.wait, WAIT_SECONDS)
    return durable


def test_a_put_is_done_when_the_item_is_committed_and_not_before(shelf: Shelf) -> None:
    async def test(writer: Writer) -> None:
        durable = await busy(shelf, writer, 1)
        assert not durable.done()
        assert shelf.kept() == []
        shelf.door.set()
        await durable
        assert shelf.kept() == [1]
        assert writer.waiting == 0

    run(shelf, test)


def test_what_comes_during_a_commit_shares_the_next_one(shelf: Shelf) -> None:
    async def test(writer: Writer) -> None:
        first = await busy(shelf, writer, 0)
        others = [writer.put(number) for number in range(1, 100)]
        shelf.door.set()
        await asyncio.gather(first, *others)

    run(shelf, test)
    assert shelf.batches == [1, 99]
    assert shelf.kept() == list(range(100))


def test_a_batch_is_no_heavier_than_it_may_be_but_one_item_always_fits(shelf: Shelf) -> None:
    async def test(writer: Writer) -> None:
        first = await busy(shelf, writer, 0)
        others = [writer.put(number, weight) for number, weight in ((1, 4), (2, 4), (3, 4), (4, 25), (5, 1))]
        shelf.door.set()
        await asyncio.gather(first, *others)

    run(shelf, test, most_in_batch=10)
    assert shelf.batches == [1, 2, 1, 1, 1]


def test_one_bad_item_fails_alone(shelf: Shelf) -> None:
    shelf.bad = {2}

    async def test(writer: Writer) -> None:
        first = await busy(shelf, writer, 0)
        others = [writer.put(number) for number in (1, 2, 3)]
        shelf.door.set()
        outcomes = await asyncio.gather(first, *others, return_exceptions=True)
        assert [repr(outcome) for outcome in outcomes] == ["None", "None", "ValueError('2 is bad')", "None"]

    run(shelf, test)
    assert shelf.kept() == [0, 1, 3]


def test_a_full_disk_is_told_to_everybody_at_once(shelf: Shelf) -> None:
    async def test(writer: Writer) -> None:
        first = await busy(shelf, writer, 0)
        others = [writer.put(number) for number in (1, 2, 3)]
        shelf.fault = StorageFull("the disk is full")
        shelf.door.set()
        outcomes = await asyncio.gather(first, *others, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StorageFull] * 4
        shelf.fault = None
        await writer.put(9)

    run(shelf, test)
    assert shelf.batches == [1, 3, 1]  # the three were not tried one by one
    assert shelf.kept() == [9]


def test_more_than_may_wait_is_refused_and_nothing_of_it_kept(shelf: Shelf) -> None:
    async def test(writer: Writer) -> None:
        accepted = [await busy(shelf, writer, 0), writer.put(1, 9)]
        with pytest.raises(Unavailable) as refused:
            writer.put(2)
        assert refused.value.retry_after_seconds
        shelf.door.set()
        await asyncio.gather(*accepted)
        await writer.put(3)

    run(shelf, test, most_waiting=10)
    assert shelf.kept() == [0, 1, 3]


def test_a_call_heavier_than_the_whole_queue_is_taken_when_nothing_waits(shelf: Shelf) -> None:
    async def test(writer: Writer) -> None:
        await writer.put(1, 1000)

    run(shelf, test, most_waiting=10)
    assert shelf.kept() == [1]


def test_closing_stores_what_was_accepted_and_takes_nothing_more(shelf: Shelf) -> None:
    async def test(writer: Writer) -> None:
        accepted = [await busy(shelf, writer, 0), *(writer.put(number) for number in range(1, 20))]
        closing = asyncio.create_task(asyncio.to_thread(writer.close))
        while not writer._closing:  # noqa: ASYNC110  it is set in a thread
            await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            writer.put(99)
        shelf.door.set()
        await asyncio.gather(closing, *accepted)

    run(shelf, test)
    assert shelf.kept() == list(range(20))


def test_who_stopped_waiting_harms_nobody(shelf: Shelf) -> None:
    async def test(writer: Writer) -> None:
        first = await busy(shelf, writer, 0)
        given_up, other = writer.put(1), writer.put(2)
        given_up.cancel()
        shelf.door.set()
        await asyncio.gather(first, other)

    with capture_logs() as lines:
        run(shelf, test)
    assert shelf.kept() == [0, 1, 2]  # it was handed over, so it may be stored
    assert lines == []


def test_exactly_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "waystation.db"))
    kept.create(database.engine)

    @given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=20))
    @property_settings(max_examples=20, deadline=None)
    def holds(items: list[tuple[int, bool]]) -> None:
        with database.write() as tx:
            tx.execute(kept.delete())
        shelf = Shelf(database)
        shelf.bad = {number for number, (_, is_bad) in enumerate(items) if is_bad}

        async def test(writer: Writer) -> None:
            puts = [writer.put(number, weight) for number, (weight, _) in enumerate(items)]
            outcomes = await asyncio.gather(*puts, return_exceptions=True)
            assert {number for number, outcome in enumerate(outcomes) if outcome is not None} == shelf.bad

        with capture_logs():
            run(shelf, test, most_in_batch=7)
        assert set(shelf.kept()) == set(range(len(items))) - shelf.bad

    holds()
    database.close()
