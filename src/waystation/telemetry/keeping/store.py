"""Tables of plans, usage, retention and deletions; every statement on them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation.kernel import room
from waystation.kernel.db import Database, Moment, Tx, metadata, type_of_id
from waystation.telemetry.keeping.model import BUILT_IN, UNLIMITED, Limits, Plan, Rule
from waystation.telemetry.store import among

plan = sa.Table(
    "plan",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("storage_bytes", sa.BigInteger),
    sa.Column("ingest_per_minute", sa.BigInteger),
    sa.Column("raw_days", sa.Integer),
    sa.Column("rollup_days", sa.Integer),
)

person_plan = sa.Table(
    "person_plan",
    metadata,
    sa.Column("person_id", type_of_id, sa.ForeignKey("person.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("given_at", Moment, nullable=False),
)

# One row: the plan of owners who have not been given another, as the settings of the running program say.
default_plan = sa.Table(
    "default_plan",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False),
)

# What a device has stored when it was last counted, and what has come since.
usage = sa.Table(
    "usage",
    metadata,
    sa.Column("device_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("added_bytes", sa.BigInteger, nullable=False),
    sa.Column("readings", sa.BigInteger, nullable=False),
    sa.Column("counted_at", Moment, nullable=False),
    sa.Index("usage_home", "home_id"),
    sa.Index("usage_counted", "counted_at"),
)

# One size a day, of a home or of the disk.
growth = sa.Table(
    "growth",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("at", Moment, nullable=False),
)

refusal = sa.Table(
    "refusal",
    metadata,
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("since_at", Moment, nullable=False),
    sa.Column("last_at", Moment, nullable=False),
)

quota_warning = sa.Table(
    "quota_warning",
    metadata,
    sa.Column("person_id", type_of_id, sa.ForeignKey("person.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("percent", sa.Integer, nullable=False),
    sa.Column("told_at", Moment, nullable=False),
)

retention = sa.Table(
    "retention",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE")),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("raw_days", sa.Integer),
    sa.Column("rollup_days", sa.Integer),
    sa.Index("retention_home", "home_id"),
    sa.Index("retention_device", "device_id"),
)

# Raw values before `stamp` are gone for good: the sealer drops what comes later, and counts it.
kept_from = sa.Table(
    "kept_from",
    metadata,
    sa.Column("series_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("stamp", sa.BigInteger, nullable=False),
    sa.Column("dropped", sa.BigInteger, nullable=False),
)

# One row: how far the retention sweep has come, by series.
retention_round = sa.Table(
    "retention_round",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("series_id", sa.BigInteger, nullable=False),
    sa.Column("began_at", Moment, nullable=False),
    sa.Column("ended_at", Moment),
    sa.Column("readings", sa.BigInteger, nullable=False),
    sa.Column("chunks", sa.BigInteger, nullable=False),
)

deletion = sa.Table(
    "deletion",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("device_id", sa.BigInteger),  # None is every device of the home
    sa.Column("device_name", sa.Text, nullable=False),
    sa.Column("first_stamp", sa.BigInteger, nullable=False),
    sa.Column("last_stamp", sa.BigInteger, nullable=False),
    sa.Column("asked_by", sa.Text, nullable=False),
    sa.Column("asked_at", Moment, nullable=False),
    sa.Column("series", sa.Integer, nullable=False),
    sa.Column("series_done", sa.Integer, nullable=False),
    sa.Column("last_series", sa.BigInteger, nullable=False),
    sa.Column("readings", sa.BigInteger, nullable=False),
    sa.Column("ended_at", Moment),
    sa.Column("was_cancelled", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("deletion_home", "home_id"),
    sa.Index("deletion_open", "ended_at"),
)


def _upsert(tx: Tx, table: sa.Table, key: Sequence[str], values: Mapping[str, Any]) -> None:
    insert = tx.insert(table).values(**values)
    others = {name: value for name, value in values.items() if name not in key}
    tx.execute(insert.on_conflict_do_update(index_elements=list(key), set_=others))


# Plans


def plans(tx: Tx) -> dict[str, Plan]:
    """The built-in ones, as far as nobody has changed them, and those that were added; by size."""
    found = dict(BUILT_IN) | {row.name: Plan(*row) for row in tx.all(sa.select(plan))}
    largest = 1 << 62
    return dict(sorted(found.items(), key=lambda item: (item[1].storage_bytes or largest, item[0])))


def save_plan(tx: Tx, one: Plan) -> None:
    values = {column.name: getattr(one, column.name) for column in plan.c}
    _upsert(tx, plan, ["name"], values)


def delete_plan(tx: Tx, name: str) -> bool:
    return tx.changed(plan.delete().where(plan.c.name == name))


def default_name(tx: Tx) -> str:
    return tx.scalar(sa.select(default_plan.c.name)) or UNLIMITED


def set_default(tx: Tx, name: str) -> None:
    _upsert(tx, default_plan, ["id"], {"id": 1, "name": name})


def plans_given(tx: Tx) -> dict[int, str]:
    """By person."""
    return {row.person_id: row.plan for row in tx.all(sa.select(person_plan.c.person_id, person_plan.c.plan))}


def give_plan(tx: Tx, person_id: int, name: str, now: datetime) -> None:
    _upsert(tx, person_plan, ["person_id"], {"person_id": person_id, "plan": name, "given_at": now})


def has_plan(tx: Tx, name: str) -> int:
    """How many people have been given it."""
    return tx.scalar(sa.select(sa.func.count()).select_from(person_plan).where(person_plan.c.plan == name))


# Usage


def add_usage(tx: Tx, added: Mapping[int, tuple[int, int]], now: datetime) -> None:
    """`added` is {device id: (home id, bytes)}. In one order everywhere, so that two processes cannot deadlock."""
    rows = [
        {
            "device_id": device_id,
            "home_id": home_id,
            "size_bytes": 0,
            "added_bytes": more,
            "readings": 0,
            "counted_at": now,
        }
        for device_id, (home_id, more) in sorted(added.items())
    ]
    insert = tx.insert(usage)
    more = {"added_bytes": usage.c.added_bytes + insert.excluded.added_bytes}
    tx.execute(insert.on_conflict_do_update(index_elements=["device_id"], set_=more), rows)


def usage_of_homes(tx: Tx) -> dict[int, int]:
    """Bytes of readings, and of what other features have stored."""
    total = sa.func.sum(usage.c.size_bytes + usage.c.added_bytes).label("total")
    found = Counter(room.used(tx))
    for row in tx.all(sa.select(usage.c.home_id, total).group_by(usage.c.home_id)):
        found[row.home_id] += int(row.total)
    return found


def usage_of_home(tx: Tx, home_id: int) -> int:
    total = sa.func.coalesce(sa.func.sum(usage.c.size_bytes + usage.c.added_bytes), 0)
    return int(tx.scalar(sa.select(total).where(usage.c.home_id == home_id))) + room.used_by(tx, home_id)


def usage_by_device(tx: Tx, home_id: int) -> Sequence[sa.Row[Any]]:
    """The largest first."""
    total = usage.c.size_bytes + usage.c.added_bytes
    columns = (usage.c.device_id, total.label("size_bytes"), usage.c.readings, usage.c.counted_at)
    return tx.all(sa.select(*columns).where(usage.c.home_id == home_id).order_by(total.desc(), usage.c.device_id))


def counted(tx: Tx, device_ids: Collection[int]) -> dict[int, int]:
    """Bytes added since the last count, of those that have one."""
    found = sa.select(usage.c.device_id, usage.c.added_bytes).where(usage.c.device_id.in_(device_ids))
    return {row.device_id: row.added_bytes for row in tx.all(found)}


def set_usage(tx: Tx, rows: Sequence[Mapping[str, Any]], before: Mapping[int, int]) -> None:
    """`before` is what `counted` said when it was counted: what came meanwhile stays added."""
    if not rows:
        return
    insert = tx.insert(usage)
    since = usage.c.added_bytes - sa.bindparam("seen", type_=sa.BigInteger)
    names = ("size_bytes", "readings", "counted_at")
    new = {name: insert.excluded[name] for name in names} | {"added_bytes": sa.case((since > 0, since), else_=0)}
    statement = insert.on_conflict_do_update(index_elements=["device_id"], set_=new)
    values = [{**row, "added_bytes": 0, "seen": before.get(row["device_id"], 0)} for row in rows]
    tx.execute(statement.values({name: sa.bindparam(name) for name in (*rows[0], "added_bytes")}), values)


def due_for_counting(tx: Tx, before: datetime, most: int) -> list[int]:
    """Devices counted longest ago."""
    old = sa.select(usage.c.device_id).where(usage.c.counted_at <= before).order_by(usage.c.counted_at).limit(most)
    return [row.device_id for row in tx.all(old)]


def count_again(tx: Tx, home_id: int, longest_ago: datetime) -> None:
    tx.execute(usage.update().where(usage.c.home_id == home_id).values(counted_at=longest_ago))


def forget_usage(tx: Tx, device_ids: Collection[int]) -> None:
    tx.execute(usage.delete().where(usage.c.device_id.in_(device_ids)))


def note_refused(tx: Tx, calls: Mapping[int, int], now: datetime) -> None:
    """By home."""
    insert = tx.insert(refusal)
    for home_id, more in sorted(calls.items()):
        new = {"calls": refusal.c.calls + more, "last_at": now}
        first = insert.values(home_id=home_id, calls=more, since_at=now, last_at=now)
        tx.execute(first.on_conflict_do_update(index_elements=["home_id"], set_=new))


def refused(tx: Tx, home_id: int) -> sa.Row[Any] | None:
    return tx.first(
        sa.select(refusal.c.calls, refusal.c.since_at, refusal.c.last_at).where(refusal.c.home_id == home_id)
    )


def forget_refused(tx: Tx, last_before: datetime) -> int:
    return tx.execute(refusal.delete().where(refusal.c.last_at < last_before)).rowcount


# Growth and warnings


def note_size(tx: Tx, scope: str, size: int, now: datetime) -> None:
    _upsert(tx, growth, ["scope", "day"], {"scope": scope, "day": _day(now), "size_bytes": size, "at": now})


def sizes(tx: Tx, scopes: Collection[str], since: datetime) -> list[tuple[datetime, int]]:
    """By day; of several scopes their sum, on the days on which all of them have one."""
    wanted = growth.c.scope.in_(scopes) & (growth.c.at >= since)
    columns = (sa.func.max(growth.c.at).label("at"), sa.func.sum(growth.c.size_bytes).label("size"))
    rows = tx.all(sa.select(growth.c.day, *columns).where(wanted).group_by(growth.c.day).order_by(growth.c.day))
    return [(row.at, int(row.size)) for row in rows]


def forget_sizes(tx: Tx, before: datetime) -> int:
    return tx.execute(growth.delete().where(growth.c.at < before)).rowcount


def _day(now: datetime) -> int:
    return int(now.timestamp()) // 86_400


def warned(tx: Tx, person_id: int) -> int:
    """The last percentage that they were told; 0 for none."""
    return tx.scalar(sa.select(quota_warning.c.percent).where(quota_warning.c.person_id == person_id)) or 0


def warn(tx: Tx, person_id: int, percent: int, now: datetime, *, before: int) -> bool:
    """Compare-and-set: of two processes one tells."""
    values = {"percent": percent, "told_at": now}
    if before:
        mine = quota_warning.update().where(quota_warning.c.person_id == person_id, quota_warning.c.percent == before)
        return tx.changed(mine.values(**values))
    insert = tx.insert(quota_warning)
    return tx.changed(insert.values(person_id=person_id, **values).on_conflict_do_nothing())


def forget_warning(tx: Tx, person_id: int) -> None:
    tx.execute(quota_warning.delete().where(quota_warning.c.person_id == person_id))


# How long


def rules(tx: Tx, home_id: int | None = None) -> list[Rule]:
    """Of one home, or of all; the home's own first."""
    found = sa.select(retention) if home_id is None else sa.select(retention).where(retention.c.home_id == home_id)
    return sorted(
        (
            Rule(row.id, row.home_id, row.device_id, row.model, row.metric, Limits(row.raw_days, row.rollup_days))
            for row in tx.all(found.order_by(retention.c.id))
        ),
        key=lambda rule: (rule.rank, rule.id),
    )


