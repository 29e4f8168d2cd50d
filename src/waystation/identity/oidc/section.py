"""What pages of others show of the provider: the button on the sign-in page, the section on the security page."""

from dataclasses import dataclass
from datetime import datetime

from waystation.identity.oidc import store
from waystation.kernel.db import Tx
from waystation.kernel.settings import Settings


@dataclass(frozen=True, slots=True)
class Section:
    """`email` is the address of the linked account at the provider, None while there is none."""

    provider: str
    email: str | None
    linked_at: datetime | None
    used_at: datetime | None
    may_unlink: bool


def offered(settings: Settings) -> str | None:
    """The name on the button, None when there is no provider."""
    return settings.oidc_name if settings.oidc_issuer else None


def section(tx: Tx, settings: Settings, person_id: int) -> Section | None:
    """None when there is no provider."""
    if not settings.oidc_issuer:
        return None
    row = store.linked(tx, person_id, settings.oidc_issuer)
    if row is None:
        return Section(settings.oidc_name, None, None, None, may_unlink=False)
    may_unlink = store.has_password(tx, person_id)
    return Section(settings.oidc_name, row.email, row.created_at, row.used_at, may_unlink=may_unlink)
