"""What a feature is: data that app.py reads. No registration by import, no container."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from urllib.parse import unquote_to_bytes

from waystation.kernel.db import Listener
from waystation.kernel.parts import Parts

Run = Callable[[Parts], AbstractAsyncContextManager[None]]
NOBODY = "nobody"  # who may call a method that a contract refuses
HotEndpoint = Callable[["HotRequest"], Awaitable["HotAnswer"]]


@dataclass(frozen=True, slots=True)
class Every:
    """A sweep and its period. It does a bounded amount and returns how much it did; more than nothing means "call me
    again at once". It may run twice or late. It takes (tx, now), or (database, now) when it opens its own
    transactions, or (parts, now) when it needs more than the database.
    """

    seconds: float
    sweep: Callable[..., int]
    own_transactions: bool = False
    takes_parts: bool = False


def _is_here() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class HotRequest:
    """One whole request on the hot path: header names lower-case bytes, the body complete and within the cap."""

    method: bytes
    path: bytes
    headers: Mapping[bytes, bytes]
    body: bytes
    client_ip: str
    parts: Parts
    is_https: bool = False
    query: bytes = b""
    is_gone: Callable[[], bool] = _is_here
    """Whether the client has hung up, for who waits before they hand out what is given once."""

    def word(self, number: int) -> str:
        """A word of the path, counted from 0, with its %-signs read; what is not UTF-8 keeps its bytes as U+FFFD."""
        return unquote_to_bytes(self.path.split(b"/")[number + 1]).decode(errors="replace")


@dataclass(frozen=True, slots=True)
class HotAnswer:
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class HotRoute:
    """A method and path (with and without trailing slash, G-3) served in front of the web framework.

    One word of the path may be open, as in `/api/v1/device/ping/{device_id}`.

    `who` names who may call, for the map: the endpoint itself must check it. `body` and `answer` are JSON schemas, for
    the description at /openapi.json.
    """

    method: str
    path: str
    endpoint: HotEndpoint
    who: str
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    answer: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Feature:
    """`routes` and `runs` may be named as "module:attribute", so that a command need not load what servers need.

    `short` are paths of GET routes of its own that are answered in front of the framework, too: see kernel.short.
    """

    name: str
    routes: Sequence[Any] = ()  # kernel.routes.Router, or the name of one
    hot: Sequence[HotRoute] = ()
    short: Sequence[str] = ()
    jobs: Sequence[Every] = ()
    listens: Mapping[type, Listener] = field(default_factory=dict[type, Listener])
    runs: Sequence[Run | str] = ()


def loaded(named: Any) -> Any:
    """What "module:attribute" is the name of; anything else is itself."""
    if not isinstance(named, str):
        return named
    module, _, attribute = named.partition(":")
    return getattr(import_module(module), attribute)
