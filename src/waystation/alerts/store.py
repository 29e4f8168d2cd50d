"""Tables of rules, states, incidents and what a cool-down holds back; every statement on them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from waystation.alerts import machine
from waystation.alerts.machine import State
from waystation.alerts.model import Incident, Rule, Severity, Wish, kept, of_kept
from waystation.kernel.db import Moment, Tx, metadata, type_of_id

alert_rule = sa.Table(
    "alert_rule",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False, unique=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("wish", sa.JSON, nullable=False),
    sa.Column("is_enabled", sa.Boolean, nullable=False),
    sa.Column("armed_at", Moment, nullable=False),
    sa.Column("muted_until", Moment),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
    sa.Column("origin", sa.Text),
    sa.Index("alert_rule_home", "home_id"),
    sa.Index("alert_rule_origin", "home_id", "origin", unique=True),
    sqlite_autoincrement=True,
)

incident = sa.Table(
    "incident",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False, unique=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("rule_id", type_of_id, sa.ForeignKey("alert_rule.id", ondelete="SET NULL")),
    sa.Column("rule_uid", sa.Text, nullable=False),
    sa.Column("rule_name", sa.Text, nullable=False),
    sa.Column("rule_text", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("device_id", sa.BigInteger),
    sa.Column("device_key", sa.Text, nullable=False),
    sa.Column("device_name", sa.Text, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("opened_at", Moment, nullable=False),
    sa.Column("noticed_at", Moment, nullable=False),
    sa.Column("cleared_at", Moment),
    sa.Column("why_cleared", sa.Text, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("threshold", sa.Text, nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
    sa.Column("acked_at", Moment),
    sa.Column("acked_by", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Index("incident_home", "home_id", "id"),
    sa.Index("incident_open", "home_id", "cleared_at"),
    sa.Index("incident_rule", "rule_id"),
    sa.Index("incident_device", "device_id"),
    sqlite_autoincrement=True,
)

alert_state = sa.Table(
    "alert_state",
    metadata,
    sa.Column("rule_id", type_of_id, sa.ForeignKey("alert_rule.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("device_id", sa.BigInteger, primary_key=True),
    sa.Column("stamp", sa.BigInteger, nullable=False),
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("heard", sa.BigInteger, nullable=False),
    sa.Column("kept", sa.JSON, nullable=False),
    sa.Column("incident_id", sa.BigInteger),
)

# A cool-down that runs, for what fired or what recovered of a rule.
alert_window = sa.Table(
    "alert_window",
    metadata,
    sa.Column("rule_id", type_of_id, sa.ForeignKey("alert_rule.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("direction", sa.Text, primary_key=True),
    sa.Column("until", Moment, nullable=False),
    sa.Column("sent", sa.Integer, nullable=False),
)

# Devices that were told of in a cool-down, and how many times more something happened since.
alert_held = sa.Table(
    "alert_held",
    metadata,
    sa.Column("rule_id", type_of_id, sa.ForeignKey("alert_rule.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("direction", sa.Text, primary_key=True),
    sa.Column("device_id", sa.BigInteger, primary_key=True),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("line", sa.JSON, nullable=False),
)

RULE = [alert_rule.c[field.name] for field in fields(Rule)]
INCIDENT = [incident.c[field.name] for field in fields(Incident)]


# Rules


def add_rule(tx: Tx, uid: str, home_id: int, now: datetime, *, wish: Wish, is_enabled: bool, origin: str | None) -> int:
    values = {"uid": uid, "home_id": home_id, "wish": kept(wish), "is_enabled": is_enabled, "origin": origin}
    row = alert_rule.insert().values(armed_at=now, created_at=now, changed_at=now, **values)
    return tx.scalar(row.returning(alert_rule.c.id))


def rules(tx: Tx, home_id: int) -> list[Rule]:
    """By age."""
    return [_rule(row) for row in tx.all(sa.select(*RULE).where(alert_rule.c.home_id == home_id).order_by(RULE[0]))]


def enabled_rules(tx: Tx) -> list[Rule]:
    """Of all homes."""
    return [_rule(row) for row in tx.all(sa.select(*RULE).where(alert_rule.c.is_enabled).order_by(RULE[0]))]


def any_enabled(tx: Tx) -> bool:
    return tx.first(sa.select(alert_rule.c.id).where(alert_rule.c.is_enabled).limit(1)) is not None


def rule_by_uid(tx: Tx, home_id: int, uid: str) -> Rule | None:
    row = tx.first(sa.select(*RULE).where(alert_rule.c.uid == uid, alert_rule.c.home_id == home_id))
    return _rule(row) if row else None


def rule_by_origin(tx: Tx, home_id: int, origin: str) -> Rule | None:
    row = tx.first(sa.select(*RULE).where(alert_rule.c.home_id == home_id, alert_rule.c.origin == origin))
    return _rule(row) if row else None


def change_rule(tx: Tx, rule: Rule, now: datetime, **values: Any) -> bool:
    """Compare-and-set: False when somebody changed it since it was read."""
    mine = alert_rule.update().where(alert_rule.c.id == rule.id, alert_rule.c.changed_at == rule.changed_at)
    return tx.changed(mine.values(changed_at=now, **values))


def delete_rule(tx: Tx, rule_id: int) -> bool:
    return tx.changed(alert_rule.delete().where(alert_rule.c.id == rule_id))


def count_rules(tx: Tx, home_id: int) -> int:
    return tx.scalar(sa.select(sa.func.count()).select_from(alert_rule).where(alert_rule.c.home_id == home_id))


def _rule(row: Any) -> Rule:
    facts: dict[str, Any] = {**row._mapping, "wish": of_kept(row.wish)}  # noqa: SLF001  its public name for all columns
    return Rule(**facts)


# States


@dataclass(frozen=True, slots=True)
class Known:
    """A state as it was kept, with the last incident."""

    state: State
    incident_id: int | None
    cleared_at: datetime | None


def states(tx: Tx) -> dict[tuple[int, int], Known]:
    """By rule and device."""
    columns = (*alert_state.c, incident.c.cleared_at)
    wanted = sa.select(*columns).outerjoin_from(alert_state, incident, incident.c.id == alert_state.c.incident_id)
    return {(row.rule_id, row.device_id): _known(row) for row in tx.all(wanted)}


def _known(row: Any) -> Known:
    state = machine.of_json(row.kept, stamp=row.stamp, phase=row.phase, since=row.since, heard=row.heard)
    return Known(state, row.incident_id, row.cleared_at)


def keep_states(tx: Tx, found: Iterable[tuple[int, int, State, int | None]]) -> None:
    """As (rule, device, state, incident), in one order everywhere."""
    rows = [
        {
            "rule_id": rule_id,
            "device_id": device_id,
            "stamp": state.stamp,
            "phase": str(state.phase),
            "since": state.since,
            "heard": state.heard,
            "kept": machine.to_json(state),
            "incident_id": incident_id,
        }
        for rule_id, device_id, state, incident_id in found
    ]
    if rows:
        insert = tx.insert(alert_state)
        new = {name: insert.excluded[name] for name in ("stamp", "phase", "since", "heard", "kept", "incident_id")}
        tx.execute(insert.on_conflict_do_update(index_elements=["rule_id", "device_id"], set_=new), rows)


def keep_stamps(tx: Tx, found: Sequence[tuple[int, int, int]]) -> None:
    """As (rule, device, stamp), in one order everywhere, of states that were kept before: all else of them stays."""
    mine = (alert_state.c.rule_id == sa.bindparam("rule"), alert_state.c.device_id == sa.bindparam("device"))
    rows = [{"rule": rule_id, "device": device_id, "stamp": stamp} for rule_id, device_id, stamp in found]
    if rows:
        tx.connection.execute(alert_state.update().where(*mine), rows)


def forget_states(tx: Tx, rule_id: int) -> None:
    """Also what its cool-downs hold."""
    for table in (alert_state, alert_window, alert_held):
        tx.execute(sa.delete(table).where(table.c.rule_id == rule_id))


def forget_device(tx: Tx, device_id: int) -> None:
    for table in (alert_state, alert_held):
        tx.execute(sa.delete(table).where(table.c.device_id == device_id))


# Incidents


def add_incident(tx: Tx, **values: Any) -> int:
    return tx.scalar(incident.insert().values(**values).returning(incident.c.id))


def evidence_of(tx: Tx, incident_id: int) -> list[dict[str, Any]]:
    return tx.scalar(sa.select(incident.c.evidence).where(incident.c.id == incident_id)) or []


def reopen(tx: Tx, incident_id: int, *, value: str, evidence: list[dict[str, Any]]) -> str | None:
    """Its uid, or None when it is gone."""
    again = incident.update().where(incident.c.id == incident_id)
    values = {"cleared_at": None, "why_cleared": "", "times": incident.c.times + 1}
    return tx.scalar(again.values(value=value, evidence=evidence, **values).returning(incident.c.uid))


def clear(tx: Tx, incident_id: int, at: datetime, why: str) -> str | None:
    """Its uid, or None when it was closed before."""
    mine = incident.update().where(incident.c.id == incident_id, incident.c.cleared_at.is_(None))
    return tx.scalar(mine.values(cleared_at=at, why_cleared=why).returning(incident.c.uid))


def clear_of_rule(tx: Tx, rule_id: int, at: datetime, why: str) -> int:
    mine = incident.update().where(incident.c.rule_id == rule_id, incident.c.cleared_at.is_(None))
    return tx.execute(mine.values(cleared_at=at, why_cleared=why)).rowcount


def clear_of_device(tx: Tx, device_id: int, at: datetime, why: str) -> int:
    mine = incident.update().where(incident.c.device_id == device_id, incident.c.cleared_at.is_(None))
    return tx.execute(mine.values(cleared_at=at, why_cleared=why)).rowcount


def acknowledge(tx: Tx, incident_id: int, now: datetime, *, by: str, note: str) -> bool:
    """False when somebody has before."""
    mine = incident.update().where(incident.c.id == incident_id, incident.c.acked_at.is_(None))
    return tx.changed(mine.values(acked_at=now, acked_by=by, note=note))


def incident_by_uid(tx: Tx, home_id: int, uid: str) -> Incident | None:
    row = tx.first(sa.select(*INCIDENT).where(incident.c.uid == uid, incident.c.home_id == home_id))
    return _incident(row) if row else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which incidents of a home."""

    home_id: int
    is_open: bool | None = None
    is_acked: bool | None = None
    rule_uid: str = ""
    device_key: str = ""


