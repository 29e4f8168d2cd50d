"""What people do with what is stored: look at it, say how long it is kept, delete it, and give each other plans."""

from dataclasses import dataclass
from datetime import datetime

from waystation import devices, homes, identity
from waystation.homes import Home
from waystation.kernel import audit, outbox, room
from waystation.kernel.audit import Actor
from waystation.kernel.clock import micros
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, Invalid, NotFound
from waystation.telemetry.keeping import store
from waystation.telemetry.keeping.disk import SCOPE, Disk
from waystation.telemetry.keeping.model import (
    ALL_PHRASE,
    BUILT_IN,
    RANGE_PHRASE,
    WEEK,
    Forecast,
    Limits,
    Plan,
    Range,
    check_limits,
    check_phrase,
    check_plan,
    forecast,
)
from waystation.telemetry.keeping.quota import CHANGED, Plans
from waystation.telemetry.keeping.sweeps import counting
from waystation.telemetry.keeping.sweeps import store as stored
from waystation.telemetry.model import EARLIEST, LATEST, first_from, last_until

MOST_RULES = 200
MOST_PLANS = 50
MOST_METRIC = 128
MOST_MODEL = 120


@dataclass(frozen=True, slots=True)
class DeviceUsage:
    key: str
    name: str
    size_bytes: int
    readings: int
    share: float  # of the home
    counted_at: datetime


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one home, and of all homes of its owner, which their plan counts together."""

    devices: list[DeviceUsage]
    size_bytes: int
    besides_bytes: int  # of files, packages and messages
    readings: int
    owner_bytes: int
    owner_homes: int
    plan: Plan
    forecast: Forecast
    counted_at: datetime | None  # the oldest of its devices' counts
    refused: int
    refused_at: datetime | None

    @property
    def percent(self) -> int | None:
        limit = self.plan.storage_bytes
        return None if limit is None else 100 * self.owner_bytes // limit


def usage(tx: Tx, home_id: int, now: datetime) -> Usage:
    owners = homes.first_owners(tx)
    owner = owners.get(home_id)
    mine = [home_id] if owner is None else [one for one, person in owners.items() if person == owner]
    plan = Plans(tx).of(owner)
    rows = store.usage_by_device(tx, home_id)
    placed = devices.placed(tx, [row.device_id for row in rows])
    total = sum(row.size_bytes for row in rows)
    owner_bytes = sum(store.usage_of_home(tx, one) for one in mine)
    samples = store.sizes(tx, [counting.scope_of(one) for one in mine], now - WEEK)
    refused = store.refused(tx, home_id)
    return Usage(
        devices=[
            DeviceUsage(
                placed[row.device_id].key,
                placed[row.device_id].name,
                row.size_bytes,
                row.readings,
                row.size_bytes / total if total else 0,
                row.counted_at,
            )
            for row in rows
            if row.device_id in placed
        ],
        size_bytes=total,
        besides_bytes=room.used_by(tx, home_id),
        readings=sum(row.readings for row in rows),
        owner_bytes=owner_bytes,
        owner_homes=len(mine),
        plan=plan,
        forecast=forecast(samples, owner_bytes, plan.storage_bytes, now),
        counted_at=min((row.counted_at for row in rows), default=None),
        refused=0 if refused is None else refused.calls,
        refused_at=None if refused is None else refused.last_at,
    )


def disk_forecast(tx: Tx, disk: Disk, now: datetime) -> Forecast:
    return forecast(store.sizes(tx, [SCOPE], now - WEEK), disk.used_bytes, disk.total_bytes, now)


def count_again(tx: Tx, home_id: int) -> None:
    """Within the next seconds, by the sweep."""
    counting.count_again(tx, home_id)


# How long


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule is about; an empty word is any."""

    device_key: str = ""
    model: str = ""
    metric: str = ""


def set_retention(tx: Tx, by: Actor, home_id: int, scope: Scope, *, limits: Limits, now: datetime) -> None:
    check_limits(limits)
    if len(scope.model) > MOST_MODEL or len(scope.metric) > MOST_METRIC:
        raise Invalid("that is longer than the name of any metric or device model")
    if not (scope.device_key + scope.model + scope.metric).isprintable():
        raise Invalid("names of devices, models and metrics have no control characters")
    if scope.device_key and scope.model:
        raise Invalid("say a device or a device model, not both")
    if len(store.rules(tx, home_id)) >= MOST_RULES:
        raise Conflict(f"a home has at most {MOST_RULES} rules; delete one first")
    device = devices.find(tx, home_id, scope.device_key) if scope.device_key else None
    about = {"model": scope.model.strip(), "metric": scope.metric.strip()}
    store.set_rule(tx, home_id, device.id if device else None, **about, **limits._asdict())
    told = {name: text for name, text in {"device": scope.device_key, **about}.items() if text}
    audit.note(tx, by, "changed how long readings are kept", f"home:{home_id}", now=now, **told, **limits._asdict())


def delete_retention(tx: Tx, by: Actor, home_id: int, rule_id: int, *, now: datetime) -> None:
    if not store.delete_rule(tx, home_id, rule_id):
        raise NotFound("there is no such rule")
    audit.note(tx, by, "deleted a rule of how long readings are kept", f"home:{home_id}", now=now, rule=rule_id)


# Deleting


@dataclass(frozen=True, slots=True)
class Unwanted:
    """What is to go: of one device or of all, in a span of time or all there is. `typed` says that it is meant."""

    device_key: str = ""
    first: datetime | None = None
    last: datetime | None = None
    typed: str = ""