def set_rule(tx: Tx, home_id: int, device_id: int | None, **values: Any) -> None:
    """`values` are model, metric, raw_days, rollup_days; a rule about the same is replaced."""
    same = (
        retention.c.home_id == home_id,
        retention.c.device_id.is_(None) if device_id is None else retention.c.device_id == device_id,
        retention.c.model == values["model"],
        retention.c.metric == values["metric"],
    )
    tx.execute(retention.delete().where(*same))
    tx.execute(retention.insert().values(home_id=home_id, device_id=device_id, **values))


def delete_rule(tx: Tx, home_id: int, rule_id: int) -> bool:
    return tx.changed(retention.delete().where(retention.c.id == rule_id, retention.c.home_id == home_id))


def kept_since(tx: Tx, series_ids: Collection[int]) -> dict[int, int]:
    """The stamp from which raw values are kept, of those series of which some have gone."""
    found = sa.select(kept_from.c.series_id, kept_from.c.stamp).where(among(tx, kept_from.c.series_id, series_ids))
    return {row.series_id: row.stamp for row in tx.all(found)}


def keep_from(tx: Tx, stamps: Mapping[int, int]) -> None:
    """Never back."""
    if not stamps:
        return
    insert = tx.insert(kept_from)
    later = insert.on_conflict_do_update(
        index_elements=["series_id"],
        set_={"stamp": insert.excluded.stamp},
        where=kept_from.c.stamp < insert.excluded.stamp,
    )
    tx.execute(later, [{"series_id": one, "stamp": stamp, "dropped": 0} for one, stamp in sorted(stamps.items())])


