"""Log lines a person can read and a machine can split: time, level, event, key=value."""

import logging
import time
from typing import ClassVar

LOG = logging.getLogger("waystation_agent")
LEVELS = ("debug", "info", "warning", "error")


def start_logging(level: str) -> None:
    lines = logging.StreamHandler()
    lines.setFormatter(SecretlessFormatter())
    LOG.addHandler(lines)
    LOG.setLevel(level.upper())


def facts(**values: object) -> str:
    """Render `key=value` pairs, quoting what holds blanks: `samples=3 server="my hub"`."""
    return " ".join(f"{name}={_quoted(value)}" for name, value in values.items())


def _quoted(value: object) -> str:
    text = str(value).replace("\n", " ")
    return '"' + text.replace('"', "'") + '"' if " " in text or not text else text


class SecretlessFormatter(logging.Formatter):
    """Strikes every secret the agent knows out of every line, tracebacks included.

    No line is written with a secret in it; this stands behind that rule for texts that are not ours, such as a hub's.
    """

    converter = time.gmtime
    secrets: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return strike_out(super().format(record))


def keep_out_of_logs(secret: str) -> None:
    SecretlessFormatter.secrets.add(secret)


def strike_out(text: str) -> str:
    for secret in SecretlessFormatter.secrets:
        text = text.replace(secret, "…")
    return text