def phrase_for(unwanted: Unwanted, device_name: str) -> str:
    """What has to be typed: the device's name, or words for a range and for everything."""
    if unwanted.first is not None or unwanted.last is not None:
        return RANGE_PHRASE
    return device_name or ALL_PHRASE


def ask_deletion(tx: Tx, by: Actor, home_id: int, unwanted: Unwanted, *, now: datetime) -> int:
    """Its number. A sweep does it; Conflict while another one of this home runs."""
    if not unwanted.device_key.isprintable():
        raise NotFound("there is no such device")
    device = devices.find(tx, home_id, unwanted.device_key) if unwanted.device_key else None
    name = device.name if device else ""
    check_phrase(unwanted.typed, phrase_for(unwanted, name))
    if store.open_deletion(tx, home_id) is not None:
        raise Conflict("a deletion of this home runs already; wait for it or cancel it")
    span = range_of(unwanted)
    ids = [device.id] if device else devices.ids_of(tx, home_id)
    number = store.add_deletion(
        tx,
        home_id=home_id,
        device_id=device.id if device else None,
        device_name=name,
        first_stamp=span.first,
        last_stamp=span.last,
        asked_by=by.who,
        asked_at=now,
        series=stored.count_series(tx, ids),
    )
    words = {"device": unwanted.device_key or "all", "from": _text(unwanted.first), "to": _text(unwanted.last)}
    audit.note(tx, by, "asked to delete readings", f"home:{home_id}", now=now, deletion=number, **words)
    return number


def range_of(unwanted: Unwanted) -> Range:
    first = EARLIEST if unwanted.first is None else first_from(micros(unwanted.first))
    last = LATEST if unwanted.last is None else last_until(micros(unwanted.last))
    if first > last:
        raise Invalid("the end is before the beginning")
    return Range(max(first, EARLIEST), min(last, LATEST))


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def cancel_deletion(tx: Tx, by: Actor, home_id: int, number: int, *, now: datetime) -> None:
    """What went is gone; the rest stays."""
    if not store.cancel_deletion(tx, home_id, number, now):
        raise NotFound("no such deletion runs")
    audit.note(tx, by, "cancelled a deletion of readings", f"home:{home_id}", now=now, deletion=number)


# Plans


def save_plan(tx: Tx, by: Actor, plan: Plan, *, now: datetime) -> None:
    check_plan(plan)
    known = store.plans(tx)
    if plan.name not in known and len(known) >= MOST_PLANS:
        raise Conflict(f"there are {MOST_PLANS} plans already")
    store.save_plan(tx, plan)
    limits = {"storage_bytes": plan.storage_bytes, "ingest_per_minute": plan.ingest_per_minute}
    days = {"raw_days": plan.raw_days, "rollup_days": plan.rollup_days}
    audit.note(tx, by, "changed a plan", f"plan:{plan.name}", now=now, **limits, **days)
    outbox.notice(tx, CHANGED, {}, now)


def delete_plan(tx: Tx, by: Actor, name: str, *, now: datetime) -> None:
    """A built-in plan that was changed is as it was at first."""
    if name not in BUILT_IN and (people := store.has_plan(tx, name)):
        raise Conflict(f"{people} people have the plan {name}; give them another first")
    if not store.delete_plan(tx, name):
        raise NotFound("there is no such plan" if name not in BUILT_IN else f"the plan {name} is as it was at first")
    audit.note(tx, by, "deleted a plan", f"plan:{name}", now=now)
    outbox.notice(tx, CHANGED, {}, now)


def give_plan(tx: Tx, by: Actor, email: str, name: str, *, now: datetime) -> None:
    person = identity.person_by_email(tx, email.strip()) if email.isprintable() else None
    if person is None:
        raise NotFound("nobody here has that address")
    if name not in store.plans(tx):
        raise NotFound("there is no plan of that name")
    store.give_plan(tx, person.id, name, now)
    audit.note(tx, by, "gave a plan", f"person:{person.email}", now=now, plan=name)
    outbox.notice(tx, CHANGED, {}, now)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """An owner, the plan that they have and what they use of it."""

    email: str
    plan: str
    is_given: bool
    size_bytes: int
    homes: int


def subscribers(tx: Tx, most: int = 500) -> list[Subscriber]:
    """Whoever owns a home; the largest first."""
    plans, given, used = Plans(tx), store.plans_given(tx), store.usage_of_homes(tx)
    by_owner: dict[int, list[int]] = {}
    for home_id, owner in homes.first_owners(tx).items():
        if owner is not None:
            by_owner.setdefault(owner, []).append(home_id)
    sizes = {owner: sum(used.get(home, 0) for home in theirs) for owner, theirs in by_owner.items()}
    largest = sorted(by_owner, key=lambda owner: (-sizes[owner], owner))[:most]
    found: list[Subscriber] = []
    for owner in largest:
        person = identity.person_by_id(tx, owner)
        email = "(disabled account)" if person is None else person.email
        found.append(Subscriber(email, plans.of(owner).name, owner in given, sizes[owner], len(by_owner[owner])))
    return found


def home_named(tx: Tx, name: str) -> Home:
    """By name or id; without a name the first."""
    found = [home for home in homes.all_homes(tx) if name in (home.name, home.uid) or not name]
    if not found or (name and len(found) > 1):
        raise NotFound("say which home by its id; `waystation home list` shows them")
    return found[0]
