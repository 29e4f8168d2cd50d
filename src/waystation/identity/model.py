"""People and how they prove who they are; the words and rules, without storage."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from waystation.kernel.audit import Actor
from waystation.kernel.errors import Invalid

LEAST_PASSWORD = 10
MOST_PASSWORD = 256
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
SETUP_HOURS = 24

LEAST_SCORE = 2  # of zxcvbn's 0 to 4: it takes a million guesses or more
MOST_JUDGED = 40  # what follows makes a password no weaker, and judging it would take long
WORDS_ABOUT_US = ("waystation", "raspberrypi", "homeassistant", "smarthome", "administrator", "changeme")
STRENGTHS = ("very weak", "weak", "fair", "good", "strong")
WEAKNESSES = {  # by words of zxcvbn's own warnings
    "Dates": "dates are easily guessed; a few unrelated words make a good password",
    "years": "years are easily guessed; a few unrelated words make a good password",
    "Repeats": "repeated letters and words are easily guessed; a few unrelated words make a good password",
    "Sequences": "sequences like abc or 6543 are easily guessed; a few unrelated words make a good password",
    "row": "rows of keys are easily guessed; a few unrelated words make a good password",
    "keyboard": "patterns on the keyboard are easily guessed; a few unrelated words make a good password",
    "ames": "names alone are easily guessed; a few unrelated words make a good password",
    "common": "this is one of the passwords that are tried first; a few unrelated words make a good one",
}
EASILY_GUESSED = "that password is easily guessed; a few unrelated words make a good one"


@dataclass(frozen=True, slots=True)
class Caller:
    """A person with a session or an app's log-in, or a program with an API token."""

    who: str
    person_id: int | None = None
    session_id: int | None = None
    login_id: int | None = None
    token_id: int | None = None
    token_role: str | None = None
    home_id: int | None = None  # the one of several homes that the session shows, or the only one a token is for
    ip: str | None = None

    @property
    def actor(self) -> Actor:
        return Actor(self.who, self.ip)

    @property
    def ended_by(self) -> str:
        """The notice after which this caller may hold no connection any more."""
        if self.session_id is not None:
            return f"session.ended.{self.session_id}"
        return f"token.ended.{self.token_id}" if self.login_id is None else f"login.ended.{self.login_id}"


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


@dataclass(frozen=True, slots=True)
class Strength:
    """From 0 to 4, as zxcvbn counts; `weakness` is a sentence for one that is too weak."""

    score: int
    weakness: str

    @property
    def word(self) -> str:
        return STRENGTHS[self.score]


def check_email(email: str) -> str:
    """The address as it is stored: trimmed, its domain lower-case."""
    email = email.strip()
    if not EMAIL.fullmatch(email) or not email.isprintable():
        raise Invalid("that does not look like an e-mail address, for example ann@example.org")
    name, domain = email.rsplit("@", 1)
    return f"{name}@{domain.lower()}"


def check_password(password: str, email: str) -> None:
    """Invalid with a sentence that says what to change; the policy is length first (NIST SP 800-63B §5.1.1)."""
    if len(password) < LEAST_PASSWORD:
        raise Invalid(f"the password needs at least {LEAST_PASSWORD} characters")
    if len(password) > MOST_PASSWORD:
        raise Invalid(f"the password may have at most {MOST_PASSWORD} characters")
    lowered = password.lower()
    local, _, domain = email.lower().partition("@")
    if any(
        len(part) > 3 and part in lowered and len(lowered) - len(part) < 5 for part in (local, domain, email.lower())
    ):
        raise Invalid("the password is too much like the e-mail address")
    strength = strength_of(password, email)
    if strength.score < LEAST_SCORE:
        raise Invalid(strength.weakness)


def strength_of(password: str, email: str) -> Strength:
    """A few milliseconds of processor, at the worst half a second: not in a transaction."""
    from zxcvbn import zxcvbn  # noqa: PLC0415  15 MB of words, needed when somebody chooses a password

    local, _, domain = email.lower().partition("@")
    found: Any = zxcvbn(password[:MOST_JUDGED], [local, domain, *WORDS_ABOUT_US])
    warning: str = found["feedback"]["warning"]
    weakness = next((words for part, words in WEAKNESSES.items() if part in warning), EASILY_GUESSED)
    return Strength(found["score"], weakness)
