"""Messages as they are written: a stream that reads on from a cursor whenever something was, so none is left out.

A notice on the bus says only that there is something; what it is stands in the table. So a stream that broke off, or
that another process goes on with, tells the same as one that did not.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import msgspec

from waystation.kernel.bus import RESUMED, Bus
from waystation.kernel.db import Database, Tx
from waystation.kernel.parts import Parts
from waystation.kernel.streams import EventStream, event
from waystation.messages import store
from waystation.messages.events import Logged
from waystation.messages.model import Message, cursor_of
from waystation.messages.reading import shown
from waystation.messages.store import Wanted

MOST_AT_ONCE, MOST_AFTER_SKIPPING = 500, 100
MOST_REPEATED = 500

Tell = Callable[[Tx, Sequence[Message]], Sequence[str]]
"""What is said of each message; all of them are there."""

NUMBERS = msgspec.json.Decoder(list[int])


def announce(bus: Bus, tx: Tx, told: Logged, _now: datetime) -> None:
    """A listener: once the lines are durable, all processes look whether somebody watches that home."""
    body = msgspec.json.encode([one.number for one in told.repeated[:MOST_REPEATED]])
    tx.after_commit(partial(bus.publish, _subject(told.home_id), body))


def _subject(home_id: int) -> str:
    return f"messages.{home_id}"


def as_json(tx: Tx, messages: Sequence[Message]) -> Sequence[str]:
    return [msgspec.json.encode(one).decode() for one in shown(tx, messages)]


class Tail(EventStream):
    """What is written behind a number."""

    def __init__(
        self, parts: Parts, wanted: Wanted, number: int, *, ended_by: Sequence[str], tell: Tell = as_json
    ) -> None:
        super().__init__(parts, woken_by=(_subject(wanted.home_id), RESUMED), ended_by=ended_by)
        self._database = parts.get(Database)
        self._wanted = wanted
        self._number = number
        self._tell = tell

    def news(self, notices: Sequence[bytes]) -> bytes:
        """What was written since, and who of those that were told has repeated itself."""
        repeated = {number for body in notices if body for number in NUMBERS.decode(body)}
        with self._database.read() as tx:
            again = store.by_numbers(tx, self._wanted, sorted(one for one in repeated if one <= self._number))
            found = store.oldest(tx, self._wanted, after=self._number, most=MOST_AT_ONCE + 1)
            skips = len(found) > MOST_AT_ONCE
            if skips:
                found = store.newest(tx, self._wanted, most=MOST_AFTER_SKIPPING)[::-1]
            told = [event("repeated", said) for said in self._tell(tx, again)]
            told += [event("skipped", "")] if skips else []
            said = zip(found, self._tell(tx, found), strict=True)
            told += [event("message", text, cursor_of(one.number)) for one, text in said]
            self._number = store.last_number(tx)
        return "".join(told).encode()
