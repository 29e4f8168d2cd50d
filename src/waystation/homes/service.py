"""A hub has exactly one home, made at set-up."""

from datetime import datetime

from waystation.homes import store
from waystation.homes.model import Home, Role
from waystation.identity import PersonSetUp
from waystation.kernel.db import Tx

FIRST_NAME = "Home"


def the_home(tx: Tx, now: datetime) -> Home:
    """The hub's home; the first call makes it."""
    return store.first_home(tx) or store.add_home(tx, FIRST_NAME, now)


def own_the_home(tx: Tx, told: PersonSetUp, now: datetime) -> None:
    """Whoever set the hub up owns its home."""
    store.add_member(tx, the_home(tx, now).id, told.person_id, now, role=Role.OWNER)
