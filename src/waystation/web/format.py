"""How a metric's name and value read to a person: the same rules as static/format.js, proved by one vector file."""

import math
import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal

Value = float | bool | str | None

NOTHING = "–"
SPACE = "\N{NARROW NO-BREAK SPACE}"
EXACT = Context(prec=40, rounding=ROUND_HALF_UP)  # of a float's exact decimal expansion, as JavaScript's toFixed does
HUGE = 1e15  # from here on a power of ten says more than digits
CLOCK = ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))

UNITS = {  # the first suffix that fits wins, so longer ones stand before the ones they end with
    "bytes_per_second": "B/s",
    "bytes": "B",
    "seconds": "s",
    "percent": "%",
    "c": "°C",
    "hpa": "hPa",
    "v": "V",
    "a": "A",
    "w": "W",
    "kwh": "kWh",
    "lux": "lx",
    "ppm": "ppm",
    "dbm": "dBm",
    "rpm": "rpm",
}
DECIMALS = {"%": 1, "°C": 1, "hPa": 1, "V": 2, "ppm": 0, "dBm": 0, "rpm": 0}
COMPARABLE = {"%", "°C"}  # values that make sense on one axis whatever they measure
ACRONYMS = """
    ac api cpu dc dns gpio gps gpu http id io ip mac mqtt nfc nox os pid ram rfid rgb rssi rtc rx sd snr ssd ssid tcp
    tvoc tx udp ups usb uv voc
"""
WORDS = {word: word.upper() for word in ACRONYMS.split()} | {
    "co2": "CO₂",
    "pm1": "PM1",
    "pm25": "PM2.5",
    "pm10": "PM10",
    "ph": "pH",
    "wifi": "Wi-Fi",
}
BINARY_PREFIXES = ("", "Ki", "Mi", "Gi", "Ti", "Pi")
MOST_LINES = 4


def unit(metric: str) -> str:
    """The unit that the name's ending tells, or an empty string."""
    return UNITS.get(_suffix(metric), "")


def label(metric: str) -> str:
    """`memory_available_bytes` → "Memory available"; the name itself when nothing readable is left."""
    suffix = _suffix(metric)
    stem = metric[: -len(suffix) - 1] if suffix else metric
    parts = re.split(r"[^a-z0-9]+", re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", stem).lower(), flags=re.ASCII)
    words = [WORDS.get(part, part) for part in parts if part]
    if not words:
        return metric
    first = words[0] if words[0] in WORDS.values() else words[0][0].upper() + words[0][1:]
    return " ".join([first, *words[1:]])


def text(metric: str, value: Value) -> str:
    """The value with its unit: `text("uptime_seconds", 93784)` → "1 d 2 h"."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if value is None or not math.isfinite(value):
        return NOTHING
    return _measure(float(value), unit(metric))


def age(seconds: float) -> str:
    """How long ago, coarse enough to be read at a glance; the future is "just now", because clocks differ."""
    whole = max(0, math.floor(seconds))
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= size:
            return f"{whole // size} {word} ago"
    return "just now" if whole < 5 else f"{whole} s ago"


def chart_groups(metrics: Iterable[str]) -> list[list[str]]:
    """Which metrics share a chart: percentages, temperatures, else what begins with the same word in the same unit."""
    groups: dict[tuple[str, str], list[str]] = {}
    for metric in metrics:
        measured = unit(metric)
        first = "" if measured in COMPARABLE else re.split(r"[_.\-]", metric)[0]
        groups.setdefault((first, measured), []).append(metric)
    return [group[i : i + MOST_LINES] for group in groups.values() for i in range(0, len(group), MOST_LINES)]


def prominence(metric: str, kind: str) -> int:
    """Where a value stands among the few that are shown: percentages and temperatures, measures, numbers, the rest."""
    if kind != "number":
        return 3
    measured = unit(metric)
    return 0 if measured in COMPARABLE else 1 if measured else 2


def _suffix(metric: str) -> str:
    return next((suffix for suffix in UNITS if metric.endswith("_" + suffix) and len(metric) > len(suffix) + 1), "")


def _measure(value: float, measured: str) -> str:
    if measured in {"B", "B/s"}:
        return _scaled(value) + measured
    if measured == "s":
        return _duration(value)
    number = _fixed(value, DECIMALS[measured]) if measured in DECIMALS else _plain(value)
    return f"{number} {measured}" if measured else number


def _plain(value: float) -> str:
    size = abs(value)
    if 0 < size < 0.001:
        return _scientific(value)
    if value.is_integer():
        return _fixed(value, 0)
    return _fixed(value, 1 if size >= 100 else 2 if size >= 1 else 3)


def _scaled(value: float) -> str:
    """Binary multiples with three digits, ending where the "B" goes."""
    step = 0
    while abs(value) >= 1024 and step < len(BINARY_PREFIXES) - 1:
        value /= 1024
        step += 1
    decimals = 0 if step == 0 or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{_fixed(value, decimals)} {BINARY_PREFIXES[step]}"


def _duration(value: float) -> str:
    size = abs(value)
    if not 60 <= size < HUGE:
        return f"{_plain(value)} s"
    long, word, short, short_word = next(step for step in CLOCK if size >= step[0])
    whole = math.floor(size)
    return f"{'-' if value < 0 else ''}{whole // long} {word} {whole % long // short} {short_word}"


def _fixed(value: float, decimals: int) -> str:
    """With thousands set apart from 10 000 on, and never a negative zero."""
    if abs(value) >= HUGE:
        return _scientific(value)
    digits = str(Decimal(value).quantize(Decimal(1).scaleb(-decimals), context=EXACT))
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    if not digits.strip("0."):
        sign = ""
    whole, dot, fraction = digits.partition(".")
    if len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", SPACE)
    return f"{sign}{whole}{dot}{fraction}"


def _scientific(value: float) -> str:
    """Three digits and a short exponent: `1.23e-5`."""
    rounded = Context(prec=3, rounding=ROUND_HALF_UP).create_decimal(Decimal(value))
    mantissa, exponent = f"{rounded:.2e}".split("e")
    return f"{mantissa}e{int(exponent):+d}"
