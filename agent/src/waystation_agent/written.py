"""`agent.toml`, as a person writes it: read whole and checked before anything starts."""

import dataclasses
import tomllib
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from waystation_agent.errors import BadInput

T = TypeVar("T")
Table = Mapping[str, object]
KNOWN = ("system", "sensor", "commands", "script", "packages", "messages")

WORDS: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple[str, ...]: 'a list of texts, like ["a", "b"]',
    dict[str, str]: 'texts by name, like { a = "b" }',
}


@contextmanager
def opened(path: Path) -> Generator[Table]:
    """The content of the file; nothing for no file. A BadInput, as all here raise, gets the name of the file."""
    found = _tables(path)
    try:
        yield found
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


def _tables(path: Path) -> Table:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    try:
        found = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: it is not UTF-8 text (byte {error.start + 1})") from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path}: it is not TOML: {error}") from error
    for key in found.keys() - set(KNOWN):
        there_are = "system = true|false, [[sensor]], [commands], [[script]], [packages.TYPE] and [messages]"
        raise BadInput(f"{path}: {key} is not known here; there are {there_are}")
    return found


def list_of_tables(found: Table, key: str) -> list[Table]:
    entries = found.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in cast("list[object]", entries)):
        raise BadInput(f"a {key} begins with [[{key}]], in two pairs of brackets")
    return cast("list[Table]", entries)


def table(found: Table, key: str) -> Table:
    entry = found.get(key, {})
    if not isinstance(entry, dict):
        raise BadInput(f"{key} is a table: its options stand below a line [{key}]")
    return cast("Table", entry)


def options(kind: Callable[..., object]) -> dict[str, dataclasses.Field[Any]]:
    if not dataclasses.is_dataclass(kind):
        return {}
    return {
        field.name: field for field in dataclasses.fields(kind) if field.init and field.metadata.get("option", True)
    }


def fill(made_by: Callable[..., T], called: str, wanted: Table) -> T:
    """Make a dataclass from the options that stand in the file. Raises BadInput with the key that is wrong."""
    known = options(made_by)
    for key in wanted.keys() - known.keys():
        there_are = f"it has {', '.join(known)}" if known else "it has none"
        raise BadInput(f"{key} is not an option of {called}: {there_are}")
    for key, field in known.items():
        is_needed = field.default is field.default_factory is dataclasses.MISSING
        if is_needed and key not in wanted:
            raise BadInput(f"{key} is missing: {called} needs {WORDS.get(field.type, 'it')}")
    try:
        return made_by(**{key: _checked(key, value, known[key].type) for key, value in wanted.items()})
    except ValueError as error:
        raise BadInput(str(error)) from error


def _checked(key: str, value: object, wanted: Any) -> object:
    if wanted is float and type(value) is int:
        return float(value)
    if wanted == tuple[str, ...] and isinstance(value, list) and _all_texts(cast("list[object]", value)):
        return tuple(cast("list[str]", value))
    if wanted == dict[str, str] and isinstance(value, dict) and _all_texts(cast("dict[str, object]", value).values()):
        return cast("dict[str, str]", value)
    if wanted in {bool, int, float, str} and isinstance(value, wanted) and isinstance(value, bool) == (wanted is bool):
        return cast("object", value)
    raise BadInput(f"{key} must be {WORDS.get(wanted, 'something else')}")


def _all_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)
