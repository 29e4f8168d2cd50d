"""A model's command schema: which commands its devices know, and a JSON Schema of each one's parameters."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from waystation.kernel.errors import Invalid

COMMAND = re.compile(r"[A-Za-z0-9._-]{1,64}|\*")
ANY = "*"
MOST_BYTES = 32_768
UNSAFE = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "pattern", "patternProperties"})
"""A short schema with these can keep a hub busy for hours."""


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """`command_schema` maps a command's name to the JSON Schema of its parameters, `*` to that of all other commands;
    None is no schema, and then any command may be sent.
    """

    name: str
    devices: int
    command_schema: dict[str, Any] | None


def check_command_schema(wanted: Any) -> dict[str, Any]:
    """Invalid, with the place, unless every entry is a JSON Schema (2020-12) without references and patterns."""
    if not isinstance(wanted, dict):
        raise Invalid("a command schema is an object: a JSON Schema for the parameters of each command, by its name")
    schema = cast("dict[str, Any]", wanted)
    if len(_json(schema)) > MOST_BYTES:
        raise Invalid(f"a command schema has at most {MOST_BYTES:,} bytes")
    for name, one in schema.items():
        if not COMMAND.fullmatch(name):
            raise Invalid(f"{name[:64]!r} is not a command's name, nor * for all others")
        for word in _words(one):
            if word in UNSAFE:
                raise Invalid(f"{name}: {word} is not taken here; use enum, maxLength and the like")
        _check_schema(name, one)
    return schema


def check_parameters(schema: Mapping[str, Any], model: str, *, name: str, parameters: Any) -> None:
    """Invalid when devices of this model do not know the command, or not with these parameters."""
    if name not in schema and ANY not in schema:
        known = ", ".join(sorted(schema)) or "no command at all"
        raise Invalid(f"a {model} does not know {name}; it knows {known}")
    given: Any = {} if parameters is None else msgspec.json.decode(_json(parameters))
    fault = _first_fault(schema.get(name, schema.get(ANY)), given)
    if fault is not None:
        raise Invalid(f"{name} for a {model}: {_words_of(fault)}")


def _check_schema(name: str, schema: Any) -> None:
    from jsonschema import Draft202012Validator  # noqa: PLC0415  a third of a second that few hubs need
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415

    if not isinstance(schema, dict | bool):
        raise Invalid(f"{name}: a JSON Schema is an object, true or false")
    try:
        Draft202012Validator.check_schema(cast("Any", schema))
    except SchemaError as fault:
        raise Invalid(f"{name}: {_words_of(fault)}") from fault


def _first_fault(schema: Any, given: Any) -> Any:
    from jsonschema import Draft202012Validator, exceptions  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415  an empty one: nothing is ever fetched

    validator: Any = Draft202012Validator(schema, registry=Registry())
    return cast("Any", exceptions).best_match(validator.iter_errors(given))


def _words_of(fault: Any) -> str:
    """`seconds: 'x' is not of type 'integer'`."""
    where = ".".join(str(step) for step in fault.absolute_path)
    return f"{f'{where}: ' if where else ''}{fault.message[:300]}"


def _words(schema: Any) -> Iterator[str]:
    """Every key, however deep."""
    waiting: list[Any] = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            inner = cast("dict[str, Any]", one)
            yield from inner
            waiting += inner.values()
        elif isinstance(one, list):
            waiting += cast("list[Any]", one)


def _json(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError) as fault:
        raise Invalid("this cannot be written as JSON") from fault
