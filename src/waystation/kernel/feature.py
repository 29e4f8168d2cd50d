"""What a feature is: data that app.py reads. No registration by import, no container."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import typer

from waystation.kernel.db import Listener, Tx
from waystation.kernel.parts import Parts

Sweep = Callable[[Tx, datetime], int]
Run = Callable[[Parts], AbstractAsyncContextManager[None]]
HotEndpoint = Callable[["HotRequest"], Awaitable["HotAnswer"]]


@dataclass(frozen=True, slots=True)
class Every:
    """A sweep and its period. It takes (tx, now), does a bounded amount and returns how much it did; more than nothing
    means "call me again at once". It may run twice or late. `needs` names a part it takes first, bound in app.build."""

    seconds: float
    sweep: Callable[..., int]
    needs: type | None = None


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
