"""Lines that devices wrote: what one says, how grave it is, and how it is shown."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b

from waystation.kernel.errors import Invalid

TYPE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
TYPE_RULE = "1 to 64 of letters, digits, _ . : -"
DEFAULT_TYPE = "log"
MOST_CONTENT = 4096
ROW_BYTES = 200  # about what a row takes beside its content, with its places in the indexes
KIND = "messages"  # under which kernel.room counts them
FOLD = timedelta(hours=1)
"""Repeats become one row for so long: chatter of a whole day is 24 rows, and no row is older than its place says."""


class Severity(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def level(self) -> int:
        """As stored: 10 for debug to 50 for critical."""
        return LEVELS[self]

    @property
    def is_grave(self) -> bool:
        """Whether somebody may want to know without looking: warning and worse."""
        return self.level >= GRAVE


LEVELS = {severity: 10 * number for number, severity in enumerate(Severity, 1)}
SEVERITIES = {level: severity for severity, level in LEVELS.items()}
GRAVE = LEVELS[Severity.WARNING]


def severity_of(word: str) -> Severity:
    """Invalid unless it is one of the five, in any case."""
    try:
        return Severity(word.lower())
    except ValueError:
        raise Invalid(f"{word[:20]!r} is not a severity; there are {', '.join(Severity)}") from None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A line to be stored. `at` is what its writer says, the same when it is sent again; None is the time of arrival.

    `said_severity` keeps a severity that is none of ours (DS-23), which then counts as `severity`.
    """

    at: datetime | None = None
    severity: Severity = Severity.INFO
    type: str = DEFAULT_TYPE
    content: str = ""
    said_severity: str | None = None

    def checked(self) -> "NewMessage":
        """Invalid with a sentence, or fit to be stored: no database takes a NUL in a text, so its picture stands there.

        The rest of the text is kept as it is.
        """
        if TYPE.fullmatch(self.type) is None:
            raise Invalid(f"{self.type[:80]!r} is not a type: {TYPE_RULE}")
        if len(self.content) > MOST_CONTENT:
            raise Invalid(f"content has {len(self.content)} characters; at most {MOST_CONTENT} are taken")
        if "\x00" not in self.content:
            return self
        content = self.content.replace("\x00", "␀")
        return NewMessage(self.at, self.severity, self.type, content, self.said_severity)


@dataclass(frozen=True, slots=True)
class Message:
    """A stored line. `number` ascends in the order of arrival over the whole site. A line that came `count` times
    within an hour, with nothing of its device in between, came first at `at` and last at `last_at`.
    """

    number: int
    home_id: int
    device_id: int
    at: datetime
    last_at: datetime
    arrived_at: datetime
    severity: Severity
    said_severity: str | None
    type: str
    content: str
    count: int


def digest_of(device_id: int, message_type: str, content: str) -> int:
    """64 bits by which the same line of the same device is found again."""
    told = f"{device_id}\0{message_type}\0{content}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(told, digest_size=8).digest(), "big", signed=True)


def size_of(content: str) -> int:
    """About what its row takes of the home's storage."""
    return ROW_BYTES + len(content)


TURNING = (0x061C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
VISIBLE = {code: f"\\x{code:02x}" for code in (*range(32), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"} | {
    code: f"\\u{code:04x}" for code in TURNING
}


def visible(text: str) -> str:
    """Control characters, and what turns the direction of writing, by their numbers, so that no line can look like
    another one; tabs and line breaks stay.
    """
    return text if text.isprintable() else text.translate(VISIBLE)


def on_one_line(text: str) -> str:
    """The same without line breaks and tabs: for terminals and files with one message a line."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def cursor_of(number: int) -> str:
    """A place in the list, for callers who need not know how it is kept."""
    return urlsafe_b64encode(number.to_bytes(8, "big")).rstrip(b"=").decode()


def number_at(cursor: str) -> int:
    """Invalid unless it is one of ours."""
    try:
        packed = urlsafe_b64decode(f"{cursor}=")
    except ValueError:
        packed = b""
    number = int.from_bytes(packed, "big") if len(packed) == 8 else -1
    if not 0 <= number < 2**63 or cursor_of(number) != cursor:
        raise Invalid("the cursor is not one of this list; start again without it")
    return number
