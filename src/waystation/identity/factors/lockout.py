"""How often a password or code may be wrong, so that guessing leads nowhere and strangers lock nobody out.

After the OWASP cheat sheet on device cookies: a browser in which somebody has signed in before is counted alone. All
others are counted by their address, and together. Nobody knows whether an account exists: unknown ones are counted too.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from waystation.identity.factors import store
from waystation.identity.factors.model import ALL_STRANGERS, CODES, KNOWN_BROWSER, KNOWN_FOR, ONE_ADDRESS, Allowance
from waystation.kernel import secrets
from waystation.kernel.db import Tx
from waystation.kernel.door import counted_as
from waystation.kernel.secrets import KeyRing

CODES_OF = "codes of"
Share = tuple[str, Allowance]


@dataclass(frozen=True, slots=True)
class Counted:
    """A try that was counted before anybody knows whether it is right, so that tries at once cannot all slip through.

    `wait_seconds` is None when it may be made; `just_closed` when this one was the first too many.
    """

    account: bytes
    sources: tuple[str, ...] = ()
    wait_seconds: float | None = None
    just_closed: bool = False


def account_of(keys: KeyRing, email: str) -> bytes:
    """What tries are counted under: nobody reads from it what people typed as their address."""
    return hmac.digest(keys.get("accounts"), email.strip().lower().encode(), "sha256")


def browser_of(tx: Tx, person_id: int | None, browser: str, now: datetime) -> int | None:
    """The number of this browser among those in which the person has signed in before."""
    return store.known_browser_of(tx, person_id, secrets.digest(browser), now - KNOWN_FOR)


def is_familiar(tx: Tx, browser: str) -> bool:
    """Whether anybody has signed in with this browser."""
    return store.anybodys_browser(tx, secrets.digest(browser))


def count_password(tx: Tx, account: bytes, now: datetime, *, browser_id: int | None, ip: str | None) -> Counted:
    if browser_id is not None:
        own = _count(tx, account, now, [(f"browser {browser_id}", KNOWN_BROWSER)])
        if own.wait_seconds is None:
            return own
    return _count(tx, account, now, [(f"address {counted_as(ip or '')}", ONE_ADDRESS), ("strangers", ALL_STRANGERS)])


def count_code(tx: Tx, account: bytes, now: datetime, *, browser_id: int | None) -> Counted:
    """Codes of the second step: whoever gets so far knows the password, so all strangers share one allowance."""
    who = "strangers" if browser_id is None else f"browser {browser_id}"
    return _count(tx, account, now, [(f"{CODES_OF} {who}", CODES)])


def give_back(tx: Tx, counted: Counted) -> None:
    """It was right after all."""
    for source in counted.sources:
        store.give_try_back(tx, counted.account, source)


def forgive(tx: Tx, keys: KeyRing, email: str) -> None:
    """The counts of wrong passwords begin anew, because there is a new one. Those of codes do not: who reads somebody's
    mail may guess no more of them than others.
    """
    store.forget_tries_of(tx, account_of(keys, email), but_not=CODES_OF)


def remember(tx: Tx, person_id: int, browser: str, now: datetime) -> str:
    """The browser's new secret, shown to it once. It changes at every sign-in, so one that somebody planted is worth
    nothing afterwards; whoever else signs in with this browser stays known.
    """
    fresh = secrets.new_secret()
    if browser:
        store.renew_browser(tx, secrets.digest(browser), secrets.digest(fresh))
    store.remember_browser(tx, person_id, secrets.digest(fresh), now)
    return fresh


def forget_browsers(tx: Tx, person_id: int) -> int:
    """After a new password every browser is a stranger again; how many were known."""
    return store.forget_browsers_of(tx, person_id)


def _count(tx: Tx, account: bytes, now: datetime, shares: Sequence[Share]) -> Counted:
    """Where one share is used up the next is not touched: one address cannot use up what all strangers have."""
    sources: list[str] = []
    for source, allowance in shares:
        row = store.count_try(tx, account, source, now, expired_before=now - allowance.period)
        if row.tries > allowance.tries:
            for taken in sources:
                store.give_try_back(tx, account, taken)
            wait_seconds = (row.began_at + allowance.period - now).total_seconds()
            return Counted(account, (), max(1.0, wait_seconds), just_closed=row.tries == allowance.tries + 1)
        sources.append(source)
    return Counted(account, tuple(sources))
