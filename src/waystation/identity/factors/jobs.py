"""Sweeps of sign-ins under way, challenges, browsers and counts of wrong tries."""

from datetime import datetime

from waystation.identity.factors import store
from waystation.identity.factors.model import KNOWN_FOR, LONGEST_PERIOD
from waystation.kernel.db import Tx


def forget_sign_ins_under_way(tx: Tx, now: datetime) -> int:
    return store.forget_pending(tx, now) + store.forget_challenges(tx, now)


def forget_wrong_tries(tx: Tx, now: datetime) -> int:
    return store.forget_tries(tx, now - LONGEST_PERIOD) + store.forget_browsers(tx, now - KNOWN_FOR)
