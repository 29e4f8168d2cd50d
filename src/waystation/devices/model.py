"""Devices, their credentials and claims; the words and rules, without storage."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from waystation.kernel.errors import Invalid
from waystation.kernel.succession import State as CredentialState

KEY_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that look alike when read aloud or from a screen
SERIAL = re.compile(r"[A-Za-z0-9._-]{1,64}")
API_KEY = re.compile(r"[A-Za-z0-9_-]{43,128}")
API_KEY_DAYS = 365 * 10
CLAIM_HOURS = 24
MOST_CLAIM_HOURS = 24 * 30
MOST_NAME = 120
OVERLAP = timedelta(days=30)
"""How long a replaced key stays good for a device that has not used the new one yet."""
REFRESH_GRACE = timedelta(minutes=2)
"""Contract rule JR-13: a device that lost its new token with the power may renew with the old one once more."""

Presence = Literal["online", "offline", "disabled", "never"]


class CredentialKind(StrEnum):
    API_KEY = "api_key"
    PRE_SHARED_TOKEN = "pre_shared_token"  # noqa: S105  a kind, not a secret
    CLIENT_SECRET = "client_secret"  # noqa: S105
    REFRESH_TOKEN = "refresh_token"  # noqa: S105

    @property
    def words(self) -> str:
        """As a sentence names it: `an API key`."""
        return KIND_WORDS[self]


KIND_WORDS = {
    CredentialKind.API_KEY: "an API key",
    CredentialKind.PRE_SHARED_TOKEN: "a pre-shared token",
    CredentialKind.CLIENT_SECRET: "a client secret",
    CredentialKind.REFRESH_TOKEN: "a refresh token",
}


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
    pending_since: datetime | None
    said_id: str | None = None
    is_on_trial: bool = False
    online_seconds: int | None = None
    stolen_at: datetime | None = None

    def presence(self, now: datetime, online_seconds: float) -> Presence:
        """Judged by traffic, not by what the device says of itself (contract rule G-15)."""
        if self.disabled_at is not None:
            return "disabled"
        if self.last_seen_at is None:
            return "never"
        patience = timedelta(seconds=max(online_seconds, self.online_seconds or 0))
        return "online" if now - self.last_seen_at <= patience else "offline"


@dataclass(frozen=True, slots=True)
class Credential:
    id: int
    kind: CredentialKind
    state: CredentialState
    hint: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    lineage: int

    def is_live(self, now: datetime) -> bool:
        return self.state is not CredentialState.RETIRED and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A device with its secret, which is shown this once."""

    key: str
    serial: str
    name: str
    api_key: str
    kind: CredentialKind = CredentialKind.API_KEY


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


def check_external_id(value: str) -> str:
    if not value.isprintable():
        raise Invalid("a serial or MAC address has printable characters only")
    return value


def check_api_key(api_key: str) -> str:
    if not API_KEY.fullmatch(api_key):
        raise Invalid("a device's own api_key needs 43 to 128 of the characters A-Z a-z 0-9 _ -")
    return api_key
