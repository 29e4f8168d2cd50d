"""Words and limits of DropSync's contract, pure: ids, file names, priorities, and what fits on an ESP8266."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from waystation.kernel.errors import Invalid

KIND = "dropsync"
"""Of the external id by which a device calls itself."""
DEVICE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
DEVICE_TYPE = "esp8266"
ONLINE_SECONDS = 300
DEVICE_BYTES = 1024
"""DS-8: the JSON document that the sketch reads an answer into; what is larger is lost there without a word."""
LOG_DAYS, MOST_LOG = 30, 10_000

SUFFIXES = (".txt", ".log", ".json", ".csv", ".bin", ".hex", ".jpg", ".png")
MOST_FILE_BYTES = 52_428_800
MOST_FILE_NAME = 120

TROUBLES = frozenset({"comm_error", "auth_error"})
"""What a device says of itself until its Wi-Fi reconnects, although all works again (5.1, 4)."""
SEVERITIES = ("debug", "info", "warning", "error", "critical")
PACKAGE_TYPES = ("firmware", "config", "data", "script")
BOOTED = re.compile(r"boot complete", re.IGNORECASE)
REBOOT = "reboot"
AWAY = timedelta(seconds=15)
"""A device calls every ten seconds at least; who was silent for longer, after it was told to restart, has."""
WRITTEN_LATE = timedelta(seconds=30)
"""By how much the time at which a device was last seen may be behind."""

SLOT_BYTES = 16  # of ArduinoJson 6 on 32 bits, for each member and element


def is_device_id(text: str) -> bool:
    """DS-14."""
    return DEVICE_ID.fullmatch(text) is not None and ".." not in text


def parameters_of(text: str | None) -> dict[str, Any] | None:
    """An object or nothing; a device reads them as text."""
    if text is None or not text.strip():
        return None
    try:
        given = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as fault:
        raise Invalid("Invalid JSON parameters") from fault
    if given is not None and not isinstance(given, dict):
        raise Invalid("Invalid JSON parameters")
    return cast("dict[str, Any] | None", given)


def _no_constant(word: str) -> Any:
    raise ValueError(word)


def parameters_text(parameters: Mapping[str, Any] | None) -> str | None:
    return None if parameters is None else json.dumps(parameters)


def delivered(
    number: int, name: str, parameters: Mapping[str, Any] | None, *, priority: int, at: str
) -> dict[str, Any]:
    """A command as a device reads it."""
    words: dict[str, Any] = {"command_id": number, "command": name, "parameters": parameters_text(parameters)}
    return {**words, "priority": priority, "timestamp": at}


def is_small(device_type: str) -> bool:
    """Whether a device of this type reads answers into a kilobyte, as the sketch does."""
    return not device_type or device_type.lower().startswith("esp")


def check_command(name: str, parameters: Mapping[str, Any] | None, *, is_small: bool) -> None:
    """DS-9: what a device could not read is refused when it is asked for, and not lost later."""
    if name == "none":
        raise Invalid("none is what a device reads when there is no command; give this one another name")
    if (
        is_small
        and device_cost(delivered(2**31, name, parameters, priority=3, at="2026-11-20T23:15:43.192159")) > DEVICE_BYTES
    ):
        raise Invalid(f"this command is larger than the {DEVICE_BYTES} bytes that the device can read; shorten it")


def device_cost(value: Any) -> int:
    """Bytes that the device needs for an answer: what is sent, or what it becomes there, whichever is more."""
    return max(len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()), _in_document(value))


def _in_document(value: Any) -> int:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return sum(SLOT_BYTES + len(key.encode()) + 1 + _in_document(inner) for key, inner in members)
    if isinstance(value, list):
        return sum(SLOT_BYTES + _in_document(inner) for inner in cast("list[Any]", value))
    return len(value.encode()) + 1 if isinstance(value, str) else 0


def fitted(answer: dict[str, Any], name: str) -> dict[str, Any]:
    """The answer with as many of the first entries of its list as the device can read."""
    entries = cast("list[Any]", answer[name])
    while entries and device_cost({**answer, name: entries}) > DEVICE_BYTES:
        entries = entries[: len(entries) - max(1, len(entries) // 8)]
    return {**answer, name: entries}


def priority_in(priority: int) -> int:
    """1 low to 3 high, as the house counts: 4 is what a command has by default (DS-23)."""
    return 2 + 2 * min(3, max(1, priority))


def priority_out(priority: int) -> int:
    return min(3, max(1, (priority - 2) // 2))


def file_name(given: str) -> str:
    """The last step of the path as a name (DS-15); Invalid for none, and for a type that is not taken."""
    name = given.replace("\\", "/").rpartition("/")[2].strip()
    if not name or name in (".", "..") or ".." in name or len(name) > MOST_FILE_NAME or not name.isprintable():
        raise Invalid("File name not allowed")
    dot, suffix = name.rfind("."), name[name.rfind(".") :].lower()
    if dot < 0 or suffix not in SUFFIXES:
        raise Invalid(f"File type not allowed. Allowed types: {list(SUFFIXES)}")
    return name


@dataclass(frozen=True, slots=True)
class Said:
    """What a device last said of itself. `trouble_since` is when it began to say so without a pause."""

    status: str = ""
    at: datetime | None = None
    trouble_since: datetime | None = None
    polled_at: datetime | None = None
    firmware_version: str | None = None
    ip: str | None = None

    @property
    def shown(self) -> str:
        """DS-13: a trouble counts no more once the device has polled successfully after it began."""
        is_over = self.trouble_since is not None and self.polled_at is not None and self.polled_at > self.trouble_since
        return "online" if is_over or not self.status else self.status


def next_said(before: Said, status: str, now: datetime) -> datetime | None:
    """When the trouble that the device reports began: the same one said again is no new one."""
    if status not in TROUBLES:
        return None
    return before.trouble_since if before.status == status and before.trouble_since is not None else now


def message_type(given: str) -> str:
    """As the house stores it: what a sketch calls its message is no reason to lose it."""
    return re.sub(r"[^A-Za-z0-9_.:-]", "_", given.strip())[:64] or "log"
