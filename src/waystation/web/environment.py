"""The Jinja environment: where templates lie, the filters they use, and where the browser finds what they name."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined, pass_environment

from waystation.web import format as reading

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
STATIC = HERE / "static"

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
STATES = {"online": "Online", "offline": "Offline", "disabled": "Disabled", "never": "Never seen"}


@cache
def _fingerprint() -> str:
    """Changes when any static file does. It stands in the path, so modules that import each other change with it."""
    digest = hashlib.sha256()
    for file in sorted(file for file in STATIC.rglob("*") if file.is_file()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


STATIC_MOUNT = "/static/{fingerprint}"
STATIC_URL = f"/static/{_fingerprint()}"
GLOBALS: dict[str, Any] = {"static_url": STATIC_URL, "state_words": STATES}


def environment(folders: Mapping[str, Path]) -> Environment:
    """`environment({"dashboard": folder})` finds `base.html` and `parts/…` here and `dashboard/devices.html` there.

    The same for the same folders: a template is compiled once in a process, which takes twenty times as long as a page.
    """
    return _made(tuple(folders.items()))


@cache
def _made(folders: tuple[tuple[str, Path], ...]) -> Environment:
    features = {name: FileSystemLoader(folder) for name, folder in folders}
    made = Environment(
        loader=ChoiceLoader([FileSystemLoader(TEMPLATES), PrefixLoader(features)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(GLOBALS)
    made.filters.update(FILTERS)
    return made


def _age(moment: datetime | None, now: datetime) -> str:
    return "never" if moment is None else reading.age((now - moment).total_seconds())


def _utc(moment: datetime) -> str:
    """What stands there until the browser puts its own time zone's time in its place."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _metric_text(value: reading.Value, metric: str) -> str:
    return reading.text(metric, value)


def _bytes(size: float | None) -> str:
    return reading.text("size_bytes", size)


def _duration(seconds: float | None) -> str:
    return reading.text("lasting_seconds", seconds)


def _number(value: float | None) -> str:
    return reading.text("", value)


def _sentence(text: str) -> str:
    """A domain error's words as a line of their own: a capital first and a full stop last."""
    whole = text[:1].upper() + text[1:]
    return whole if whole.endswith((".", "!", "?")) else whole + "."


@pass_environment
def _main_first(environment: Environment, values: Iterable[Any]) -> list[Any]:
    """Last values (objects or mappings with `metric` and `kind`) in the order in which they matter at a glance."""
    find = environment.getattr
    return sorted(values, key=lambda value: reading.prominence(find(value, "metric"), find(value, "kind")))


FILTERS: dict[str, Callable[..., Any]] = {
    "metric_label": reading.label,
    "metric_unit": reading.unit,
    "metric_text": _metric_text,
    "bytes": _bytes,
    "duration": _duration,
    "number": _number,
    "main_first": _main_first,
    "age": _age,
    "utc": _utc,
    "sentence": _sentence,
    "milliseconds": _milliseconds,
}
