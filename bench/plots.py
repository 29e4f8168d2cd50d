"""Charts for docs/images as plain SVG, readable on light and on dark pages."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

IMAGES = Path(__file__).parents[1] / "docs" / "images"
COLOURS = ("#0f766e", "#c2410c", "#4338ca", "#a16207", "#be185d", "#15803d", "#6b7280")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 380, 76, 20, 58, 46
STYLE = """text{font:13px system-ui,sans-serif;fill:#333}.grid{stroke:#8884;fill:none}.title{font-size:15px}
@media(prefers-color-scheme:dark){svg{background:#16191d}text{fill:#ddd}}"""

Points = Sequence[tuple[float, float]]


@dataclass(slots=True)
class Chart:
    """`lines` by name; `dots` likewise, without a line between; `strips` are (from, to, name) behind all."""

    title: str
    across: str
    up: str
    lines: Mapping[str, Points] = field(default_factory=dict[str, Points])
    dots: Mapping[str, Points] = field(default_factory=dict[str, Points])
    strips: Sequence[tuple[float, float, str]] = ()
    bound: float | None = None
    is_log: bool = False  # upwards, in powers of ten

    def save(self, name: str) -> None:
        IMAGES.mkdir(exist_ok=True)
        (IMAGES / f"{name}.svg").write_text(self.svg())

    def svg(self) -> str:
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        title = f'<title>{escape(self.title)}</title><text class="title" x="{LEFT}" y="20">{escape(self.title)}</text>'
        foot = f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{escape(self.across)}</text>'
        side = f'<text x="{LEFT}" y="{TOP - 8}" text-anchor="end">{escape(self.up)}</text>'
        parts = [head, f"<style>{STYLE}</style>", title, foot, side, self._grid(), self._strips(), self._bound()]
        return "\n".join([*parts, *self._drawn(), "</svg>\n"])

    def _all(self) -> list[tuple[float, float]]:
        return [point for some in (*self.lines.values(), *self.dots.values()) for point in some]

    def _widest(self) -> float:
        return max([*(x for x, _ in self._all()), *(end for _, end, _ in self.strips)])

    def _ends(self) -> tuple[float, float]:
        heights = [y for _, y in self._all() if y > 0 or not self.is_log] + ([self.bound] if self.bound else [])
        if self.is_log:
            return 10.0 ** math.floor(math.log10(min(heights))), 10.0 ** math.ceil(math.log10(max(heights)))
        return 0.0, max(heights) * 1.05

    def _x(self, x: float) -> float:
        return round(LEFT + x / self._widest() * (WIDTH - LEFT - RIGHT), 1)

    def _y(self, y: float) -> float:
        low, high = self._ends()
        part = math.log(max(y, low) / low) / math.log(high / low) if self.is_log else y / high
        return round(HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM), 1)

    def _grid(self) -> str:
        low, high = self._ends()
        rows = [10.0**n for n in range(round(math.log10(low)), round(math.log10(high)) + 1)] if self.is_log else []
        rows = rows or _steps(high)
        lines = [f'<path class="grid" d="M{LEFT} {self._y(y)}H{WIDTH - RIGHT}"/>' for y in rows]
        words = [f'<text x="{LEFT - 6}" y="{self._y(y) + 4}" text-anchor="end">{y:,.10g}</text>' for y in rows]
        feet = [(self._x(x), f"{x:,.10g}") for x in _steps(self._widest())]
        words += [f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{word}</text>' for x, word in feet]
        return "".join(lines + words)

    def _strips(self) -> str:
        names = list(dict.fromkeys(name for _, _, name in self.strips))
        drawn: list[str] = []
        for start, end, name in self.strips:
            x, width, colour = self._x(start), self._x(end) - self._x(start), COLOURS[names.index(name) % len(COLOURS)]
            box = f'x="{x}" y="{TOP}" width="{max(width, 0.5):.1f}" height="{HEIGHT - TOP - BOTTOM}"'
            drawn.append(f'<rect {box} fill="{colour}" opacity=".16"><title>{escape(name)}</title></rect>')
            drawn.append(f'<text x="{x + 3}" y="{TOP + 14 + 14 * (names.index(name) % 3)}">{escape(name)}</text>')
        return "".join(drawn)

    def _bound(self) -> str:
        if self.bound is None:
            return ""
        return f'<path d="M{LEFT} {self._y(self.bound)}H{WIDTH - RIGHT}" stroke="#dc2626" stroke-dasharray="6 4"/>'

    def _drawn(self) -> list[str]:
        drawn: list[str] = []
        names = list(dict.fromkeys((*self.lines, *self.dots)))
        for number, name in enumerate(names):
            colour, left = COLOURS[number % len(COLOURS)], LEFT + 8 + number * (WIDTH - LEFT) // len(names)
            places = [(self._x(x), self._y(y)) for x, y in self.lines.get(name, ())]
            if places:
                way = " ".join(f"{x},{y}" for x, y in places)
                drawn.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
            spots = [(self._x(x), self._y(y)) for x, y in self.dots.get(name, ())]
            drawn += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in spots]
            drawn.append(f'<rect x="{left}" y="30" width="10" height="10" fill="{colour}"/>')
            drawn.append(f'<text x="{left + 15}" y="40">{escape(name)}</text>')
        return drawn


def _steps(high: float) -> list[float]:
    """About five round numbers from 0 up to `high`."""
    rough = high / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * some for some in (1, 2, 2.5, 5, 10) if unit * some >= rough)
    return [step * number for number in range(int(high / step) + 1)]
