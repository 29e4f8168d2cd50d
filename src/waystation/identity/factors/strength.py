"""How strong a password that somebody types is: only for whoever was shown a form of ours that asks for a new one."""

import hmac
from datetime import datetime, timedelta

from waystation.kernel import secrets
from waystation.kernel.secrets import KeyRing

GOOD_FOR = timedelta(hours=2)


def ticket(keys: KeyRing, now: datetime) -> str:
    """Goes into the form that asks for a new password; its script shows it when it asks."""
    until = str(int((now + GOOD_FOR).timestamp()))
    return f"{until}.{_signed(keys, until)}"


def is_good(keys: KeyRing, shown: str, now: datetime) -> bool:
    until, _, signature = shown.partition(".")
    genuine = secrets.same(signature.encode(), _signed(keys, until).encode())
    return genuine and until.isdecimal() and int(until) > now.timestamp()


def _signed(keys: KeyRing, until: str) -> str:
    return hmac.digest(keys.get("forms"), f"strength {until}".encode(), "sha256").hex()
