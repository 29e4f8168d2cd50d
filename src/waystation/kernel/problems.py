"""What a caller reads when something went wrong: problem details (RFC 9457)."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from math import ceil
from typing import Any

import structlog

from waystation.kernel.errors import DomainError

FULL_SECONDS = 60.0  # when to come again to a disk that is full, where nobody says it more exactly
log = structlog.get_logger(__name__)


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
        """A protocol's own status (460 of tus) has no phrase but our word for it."""
        known = self.status in HTTPStatus.__members__.values()
        return HTTPStatus(self.status).phrase if known else self.word.replace("_", " ").capitalize()

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


def _headers_of(fault: DomainError) -> dict[str, str]:
    headers: dict[str, str] = {}
    wait_seconds = fault.retry_after_seconds
    if wait_seconds is None and fault.status == HTTPStatus.INSUFFICIENT_STORAGE:
        wait_seconds = FULL_SECONDS
    if wait_seconds is not None:
        headers["retry-after"] = str(max(1, ceil(wait_seconds)))
    if fault.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="waystation"'
    return headers
