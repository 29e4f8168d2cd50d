"""Tables of devices, external ids, credentials and claims; every statement on them."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation.devices.model import Credential, CredentialKind, CredentialState, Device
from waystation.kernel.db import Moment, Tx, metadata, type_of_id

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
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("device_id", type_of_id, sa.ForeignKey("device.id", ondelete="CASCADE"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("hint", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment),
    sa.Column("last_used_at", Moment),
    sa.Column("retired_at", Moment),
    sa.Index("credential_device", "device_id"),
)

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

DEVICE_COLUMNS = [device.c[field.name] for field in fields(Device)]


def add(tx: Tx, **values: Any) -> int:
    return tx.scalar(device.insert().values(**values).returning(device.c.id))


def serial_is_free(tx: Tx, serial: str) -> bool:
    taken = sa.select(device.c.id).where(sa.or_(device.c.serial == serial, device.c.key == serial))
    return tx.first(taken) is None


def by_key(tx: Tx, home_id: int, key: str) -> Device | None:
    row = tx.first(sa.select(*DEVICE_COLUMNS).where(device.c.key == key, device.c.home_id == home_id))
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


def count(tx: Tx, home_id: int) -> int:
    return tx.scalar(sa.select(sa.func.count()).select_from(device).where(device.c.home_id == home_id))


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
    tx: Tx, device_id: int, digest: bytes, now: datetime, *, hint: str, expires_at: datetime | None
) -> int:
    row = credential.insert().values(
        device_id=device_id,
        kind=CredentialKind.API_KEY,
        state=CredentialState.ACTIVE,
        digest=digest,
        hint=hint,
        created_at=now,
        expires_at=expires_at,
    )
    return tx.scalar(row.returning(credential.c.id))


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
        )
        for row in rows
    ]


def digest_is_known(tx: Tx, digest: bytes) -> bool:
    return tx.first(sa.select(credential.c.id).where(credential.c.digest == digest)) is not None


def by_proven_key(tx: Tx, key: str) -> sa.Row[Any] | None:
    """The device of any home with this key: what it sent before it was disabled was acknowledged, and counts."""
    columns = [device.c.id, device.c.key, device.c.serial, device.c.name, device.c.home_id]
    return tx.first(sa.select(*columns).where(device.c.key == key))


def live_credential(tx: Tx, digest: bytes, now: datetime) -> sa.Row[Any] | None:
    """The credential and its device, when neither is expired, retired or disabled."""
    columns = [device.c.id, device.c.key, device.c.serial, device.c.name, device.c.home_id]
    wanted = sa.select(*columns, credential.c.id.label("credential_id"), credential.c.expires_at).join_from(
        credential, device
    )
    return tx.first(
        wanted.where(
            credential.c.digest == digest,
            credential.c.state == CredentialState.ACTIVE,
            sa.or_(credential.c.expires_at.is_(None), credential.c.expires_at > now),
            device.c.disabled_at.is_(None),
        )
    )


def use_credentials(tx: Tx, rows: Sequence[tuple[int, datetime]]) -> None:
    used = credential.update().where(credential.c.id == sa.bindparam("of")).values(last_used_at=sa.bindparam("at"))
    tx.execute(used, [{"of": of, "at": at} for of, at in rows])


def retire(tx: Tx, device_id: int, now: datetime, *, credential_id: int | None = None) -> int:
    """One credential, or all of the device; how many there were to retire."""
    live = credential.update().where(credential.c.device_id == device_id, credential.c.state != CredentialState.RETIRED)
    if credential_id is not None:
        live = live.where(credential.c.id == credential_id)
    return tx.execute(live.values(state=CredentialState.RETIRED, retired_at=now)).rowcount


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
