"""Group reading: one thread hop and one transaction for all that was asked while the last were under way."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from waystation.kernel.db import Database, Tx

K = TypeVar("K")
V = TypeVar("V")


class Reader(Generic[K, V]):
    """Looks things up through `find(tx, keys)`, which leaves out what there is not. When thousands come back at once,
    the transactions and threads of one look-up each would cost several times what the looking does.
    """

    def __init__(
        self, database: Database, find: Callable[[Tx, Sequence[K]], Mapping[K, V]], *, most_at_once: int = 500
    ) -> None:
        self._database = database
        self._find = find
        self._most_at_once = most_at_once
        self._waiting: list[tuple[K, asyncio.Future[V | None]]] = []
        self._is_looking = False

    def ask(self, key: K) -> "asyncio.Future[V | None]":
        """Call on the event loop. The look begins after the question, so that it sees what was committed before."""
        answer: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, answer))
        if not self._is_looking:
            self._begin()
        return answer

    def _begin(self) -> None:
        asked, self._waiting = self._waiting[: self._most_at_once], self._waiting[self._most_at_once :]
        self._is_looking = True
        keys = list(dict.fromkeys(key for key, _ in asked))
        look = asyncio.get_running_loop().run_in_executor(None, self._look, keys)
        look.add_done_callback(lambda done: self._looked(asked, done))

    def _look(self, keys: Sequence[K]) -> Mapping[K, V]:
        with self._database.read() as tx:
            return self._find(tx, keys)

    def _looked(
        self, asked: Sequence[tuple[K, "asyncio.Future[V | None]"]], done: "asyncio.Future[Mapping[K, V]]"
    ) -> None:
        self._is_looking = False
        if self._waiting:
            self._begin()
        for key, answer in asked:
            _settle(key, answer, done)


def _settle(key: K, answer: "asyncio.Future[V | None]", done: "asyncio.Future[Mapping[K, V]]") -> None:
    if answer.done():
        return
    if done.cancelled():
        answer.cancel()
    elif (fault := done.exception()) is not None:
        answer.set_exception(fault)
    else:
        answer.set_result(done.result().get(key))
