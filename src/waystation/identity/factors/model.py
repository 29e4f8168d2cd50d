"""Rules of second factors and of wrong tries: values in, values out."""

import re
import secrets as random
from dataclasses import dataclass
from datetime import datetime, timedelta

from waystation.kernel import secrets

STEP_SECONDS = 30
CODE = re.compile(r"\d{6}")
RECOVERY_CODES = 10
ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"  # no sign that is taken for another
RECOVERY_SIGNS = 16  # 78 random bits: a digest tells nothing of them
PENDING_LIFETIME = timedelta(minutes=5)
PENDING_TRIES = 5
CHALLENGE_LIFETIME = timedelta(minutes=5)
CONFIRMED_FOR = timedelta(minutes=10)
KNOWN_FOR = timedelta(days=400)  # the longest that browsers keep a cookie
MOST_PASSKEYS = 20
MOST_NAME = 60


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many wrong tries in a period that begins with the first."""

    tries: int
    period: timedelta


# OWASP device cookies: who has signed in here before is counted alone, so strangers who guess lock nobody out. A single
# address uses up its own share long before that of all strangers together.
KNOWN_BROWSER = Allowance(10, timedelta(hours=1))
ONE_ADDRESS = Allowance(10, timedelta(hours=1))
ALL_STRANGERS = Allowance(100, timedelta(hours=6))
CODES = Allowance(10, timedelta(hours=6))  # 3 of a million codes are right at any time
LONGEST_PERIOD = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Factors:
    """What a person has beside the password. `second_step`: it is asked for after the password."""

    second_step: bool
    app: bool
    passkeys: int
    recovery_codes: int


@dataclass(frozen=True, slots=True)
class Passkey:
    id: int
    name: str
    site: str
    is_synced: bool
    created_at: datetime
    used_at: datetime | None


def step_of(now: datetime) -> int:
    """The number of the half-minute that a code is good for (RFC 6238 section 4.2)."""
    return int(now.timestamp()) // STEP_SECONDS


def matching_step(secret: str, code: str, now: datetime, *, after: int) -> int | None:
    """The step whose code this is: the present one, its neighbour before or behind, but none up to `after`, which
    have been used. All are compared, whichever fits.
    """
    from pyotp.totp import TOTP  # noqa: PLC0415  seldom asked

    here = step_of(now)
    clean = re.sub(r"\s", "", code)
    fitting = [
        step for step in (here - 1, here, here + 1) if secrets.same(TOTP(secret).generate_otp(step), clean)
    ]  # generate_otp counts in steps
    return next((step for step in fitting if step > after), None)


def looks_like_app_code(code: str) -> bool:
    return CODE.fullmatch(re.sub(r"\s", "", code)) is not None


def new_recovery_code() -> str:
    """Four groups of four signs."""
    signs = "".join(random.choice(ALPHABET) for _ in range(RECOVERY_SIGNS))
    return "-".join(signs[at : at + 4] for at in range(0, RECOVERY_SIGNS, 4))


def recovery_digest(code: str) -> bytes:
    """The same however it was typed: case, blanks and dashes do not count."""
    return secrets.digest(re.sub(r"[\s-]", "", code).lower())
