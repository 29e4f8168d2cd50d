import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest

from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import Unavailable
from waystation.kernel.reader import Reader

WAIT_SECONDS = 20


class Shelf:
    """Knows the squares of even numbers. It waits at its door when a test closes that."""

    def __init__(self) -> None:
        self.looks: list[list[int]] = []
        self.fault: Exception | None = None
        self.entered, self.door = threading.Event(), threading.Event()
        self.door.set()

    def find(self, _tx: Tx, numbers: Sequence[int]) -> Mapping[int, int]:
        self.looks.append(list(numbers))
        self.entered.set()
        assert self.door.wait(WAIT_SECONDS)
        if self.fault is not None:
            raise self.fault
        return {number: number * number for number in numbers if number % 2 == 0}


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await test()

    asyncio.run(whole())


def test_what_there_is_not_is_none(database: Database, shelf: Shelf) -> None:
    reader = Reader(database, shelf.find)

    async def test() -> None:
        assert [await reader.ask(4), await reader.ask(3)] == [16, None]

    run(test)
    run(test)  # and it outlives a loop


def test_all_that_is_asked_during_a_look_shares_the_next(database: Database, shelf: Shelf) -> None:
    reader = Reader(database, shelf.find, most_at_once=3)

    async def test() -> None:
        shelf.door.clear()
        asked = [reader.ask(2)]
        assert await asyncio.to_thread(shelf.entered.wait, WAIT_SECONDS)
        asked += [reader.ask(number) for number in (4, 4, 6, 8, 2)]
        shelf.door.set()
        assert await asyncio.gather(*asked) == [4, 16, 16, 36, 64, 4]
        assert shelf.looks == [[2], [4, 6], [8, 2]]

    run(test)


def test_a_look_that_fails_fails_for_those_who_asked_alone(database: Database, shelf: Shelf) -> None:
    reader = Reader(database, shelf.find)

    async def test() -> None:
        shelf.fault = Unavailable("the database is away")
        found = await asyncio.gather(reader.ask(2), reader.ask(2), return_exceptions=True)
        assert found == [shelf.fault, shelf.fault]
        shelf.fault = None
        assert await reader.ask(2) == 4

    run(test)


def test_who_no_longer_waits_keeps_nobody_from_an_answer(database: Database, shelf: Shelf) -> None:
    reader = Reader(database, shelf.find)

    async def test() -> None:
        gone, here = reader.ask(2), reader.ask(2)
        gone.cancel()
        assert await here == 4

    run(test)
