"""Owners are told by mail, once each, when they have used most of their plan."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from waystation import homes, identity
from waystation.kernel import mail
from waystation.kernel.db import Tx
from waystation.kernel.errors import Invalid
from waystation.telemetry.keeping import store
from waystation.telemetry.keeping.model import CALM_BELOW, WARN_AT, size_text
from waystation.telemetry.keeping.quota import Account, accounts


def warn(tx: Tx, now: datetime) -> int:
    """A sweep; always 0, for it looks at all owners at once."""
    for owner_id, account in _by_owner(tx).items():
        percent = 100 * account.used_bytes // account.limit_bytes
        before = store.warned(tx, owner_id)
        reached = max((step for step in WARN_AT if percent >= step), default=0)
        if reached > before and store.warn(tx, owner_id, reached, now, before=before):
            _tell(tx, owner_id, account, now, reached=reached)
        elif before and percent < CALM_BELOW:
            store.forget_warning(tx, owner_id)
    return 0


def _by_owner(tx: Tx) -> Mapping[int, Account]:
    of_homes, owners = accounts(tx), homes.first_owners(tx)
    return {owner: of_homes[home] for home, owner in owners.items() if owner is not None and home in of_homes}


def _tell(tx: Tx, owner_id: int, account: Account, now: datetime, *, reached: int) -> None:
    person = identity.person_by_id(tx, owner_id)
    if person is None:
        return
    plan = size_text(account.limit_bytes)
    text = (
        f"Your devices have stored {size_text(account.used_bytes)} of the {plan} that your plan ({account.plan.name})"
        f" gives.\n\nWhen it is full, new readings are refused until something is deleted. On the page Data you see"
        " which devices take how much, you can delete what you do not need, and say for how long readings are kept.\n"
    )
    subject = f"{reached} % of your storage is used"
    with suppress(Invalid):  # they signed up without an address: the page tells them
        mail.send(tx, now, to=person.email, subject=subject, text=text, dedupe=f"quota {owner_id} {reached}")
