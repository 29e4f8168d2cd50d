"""Mail to those who own a home, about its devices."""

from datetime import datetime

from waystation import homes
from waystation.devices import store
from waystation.devices.events import CredentialStolen
from waystation.kernel import mail
from waystation.kernel.db import Tx
from waystation.kernel.errors import Invalid

STOLEN = """The device {name} ({key}) was signed out.

A token that it had already exchanged for a new one was used again. So either somebody has a copy of its tokens, or it
was set back to an old copy of its memory. All its tokens have been ended, and nothing that uses them is let in.

If it is yours and in good hands, open its page and pair it again. Its readings are kept.
"""


def tell_owners(tx: Tx, home_id: int, now: datetime, *, subject: str, text: str, dedupe: str) -> None:
    for address in homes.owners_addresses(tx, home_id):
        try:
            mail.send(tx, now, to=address, subject=subject, text=text, dedupe=f"{dedupe}:{address}")
        except Invalid:
            continue  # an account named by something that no mail reaches


def tell_of_theft(tx: Tx, told: CredentialStolen, now: datetime) -> None:
    device = store.by_id(tx, told.device_id)
    if device is None:
        return
    store.set_stolen(tx, device.id, now)
    store.end_registrations(tx, device.id, now)
    text = STOLEN.format(name=device.name, key=device.key)
    subject = f"{device.name} was signed out"
    tell_owners(tx, told.home_id, now, subject=subject, text=text, dedupe=f"stolen:{device.key}:{now.isoformat()}")
