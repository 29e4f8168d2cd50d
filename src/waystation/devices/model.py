"""Devices, their credentials and claims; the words and rules, without storage."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from waystation.kernel.errors import Invalid

KEY_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that look alike when read aloud or from a screen
SERIAL = re.compile(r"[A-Za-z0-9._-]{1,64}")
API_KEY = re.compile(r"[A-Za-z0-9_-]{43,128}")
API_KEY_DAYS = 365 * 10
CLAIM_HOURS = 24
MOST_CLAIM_HOURS = 24 * 30
MOST_NAME = 120

Presence = Literal["online", "offline", "disabled", "never"]


class CredentialState(StrEnum):
    CANDIDATE = "candidate"
    ACTIVE = "active"
    RETIRED = "retired"


class CredentialKind(StrEnum):
    API_KEY = "api_key"


@dataclass(frozen=True, slots=True)
class CallingDevice:
    """A device that has proved who it is."""

    id: int
    key: str
    serial: str
    name: str
    home_id: int


@dataclass(frozen=True, slots=True)
class Device:
    id: int
    home_id: int
    key: str
    serial: str
    name: str
    model: str
    created_at: datetime
    disabled_at: datetime | None
    last_seen_at: datetime | None
    last_ip: str | None

    def presence(self, now: datetime, online_seconds: float) -> Presence:
        """Judged by traffic, not by what the device says of itself (contract rule G-15)."""
        if self.disabled_at is not None:
            return "disabled"
        if self.last_seen_at is None:
            return "never"
        return "online" if now - self.last_seen_at <= timedelta(seconds=online_seconds) else "offline"


@dataclass(frozen=True, slots=True)
class Credential:
    id: int
    kind: CredentialKind
    state: CredentialState
    hint: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    def is_live(self, now: datetime) -> bool:
        return self.state is not CredentialState.RETIRED and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A device with its secret, which is shown this once."""

    key: str
    serial: str
    name: str
    api_key: str


@dataclass(frozen=True, slots=True)
class NewClaim:
    """A code that turns one device into a member of the home, shown this once."""

    id: str
    code: str
    name: str
    expires_at: datetime


def new_key() -> str:
    """Eight letters that name the device in topics and addresses: 40 random bits."""
    return "".join(secrets.choice(KEY_LETTERS) for _ in range(8))


def new_code() -> str:
    """`ABCD-EFGH-JKLM`: 60 random bits, for at most a month, each address has few tries."""
    letters = "".join(secrets.choice(CODE_LETTERS) for _ in range(12))
    return f"{letters[:4]}-{letters[4:8]}-{letters[8:]}"


def plain_code(code: str) -> str:
    """As it is compared: without blanks and hyphens, upper-case."""
    return re.sub(r"[\s-]", "", code).upper()


def check_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > MOST_NAME or not name.isprintable():
        raise Invalid(f"a name has 1 to {MOST_NAME} printable characters")
    return name


def check_model(model: str) -> str:
    return check_name(model) if model.strip() else ""


def check_serial(serial: str) -> str:
    """Contract rule TH-20: at most 64 characters and no colon, because credentials are split at the first one."""
    if not SERIAL.fullmatch(serial):
        raise Invalid("a serial has 1 to 64 of the characters A-Z a-z 0-9 . _ -")
    return serial


def check_api_key(api_key: str) -> str:
    if not API_KEY.fullmatch(api_key):
        raise Invalid("a device's own api_key needs 43 to 128 of the characters A-Z a-z 0-9 _ -")
    return api_key
