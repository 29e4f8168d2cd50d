"""Small pictures of incidents, as coordinates for SVG: no script draws them, so they are there without one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from waystation.alerts.backtest import Would
from waystation.kernel.clock import parse_iso
from waystation.kernel.errors import Invalid

WIDTH, HEIGHT, EDGE = 600.0, 120.0, 8.0
LEAST_WIDTH = 2.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """`line` is a polyline's points, `level` the height of the threshold, if it is a number."""

    line: str
    dots: Sequence[tuple[float, float]]
    level: float | None


@dataclass(frozen=True, slots=True)
class Mark:
    """An incident on a strip of days: where it begins, how wide it is."""

    x: float
    width: float


def evidence(found: Sequence[Mapping[str, Any]]) -> Drawn | None:
    """None when there are no two numbers to draw a line through."""
    numbers = [(parse_iso(one["at"]).timestamp(), float(one["value"])) for one in found if _is_number(one["value"])]
    if len(numbers) < 2 or numbers[0][0] == numbers[-1][0]:
        return None
    threshold = _as_number(found[-1].get("threshold"))
    heights = [value for _, value in numbers] + ([] if threshold is None else [threshold])
    low, high = min(heights), max(heights)
    first, last = numbers[0][0], numbers[-1][0]

    def up(value: float) -> float:
        share = 0.5 if high == low else (value - low) / (high - low)
        return round(HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE), 1)

    dots = [(round(EDGE + (at - first) / (last - first) * (WIDTH - 2 * EDGE), 1), up(value)) for at, value in numbers]
    return Drawn(" ".join(f"{x},{y}" for x, y in dots), dots, None if threshold is None else up(threshold))


def marks(found: Sequence[Would], first: datetime, last: datetime) -> list[Mark]:
    whole = (last - first).total_seconds()
    drawn: list[Mark] = []
    for one in found:
        begins = max(0.0, (one.opened_at - first).total_seconds() / whole)
        ends = ((one.cleared_at or last) - first).total_seconds() / whole
        width = max(LEAST_WIDTH, (ends - begins) * WIDTH)
        drawn.append(Mark(round(min(begins * WIDTH, WIDTH - width), 1), round(width, 1)))
    return drawn


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError, Invalid):
        return None
