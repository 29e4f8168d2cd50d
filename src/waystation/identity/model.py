"""People and how they prove who they are; the words and rules, without storage."""

import re
from dataclasses import dataclass
from datetime import datetime

from waystation.kernel.audit import Actor
from waystation.kernel.errors import Invalid

LEAST_PASSWORD = 10
MOST_PASSWORD = 256
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
SETUP_HOURS = 24

COMMON = frozenset(
    [
        "password123",
        "password1234",
        "passwort123",
        "1234567890",
        "12345678910",
        "123456789a",
        "qwertyuiop",
        "qwertzuiop",
        "qwerty12345",
        "1q2w3e4r5t",
        "iloveyou123",
        "letmein123",
        "welcome123",
        "administrator",
        "adminadmin",
        "changeme123",
        "raspberrypi",
        "waystation",
        "waystation1",
        "homeassistant",
    ]
)


@dataclass(frozen=True, slots=True)
class Caller:
    """A person with a session, or a program with an API token."""

    who: str
    person_id: int | None = None
    session_id: int | None = None
    token_id: int | None = None
    token_role: str | None = None
    ip: str | None = None

    @property
    def actor(self) -> Actor:
        return Actor(self.who, self.ip)


@dataclass(frozen=True, slots=True)
class Person:
    id: int
    email: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewSession:
    """The cookie's value is shown to the browser once; we keep its digest."""

    id: int
    secret: str


def check_email(email: str) -> str:
    """The address as it is stored: trimmed, its domain lower-case."""
    email = email.strip()
    if not EMAIL.fullmatch(email):
        raise Invalid("that does not look like an e-mail address, for example ann@example.org")
    name, domain = email.rsplit("@", 1)
    return f"{name}@{domain.lower()}"


def check_password(password: str, email: str) -> None:
    """Invalid with a sentence that says what to change; the policy is length first (NIST SP 800-63B §5.1.1)."""
    lowered = password.lower()
    if len(password) < LEAST_PASSWORD:
        raise Invalid(f"the password needs at least {LEAST_PASSWORD} characters")
    if len(password) > MOST_PASSWORD:
        raise Invalid(f"the password may have at most {MOST_PASSWORD} characters")
    if lowered in COMMON or len(set(lowered)) < 5 or password.isdigit():
        raise Invalid("that password is easily guessed; a few unrelated words make a good one")
    local, _, domain = email.lower().partition("@")
    if any(
        len(part) > 3 and part in lowered and len(lowered) - len(part) < 5 for part in (local, domain, email.lower())
    ):
        raise Invalid("the password is too much like the e-mail address")
