"""A short way for routes that only read and are asked all the time: past the web framework, to the same handler.

What is well-formed is answered here, in one thread hop; for whatever is not, the framework is asked after all, which
says what is wrong with it. The framework's own way costs a request several times what its answer does.
"""

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from copy import copy
from functools import cached_property
from typing import Annotated, Any, NamedTuple, get_args, get_origin
from urllib.parse import parse_qs

from fastapi import FastAPI
from fastapi.params import Query
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from waystation.kernel.feature import Feature, HotAnswer, HotRequest

THREADS = 8
LENGTH = b"content-length"


class Parameter(NamedTuple):
    """Of a handler, found in the query string."""

    name: str
    said_as: str
    is_list: bool
    kind: TypeAdapter[Any]
    default: Any


class ShortWay:
    """Answers as the framework would, on the event loop of its process."""

    def __init__(self, app: FastAPI, endpoint: Callable[..., Response], threads: Executor) -> None:
        self._app = app
        self._endpoint = endpoint
        self._threads = threads

    async def __call__(self, request: HotRequest) -> HotAnswer:
        scope = self._scope(request)
        try:
            given = self._given(request.query)
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._threads, lambda: self._endpoint(**given(Request(scope))))
        except Exception:  # noqa: BLE001  the framework meets it again, and answers
            return await self._by_framework(request)
        return HotAnswer(answer.status_code, bytes(answer.body), _without_length(answer.raw_headers))

    @cached_property
    def _parameters(self) -> tuple[str, Sequence[Parameter]]:
        """The name under which the handler takes the request, and what it takes from the query."""
        known = inspect.signature(self._endpoint).parameters.values()
        request = next(one.name for one in known if one.annotation is Request)
        return request, [_parameter(one) for one in known if one.name != request]

    def _given(self, query: bytes) -> Callable[[Request], dict[str, Any]]:
        """Raises what pydantic does, where the framework would refuse."""
        said = parse_qs(query.decode("latin-1"), keep_blank_values=True)
        request, parameters = self._parameters
        given = {one.name: _value(one, said) for one in parameters}
        return lambda asked: {request: asked, **given}

    def _scope(self, request: HotRequest) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method.decode(),
            "scheme": "https" if request.is_https else "http",
            "path": request.path.decode(),
            "raw_path": request.path,
            "query_string": request.query,
            "root_path": "",
            "headers": list(request.headers.items()),
            "client": (request.client_ip, 0),
            "server": None,
            "app": self._app,
        }

    async def _by_framework(self, request: HotRequest) -> HotAnswer:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": request.body}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(self._scope(request), receive, send)
        start, *parts = sent
        return HotAnswer(
            start["status"], b"".join(part.get("body", b"") for part in parts), _without_length(start["headers"])
        )


def _without_length(headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(header for header in headers if header[0] != LENGTH)


def _parameter(one: inspect.Parameter) -> Parameter:
    base, *marks = get_args(one.annotation) if get_origin(one.annotation) is Annotated else (one.annotation,)
    named = next((mark.alias for mark in marks if isinstance(mark, Query) and mark.alias), one.name)
    return Parameter(one.name, named, get_origin(base) is list, TypeAdapter(one.annotation), one.default)


def _value(one: Parameter, said: Mapping[str, list[str]]) -> Any:
    if one.said_as not in said:
        if one.default is inspect.Parameter.empty:
            raise ValueError(one.said_as)
        return copy(one.default)
    words = said[one.said_as]
    return one.kind.validate_python(words if one.is_list else words[-1])


def short_ways(app: FastAPI, features: Sequence[Feature]) -> dict[str, ShortWay]:
    """By path, of all features. They share their threads, so that no question of theirs keeps a device waiting."""
    wanted = {path for feature in features for path in feature.short}
    threads = ThreadPoolExecutor(THREADS, "short way")
    endpoints = {route.path: route.endpoint for route in app.router.routes if isinstance(route, APIRoute)}
    return {path: ShortWay(app, endpoints[path], threads) for path in wanted}
