"""From text to values: what programs print and files hold, and what a hub takes."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import cast

from waystation_agent.sensors import Unreadable, Value, Values

METRIC = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
LONGEST_TEXT = 4096
WORDS: dict[str, bool] = {"true": True, "false": False}


def parse(text: str, metric: str) -> Values:
    """Read one number, which is called `metric`, a JSON object, or lines of `name=value`.

    Objects in objects are joined by `_`; a JSON null is a value that is not there.
    """
    text = text.strip().lstrip("\ufeff")
    if not text:
        raise Unreadable("there is nothing in it")
    if NUMBER.fullmatch(text):
        return {metric: float(text)}
    return _parse_json(text) if text.startswith("{") else dict(_parse_lines(text))


def _parse_json(text: str) -> Values:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not whole JSON: {error}") from error
    values: dict[str, Value] = {}
    strange: list[str] = []
    for name, value in _leaves(cast("dict[str, object]", found)):
        if isinstance(value, bool | int | float | str):
            values[name] = value
        elif value is not None:
            strange.append(name)
    if strange:
        raise Unreadable(f"a list is not a value: {', '.join(strange)}", values)
    return values


def _leaves(fields: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            inner = cast("dict[str, object]", value)
            yield from ((f"{name}_{deeper}", leaf) for deeper, leaf in _leaves(inner))
        else:
            yield name, value


def _parse_lines(text: str) -> Iterator[tuple[str, Value]]:
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise Unreadable(f"{line.strip()[:80]!r} is neither a number, nor JSON, nor name=value")
        yield name.strip(), _plain(value.strip())


def _plain(text: str) -> Value:
    return float(text) if NUMBER.fullmatch(text) else WORDS.get(text.lower(), text)


def tidied(number: float) -> float:
    """Strike what calculating leaves behind: 0.30000000000000004 is 0.3."""
    return float(f"{number:.12g}")


def sound(values: Values) -> tuple[dict[str, Value], list[str]]:
    """Return the values that a hub takes, and a sentence about each other one: a hub would refuse the whole sample."""
    kept: dict[str, Value] = {}
    faults: list[str] = []
    for metric, value in values.items():
        fault = _fault(metric, value)
        if fault:
            faults.append(fault)
        else:
            kept[metric] = value
    return kept, faults


def _fault(metric: str, value: Value) -> str | None:
    if not METRIC.fullmatch(metric):
        return f"{metric[:80]!r} cannot be a metric: a letter, then at most 63 of letters, digits, _ . : -"
    if isinstance(value, str):
        too_much = len(value) > LONGEST_TEXT or "\0" in value
        return f"{metric} is a text of more than {LONGEST_TEXT} characters, or no text" if too_much else None
    try:
        is_finite = math.isfinite(value)
    except OverflowError:
        is_finite = False
    return None if is_finite else f"{metric} is not a number that can be sent: {str(value)[:30]}"
