"""Bodies of one record or many: a JSON object, an array of them or NDJSON."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Records(Generic[T]):
    """Decodes bodies into a msgspec.Struct."""

    def __init__(self, kind: type[T]) -> None:
        self._one = msgspec.json.Decoder(kind)
        self._many = msgspec.json.Decoder(list[kind])

    def decode(self, body: bytes) -> Sequence[T]:
        """MsgspecError, ValueError or RecursionError when they are none."""
        if body.lstrip()[:1] == b"[":
            return self._many.decode(body)
        try:
            return [self._one.decode(body)]
        except msgspec.DecodeError:
            if b"\n" not in body.strip():
                raise
            return self._one.decode_lines(body)


def lenient(body: bytes) -> Iterator[Any]:
    """Whatever values there are before the body breaks with a ValueError, RecursionError or TypeError, slowly."""
    if body.lstrip()[:1] == b"[":
        yield from json.loads(body)
        return
    try:
        yield json.loads(body)
    except ValueError:
        yield from (json.loads(line) for line in body.splitlines() if line.strip())


def reason(fault: Exception, what: str) -> str:
    """Why a body that `Records` refused holds no such things, in general words."""
    if isinstance(fault, RecursionError):
        return "the body is nested too deeply"
    if isinstance(fault, msgspec.ValidationError):
        return f"the body is not {what}: {str(fault)[:100]}"
    return f"the body is not JSON: {str(fault).removeprefix('JSON is malformed: ')[:100]}"
