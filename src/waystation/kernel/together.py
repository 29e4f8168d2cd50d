"""Asks Redis for all calls that wait, in one round trip, so that none of them costs one of its own."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from waystation.kernel.buckets import Allowance, Rate

log = structlog.get_logger(__name__)

Ask = Callable[[list[tuple[str, Rate]]], list[Allowance]]
Answer = asyncio.Future[Allowance | None]

MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Asked:
    key: str
    rate: Rate
    loop: asyncio.AbstractEventLoop
    answer: Answer


class Together:
    """`take` gives a future, or None while Redis is away: then its caller counts alone and nobody waits.

    Who waits when Redis goes away gets None too. It is used again once it has answered a question that nobody waits
    for, asked every `away_seconds`.
    """

    def __init__(self, ask: Ask, *, away_seconds: float) -> None:
        self._ask = ask
        self._away_seconds = away_seconds
        self._waiting: deque[Asked] = deque()
        self._wake = threading.Event()
        self._is_away = False
        self._ask_again_at = 0.0  # of time.monotonic()
        self._thread: threading.Thread | None = None

    def take(self, key: str, rate: Rate) -> Answer | None:
        """Call it on the event loop."""
        if self._is_away:
            if time.monotonic() >= self._ask_again_at:
                self._ask_again_at = time.monotonic() + self._away_seconds
                self._wake.set()
            return None
        loop = asyncio.get_running_loop()
        asked = Asked(key, rate, loop, loop.create_future())
        self._waiting.append(asked)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="limits", daemon=True)
            self._thread.start()
        self._wake.set()
        return asked.answer

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._is_away:
                self._look_again()
            while self._waiting:
                self._answer([self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))])

    def _look_again(self) -> None:
        try:
            self._ask([])
        except Exception:  # noqa: BLE001  whatever keeps it from answering
            return
        self._is_away = False
        log.warning("Redis answers again; all processes share their limits")

    def _answer(self, batch: list[Asked]) -> None:
        told: list[Allowance] | list[None] = [None] * len(batch)
        if not self._is_away:
            try:
                told = self._ask([(asked.key, asked.rate) for asked in batch])
            except Exception as fault:  # noqa: BLE001  limits never cost a reading
                self._ask_again_at = time.monotonic() + self._away_seconds
                self._is_away = True
                log.warning("Redis does not answer; each process limits by itself", fault=repr(fault))
        for asked, allowance in zip(batch, told, strict=True):
            try:
                asked.loop.call_soon_threadsafe(_tell, asked.answer, allowance)
            except RuntimeError:  # the loop has ended; nobody waits any more
                continue


def _tell(answer: Answer, allowance: Allowance | None) -> None:
    if not answer.done():
        answer.set_result(allowance)
