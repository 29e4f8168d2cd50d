"""A dashboard and its tiles: what they may hold, how they are ordered, who may change them. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Literal, NamedTuple

import msgspec

from waystation.homes import Membership, Role
from waystation.kernel.errors import Invalid, Refused

MOST_BOARDS = 200
MOST_TILES = 60
MOST_SERIES = 20
MOST_METRICS = 6
MOST_NAME = 80
MOST_NOTE = 2000
MOST_LINKS = 50
FORMAT = 1
WIDEST = 4
SHORTEST_LINK = timedelta(hours=1)
LONGEST_LINK = timedelta(days=90)

Level = Literal["", "good", "warning", "danger"]
Range = Literal["15m", "1h", "6h", "24h", "7d", "30d", "90d", "365d"]
Show = Literal["points", "band", "time_mean", "sum", "count", "rate"]
Bucket = Literal["auto", "hour", "day", "week", "month"]


class Name(NamedTuple):
    """A series, as `KEY:metric` names it."""

    key: str
    metric: str

    @classmethod
    def of(cls, text: str) -> "Name":
        key, _, metric = text.partition(":")
        if not key or not metric or len(text) > 200 or not text.isprintable() or "," in text:
            raise Invalid(f"{text[:60]!r} does not name a series; the form is KEY:metric")
        return cls(key, metric)


class Tile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """`width` counts columns of four; `id` is its own in its dashboard, and given out when it is empty."""

    id: str = ""
    title: str = ""
    width: int = 1

    def names(self) -> Sequence[Name]:
        """The series that it shows by name."""
        return ()

    def checked(self) -> None:
        if not 1 <= self.width <= WIDEST:
            raise Invalid(f"a tile is 1 to {WIDEST} columns wide, not {self.width}")
        check_words(self.title, "a tile's title", MOST_NAME)
        self.names()


class Chart(Tile, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="chart"):
    width: int = 2
    series: tuple[str, ...]
    range: Range = "24h"
    show: Show = "points"
    bucket: Bucket = "auto"

    def names(self) -> Sequence[Name]:
        return [Name.of(text) for text in self.series]

    def checked(self) -> None:
        super().checked()
        if not 1 <= len(self.series) <= MOST_SERIES:
            raise Invalid(f"a chart has 1 to {MOST_SERIES} series; choose some")


class Value(Tile, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="value"):
    """The last value; beyond a threshold, or at it, the tile has the threshold's colour."""

    series: str
    unit: str = ""
    warning_below: float | None = None
    warning_above: float | None = None
    danger_below: float | None = None
    danger_above: float | None = None

    def names(self) -> Sequence[Name]:
        return [Name.of(self.series)]

    def checked(self) -> None:
        super().checked()
        check_words(self.unit, "a unit", 20)

    @property
    def thresholds(self) -> dict[str, float]:
        found = {
            "warning-below": self.warning_below,
            "warning-above": self.warning_above,
            "danger-below": self.danger_below,
            "danger-above": self.danger_above,
        }
        return {name: limit for name, limit in found.items() if limit is not None}

    def level(self, value: float | str) -> Level:
        """Nothing without thresholds, and for words."""
        if isinstance(value, str) or not self.thresholds:
            return ""
        if _beyond(value, self.danger_below, self.danger_above):
            return "danger"
        return "warning" if _beyond(value, self.warning_below, self.warning_above) else "good"


def _beyond(value: float, below: float | None, above: float | None) -> bool:
    return (below is not None and value <= below) or (above is not None and value >= above)


class State(Tile, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="state"):
    """A boolean in the owner's words, or a text as it is."""

    series: str
    when_true: str = "On"
    when_false: str = "Off"

    def names(self) -> Sequence[Name]:
        return [Name.of(self.series)]

    def checked(self) -> None:
        super().checked()
        for word in (self.when_true, self.when_false):
            check_words(word, "a state's word", 40)


class DeviceCard(Tile, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="device"):
    """Whether the device is there, and its main values; those named, or what is most worth a glance."""

    device: str
    metrics: tuple[str, ...] = ()

    def names(self) -> Sequence[Name]:
        return [Name.of(f"{self.device}:{metric}") for metric in self.metrics]

    def checked(self) -> None:
        super().checked()
        Name.of(f"{self.device}:any")
        if len(self.metrics) > MOST_METRICS:
            raise Invalid(f"a device's card has at most {MOST_METRICS} values")


class Note(Tile, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="note"):
    text: str

    def checked(self) -> None:
        super().checked()
        if len(self.text) > MOST_NOTE:
            raise Invalid(f"a note has at most {MOST_NOTE} characters")
        if not self.text.strip():
            raise Invalid("a note needs some text")


AnyTile = Chart | Value | State | DeviceCard | Note
Tiles = tuple[AnyTile, ...]
KINDS: Mapping[str, str] = {
    "chart": "Chart",
    "value": "Value",
    "state": "State",
    "device": "Device",
    "note": "Note",
}
encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Board:
    """`person_id` is whose it is alone; None when it is shared with the home."""

    id: int
    home_id: int
    uid: str
    person_id: int | None
    name: str
    tiles: Tiles
    version: int
    is_start: bool
    changed_at: datetime
    changed_by: str

    @property
    def is_shared(self) -> bool:
        return self.person_id is None

    def is_seen_by(self, me: Membership) -> bool:
        """An API token acts for the home, so it knows shared ones only."""
        return self.is_shared or (self.person_id == me.user_id and me.caller.token_id is None)

    def may_change(self, me: Membership) -> bool:
        return self.is_seen_by(me) and (not self.is_shared or me.role >= Role.USER)

    def check_may_change(self, me: Membership) -> None:
        if not self.may_change(me):
            raise Refused("a shared dashboard is changed by users and admins; copy it to make one of your own")