def incidents(tx: Tx, wanted: Wanted, *, before: int | None = None, most: int = 100) -> list[Incident]:
    """Newest first; `before` is the id that the page before ended at."""
    found = sa.select(*INCIDENT).where(*_those(wanted))
    if before is not None:
        found = found.where(incident.c.id < before)
    return [_incident(row) for row in tx.all(found.order_by(incident.c.id.desc()).limit(most))]


def count_incidents(tx: Tx, wanted: Wanted) -> int:
    return tx.scalar(sa.select(sa.func.count()).select_from(incident).where(*_those(wanted)))


def count_open(tx: Tx, home_id: int) -> int:
    """Those that nobody has acknowledged."""
    return count_incidents(tx, Wanted(home_id, is_open=True, is_acked=False))


def open_by_rule(tx: Tx, home_id: int) -> dict[str, int]:
    """How many are open, by the rule's uid."""
    those = sa.select(incident.c.rule_uid, sa.func.count().label("open")).where(*_those(Wanted(home_id, is_open=True)))
    return {row.rule_uid: row.open for row in tx.all(those.group_by(incident.c.rule_uid))}


def _those(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    those: list[sa.ColumnElement[bool]] = [incident.c.home_id == wanted.home_id]
    if wanted.is_open is not None:
        those.append(incident.c.cleared_at.is_(None) if wanted.is_open else incident.c.cleared_at.is_not(None))
    if wanted.is_acked is not None:
        those.append(incident.c.acked_at.is_not(None) if wanted.is_acked else incident.c.acked_at.is_(None))
    if wanted.rule_uid:
        those.append(incident.c.rule_uid == wanted.rule_uid)
    if wanted.device_key:
        those.append(incident.c.device_key == wanted.device_key)
    return those


def _incident(row: Any) -> Incident:
    facts: dict[str, Any] = {**row._mapping, "severity": Severity(row.severity)}  # noqa: SLF001
    return Incident(**facts)


def forget_incidents(tx: Tx, cleared_before: datetime, most: int = 500) -> int:
    old = sa.select(incident.c.id).where(incident.c.cleared_at < cleared_before).limit(most)
    return tx.execute(incident.delete().where(incident.c.id.in_(old))).rowcount


# Cool-downs


class Window(NamedTuple):
    rule_id: int
    direction: str
    until: datetime
    sent: int


def windows(tx: Tx) -> dict[tuple[int, str], Window]:
    """By rule and direction."""
    return {(row.rule_id, row.direction): Window(*row) for row in tx.all(sa.select(alert_window))}


def keep_window(tx: Tx, window: Window) -> None:
    insert = tx.insert(alert_window).values(**window._asdict())
    new = {"until": window.until, "sent": window.sent}
    tx.execute(insert.on_conflict_do_update(index_elements=["rule_id", "direction"], set_=new))


def forget_window(tx: Tx, rule_id: int, direction: str) -> None:
    """With what it held."""
    for table in (alert_window, alert_held):
        tx.execute(sa.delete(table).where(table.c.rule_id == rule_id, table.c.direction == direction))


def told_devices(tx: Tx, rule_id: int, direction: str) -> set[int]:
    """Those that the cool-down knows."""
    mine = sa.select(alert_held.c.device_id).where(alert_held.c.rule_id == rule_id)
    return {row.device_id for row in tx.all(mine.where(alert_held.c.direction == direction))}


def hold(tx: Tx, rule_id: int, direction: str, lines: Mapping[int, tuple[int, dict[str, Any]]]) -> None:
    """By device: how many times more, and the newest line."""
    rows = [
        {"rule_id": rule_id, "direction": direction, "device_id": device_id, "times": times, "line": line}
        for device_id, (times, line) in sorted(lines.items())
    ]
    if rows:
        insert = tx.insert(alert_held)
        new = {"times": alert_held.c.times + insert.excluded.times, "line": insert.excluded.line}
        again = insert.on_conflict_do_update(index_elements=["rule_id", "direction", "device_id"], set_=new)
        tx.execute(again, rows)


def held(tx: Tx, rule_id: int, direction: str) -> Sequence[sa.Row[Any]]:
    """What was held back, by device."""
    mine = sa.select(alert_held).where(alert_held.c.rule_id == rule_id, alert_held.c.direction == direction)
    return tx.all(mine.where(alert_held.c.times > 0).order_by(alert_held.c.device_id))


def open_incidents_of(tx: Tx, uids: Collection[str]) -> set[str]:
    """Of these incidents those that are open."""
    found: set[str] = set()
    wanted = list(uids)
    for start in range(0, len(wanted), 500):
        some = sa.select(incident.c.uid).where(incident.c.uid.in_(wanted[start : start + 500]))
        found |= {row.uid for row in tx.all(some.where(incident.c.cleared_at.is_(None)))}
    return found
