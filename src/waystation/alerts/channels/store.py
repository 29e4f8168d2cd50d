"""Tables of channels and of what went out by them, and every statement on them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation.kernel.db import Moment, Tx, metadata, type_of_id

channel = sa.Table(
    "alert_channel",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("is_enabled", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("sent_at", Moment),
    sa.Column("failed_at", Moment),
    sa.Column("fault", sa.Text),
    sa.Index("alert_channel_home", "home_id"),
)

delivery = sa.Table(
    "alert_delivery",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("channel_id", type_of_id, sa.ForeignKey("alert_channel.id", ondelete="SET NULL")),
    sa.Column("channel_name", sa.Text, nullable=False),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("to", sa.Text, nullable=False),
    sa.Column("dedupe", sa.Text, nullable=False),
    sa.Column("notice", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("put_at", Moment, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("sent_at", Moment),
    sa.Column("given_up_at", Moment),
    sa.Column("fault", sa.Text),
    sa.Index("alert_delivery_once", "channel_id", "to", "dedupe", unique=True),
    sa.Index("alert_delivery_home", "home_id", "id"),
    sa.Index("alert_delivery_put", "put_at"),
)

delivered_incident = sa.Table(
    "alert_delivered_incident",
    metadata,
    sa.Column("delivery_id", type_of_id, sa.ForeignKey("alert_delivery.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("incident_uid", sa.Text, primary_key=True),
    sa.Index("alert_delivered_incident_uid", "incident_uid"),
)


def of_home(tx: Tx, home_id: int) -> Sequence[sa.Row[Any]]:
    return tx.all(channel.select().where(channel.c.home_id == home_id).order_by(channel.c.id))


def by_id(tx: Tx, home_id: int, channel_id: int) -> sa.Row[Any] | None:
    return tx.first(channel.select().where(channel.c.home_id == home_id, channel.c.id == channel_id))


def add(tx: Tx, home_id: int, now: datetime, **values: Any) -> int:
    """`values`: kind, name, config, sealed, is_enabled."""
    statement = channel.insert().values(home_id=home_id, created_at=now, **values).returning(channel.c.id)
    return tx.scalar(statement)


def change(tx: Tx, home_id: int, channel_id: int, values: Mapping[str, Any]) -> bool:
    mine = channel.update().where(channel.c.home_id == home_id, channel.c.id == channel_id)
    return tx.changed(mine.values(**values))


def remove(tx: Tx, home_id: int, channel_id: int) -> bool:
    return tx.changed(channel.delete().where(channel.c.home_id == home_id, channel.c.id == channel_id))


def sealed(tx: Tx) -> Sequence[sa.Row[Any]]:
    """Every channel of the site that keeps a secret."""
    return tx.all(channel.select().where(channel.c.sealed.is_not(None)))


def replace_sealed(tx: Tx, channel_id: int, before: bytes, *, after: bytes) -> bool:
    same = channel.update().where(channel.c.id == channel_id, channel.c.sealed == before)
    return tx.changed(same.values(sealed=after))


def add_delivery(tx: Tx, **values: Any) -> int | None:
    """None when this notice has been put for this address of the channel before."""
    statement = tx.insert(delivery).values(**values)
    once = statement.on_conflict_do_nothing(index_elements=["channel_id", "to", "dedupe"]).returning(delivery.c.id)
    return tx.scalar(once)


def add_incidents(tx: Tx, delivery_id: int, incident_uids: Sequence[str]) -> None:
    rows = [{"delivery_id": delivery_id, "incident_uid": uid} for uid in dict.fromkeys(incident_uids)]
    if rows:
        tx.execute(delivered_incident.insert(), rows)


def note_sent(tx: Tx, delivery_id: int, now: datetime) -> None:
    one = delivery.update().where(delivery.c.id == delivery_id)
    tx.execute(one.values(sent_at=now, tries=delivery.c.tries + 1))
    mine = sa.select(delivery.c.channel_id).where(delivery.c.id == delivery_id).scalar_subquery()
    tx.execute(channel.update().where(channel.c.id == mine).values(sent_at=now, fault=None))


def note_fault(tx: Tx, delivery_id: int, now: datetime, *, fault: str, is_final: bool) -> None:
    ended = {"given_up_at": now} if is_final else {}
    one = delivery.update().where(delivery.c.id == delivery_id)
    tx.execute(one.values(fault=fault[:500], tries=delivery.c.tries + 1, **ended))
    mine = sa.select(delivery.c.channel_id).where(delivery.c.id == delivery_id).scalar_subquery()
    tx.execute(channel.update().where(channel.c.id == mine).values(failed_at=now, fault=fault[:500]))


def deliveries_of_incident(tx: Tx, home_id: int, incident_uid: str) -> Sequence[sa.Row[Any]]:
    """Oldest first."""
    found = delivery.join(delivered_incident, delivered_incident.c.delivery_id == delivery.c.id)
    about = (delivered_incident.c.incident_uid == incident_uid, delivery.c.home_id == home_id)
    return tx.all(sa.select(delivery).select_from(found).where(*about).order_by(delivery.c.id))


def newest_deliveries(tx: Tx, home_id: int, most: int) -> Sequence[sa.Row[Any]]:
    mine = delivery.select().where(delivery.c.home_id == home_id)
    return tx.all(mine.order_by(delivery.c.id.desc()).limit(most))


def delivery_by_id(tx: Tx, home_id: int, delivery_id: int) -> sa.Row[Any] | None:
    return tx.first(delivery.select().where(delivery.c.home_id == home_id, delivery.c.id == delivery_id))


def change_delivery(tx: Tx, delivery_id: int, **values: Any) -> None:
    tx.execute(delivery.update().where(delivery.c.id == delivery_id).values(**values))


def forget_deliveries(tx: Tx, before: datetime, most: int) -> int:
    old = sa.select(delivery.c.id).where(delivery.c.put_at < before).limit(most)
    return tx.execute(delivery.delete().where(delivery.c.id.in_(old))).rowcount
