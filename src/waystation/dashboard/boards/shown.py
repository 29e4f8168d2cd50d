"""What the tiles of a dashboard show right now, for templates; and exactly which series that is, for links."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from waystation import telemetry
from waystation.dashboard.boards.model import AnyTile, Chart, DeviceCard, Name, Note, State, Tiles, Value, device_keys
from waystation.dashboard.boards.service import named_devices
from waystation.devices import Device
from waystation.kernel.clock import from_micros
from waystation.kernel.db import Tx
from waystation.web import format as reading

MAIN_VALUES = 4
LEVEL_WORDS = {"good": "In range", "warning": "Attention", "danger": "Problem"}

Last = Mapping[Name, telemetry.LastValue]


class Seen:
    """The devices of some tiles and their last values, read once."""

    def __init__(self, tx: Tx, home_id: int, tiles: Tiles) -> None:
        self.devices = named_devices(tx, home_id, device_keys(tiles))
        keys = {device.id: device.key for device in self.devices.values()}
        self.last: dict[Name, telemetry.LastValue] = {
            Name(keys[one.series.device_id], one.series.metric): one
            for one in sorted(telemetry.last_values(tx, list(keys)), key=lambda one: one.stamp)
        }

    def main_metrics(self, card: DeviceCard) -> Sequence[str]:
        if card.metrics:
            return card.metrics
        mine = [one.series for name, one in self.last.items() if name.key == card.device]
        mine.sort(key=lambda series: (reading.prominence(series.metric, series.kind.name.lower()), series.metric))
        return [series.metric for series in mine[:MAIN_VALUES]]

    def names(self, tiles: Tiles) -> set[Name]:
        """Every series that the tiles show, and no other."""
        named = {name for tile in tiles for name in tile.names()}
        cards = [tile for tile in tiles if isinstance(tile, DeviceCard)]
        named |= {Name(card.device, metric) for card in cards for metric in self.main_metrics(card)}
        return {name for name in named if name.key in self.devices}

    def value(self, name: Name) -> dict[str, Any]:
        """`value` and `at` are None for a series without readings."""
        found = self.last.get(name)
        if found is None:
            return {"device": name.key, "metric": name.metric, "value": None, "at": None}
        is_boolean = found.series.kind is telemetry.Kind.BOOLEAN
        value = bool(found.value) if is_boolean else found.value
        at = from_micros(telemetry.at_of(found.stamp))
        return {"device": name.key, "metric": name.metric, "value": value, "at": at}


def tiles_shown(tx: Tx, home_id: int, tiles: Tiles, *, now: datetime, online_seconds: float) -> list[dict[str, Any]]:
    seen = Seen(tx, home_id, tiles)
    return [_shown(tile, seen, now, online_seconds) for tile in tiles]


def _shown(tile: AnyTile, seen: Seen, now: datetime, online_seconds: float) -> dict[str, Any]:
    """`is_gone`: none of its devices is in the home any more."""
    keys = device_keys([tile])
    facts: dict[str, Any] = {
        "tile": tile,
        "kind": kind_of(tile),
        "is_gone": bool(keys) and not any(key in seen.devices for key in keys),
        "title": tile.title or _title(tile, seen.devices),
        "device_name": seen.devices[keys[0]].name if len(keys) == 1 and keys[0] in seen.devices else "",
    }
    if facts["is_gone"] or isinstance(tile, Note):
        return facts
    if isinstance(tile, Chart):
        return facts | {"series": [f"{name.key}:{name.metric}" for name in tile.names() if name.key in seen.devices]}
    if isinstance(tile, DeviceCard):
        device = seen.devices[tile.device]
        values = [seen.value(Name(tile.device, metric)) for metric in seen.main_metrics(tile)]
        return facts | {"device": device, "state": device.presence(now, online_seconds), "values": values}
    last = seen.value(tile.names()[0])
    if isinstance(tile, State):
        return facts | last | {"word": _word(tile, last["value"])}
    level = "" if last["value"] is None else tile.level(last["value"])
    return facts | last | {"level": level, "level_word": LEVEL_WORDS.get(level, ""), "words": _in_words(tile, last)}


def _in_words(tile: Value, last: Mapping[str, Any]) -> str:
    if tile.unit and isinstance(last["value"], float):
        return f"{reading.text('', last['value'])}{reading.SPACE}{tile.unit}"
    return reading.text(last["metric"], last["value"])


def _word(tile: State, value: Any) -> str:
    if value is None:
        return reading.NOTHING
    return value if isinstance(value, str) else (tile.when_true if value else tile.when_false)


def kind_of(tile: AnyTile) -> str:
    return str(tile.__struct_config__.tag)


def _title(tile: AnyTile, found: Mapping[str, Device]) -> str:
    """What a tile is called that nobody has named."""
    if isinstance(tile, DeviceCard):
        return found[tile.device].name if tile.device in found else tile.device
    if isinstance(tile, Note):
        return ""
    labels = dict.fromkeys(reading.label(name.metric) for name in tile.names())
    return ", ".join(labels)