def count_dropped(tx: Tx, dropped: Mapping[int, int]) -> None:
    """Values that came too late to be kept, by series."""
    for series_id, more in sorted(dropped.items()):
        mine = kept_from.update().where(kept_from.c.series_id == series_id)
        tx.execute(mine.values(dropped=kept_from.c.dropped + more))


def dropped_of(tx: Tx, series_ids: Collection[int]) -> int:
    total = sa.func.coalesce(sa.func.sum(kept_from.c.dropped), 0)
    return int(tx.scalar(sa.select(total).where(among(tx, kept_from.c.series_id, series_ids))))


def round_now(tx: Tx) -> sa.Row[Any] | None:
    return tx.first(sa.select(retention_round))


def set_round(tx: Tx, **values: Any) -> None:
    """Columns of retention_round."""
    _upsert(tx, retention_round, ["id"], {"id": 1, **values})


# Deletions


def add_deletion(tx: Tx, **values: Any) -> int:
    new = deletion.insert().values(series_done=0, last_series=0, readings=0, **values)
    return tx.scalar(new.returning(deletion.c.id))


def deletions(tx: Tx, home_id: int, most: int = 10) -> Sequence[sa.Row[Any]]:
    """Newest first."""
    return tx.all(sa.select(deletion).where(deletion.c.home_id == home_id).order_by(deletion.c.id.desc()).limit(most))


