"""Structured log lines without secrets, and the last warnings kept for the system page."""

import logging
import re
import sys
from collections import deque
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

SECRET_WORD = re.compile(r"token|secret|password|api_?key|authorization|cookie|credential|(^|_)code$", re.IGNORECASE)
SECRET_PAIR = re.compile(r"(?i)((?:token|secret|password|api_?key|code|key)=)[^&\s\"']+")
SECRET_HEADER = re.compile(r"(?i)\b(bearer|basic|device)\s+[A-Za-z0-9_\-.:+/=]{8,}")
SECRET_LINK = re.compile(r"(/(?:setup|invitations|reset|shared)/)[A-Za-z0-9_-]{20,}")
HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True)
class LogLine:
    at: datetime
    level: str
    event: str
    detail: str


class RecentWarnings:
    """The last hundred lines of warning and worse, for a person who has no terminal at hand."""

    def __init__(self, most: int = 100) -> None:
        self._lines: deque[LogLine] = deque(maxlen=most)

    def __call__(self, _logger: Any, level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if level in ("warning", "error", "critical", "exception"):
            detail = " ".join(
                f"{key}={value}" for key, value in line.items() if key not in ("event", "level", "timestamp")
            )
            self._lines.append(LogLine(datetime.now(UTC), level, str(line.get("event", "")), detail[:1000]))
        return line

    def newest_first(self) -> list[LogLine]:
        return list(reversed(self._lines))


recent_warnings = RecentWarnings()


def redacted(text: str) -> str:
    """The text without what looks like a secret: `name=value` pairs, authorization values, secret links (G-6)."""
    return SECRET_LINK.sub(rf"\1{HIDDEN}", SECRET_HEADER.sub(rf"\1 {HIDDEN}", SECRET_PAIR.sub(rf"\1{HIDDEN}", text)))


def redact(_logger: Any, _level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in line.items():
        if SECRET_WORD.search(name):
            line[name] = HIDDEN
        elif isinstance(value, str):
            line[name] = redacted(value)
    return line


def configure(level: str = "info", form: str = "text") -> None:
    """Lines go to standard error. Those of libraries pass through the same chain."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
        recent_warnings,
    ]
    colours = sys.stderr.isatty()
    renderer: Any = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=colours)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=False,
    )
    last = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last))
    logging.basicConfig(handlers=[stream], level=level.upper(), force=True)
    for chatty in ("uvicorn.access", "alembic", "nats"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
