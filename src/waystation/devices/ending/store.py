"""Which keys end soon, and of which of them somebody has been told."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation.devices.model import CredentialKind, CredentialState
from waystation.devices.store import credential, device
from waystation.kernel.db import Moment, Tx, metadata, type_of_id

key_warning = sa.Table(
    "key_warning",
    metadata,
    sa.Column(
        "credential_id",
        type_of_id,
        sa.ForeignKey("credential.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("warned_at", Moment, nullable=False),
)


def untold(tx: Tx, now: datetime, until: datetime, most: int) -> Sequence[sa.Row[Any]]:
    """Live API keys without a successor that end in this time, with their devices, the first to end first."""
    later = credential.alias()
    successor = sa.exists().where(later.c.lineage == credential.c.lineage, later.c.id > credential.c.id)
    told = sa.exists().where(key_warning.c.credential_id == credential.c.id)
    live = (credential.c.kind == CredentialKind.API_KEY, credential.c.state != CredentialState.RETIRED)
    found = (
        sa.select(credential.c.id, credential.c.expires_at, device.c.home_id, device.c.key, device.c.name)
        .join_from(credential, device)
        .where(*live, credential.c.expires_at > now, credential.c.expires_at <= until, ~successor, ~told)
        .where(device.c.disabled_at.is_(None))
    )
    return tx.all(found.order_by(credential.c.expires_at, credential.c.id).limit(most))


def note_told(tx: Tx, credential_id: int, now: datetime) -> bool:
    """False when somebody else has told."""
    row = tx.insert(key_warning).values(credential_id=credential_id, warned_at=now)
    return tx.changed(row.on_conflict_do_nothing())
