"""Whether an owner may store more: a look into a dictionary for each call, and the truth in the database."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from waystation import homes
from waystation.kernel import room
from waystation.kernel.clock import EPOCH, Clock
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import DomainError
from waystation.telemetry.keeping import store
from waystation.telemetry.keeping.disk import note_disk
from waystation.telemetry.keeping.model import BUILT_IN, UNLIMITED, VALUE_BYTES, Plan, QuotaReached
from waystation.telemetry.model import Row

log = structlog.get_logger(__name__)

LOOK_SECONDS = 4.0
CHANGED = room.CHANGED


@dataclass(slots=True)
class Account:
    """What one owner may store and has stored, as far as this process knows. Their homes share it."""

    plan: Plan
    limit_bytes: int
    used_bytes: int


class Quota:
    """A part. It knows only of owners whose plan has a limit, so a hub without limits asks an empty dictionary.

    What is stored is counted here at once, written down every few seconds, and read back with what other processes
    have written: so several workers may together store a few seconds' worth more than the plan gives.
    """

    def __init__(self, database: Database, clock: Clock, default_plan: str, folder: Path | None = None) -> None:
        self._database = database
        self._clock = clock
        self._default = default_plan
        self._folder = folder
        self._accounts: dict[int, Account] = {}
        self._added: dict[int, tuple[int, int]] = {}  # by device: home and bytes that are not written down yet
        self._refused: dict[int, int] = {}
        self._per_minute: dict[int, int] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="quota", daemon=True)

    def start(self) -> None:
        with self._database.read() as tx:
            is_known = store.default_name(tx) == self._default
        if not is_known:
            with self._database.write() as tx:
                store.set_default(tx, self._default)
        self.refresh()
        self._thread.start()

    def close(self) -> None:
        """Writes down what is not yet."""
        self._closing = True
        self._wake.set()
        self._thread.join()

    def check(self, home_id: int, more_bytes: int = 0) -> None:
        """QuotaReached when its owner is at what their plan gives, or would be over it with so many more."""
        account = self._accounts.get(home_id)
        if account is not None and account.used_bytes + max(more_bytes, 1) > account.limit_bytes:
            self._refused[home_id] = self._refused.get(home_id, 0) + 1
            raise QuotaReached(account.limit_bytes)

    def add(self, home_id: int, device_id: int, rows: Iterable[Row], charge_bytes: int | None) -> None:
        """Stored and committed; `charge_bytes` is what it counts when that is not told by its rows."""
        if home_id not in self._accounts:
            return
        more = bytes_of(rows) if charge_bytes is None else charge_bytes
        with self._lock:
            self._added[device_id] = (home_id, self._added.get(device_id, (home_id, 0))[1] + more)
            if (account := self._accounts.get(home_id)) is not None:
                account.used_bytes += more

    def per_minute(self, home_id: int) -> int | None:
        """Calls with readings that each device of the home may make; None when its owner's plan leaves that open."""
        return self._per_minute.get(home_id)

    def nudge(self, _subject: str = "", _body: bytes = b"") -> None:
        """Plans or what is stored have changed: look again soon. From any thread."""
        self._wake.set()

    def refresh(self) -> None:
        """Writes down what was added here, and reads what everybody has."""
        with self._lock:
            added, self._added = self._added, {}
            refused, self._refused = self._refused, {}
        try:
            accounts = self._written(added, refused)
        except BaseException:
            with self._lock:
                self._put_back(added, refused)
            raise
        with self._lock:
            for home_id, more in self._added.values():  # since they were taken
                if home_id in accounts:
                    accounts[home_id].used_bytes += more
            self._accounts = accounts

    def _written(self, added: dict[int, tuple[int, int]], refused: dict[int, int]) -> dict[int, Account]:
        if not added and not refused:
            with self._database.read() as tx:
                return self._looked(tx)
        with self._database.write() as tx:
            if added:
                store.add_usage(tx, added, EPOCH)
            if refused:
                store.note_refused(tx, refused, self._clock.now())
            return self._looked(tx)

    def _looked(self, tx: Tx) -> dict[int, Account]:
        self._per_minute = calls_per_minute(tx)
        return accounts(tx)

    def _put_back(self, added: dict[int, tuple[int, int]], refused: dict[int, int]) -> None:
        for device_id, (home_id, more) in added.items():
            self._added[device_id] = (home_id, self._added.get(device_id, (home_id, 0))[1] + more)
        for home_id, calls in refused.items():
            self._refused[home_id] = self._refused.get(home_id, 0) + calls

    def _run(self) -> None:
        noted: datetime | None = None
        while not self._closing:
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()
            self._attempt(self.refresh)
            now = self._clock.now()
            if self._folder is not None and (noted is None or abs((now - noted).total_seconds()) > 3600):
                noted, folder = now, self._folder
                self._attempt(lambda now=now, folder=folder: note_disk(self._database, folder, now))
        self._attempt(self.refresh)

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except DomainError as fault:
            log.warning("usage is written down later", reason=fault.sentence)
        except Exception as fault:  # noqa: BLE001  what was counted stays and is tried again
            log.error("usage not written down", fault=repr(fault))


def bytes_of(rows: Iterable[Row]) -> int:
    """About what they take once they are sealed."""
    return sum(VALUE_BYTES + (len(value) if isinstance(value, str) else 0) for _, _, _, value in rows)


class Plans:
    """Which plan each owner has: the one given, else the site's; a plan that is no more counts as the site's."""

    def __init__(self, tx: Tx) -> None:
        self.all = store.plans(tx)
        self.default = self.all.get(store.default_name(tx)) or BUILT_IN[UNLIMITED]
        self._given = store.plans_given(tx)

    def of(self, owner_id: int | None) -> Plan:
        """Of nobody the site's."""
        name = None if owner_id is None else self._given.get(owner_id)
        return self.default if name is None else self.all.get(name, self.default)

    @property
    def in_use(self) -> list[Plan]:
        return [self.default, *(self.all[name] for name in self._given.values() if name in self.all)]


def calls_per_minute(tx: Tx) -> dict[int, int]:
    """By home, of those whose owner's plan says."""
    plans = Plans(tx)
    if all(plan.ingest_per_minute is None for plan in plans.in_use):
        return {}
    planned = {home_id: plans.of(owner_id).ingest_per_minute for home_id, owner_id in homes.first_owners(tx).items()}
    return {home_id: per_minute for home_id, per_minute in planned.items() if per_minute is not None}


def accounts(tx: Tx) -> dict[int, Account]:
    """By home, of those whose owner's plan has a limit. A home without an owner is on its own."""
    plans = Plans(tx)
    if all(plan.storage_bytes is None for plan in plans.in_use):
        return {}
    used = store.usage_of_homes(tx)
    found: dict[int, Account] = {}
    by_owner: dict[int, Account] = {}
    for home_id, owner_id in homes.first_owners(tx).items():
        plan = plans.of(owner_id)
        if plan.storage_bytes is None:
            continue
        fresh = Account(plan, plan.storage_bytes, 0)
        account = fresh if owner_id is None else by_owner.setdefault(owner_id, fresh)
        account.used_bytes += used.get(home_id, 0)
        found[home_id] = account
    return found
