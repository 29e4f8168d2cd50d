"""Log lines a person can read and a machine can split: time, level, event, key=value."""

import logging
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import ClassVar

LOG = logging.getLogger("waystation_agent")
MOST_SECRETS = 100
FILE_BYTES = 512 * 1_024
LEVELS = ("debug", "info", "warning", "error")
STAYS_HERE = {"stays_here": True}
"""`extra` of a line that is no news to the hub."""


def start_logging(level: str) -> None:
    lines = logging.StreamHandler()
    lines.setFormatter(SecretlessFormatter())
    LOG.addHandler(lines)
    LOG.setLevel(level.upper())


def log_also_to(path: Path) -> None:
    """Keep the last lines in a file too, so that they can be sent to the hub; its older half is beside it."""
    lines = RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=1, encoding="utf-8", delay=True)
    lines.setFormatter(SecretlessFormatter())
    LOG.addHandler(lines)


def last_lines(path: Path, most_bytes: int) -> bytes:
    """Return the end of what `log_also_to` has kept, from the beginning of a line on."""
    kept = b"".join(part.read_bytes() for part in (path.with_name(f"{path.name}.1"), path) if part.exists())
    cut = kept[-most_bytes:]
    return cut if len(cut) == len(kept) else cut.partition(b"\n")[2]


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
    secrets: ClassVar[dict[str, None]] = {}

    def __init__(self, form: str = "%(asctime)sZ %(levelname)s %(message)s") -> None:
        super().__init__(form, "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return strike_out(super().format(record))


def keep_out_of_logs(secret: str) -> None:
    """Strike this secret out from now on; of tokens that were replaced long ago the oldest are forgotten."""
    secrets = SecretlessFormatter.secrets
    secrets.pop(secret, None)
    secrets[secret] = None
    if len(secrets) > MOST_SECRETS:
        del secrets[next(iter(secrets))]


def strike_out(text: str) -> str:
    for secret in list(SecretlessFormatter.secrets):
        text = text.replace(secret, "…")
    return text
