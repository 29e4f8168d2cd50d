"""What a person is told by mail of their account, and what the audit log keeps of it."""

from datetime import datetime, timedelta
from typing import Any

from waystation.identity.account.model import Mine
from waystation.kernel import audit, mail
from waystation.kernel.db import Tx

NOT_YOU = "If that was not you, choose a new password and look at your account page at once."


def note(tx: Tx, mine: Mine, now: datetime, did: str, *, email: str, **detail: Any) -> None:
    audit.note(tx, mine.by, did, f"person:{email}", now=now, **detail)


def tell(tx: Tx, mine: Mine, now: datetime, did: str, *, email: str, words: str, **detail: Any) -> None:
    """In the audit log, and by mail to the person, who may not be the one who did it."""
    note(tx, mine, now, did, email=email, **detail)
    if mine.mails and mail.ADDRESS.fullmatch(email):
        mail.send(tx, now, to=email, subject="Your account has changed", text=f"{words}\n\n{NOT_YOU}\n")


def send_reset_link(tx: Tx, now: datetime, *, email: str, url: str, lasting: timedelta) -> None:
    minutes = round(lasting.total_seconds() / 60)
    text = (
        "Somebody, most likely you, asked for a new password. Choose it here:\n\n"
        f"{url}\n\nThe link works once, for {minutes} minutes. If you did not ask for it, you need do nothing:"
        " your password stays as it is.\n"
    )
    mail.send(tx, now, to=email, subject="Choose a new password", text=text)
