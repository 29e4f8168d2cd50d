"""Statements on tokens that count only together with an external id."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation.devices.model import CredentialState
from waystation.devices.store import credential, external_id
from waystation.kernel.db import Tx
from waystation.kernel.prepared import Prepared, among, many
from waystation.kernel.secrets import digest

SEPARATOR = "\0"


def bound(kind: str, value: str, token: str) -> str:
    """What is hashed instead of the token alone."""
    return SEPARATOR.join((kind, value, token))


def bound_digest(kind: str, value: str, token: str) -> bytes:
    return digest(bound(kind, value, token))


def is_called(tx: Tx, row: sa.Row[Any] | None, kind: str, value: str) -> bool:
    """Whether the external id is of this credential's device; asked for nobody too, so that nobody takes as long."""
    device_id = 0 if row is None else row.id
    same = sa.and_(external_id.c.kind == kind, external_id.c.value == value, external_id.c.device_id == device_id)
    return tx.first(sa.select(external_id.c.device_id).where(same)) is not None


def holder(tx: Tx, token_digest: bytes) -> sa.Row[Any] | None:
    """The credential of this digest, whatever its state."""
    return tx.first(credential.select().where(credential.c.digest == token_digest))


def forget_retired(tx: Tx, device_id: int, token_digest: bytes) -> None:
    """So that the same token can be given again."""
    mine = sa.and_(credential.c.device_id == device_id, credential.c.digest == token_digest)
    tx.execute(credential.delete().where(mine, credential.c.state == CredentialState.RETIRED))


def newest_change(tx: Tx, device_id: int) -> datetime | None:
    """When a credential of the device was last made or ended by somebody."""
    changed = sa.func.max(sa.func.coalesce(credential.c.retired_at, credential.c.created_at))
    at: datetime | None = tx.scalar(sa.select(changed).where(credential.c.device_id == device_id))
    return at


def called(tx: Tx, home_id: int, kind: str) -> dict[int, str]:
    """The external ids of that kind, by device."""
    mine = sa.and_(external_id.c.home_id == home_id, external_id.c.kind == kind)
    return {row.device_id: row.value for row in tx.all(sa.select(external_id).where(mine))}


NAMES = Prepared(
    lambda on: sa.select(external_id.c.device_id, external_id.c.home_id, external_id.c.value).where(
        external_id.c.kind == sa.bindparam("kind"), among(on, external_id.c.device_id, "devices")
    )
)


def names_of(tx: Tx, device_ids: Collection[int], kind: str) -> dict[int, tuple[int, str]]:
    """The home, and the external id of that kind, of each of these devices that has one; the first, of several."""
    found = NAMES.rows(tx, devices=many(tx, device_ids), kind=kind)
    return {device_id: (home_id, value) for device_id, home_id, value in reversed(found)}


def name_of(tx: Tx, device_id: int, kind: str) -> tuple[int, str] | None:
    return names_of(tx, [device_id], kind).get(device_id)
