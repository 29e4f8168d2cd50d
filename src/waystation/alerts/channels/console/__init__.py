"""A channel that writes into the log: for trying rules out, and for tests."""

import structlog

from waystation.alerts.channels import words
from waystation.alerts.channels.model import Config, Kind, Sending
from waystation.kernel.settings import Settings

log = structlog.get_logger(__name__)


def _check(config: Config, _settings: Settings) -> Config:
    return config


def _where(_config: Config) -> str:
    return "the hub's log"


def _send(sending: Sending) -> None:
    notice = sending.notice
    lines = [words.line_text(line) for line in notice.lines]
    log.info("alert", notice=notice.kind, subject=notice.subject, home=sending.parcel.home_name, lines=lines)


KIND = Kind(
    word="console",
    label="Log of the hub",
    about="A line in the program's own log. Good for trying a rule out.",
    fields=(),
    check=_check,
    where=_where,
    send=_send,
)
