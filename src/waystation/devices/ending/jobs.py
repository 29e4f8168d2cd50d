"""The sweep that warns of keys that end."""

from datetime import datetime

from waystation.devices.ending import store
from waystation.devices.ending.model import WARNED_AHEAD
from waystation.devices.letters import tell_owners
from waystation.kernel.db import Tx

MOST = 50
TEXT = """The API key of the device {name} ({key}) ends on {day}.

From then on nothing that it sends with this key is taken. Rotate the key on the device's page and give the new one to
the device. The old one stays good for some days, until the device has used the new one.
"""


def warn_of_ending_keys(tx: Tx, now: datetime) -> int:
    """One letter to those who own the home for each key, thirty days ahead (TH-11)."""
    rows = store.untold(tx, now, now + WARNED_AHEAD, MOST)
    for row in rows:
        if store.note_told(tx, row.id, now):
            text = TEXT.format(name=row.name, key=row.key, day=row.expires_at.strftime("%d %B %Y"))
            subject = f"The API key of {row.name} ends soon"
            tell_owners(tx, row.home_id, now, subject=subject, text=text, dedupe=f"key ends:{row.id}")
    return len(rows)
