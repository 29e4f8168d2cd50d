"""What a panel asks for: targets in which variables are filled in, the payload beside them, and ad hoc filters."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, Self

from waystation.kernel.errors import Invalid
from waystation.telemetry.history import asked as read

ALTERNATIVES = re.compile(r"\(([^()]*)\)")
MILLISECONDS = re.compile(r"\d{1,9}ms")
MOST_NAMES = 1000

Payload = Mapping[str, Any]


def names(target: str) -> list[str]:
    """One, or all that a variable stands for: Grafana writes its values as `(a|b):t`, dots behind backslashes."""
    choices = [part.split("|") if place % 2 else [part] for place, part in enumerate(ALTERNATIVES.split(target))]
    if prod(map(len, choices)) > MOST_NAMES:
        raise Invalid(f"at most {MOST_NAMES} series at once; choose fewer values of the variables")
    return ["".join(some).replace("\\", "") for some in product(*choices)]


@dataclass(frozen=True, slots=True)
class Wish:
    """How a target wants to be shown: in points, or in buckets. Without aggregates the mean, and of texts the last."""

    aggregates: Sequence[str] = ()
    bucket: str = ""
    tz: str = "UTC"
    hold: str = "1h"
    with_empty: bool = False

    @classmethod
    def parse(cls, payload: Any, timezone: str = "") -> Self:
        given = _object(payload)
        aggregates = _words(given.get("aggregate"))
        read.aggregates(aggregates)
        bucket = _text(given, "bucket") or ("auto" if aggregates else "")
        at_home = timezone if "/" in timezone else "UTC"  # Grafana also says `browser` and `utc`
        return cls(
            tuple(dict.fromkeys(aggregates)),
            "1s" if MILLISECONDS.fullmatch(bucket) else bucket,  # `$__interval` of a narrow range
            _text(given, "tz") or at_home,
            _text(given, "hold") or "1h",
            _text(given, "empty") == "null",
        )


def _object(payload: Any) -> Payload:
    if payload in (None, "", []):
        return {}
    if not isinstance(payload, dict):
        raise Invalid('`payload` is an object such as {"aggregate": "mean", "bucket": "1h"}')
    return payload  # pyright: ignore[reportUnknownVariableType]


def _text(payload: Payload, name: str) -> str:
    given = payload.get(name)
    if given is None:
        return ""
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise Invalid(f"`{name}` in the payload is a text")
    return str(given)


def _words(given: Any) -> list[str]:
    """A text with commas, as a variable may be filled in, or a list of texts."""
    parts: list[Any] = given if isinstance(given, list) else [given or ""]  # pyright: ignore[reportUnknownVariableType]
    if not all(isinstance(part, str) for part in parts):
        raise Invalid("`aggregate` in the payload is a text or a list of texts")
    return [word.strip() for part in parts for name in names(part) for word in name.split(",") if word.strip()]


# Ad hoc filters

OPERATORS = {"=": True, "=|": True, "!=": False, "!=|": False}


@dataclass(frozen=True, slots=True)
class Filter:
    key: str
    values: Collection[str]
    is_wanted: bool

    @classmethod
    def parse(cls, key: str, operator: str, values: Collection[str], known: Collection[str]) -> Self:
        if key not in known:
            raise Invalid(f"there is no filter {key[:40]!r}; filter by {', '.join(known)}")
        if operator not in OPERATORS:
            raise Invalid(f"the filter's operator {operator[:10]!r} is not understood here; use = or !=")
        return cls(key, values, OPERATORS[operator])

    def admits(self, tags: Mapping[str, str]) -> bool:
        return (tags[self.key] in self.values) is self.is_wanted
