"""A router whose handlers run in one thread hop and one transaction; who may call is a type in the signature."""

import inspect
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import wraps
from typing import Annotated, Any, cast, get_args, get_origin

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.responses import Response
from starlette.routing import WebSocketRoute, compile_path

from waystation.kernel import db
from waystation.kernel.calls import READING, Call, Connection, Now, Tx, Within, part
from waystation.kernel.clock import Clock
from waystation.kernel.errors import DomainError, NotFound
from waystation.kernel.parts import Parts
from waystation.kernel.websocket_routes import admitting

__all__ = [
    "READING",
    "Call",
    "CallerFirst",
    "Now",
    "OwnWords",
    "PartsOf",
    "Router",
    "Tx",
    "Within",
    "markers",
    "part",
    "who_may_call",
]

OURS = "request__"


class ShortInteger(IntegerConvertor):
    """`{…:int}` in a path: Python refuses to read a number of thousands of digits, and no row has one of twenty."""

    regex = "[0-9]{1,19}"


register_url_convertor("int", ShortInteger())


async def _parts(request: Request) -> Parts:
    return request.app.state.parts


PartsOf = Annotated[Parts, Depends(_parts)]  # for handlers that open their own, shorter transactions


class MadeLater(APIRoute):
    """What is needed to find a route is made at once, and the rest when it is first asked for: to look into the
    signatures of all handlers takes longer than the rest of a start.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: Collection[str] | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        self.path, self.endpoint, self.name = path, endpoint, name or endpoint.__name__
        self.methods = {method.upper() for method in methods or ("GET",)}
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self._later: dict[str, Any] | None = options

    def __getattr__(self, name: str) -> Any:
        """Python asks here for what is not there yet."""
        options = self.__dict__.get("_later")
        if options is None:
            raise AttributeError(name)
        self._later = None
        super().__init__(self.path, self.endpoint, methods=self.methods, name=self.name, **options)
        return getattr(self, name)


class CallerFirst(MadeLater):
    """Who may not call is told that, before anything is said of what they sent."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        admitting = {name: mark for name, mark in markers(self.endpoint).items() if mark.who}

        async def answer_callers(request: Request) -> Response:
            try:
                return await answer(request)
            except RequestValidationError:
                await run_in_threadpool(_found, admitting, request)
                raise

        return answer_callers if admitting else answer


class OwnWords(CallerFirst):
    """A dialect's: whatever fails is said in its form; what nobody foresaw is left to the house."""

    def refusal(self, request: Request, fault: DomainError) -> Response:
        raise NotImplementedError

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def in_its_own_words(request: Request) -> Response:
            try:
                return await answer(request)
            except DomainError as fault:
                return self.refusal(request, fault)

        return in_its_own_words


class Router(APIRouter):
    """As FastAPI's, but parameters marked with Within are found in one transaction: a reading one for GET and HEAD,
    else a writing one that is committed before the answer is made. An async handler gets its parameters from a short
    reading transaction and then runs on the event loop, outside of it.
    """

    def __init__(self, *, route_class: type[APIRoute] = CallerFirst, **options: Any) -> None:
        super().__init__(route_class=route_class, **options)

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().add_api_route(path, in_one_transaction(endpoint), **options)

    def add_api_websocket_route(
        self,
        path: str,
        endpoint: Callable[..., Any],
        name: str | None = None,
        **_options: Any,
    ) -> None:
        """The handler gets its parameters as an async one does, before it accepts the WebSocket."""
        self.routes.append(WebSocketRoute(path, admitting(endpoint, markers(endpoint), _found_ahead), name=name))


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
            found = {name: mark.find(call) for name, mark in marked.items()}
            _check_numbers(given)
            return endpoint(**given, **found)

    @wraps(endpoint)
    async def run_async(**given: Any) -> Any:
        request: Request = given.pop(OURS) if name == OURS else given[name]
        found = await _found_ahead(marked, request)
        _check_numbers(given)
        return await endpoint(**given, **found)

    chosen = run_async if inspect.iscoroutinefunction(endpoint) else run
    chosen.__signature__ = _without(endpoint, marked)  # type: ignore[attr-defined]
    return chosen


def _request_parameter(endpoint: Callable[..., Any]) -> str | None:
    """The name under which the handler itself asks for the request. FastAPI gives it to one parameter only."""
    parameters = inspect.signature(endpoint).parameters.values()
    return next((one.name for one in parameters if one.annotation is Request), None)


def _check_numbers(given: Mapping[str, Any]) -> None:
    """NotFound for a number that no row can have: databases hold 64 bits, and fail on more."""
    if any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in given.values()):
        raise NotFound("there is nothing of that number here")


async def _found_ahead(marked: Mapping[str, Within], request: Connection) -> dict[str, Any]:
    """What an async handler is given, with a hop to a thread and a transaction only for what needs one."""
    ahead = {name: await mark.find_ahead(request) for name, mark in marked.items() if mark.find_ahead is not None}
    others = {name: mark for name, mark in marked.items() if mark.find_ahead is None}
    return ahead | await run_in_threadpool(_found, others, cast("Request", request)) if others else ahead


def _found(marked: Mapping[str, Within], request: Request) -> dict[str, Any]:
    parts: Parts = request.app.state.parts
    with parts.get(db.Database).read() as tx:
        call = Call(tx, request, parts.get(Clock).now(), only_reads=True)
        return {name: mark.find(call) for name, mark in marked.items()}


def _without(endpoint: Callable[..., Any], marked: Mapping[str, Within]) -> inspect.Signature:
    signature = inspect.signature(endpoint)
    kept = [p.replace(kind=p.KEYWORD_ONLY) for name, p in signature.parameters.items() if name not in marked]
    if _request_parameter(endpoint) is None:
        kept.insert(0, inspect.Parameter(OURS, inspect.Parameter.KEYWORD_ONLY, annotation=Request))
    return signature.replace(parameters=kept)
