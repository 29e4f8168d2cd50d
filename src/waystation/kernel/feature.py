"""What a feature is: data that app.py reads. No registration by import, no container."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import typer

from waystation.kernel.db import Listener
from waystation.kernel.parts import Parts

Run = Callable[[Parts], AbstractAsyncContextManager[None]]
HotEndpoint = Callable[["HotRequest"], Awaitable["HotAnswer"]]


@dataclass(frozen=True, slots=True)
class Every:
    """A sweep and its period. It does a bounded amount and returns how much it did; more than nothing means "call me
    again at once". It may run twice or late. It takes (tx, now), or (database, now) when it opens its own transactions.
    """

    seconds: float
    sweep: Callable[..., int]
    own_transactions: bool = False


@dataclass(frozen=True, slots=True)
class HotRequest:
    """One whole request on the hot path: header names lower-case bytes, the body complete and within the cap."""

    method: bytes
    path: bytes
    headers: Mapping[bytes, bytes]
    body: bytes
    client_ip: str
    parts: Parts


@dataclass(frozen=True, slots=True)
class HotAnswer:
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class HotRoute:
    """An exact method and path (with and without trailing slash, G-3) served in front of the web framework.

    `who` names who may call, for the map: the endpoint itself must check it.
    """

    method: str
    path: str
    endpoint: HotEndpoint
    who: str


@dataclass(frozen=True, slots=True)
class Feature:
    name: str
    routes: Sequence[Any] = ()  # kernel.routes.Router
    hot: Sequence[HotRoute] = ()
    jobs: Sequence[Every] = ()
    listens: Mapping[type, Listener] = field(default_factory=dict[type, Listener])
    runs: Sequence[Run] = ()
    cli: typer.Typer | None = None