@dataclass(frozen=True, slots=True)
class Link:
    """`expires_at` is None for one that lasts until it is taken back."""

    id: int
    board_id: int
    name: str
    made_at: datetime
    made_by: str
    expires_at: datetime | None
    used_at: datetime | None


class Sharing(NamedTuple):
    """A new link; its secret is shown once."""

    id: int
    name: str
    secret: str
    expires_at: datetime | None


class Shape(NamedTuple):
    """A tile's place among the others is the place of this; and how wide it becomes."""

    id: str
    width: int


def check_words(text: str, what: str, most: int) -> str:
    if len(text) > most or not text.isprintable():
        raise Invalid(f"{what} has at most {most} printable characters")
    return text


def check_name(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise Invalid("give the dashboard a name")
    return check_words(name, "a dashboard's name", MOST_NAME)


def check_hours(hours: float | None) -> timedelta | None:
    """None for a link without an end."""
    if hours is None:
        return None
    least, most = SHORTEST_LINK.total_seconds() / 3600, LONGEST_LINK.total_seconds() / 3600
    if not least <= hours <= most:
        raise Invalid("a link lasts 1 hour to 90 days, or until it is taken back")
    return timedelta(hours=hours)


def tiles_of(given: Any) -> Tiles:
    """Of plain JSON; Invalid names the field that is wrong."""
    try:
        tiles: Tiles = msgspec.convert(given, Tiles)
    except msgspec.ValidationError as fault:
        raise Invalid(f"`tiles`: {fault}") from fault
    return checked(tiles)


def tile_of(given: Mapping[str, Any]) -> AnyTile:
    """Of one tile's facts, `kind` among them; its id stays as it is."""
    return msgspec.structs.replace(tiles_of([given])[0], id=given.get("id", ""))


def checked(tiles: Sequence[AnyTile]) -> Tiles:
    """All of them right, with an id each."""
    if len(tiles) > MOST_TILES:
        raise Invalid(f"a dashboard has at most {MOST_TILES} tiles")
    for tile in tiles:
        tile.checked()
        if len(tile.id) > 20 or not (tile.id or "t").isalnum() or not tile.id.isascii():
            raise Invalid("a tile's id has at most 20 letters and digits")
    return _with_ids(tiles)


def _with_ids(tiles: Sequence[AnyTile]) -> Tiles:
    """The first of those with the same id keeps it."""
    taken: set[str] = {tile.id for tile in tiles if tile.id}
    seen: set[str] = set()
    made: list[AnyTile] = []
    fresh = (name for number in count(1) if (name := f"t{number}") not in taken)
    for tile in tiles:
        named = tile if tile.id and tile.id not in seen else msgspec.structs.replace(tile, id=next(fresh))
        seen.add(named.id)
        made.append(named)
    return tuple(made)


# Changes


def find_tile(tiles: Tiles, tile_id: str) -> AnyTile:
    found = next((tile for tile in tiles if tile.id == tile_id), None)
    if found is None:
        raise Invalid("that tile is not on the dashboard any more")
    return found


def with_tile(tiles: Tiles, tile: AnyTile) -> Tiles:
    """In the place of the one with its id, or behind all others."""
    if tile.id and any(one.id == tile.id for one in tiles):
        return checked([tile if one.id == tile.id else one for one in tiles])
    return checked([*tiles, tile])


def without(tiles: Tiles, tile_id: str) -> Tiles:
    gone = find_tile(tiles, tile_id)
    return tuple(tile for tile in tiles if tile is not gone)


def moved(tiles: Tiles, tile_id: str, by: int) -> Tiles:
    """Earlier by a negative number; the ends are the ends."""
    tile = find_tile(tiles, tile_id)
    rest = [one for one in tiles if one is not tile]
    place = max(0, min(len(rest), tiles.index(tile) + by))
    return (*rest[:place], tile, *rest[place:])


def resized(tiles: Tiles, tile_id: str, by: int) -> Tiles:
    tile = find_tile(tiles, tile_id)
    width = max(1, min(WIDEST, tile.width + by))
    return with_tile(tiles, msgspec.structs.replace(tile, width=width))


def arranged(tiles: Tiles, shapes: Sequence[Shape]) -> Tiles:
    """In this order and of these widths; every tile once."""
    if sorted(shape.id for shape in shapes) != sorted(tile.id for tile in tiles):
        raise Invalid("the order must name every tile of the dashboard once")
    return checked([msgspec.structs.replace(find_tile(tiles, shape.id), width=shape.width) for shape in shapes])


def device_keys(tiles: Collection[AnyTile]) -> list[str]:
    """Of all devices that the tiles speak of, each once."""
    named = [tile.device for tile in tiles if isinstance(tile, DeviceCard)]
    return list(dict.fromkeys([*named, *(name.key for tile in tiles for name in tile.names())]))
