"""One list from several: each source keeps its own order, and a place in the list is a place in each of them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

import msgspec

from waystation.kernel.errors import Invalid

MOST_CURSOR = 400
ON_A_PAGE = 50


class Kind(StrEnum):
    DEVICE = "device"
    COMMAND = "command"
    FILE = "file"
    PACKAGE = "package"
    ALERT = "alert"
    MESSAGE = "message"
    PEOPLE = "people"


@dataclass(frozen=True, slots=True)
class Item:
    """Something that happened. `who` did it, `text` says what, `of` names to what, with `href` where that is shown.

    `severity` is a word when it is graver than the rest; `state` is how far it has got since.
    """

    id: str
    at: datetime
    kind: Kind
    text: str
    who: str = ""
    of: str = ""
    href: str = ""
    detail: str = ""
    severity: str = ""
    state: str = ""


Place = int | str
"""Where a source goes on: its own id of the last that was taken."""


@dataclass(frozen=True, slots=True)
class Placed:
    place: Place
    item: Item


Places = Mapping[str, Place]
"""By source; one that is not named begins at its newest."""


@dataclass(frozen=True, slots=True)
class Feed:
    """`older` are the places of the next page, None when there is none."""

    items: Sequence[Item]
    older: Places | None

    @property
    def mark(self) -> str:
        """By which this page is known from another one, in every process."""
        return sha256(msgspec.json.encode(self.items)).hexdigest()[:16]


def merged(found: Mapping[str, Sequence[Placed]], before: Places, most: int) -> Feed:
    """Of every source what follows its place, in its own order; the newest of all go first.

    A source's order is never changed, so whatever its times are, nothing is left out and nothing comes twice.
    """
    waiting = {name: list(reversed(ones)) for name, ones in found.items() if ones}
    places, items = dict(before), list[Item]()
    while waiting and len(items) < most:
        name = max(waiting, key=lambda one: (waiting[one][-1].item.at, one))
        taken = waiting[name].pop()
        places[name] = taken.place
        items.append(taken.item)
        if not waiting[name]:
            del waiting[name]
    return Feed(items, places if waiting else None)


PLACES = msgspec.json.Decoder(dict[str, Place])


def cursor_of(places: Places) -> str:
    return urlsafe_b64encode(msgspec.json.encode(places, order="sorted")).rstrip(b"=").decode()


def places_at(cursor: str, known: Sequence[str]) -> Places:
    """Invalid unless it is one of ours."""
    try:
        places = PLACES.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, msgspec.MsgspecError) as fault:
        raise Invalid("the cursor is not one of this list; start again without it") from fault
    if not places.keys() <= set(known) or any(isinstance(one, int) and not 0 <= one < 2**63 for one in places.values()):
        raise Invalid("the cursor is not one of this list; start again without it")
    return places