def deletion_by_id(tx: Tx, deletion_id: int) -> sa.Row[Any] | None:
    return tx.first(sa.select(deletion).where(deletion.c.id == deletion_id))


def open_deletion(tx: Tx, home_id: int | None = None) -> sa.Row[Any] | None:
    """The one that was asked for first and is not done."""
    waiting = sa.select(deletion).where(deletion.c.ended_at.is_(None))
    if home_id is not None:
        waiting = waiting.where(deletion.c.home_id == home_id)
    return tx.first(waiting.order_by(deletion.c.id).limit(1))


def advance_deletion(tx: Tx, seen: Any, **values: Any) -> bool:
    """Compare-and-set: False when it was cancelled, or somebody else did this step."""
    mine = deletion.update().where(
        deletion.c.id == seen.id,
        deletion.c.ended_at.is_(None),
        deletion.c.last_series == seen.last_series,
        deletion.c.readings == seen.readings,
    )
    return tx.changed(mine.values(**values))


def cancel_deletion(tx: Tx, home_id: int, deletion_id: int, now: datetime) -> bool:
    mine = deletion.update().where(
        deletion.c.id == deletion_id, deletion.c.home_id == home_id, deletion.c.ended_at.is_(None)
    )
    return tx.changed(mine.values(ended_at=now, was_cancelled=True))


def forget_deletions(tx: Tx, ended_before: datetime) -> int:
    return tx.execute(deletion.delete().where(deletion.c.ended_at < ended_before)).rowcount


# The file


def sqlite_pages(tx: Tx) -> tuple[int, int, int]:
    """Bytes of a page, how many there are, and how many of them are unused."""
    return tuple(tx.scalar(sa.text(f"pragma {name}")) for name in ("page_size", "page_count", "freelist_count"))  # type: ignore[return-value]


def vacuum(database: Database) -> None:
    """Outside of any transaction, as SQLite wants it."""
    connection = database.engine.raw_connection()
    try:
        connection.cursor().execute("vacuum")
        connection.cursor().execute("pragma wal_checkpoint(truncate)")
    finally:
        connection.close()
