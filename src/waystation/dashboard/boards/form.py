"""What a person typed into a tile's form, as a tile; and a tile as the form shows it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from waystation.dashboard.boards.model import KINDS, AnyTile, tile_of
from waystation.kernel.errors import Invalid

Typed = Mapping[str, Sequence[str]]
FIELDS: Mapping[str, Sequence[str]] = {
    "chart": ("range", "show", "bucket"),
    "value": ("series", "unit"),
    "state": ("series", "when_true", "when_false"),
    "device": ("device",),
    "note": ("text",),
}
THRESHOLDS = ("warning_below", "warning_above", "danger_below", "danger_above")
MOST_TYPED = 2000
RANGES = {
    "15m": "15 minutes",
    "1h": "1 hour",
    "6h": "6 hours",
    "24h": "24 hours",
    "7d": "7 days",
    "30d": "30 days",
    "90d": "90 days",
    "365d": "a year",
}
SHOWS = {
    "points": "the readings",
    "band": "means, with the least and the greatest",
    "time_mean": "means weighted by time",
    "sum": "sums",
    "count": "how many readings",
    "rate": "the rate of a counter",
}
BUCKETS = {"auto": "what fits", "hour": "hours", "day": "days", "week": "weeks", "month": "months"}


def first(typed: Typed, name: str) -> str:
    return next(iter(typed.get(name, ())), "").strip()


def kind_of(text: str) -> str:
    if text not in KINDS:
        raise Invalid(f"a tile is one of {', '.join(KINDS)}")
    return text


def tile_from(typed: Typed, kind: str, tile_id: str = "") -> AnyTile:
    """Invalid says what is wrong; fields that another kind has are left aside."""
    facts: dict[str, Any] = {"kind": kind_of(kind), "id": tile_id, "title": first(typed, "title")}
    facts["width"] = _whole(first(typed, "width") or "1", "width")
    facts |= {name: first(typed, name) for name in FIELDS[kind] if first(typed, name)}
    if kind == "chart":
        facts["series"] = [text for text in typed.get("series", ()) if text]
    if kind == "value":
        facts |= {name: _number(first(typed, name), name) for name in THRESHOLDS if first(typed, name)}
    if kind == "device":
        facts["metrics"] = [text for text in typed.get("metrics", ()) if text]
    missing = {"value": "series", "state": "series", "device": "device", "note": "text"}.get(kind)
    if missing and missing not in facts:
        raise Invalid({"series": "choose a series", "device": "choose a device", "text": "write something"}[missing])
    return tile_of(facts)


def draft_of(tile: AnyTile) -> dict[str, Any]:
    """The fields as the form has them."""
    found: dict[str, Any] = msgspec.to_builtins(tile)
    return {name: value for name, value in found.items() if value is not None}


def typed_again(typed: Typed) -> dict[str, Any]:
    """What was refused, to be put right."""
    return {name: list(values) if name == "metrics" else first(typed, name) for name, values in typed.items()} | {
        "series": list(typed.get("series", ()))
    }


def _whole(text: str, name: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 9:
        raise Invalid(f"the {name} is a whole number")
    return int(text)


def _number(text: str, name: str) -> float:
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Invalid(f"{name.replace('_', ' ')}: {text[:40]!r} is not a number")
    return number
