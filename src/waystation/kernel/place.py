"""Where somebody is who looks at pages: in which home, with which powers, and what waits for them there."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from waystation.kernel.db import Tx


class Place(NamedTuple):
    """The home's name, how much who looks may do there, and by path of the navigation how much waits for them."""

    name: str
    rank: int
    waiting: Mapping[str, int] = {}


NOWHERE = Place("Waystation", 0)
FindPlace = Callable[[Any], Place]
"""Of a signed-in caller."""


class Waiting(dict[str, Callable[[Tx, int], int]]):
    """A part. By path of the navigation, what counts what waits there in a home."""

    def count(self, tx: Tx, home_id: int) -> dict[str, int]:
        return {path: count(tx, home_id) for path, count in self.items()}
