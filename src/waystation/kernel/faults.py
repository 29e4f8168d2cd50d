"""Problems as the web framework answers them: as JSON, or as a page when a browser asks."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from waystation.kernel.errors import DomainError
from waystation.kernel.problems import Problem, problem_of

SENTENCES = {404: "there is nothing at this address", 405: "this address does not answer {method}"}

ProblemPage = Callable[[Request, Problem], Response]


def install(app: FastAPI, page: ProblemPage | None = None) -> None:
    """Every failure of the app becomes a problem. `page(request, problem)` is what browsers get, with its status."""

    def answer(request: Request, told: Problem) -> Response:
        if page is not None and _wants_page(request):
            shown = page(request, told)
            shown.headers.update(told.headers)
            return shown
        return Response(told.body(), told.status, dict(told.headers), "application/problem+json")

    async def domain_error(request: Request, fault: Exception) -> Response:
        return answer(request, problem_of(fault))

    async def http_error(request: Request, fault: Exception) -> Response:
        return answer(request, _from_framework(request, fault))

    async def invalid(request: Request, fault: Exception) -> Response:
        return answer(request, _from_validation(fault))

    app.add_exception_handler(DomainError, domain_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_middleware(Unexpected, answer=domain_error)


class Unexpected:
    """Answers what nobody foresaw. The framework's own way raises again after answering, and so fills the log twice."""

    def __init__(self, app: ASGIApp, answer: Callable[[Request, Exception], Awaitable[Response]]) -> None:
        self.app = app
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except ClientDisconnect:
            return  # in the middle of what it sent: nobody waits for an answer
        except Exception as fault:
            if started or scope["type"] != "http":
                raise
            response = await self.answer(Request(scope, receive), fault)
            await response(scope, receive, send)


def _from_framework(request: Request, fault: Exception) -> Problem:
    assert isinstance(fault, HTTPException)
    status = HTTPStatus(fault.status_code)
    sentence = SENTENCES.get(status, fault.detail) if fault.detail == status.phrase else fault.detail
    sentence = sentence.replace("{method}", request.method)
    return Problem(status, status.name.lower(), sentence, dict(fault.headers or {}))


def _from_validation(fault: Exception) -> Problem:
    """400 for what is not JSON, 422 for JSON that does not fit; `errors` lists every field that is wrong."""
    assert isinstance(fault, RequestValidationError)
    found = [(_field(error["loc"]), str(error["msg"])) for error in fault.errors()]
    if any(error["type"] == "json_invalid" for error in fault.errors()):
        reason = fault.errors()[0].get("ctx", {}).get("error", found[0][1])
        return Problem(400, "invalid", f"the body is not JSON: {reason}")
    field_name, reason = found[0]
    sentence = f"{field_name}: {reason}" if field_name else reason
    return Problem(422, "invalid", sentence, more={"errors": [{"field": name, "reason": why} for name, why in found]})


def _field(location: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in location[1:])


def _wants_page(request: Request) -> bool:
    """Whether text/html is named before any JSON; `*/*` alone is a program."""
    accepted = request.headers.get("accept", "")
    html, machine = accepted.find("text/html"), accepted.find("json")
    return html >= 0 and (machine < 0 or html < machine)
