"""Tables of devices, external ids, credentials and claims; every statement on them."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from waystation.devices.model import REFRESH_GRACE, Credential, CredentialKind, CredentialState, Device
from waystation.kernel.db import Moment, Tx, metadata, type_of_id
from waystation.kernel.secrets import digest
from waystation.kernel.succession import Succession, Why, columns

device = sa.Table(
    "device",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("serial", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("disabled_at", Moment),
    sa.Column("last_seen_at", Moment),
    sa.Column("last_ip", sa.Text),
    sa.Column("pending_since", Moment),  # None once somebody has approved it
    sa.Column("said_id", sa.Text),  # what it calls itself when it renews its tokens; not unique, and no proof
    sa.Column("is_on_trial", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("online_seconds", sa.Integer),  # its own threshold, when it is more patient than the setting
    sa.Column("stolen_at", Moment),  # a spent token of it came back; None once it is paired again
    sa.Index("device_home", "home_id"),
    sqlite_autoincrement=True,
)

external_id = sa.Table(
    "external_id",
    metadata,
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE"), nullable=False),
    sa.Index("external_id_device", "device_id"),
)

credential = sa.Table(
    "credential",
    metadata,
    *columns(),
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("hint", sa.Text, nullable=False),
    sa.Column("last_used_at", Moment),
    sa.Index("credential_device", "device_id"),
    sa.Index("credential_lineage", "lineage"),
)
keys = Succession(credential)
refresh_tokens = Succession(credential, grace=REFRESH_GRACE, watched=True)

claim = sa.Table(
    "claim",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("used_at", Moment),
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE")),
    sa.Column("credential_digest", sa.LargeBinary),
)

registration = sa.Table(
    "registration",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("is_on_trial", sa.Boolean, nullable=False),
    sa.Column("is_approved", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE")),
    sa.Column("said_id", sa.Text),  # of the one device that used it
    sa.Column("revoked_at", Moment),
    sa.Index("registration_home", "home_id"),
    sa.Index("registration_device", "device_id"),
)

home_key = sa.Table(
    "home_key",
    metadata,
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("public_key", sa.Text, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

health_wish = sa.Table(
    "health_wish",
    metadata,
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("sends_mail", sa.Boolean, nullable=False),
    sa.Column("timeout_minutes", sa.Integer, nullable=False),
    sa.Column("reminder_minutes", sa.Integer, nullable=False),
)

silence = sa.Table(
    "silence",
    metadata,
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("alerted_at", Moment, nullable=False),
    sa.Column("reminded_at", Moment),
)


class Seen(NamedTuple):
    all: int
    online: int


class Placed(NamedTuple):
    """A device, where it is and of what model."""

    id: int
    home_id: int
    key: str
    name: str
    model: str


DEVICE_COLUMNS = [device.c[field.name] for field in fields(Device)]


def add(tx: Tx, **values: Any) -> int:
    return tx.scalar(device.insert().values(**values).returning(device.c.id))


def serial_is_free(tx: Tx, serial: str) -> bool:
    taken = sa.select(device.c.id).where(sa.or_(device.c.serial == serial, device.c.key == serial))
    return tx.first(taken) is None


BY_KEY = sa.select(*DEVICE_COLUMNS).where(
    device.c.key == sa.bindparam("key"), device.c.home_id == sa.bindparam("home_id")
)


def by_key(tx: Tx, home_id: int, key: str) -> Device | None:
    row = tx.execute(BY_KEY, {"key": key, "home_id": home_id}).first()
    return Device(*row) if row else None


def by_id(tx: Tx, device_id: int) -> Device | None:
    row = tx.first(sa.select(*DEVICE_COLUMNS).where(device.c.id == device_id))
    return Device(*row) if row else None


def by_serial(tx: Tx, home_id: int, serial: str) -> Device | None:
    row = tx.first(sa.select(*DEVICE_COLUMNS).where(device.c.serial == serial, device.c.home_id == home_id))
    return Device(*row) if row else None


def search(tx: Tx, home_id: int, words: str, most: int) -> list[Device]:
    """Devices whose name, key, serial or model contains every word, by name."""
    wanted = sa.select(*DEVICE_COLUMNS).where(device.c.home_id == home_id)
    for word in words.lower().split():
        text = sa.func.lower(device.c.name + " " + device.c.key + " " + device.c.serial + " " + device.c.model)
        wanted = wanted.where(text.contains(word, autoescape=True))
    return [Device(*row) for row in tx.all(wanted.order_by(sa.func.lower(device.c.name), device.c.id).limit(most))]


def placed(tx: Tx, device_ids: Collection[int]) -> dict[int, Placed]:
    """Of those that exist."""
    columns = (device.c.id, device.c.home_id, device.c.key, device.c.name, device.c.model)
    return {row.id: Placed(*row) for row in tx.all(sa.select(*columns).where(device.c.id.in_(device_ids)))}


def count(tx: Tx, home_id: int) -> int:
    return tx.scalar(sa.select(sa.func.count()).select_from(device).where(device.c.home_id == home_id))


def count_seen(tx: Tx, *, since: datetime) -> Seen:
    """Devices of every home."""
    online = sa.and_(device.c.last_seen_at >= since, device.c.disabled_at.is_(None))
    row = tx.first(sa.select(sa.func.count(), sa.func.count().filter(online)).select_from(device))
    return Seen(*row) if row else Seen(0, 0)


def rename(tx: Tx, device_id: int, name: str, model: str) -> bool:
    return tx.changed(device.update().where(device.c.id == device_id).values(name=name, model=model))


def set_disabled(tx: Tx, device_id: int, disabled_at: datetime | None) -> bool:
    before = device.c.disabled_at.is_not(None) if disabled_at is None else device.c.disabled_at.is_(None)
    return tx.changed(device.update().where(device.c.id == device_id, before).values(disabled_at=disabled_at))


def delete(tx: Tx, device_id: int) -> bool:
    return tx.changed(device.delete().where(device.c.id == device_id))


def seen(tx: Tx, rows: Sequence[tuple[int, datetime, str | None]]) -> None:
    """Last traffic of several devices; never turned back by a late writer."""
    known = device.update().where(device.c.id == sa.bindparam("of"))
    newer = known.where(sa.or_(device.c.last_seen_at.is_(None), device.c.last_seen_at < sa.bindparam("at")))
    address: sa.ColumnElement[Any] = sa.func.coalesce(sa.bindparam("ip"), device.c.last_ip)
    values = newer.values(last_seen_at=sa.bindparam("at"), last_ip=address)
    tx.execute(values, [{"of": of, "at": at, "ip": ip} for of, at, ip in rows])


def last_seen(tx: Tx, since: datetime) -> dict[int, datetime]:
    """Of the devices of every home that had traffic since then."""
    recent = sa.select(device.c.id, device.c.last_seen_at).where(device.c.last_seen_at >= since)
    return {row.id: row.last_seen_at for row in tx.all(recent)}


def add_external_id(tx: Tx, home_id: int, device_id: int, *, kind: str, value: str) -> bool:
    """False when another device of the home has it already."""
    taken = external_id.select().where(
        external_id.c.home_id == home_id, external_id.c.kind == kind, external_id.c.value == value
    )
    if tx.first(taken) is not None:
        return False
    tx.execute(external_id.insert().values(home_id=home_id, device_id=device_id, kind=kind, value=value))
    return True


def external_ids(tx: Tx, device_id: int) -> dict[str, str]:
    rows = tx.all(sa.select(external_id.c.kind, external_id.c.value).where(external_id.c.device_id == device_id))
    return {row.kind: row.value for row in rows}


def add_credential(
    tx: Tx,
    device_id: int,
    secret: str,
    now: datetime,
    *,
    kind: CredentialKind,
    lineage: int | None,
    expires_at: datetime,
    second_chance: bool = False,
) -> int:
    """The first of a lineage, or a candidate in the `lineage` given."""
    named: dict[str, Any] = {"device_id": device_id, "kind": kind, "hint": f"{secret[:4]}…"}
    if lineage is None:
        return keys.start(tx, digest(secret), now, expires_at=expires_at, **named)
    return keys.add_candidate(
        tx, lineage, digest(secret), now, expires_at=expires_at, second_chance=second_chance, **named
    )


def credentials(tx: Tx, device_id: int) -> list[Credential]:
    """Newest first."""
    rows = tx.all(credential.select().where(credential.c.device_id == device_id).order_by(credential.c.id.desc()))
    return [
        Credential(
            row.id,
            CredentialKind(row.kind),
            CredentialState(row.state),
            row.hint,
            row.created_at,
            row.expires_at,
            row.last_used_at,
            row.lineage,
        )
        for row in rows
    ]


def digest_is_known(tx: Tx, digest: bytes) -> bool:
    return tx.first(sa.select(credential.c.id).where(credential.c.digest == digest)) is not None


def by_proven_key(tx: Tx, key: str) -> sa.Row[Any] | None:
    """The device of any home with this key: what it sent before it was disabled was acknowledged, and counts."""
    columns = [device.c.id, device.c.key, device.c.serial, device.c.name, device.c.home_id]
    return tx.first(sa.select(*columns).where(device.c.key == key))


def by_able_name(tx: Tx, name: str) -> sa.Row[Any] | None:
    """The device of any home with this serial or key, unless it is disabled."""
    columns = [device.c.id, device.c.key, device.c.serial, device.c.name, device.c.home_id]
    named = sa.or_(device.c.serial == name, device.c.key == name)
    return tx.first(sa.select(*columns).where(named, device.c.disabled_at.is_(None)))


def live_keys(tx: Tx, digests: Sequence[bytes], now: datetime) -> dict[bytes, sa.Row[Any]]:
    """Keys and secrets that open by themselves, with their devices, when neither is expired, retired or disabled."""
    opening = sa.and_(credential.c.digest.in_(digests), credential.c.kind != CredentialKind.REFRESH_TOKEN)
    return {row.digest: row for row in tx.all(_live(now).where(opening))}


def live_lineage(tx: Tx, credential_id: int, now: datetime) -> sa.Row[Any] | None:
    """As `live_keys`, for the refresh token that an access token was made with."""
    return tx.first(_live(now).where(credential.c.id == credential_id))


def _live(now: datetime) -> sa.Select[Any]:
    names = [device.c.id, device.c.key, device.c.serial, device.c.name, device.c.home_id]
    mine = ("state", "lineage", "expires_at", "digest")
    own = [credential.c.id.label("credential_id"), *(credential.c[name] for name in mine)]
    return (
        sa.select(*names, *own)
        .join_from(credential, device)
        .where(
            credential.c.state != CredentialState.RETIRED,
            sa.or_(credential.c.expires_at.is_(None), credential.c.expires_at > now),
            device.c.disabled_at.is_(None),
        )
    )


def credential_by_id(tx: Tx, credential_id: int) -> sa.Row[Any] | None:
    return tx.first(credential.select().where(credential.c.id == credential_id))


def newest_lineage(tx: Tx, device_id: int, kind: CredentialKind) -> int | None:
    """The newest lineage of that kind of which something is still good."""
    own = sa.and_(credential.c.device_id == device_id, credential.c.kind == kind)
    live = sa.select(credential.c.lineage).where(own, credential.c.state != CredentialState.RETIRED)
    return tx.scalar(live.order_by(credential.c.id.desc()).limit(1))


def shorten(tx: Tx, credential_id: int, expires_at: datetime) -> None:
    """It ends then, if not sooner."""
    longer = sa.or_(credential.c.expires_at.is_(None), credential.c.expires_at > expires_at)
    tx.execute(credential.update().where(credential.c.id == credential_id, longer).values(expires_at=expires_at))


def use_credentials(tx: Tx, rows: Sequence[tuple[int, datetime]]) -> None:
    used = credential.update().where(credential.c.id == sa.bindparam("of")).values(last_used_at=sa.bindparam("at"))
    tx.execute(used, [{"of": of, "at": at} for of, at in rows])


def retire(tx: Tx, device_id: int, now: datetime, *, credential_id: int | None = None) -> int:
    """One credential, or all of the device; how many there were to retire. None of them gets a second chance.

    A refresh token goes with its whole lineage: its holder has, or will have, the others too.
    """
    mine = credential.c.device_id == device_id
    if credential_id is not None:
        is_lineage = sa.and_(
            credential.c.kind == CredentialKind.REFRESH_TOKEN, credential.c.lineage == _lineage_of(credential_id)
        )
        mine = sa.and_(mine, sa.or_(credential.c.id == credential_id, is_lineage))
    live = credential.update().where(mine, credential.c.state != CredentialState.RETIRED)
    retired = tx.execute(live.values(state=CredentialState.RETIRED, retired_at=now, why=Why.REVOKED)).rowcount
    tx.execute(credential.update().where(mine, credential.c.why != Why.REVOKED).values(why=Why.REVOKED))
    return retired


def _lineage_of(credential_id: int) -> sa.ScalarSelect[Any]:
    same = credential.alias()
    return sa.select(same.c.lineage).where(same.c.id == credential_id).scalar_subquery()


def add_claim(tx: Tx, **values: Any) -> int:
    return tx.scalar(claim.insert().values(**values).returning(claim.c.id))


def claim_by_digest(tx: Tx, digest: bytes) -> sa.Row[Any] | None:
    return tx.first(claim.select().where(claim.c.digest == digest).with_for_update())


def use_claim(tx: Tx, claim_id: int, now: datetime, *, device_id: int, credential_digest: bytes) -> bool:
    unused = claim.update().where(claim.c.id == claim_id, claim.c.used_at.is_(None), claim.c.expires_at > now)
    return tx.changed(unused.values(used_at=now, device_id=device_id, credential_digest=credential_digest))


def forget_claims(tx: Tx, expired_before: datetime, most: int = 500) -> int:
    old = sa.select(claim.c.id).where(claim.c.expires_at < expired_before).limit(most)
    return tx.execute(claim.delete().where(claim.c.id.in_(old))).rowcount


def set_pending(tx: Tx, device_id: int, since: datetime | None) -> bool:
    before = device.c.pending_since.is_not(None) if since is None else device.c.pending_since.is_(None)
    return tx.changed(device.update().where(device.c.id == device_id, before).values(pending_since=since))


def set_stolen(tx: Tx, device_id: int, at: datetime | None) -> None:
    tx.execute(device.update().where(device.c.id == device_id).values(stolen_at=at))


def set_relay(tx: Tx, device_id: int, *, said_id: str, is_on_trial: bool, online_seconds: int) -> None:
    values = {"said_id": said_id, "is_on_trial": is_on_trial, "online_seconds": online_seconds}
    tx.execute(device.update().where(device.c.id == device_id).values(**values))


def pending(tx: Tx, home_id: int) -> list[Device]:
    """Who waits longest comes first."""
    waiting = sa.select(*DEVICE_COLUMNS).where(device.c.home_id == home_id, device.c.pending_since.is_not(None))
    return [Device(*row) for row in tx.all(waiting.order_by(device.c.pending_since, device.c.id))]


def relays(tx: Tx, after_id: int, most: int) -> list[Device]:
    """Devices of every home that renew tokens under an id of their own, in pages by id."""
    found = sa.select(*DEVICE_COLUMNS).where(device.c.said_id.is_not(None), device.c.id > after_id)
    return [Device(*row) for row in tx.all(found.order_by(device.c.id).limit(most))]


def by_external_id(tx: Tx, home_id: int, kind: str, value: str) -> Device | None:
    same = sa.and_(external_id.c.home_id == home_id, external_id.c.kind == kind, external_id.c.value == value)
    row = tx.first(sa.select(*DEVICE_COLUMNS).join_from(device, external_id).where(same))
    return Device(*row) if row else None


def forget_external_id(tx: Tx, home_id: int, kind: str, value: str) -> bool:
    same = sa.and_(external_id.c.home_id == home_id, external_id.c.kind == kind, external_id.c.value == value)
    return tx.changed(external_id.delete().where(same))


def add_registration(tx: Tx, **values: Any) -> int:
    return tx.scalar(registration.insert().values(**values).returning(registration.c.id))


def registration_by_digest(tx: Tx, digest: bytes) -> sa.Row[Any] | None:
    return tx.first(registration.select().where(registration.c.digest == digest).with_for_update())


def open_registrations(tx: Tx, home_id: int, now: datetime) -> list[sa.Row[Any]]:
    """Newest first."""
    mine = registration.select().where(registration.c.home_id == home_id, *_is_open(now))
    return list(tx.all(mine.order_by(registration.c.id.desc())))


def use_registration(tx: Tx, registration_id: int, now: datetime, *, device_id: int, said_id: str) -> bool:
    unused = registration.update().where(registration.c.id == registration_id, *_is_open(now))
    return tx.changed(unused.values(device_id=device_id, said_id=said_id))


def revoke_registration(tx: Tx, home_id: int, registration_id: int, now: datetime) -> str | None:
    """Its name, or None when none of that number is open."""
    mine = registration.update().where(
        registration.c.id == registration_id, registration.c.home_id == home_id, *_is_open(now)
    )
    return tx.scalar(mine.values(revoked_at=now).returning(registration.c.name))


def end_registrations(tx: Tx, device_id: int, now: datetime) -> None:
    """Those that this device used: none of them brings it new tokens any more."""
    used = registration.update().where(registration.c.device_id == device_id, registration.c.revoked_at.is_(None))
    tx.execute(used.values(revoked_at=now))


def forget_registrations(tx: Tx, expired_before: datetime, most: int = 500) -> int:
    old = sa.select(registration.c.id).where(registration.c.expires_at < expired_before).limit(most)
    return tx.execute(registration.delete().where(registration.c.id.in_(old))).rowcount


def _is_open(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    is_unused = registration.c.said_id.is_(None)
    return (is_unused, registration.c.revoked_at.is_(None), registration.c.expires_at > now)


def key_of_home(tx: Tx, home_id: int) -> sa.Row[Any] | None:
    return tx.first(home_key.select().where(home_key.c.home_id == home_id))


def add_key_of_home(tx: Tx, home_id: int, now: datetime, *, public_key: str, sealed: bytes) -> None:
    """Unless there is one by now."""
    _insert_once(tx, home_key, {"home_id": home_id, "public_key": public_key, "sealed": sealed, "created_at": now})


def health_wish_of(tx: Tx, home_id: int) -> sa.Row[Any] | None:
    return tx.first(health_wish.select().where(health_wish.c.home_id == home_id))


def set_health_wish(tx: Tx, home_id: int, **values: Any) -> None:
    if not _insert_once(tx, health_wish, {"home_id": home_id, **values}):
        tx.execute(health_wish.update().where(health_wish.c.home_id == home_id).values(**values))


def silences(tx: Tx, device_ids: Sequence[int]) -> dict[int, sa.Row[Any]]:
    """The open alerts of these devices."""
    return {row.device_id: row for row in tx.all(silence.select().where(silence.c.device_id.in_(device_ids)))}


def open_silence(tx: Tx, device_id: int, now: datetime) -> bool:
    return _insert_once(tx, silence, {"device_id": device_id, "alerted_at": now})


def remind_of_silence(tx: Tx, device_id: int, before: datetime | None, now: datetime) -> bool:
    """False when somebody else has reminded since `before`, or it has ended."""
    same = silence.c.reminded_at.is_(None) if before is None else silence.c.reminded_at == before
    return tx.changed(silence.update().where(silence.c.device_id == device_id, same).values(reminded_at=now))


def end_silence(tx: Tx, device_id: int) -> bool:
    return tx.changed(silence.delete().where(silence.c.device_id == device_id))


def _insert_once(tx: Tx, table: sa.Table, values: dict[str, Any]) -> bool:
    """False when there is a row of that primary key."""
    return tx.changed(tx.insert(table).values(**values).on_conflict_do_nothing())
