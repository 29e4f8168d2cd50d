"""What a caller reads when something went wrong: problem details (RFC 9457), or a page when a browser asks."""

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from math import ceil
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from waystation.kernel.errors import DomainError

log = structlog.get_logger(__name__)

SENTENCES = {404: "there is nothing at this address", 405: "this address does not answer {method}"}


@dataclass(frozen=True, slots=True)
class Problem:
    """`reference` is in the log beside the fault it stands for; `more` goes into the JSON as it is."""

    status: int
    word: str
    sentence: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    reference: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def title(self) -> str:
        return HTTPStatus(self.status).phrase

    def body(self) -> bytes:
        facts = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.sentence,
            "code": self.word,
        }
        named = {"reference": self.reference} if self.reference else {}
        return json.dumps({**facts, **named, **self.more}, ensure_ascii=False).encode()


ProblemPage = Callable[[Request, Problem], str]


def problem_of(fault: Exception) -> Problem:
    """Unexpected faults are logged here, with the reference that their caller sees."""
    if isinstance(fault, DomainError):
        return Problem(fault.status, fault.word, fault.sentence, _headers_of(fault))
    reference = secrets.token_hex(4)
    log.error("request failed", reference=reference, exc_info=fault)
    return Problem(500, "fault", f"something went wrong here; the log has it under {reference}", reference=reference)


def problem(fault: Exception) -> tuple[int, tuple[tuple[bytes, bytes], ...], bytes]:
    """Status, headers (with the content type, without the length) and body, for edges without the web framework."""
    told = problem_of(fault)
    named = {"content-type": "application/problem+json", **told.headers}
    return told.status, tuple((name.encode(), value.encode()) for name, value in named.items()), told.body()


def install(app: FastAPI, page: ProblemPage | None = None) -> None:
    """Every failure of the app becomes a problem. `page(request, problem)` renders it for browsers."""

    def answer(request: Request, told: Problem) -> Response:
        if page is not None and _wants_page(request):
            return Response(page(request, told), told.status, dict(told.headers), "text/html; charset=utf-8")
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
        except Exception as fault:
            if started or scope["type"] != "http":
                raise
            response = await self.answer(Request(scope, receive), fault)
            await response(scope, receive, send)


def _headers_of(fault: DomainError) -> dict[str, str]:
    headers: dict[str, str] = {}
    if fault.retry_after_seconds is not None:
        headers["retry-after"] = str(max(1, ceil(fault.retry_after_seconds)))
    if fault.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="waystation"'
    return headers


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
