"""The words and rules of an account, without storage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Invalid

MOST_NAME = 60
MOST_TOKENS = 50
EXPIRIES = (30, 90, 365)  # days
LINK_LIFETIME = timedelta(hours=24)
MAILED_LINK_LIFETIME = timedelta(hours=1)


class Scope(StrEnum):
    """What an API token may do at most; each includes those above it."""

    READ = "read"
    CONTROL = "control"
    MANAGE = "manage"

    @property
    def role(self) -> str:
        """The highest role that a call with the token can have in a home."""
        return {Scope.READ: "viewer", Scope.CONTROL: "user", Scope.MANAGE: "admin"}[self]

    @classmethod
    def parse(cls, text: str) -> "Scope":
        try:
            return cls(text)
        except ValueError:
            raise Invalid("choose what the token may do: read, control or manage") from None


@dataclass(frozen=True, slots=True)
class Mine:
    """Whose account changes, and who changes it. `session_id` and `login_id` say where that person sits and stays
    signed in. `mails`: there is a mail server that can tell the person.
    """

    person_id: int
    by: Actor
    session_id: int | None = None
    login_id: int | None = None
    mails: bool = False


class NamedHome(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Homes:
    """A part: every home of a person, the oldest first, with their role; asked of whoever keeps homes."""

    of: Callable[[Tx, int], Sequence[tuple[NamedHome, object]]]


@dataclass(frozen=True, slots=True)
class Profile:
    uid: str
    email: str
    name: str
    first_name: str
    last_name: str
    created_at: datetime
    has_password: bool


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A browser or an app in which the person is signed in."""

    id: int
    is_app: bool
    name: str
    ip: str
    created_at: datetime
    seen_at: datetime
    is_this_one: bool


@dataclass(frozen=True, slots=True)
class Token:
    """An API token without its text."""

    id: int
    name: str
    hint: str
    role: str
    home_id: int | None
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    has_expired: bool


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a token is to be for. `days` is None when it never expires."""

    name: str
    scope: Scope
    days: int | None
    home_id: int | None = None


@dataclass(frozen=True, slots=True)
class NewPassword:
    """Checked and hashed; `before` is the hash that it takes the place of."""

    before: str
    after: str


class WrongPassword(Invalid):
    """The password that was to prove who is asking."""


def check_names(first_name: str, last_name: str) -> tuple[str, str]:
    """Trimmed; both may be empty."""
    return _line(first_name, "first name"), _line(last_name, "last name")


def check_token_name(name: str) -> str:
    name = _line(name, "name")
    if not name:
        raise Invalid("give the token a name that tells you later what it was for")
    return name


def parse_days(text: str) -> int | None:
    """How long a token is good, None for ever."""
    if text == "never":
        return None
    if not text.isascii() or not text.isdecimal() or int(text) not in EXPIRIES:
        raise Invalid("choose when the token expires: in 30, 90 or 365 days, or never")
    return int(text)


def _line(text: str, what: str) -> str:
    text = " ".join(text.split())
    if len(text) > MOST_NAME or not text.isprintable():
        raise Invalid(f"the {what} may have at most {MOST_NAME} characters, on one line")
    return text
