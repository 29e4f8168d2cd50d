"""A router whose handlers run in one thread hop and one transaction; who may call is a type in the signature."""

import inspect
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Annotated, Any, get_args, get_origin

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool

from waystation.kernel import db
from waystation.kernel.clock import Clock
from waystation.kernel.parts import Parts

READING = frozenset({"GET", "HEAD", "OPTIONS"})
OURS = "request__"


@dataclass(frozen=True, slots=True)
class Call:
    """What a parameter may be found from: the request, its transaction and its time."""

    tx: db.Tx
    request: Request
    now: datetime

    @property
    def parts(self) -> Parts:
        return self.request.app.state.parts

    @property
    def ip(self) -> str | None:
        return self.request.client.host if self.request.client else None

    @contextmanager
    def writing(self) -> Generator[db.Tx]:
        """This transaction when it may write, else a short one of its own."""
        if self.request.method not in READING:
            yield self.tx
            return
        with self.parts.get(db.Database).write() as tx:
            yield tx


@dataclass(frozen=True, slots=True)
class Within:
    """Marks a parameter found inside the request's transaction. `who` says whom it admits, for the access table."""

    find: Callable[[Call], Any]
    who: str | None = None


async def _parts(request: Request) -> Parts:
    return request.app.state.parts


PartsOf = Annotated[Parts, Depends(_parts)]  # for handlers that open their own, shorter transactions
Tx = Annotated[db.Tx, Within(lambda call: call.tx)]
Now = Annotated[datetime, Within(lambda call: call.now)]


def part(kind: type[Any]) -> Within:
    """`Annotated[Ingest, part(Ingest)]`: a long-lived part of this process."""
    return Within(lambda call: call.parts.get(kind))


class Router(APIRouter):
    """As FastAPI's, but parameters marked with Within are found in one transaction: a reading one for GET and HEAD,
    else a writing one that is committed before the answer is made. An async handler gets its parameters from a short
    reading transaction and then runs on the event loop, outside of it.
    """

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().add_api_route(path, in_one_transaction(endpoint), **options)


def who_may_call(endpoint: Callable[..., Any]) -> str | None:
    """The words of the caller types in a handler's signature, or None when it is public."""
    admitted = [mark.who for mark in markers(endpoint).values() if mark.who]
    return " + ".join(admitted) or None


def markers(endpoint: Callable[..., Any]) -> Mapping[str, Within]:
    endpoint = inspect.unwrap(endpoint)
    return {
        name: mark
        for name, parameter in inspect.signature(endpoint).parameters.items()
        if get_origin(parameter.annotation) is Annotated
        for mark in get_args(parameter.annotation)[1:]
        if isinstance(mark, Within)
    }


def in_one_transaction(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    marked = markers(endpoint)
    if not marked:
        return endpoint

    name = _request_parameter(endpoint) or OURS

    @wraps(endpoint)
    def run(**given: Any) -> Any:
        request: Request = given.pop(OURS) if name == OURS else given[name]
        parts: Parts = request.app.state.parts
        database = parts.get(db.Database)
        opened = database.read if request.method in READING else database.write
        with opened() as tx:
            call = Call(tx, request, parts.get(Clock).now())
            return endpoint(**given, **{name: mark.find(call) for name, mark in marked.items()})

    @wraps(endpoint)
    async def run_async(**given: Any) -> Any:
        request: Request = given.pop(OURS) if name == OURS else given[name]
        return await endpoint(**given, **await run_in_threadpool(_found, marked, request))

    chosen = run_async if inspect.iscoroutinefunction(endpoint) else run
    chosen.__signature__ = _without(endpoint, marked)  # type: ignore[attr-defined]
    return chosen


def _request_parameter(endpoint: Callable[..., Any]) -> str | None:
    """The name under which the handler itself asks for the request. FastAPI gives it to one parameter only."""
    parameters = inspect.signature(endpoint).parameters.values()
    return next((one.name for one in parameters if one.annotation is Request), None)


def _found(marked: Mapping[str, Within], request: Request) -> dict[str, Any]:
    parts: Parts = request.app.state.parts
    with parts.get(db.Database).read() as tx:
        call = Call(tx, request, parts.get(Clock).now())
        return {name: mark.find(call) for name, mark in marked.items()}


def _without(endpoint: Callable[..., Any], marked: Mapping[str, Within]) -> inspect.Signature:
    signature = inspect.signature(endpoint)
    kept = [p.replace(kind=p.KEYWORD_ONLY) for name, p in signature.parameters.items() if name not in marked]
    if _request_parameter(endpoint) is None:
        kept.insert(0, inspect.Parameter(OURS, inspect.Parameter.KEYWORD_ONLY, annotation=Request))
    return signature.replace(parameters=kept)
