"""The long-lived things of one process, found by their type; app.build puts them there by hand."""

from typing import Any, TypeVar

T = TypeVar("T")


class Parts:
    def __init__(self, *parts: Any) -> None:
        self._by_type: dict[type, Any] = {}
        for part in parts:
            self._by_type[type(part)] = part

    def put(self, kind: type[T], part: T) -> None:
        self._by_type[kind] = part

    def get(self, kind: type[T]) -> T:
        return self._by_type[kind]

    def has(self, kind: type) -> bool:
        return kind in self._by_type
