"""What people do with rules and incidents: make, change, mute and delete; look, acknowledge."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from waystation import devices
from waystation.alerts import store
from waystation.alerts.model import Incident, Rule, Scope, Wish, in_words
from waystation.devices import DeviceDeleted
from waystation.kernel import audit
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, Invalid, NotFound
from waystation.telemetry import follow

FOLLOWER = "alerts"
MOST_RULES = 5000
MOST_NOTE = 500
KEEP_INCIDENTS = timedelta(days=731)


def add(
    tx: Tx, by: Actor, home_id: int, now: datetime, *, wish: Wish, is_enabled: bool = True, origin: str | None = None
) -> Rule:
    """It looks at readings that come from now on."""
    wish = _possible(tx, home_id, wish)
    if store.count_rules(tx, home_id) >= MOST_RULES:
        raise Conflict(f"this home has {MOST_RULES} alert rules already")
    uid = str(uuid.uuid4())
    store.add_rule(tx, uid, home_id, now, wish=wish, is_enabled=is_enabled, origin=origin)
    _orders_changed(tx, now)
    audit.note(tx, by, "add alert rule", wish.name, now=now, rule=in_words(wish), uid=uid)
    return find(tx, home_id, uid)


def put(tx: Tx, by: Actor, home_id: int, now: datetime, *, origin: str, wish: Wish, is_enabled: bool = True) -> Rule:
    """The rule that another feature keeps under the name `origin`: made when it is missing, else brought to this."""
    known = of_origin(tx, home_id, origin)
    if known is None:
        return add(tx, by, home_id, now, wish=wish, is_enabled=is_enabled, origin=origin)
    if known.wish != _possible(tx, home_id, wish):
        known = change(tx, by, known, now, wish=wish)
    return enable(tx, by, known, now, is_enabled=is_enabled)


def of_origin(tx: Tx, home_id: int, origin: str) -> Rule | None:
    return store.rule_by_origin(tx, home_id, origin)


def find(tx: Tx, home_id: int, uid: str) -> Rule:
    found = store.rule_by_uid(tx, home_id, uid)
    if found is None:
        raise NotFound("there is no alert rule of that id here")
    return found


def rules_of_device(tx: Tx, home_id: int, key: str) -> list[Rule]:
    """Those that are for this device alone."""
    return [rule for rule in store.rules(tx, home_id) if (rule.wish.scope, rule.wish.target) == (Scope.DEVICE, key)]


def change(tx: Tx, by: Actor, rule: Rule, now: datetime, *, wish: Wish) -> Rule:
    """What it watches starts anew when the condition, the metric, the target or the schedule is another one."""
    wish = _possible(tx, rule.home_id, wish)
    watches = (wish.when, wish.metric, wish.scope, wish.target, wish.schedule)
    is_new = watches != (rule.wish.when, rule.wish.metric, rule.wish.scope, rule.wish.target, rule.wish.schedule)
    armed = {"armed_at": now} if is_new else {}
    _change(tx, rule, now, wish=store.kept(wish), **armed)
    if is_new:
        _start_anew(tx, rule, now, "the rule was changed")
    _orders_changed(tx, now)
    audit.note(tx, by, "change alert rule", wish.name, now=now, rule=in_words(wish), uid=rule.uid)
    return find(tx, rule.home_id, rule.uid)


def enable(tx: Tx, by: Actor, rule: Rule, now: datetime, *, is_enabled: bool) -> Rule:
    if rule.is_enabled is is_enabled:
        return rule
    _change(tx, rule, now, is_enabled=is_enabled, armed_at=now)
    _start_anew(tx, rule, now, "the rule was switched off")
    _orders_changed(tx, now)
    audit.note(tx, by, f"{'enable' if is_enabled else 'disable'} alert rule", rule.wish.name, now=now, uid=rule.uid)
    return find(tx, rule.home_id, rule.uid)


def mute(tx: Tx, by: Actor, rule: Rule, now: datetime, *, until: datetime | None) -> Rule:
    """Incidents are recorded all the same, and nobody is told until then; None ends it."""
    if until is not None and not now < until <= now + timedelta(days=3660):
        raise Invalid("a rule is muted until a time in the future, at most ten years ahead")
    _change(tx, rule, now, muted_until=until)
    _orders_changed(tx, now)
    told = {} if until is None else {"until": until.isoformat()}
    audit.note(tx, by, "mute alert rule" if until else "unmute alert rule", rule.wish.name, now=now, **told)
    return find(tx, rule.home_id, rule.uid)


def delete(tx: Tx, by: Actor, rule: Rule, now: datetime) -> None:
    """Its incidents stay as history."""
    store.clear_of_rule(tx, rule.id, now, "the rule was deleted")
    store.delete_rule(tx, rule.id)
    _orders_changed(tx, now)
    audit.note(tx, by, "delete alert rule", rule.wish.name, now=now, rule=in_words(rule.wish), uid=rule.uid)


def _possible(tx: Tx, home_id: int, wish: Wish) -> Wish:
    """Checked; a device may be named by its serial as well, and must be the home's."""
    wish = wish.checked()
    if wish.scope is not Scope.DEVICE:
        return wish
    found = devices.by_key(tx, home_id, wish.target) or devices.by_serial(tx, home_id, wish.target)
    if found is None:
        raise Invalid("there is no device of that key in this home")
    return replace(wish, target=found.key)


def _change(tx: Tx, rule: Rule, now: datetime, **values: object) -> None:
    later = max(now, rule.changed_at + timedelta(microseconds=1))
    if not store.change_rule(tx, rule, later, **values):
        raise Conflict("somebody changed this rule meanwhile; look at it again")


def _start_anew(tx: Tx, rule: Rule, now: datetime, why: str) -> None:
    store.clear_of_rule(tx, rule.id, now, why)
    store.forget_states(tx, rule.id)


def _orders_changed(tx: Tx, now: datetime) -> None:
    """Without any rule nothing follows the tail, and the sealer waits for nobody."""
    if store.any_enabled(tx):
        follow.begin(tx, FOLLOWER, now)
    else:
        follow.end(tx, FOLLOWER)


def forget_device(tx: Tx, told: DeviceDeleted, now: datetime) -> None:
    """A deleted device's incidents are closed and stay as history."""
    store.clear_of_device(tx, told.device_id, now, "the device was deleted")
    store.forget_device(tx, told.device_id)
    follow.disturb(tx, FOLLOWER)


def forget_incidents(tx: Tx, now: datetime) -> int:
    """Those that ended two years ago."""
    return store.forget_incidents(tx, now - KEEP_INCIDENTS)


def in_utc(until: datetime | None) -> datetime | None:
    """A time without a zone is UTC."""
    return until.replace(tzinfo=UTC) if until is not None and until.tzinfo is None else until


# Incidents


def find_incident(tx: Tx, home_id: int, uid: str) -> Incident:
    found = store.incident_by_uid(tx, home_id, uid)
    if found is None:
        raise NotFound("there is no incident of that id here")
    return found


def acknowledge(tx: Tx, by: Actor, incident: Incident, now: datetime, *, note: str = "") -> Incident:
    """Who saw it first stays; doing it again changes nothing."""
    note = note.strip()
    if len(note) > MOST_NOTE or "\x00" in note:
        raise Invalid(f"a note has at most {MOST_NOTE} characters")
    if store.acknowledge(tx, incident.id, now, by=by.who, note=note):
        audit.note(tx, by, "acknowledge incident", incident.rule_name, now=now, incident=incident.uid, note=note)
    return find_incident(tx, incident.home_id, incident.uid)
