"""Give a device the token that somebody chose, and end the ones it had."""

from datetime import datetime, timedelta

from waystation.devices import model, service, store
from waystation.devices.chosen import store as chosen
from waystation.devices.model import CredentialKind, CredentialState, Device
from waystation.kernel import audit, secrets
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx


def keep_token(tx: Tx, by: Actor, device: Device, now: datetime, *, token: str, kind: str, value: str) -> int:
    """The credential's id. A long token that no other device has opens by itself, every other one only together with
    the external id that it came with.
    """
    text = token if _opens_alone(tx, device, token) else chosen.bound(kind, value, token)
    chosen.forget_retired(tx, device.id, secrets.digest(text))
    found = chosen.holder(tx, secrets.digest(text))
    if found is not None:
        return found.id
    until = now + timedelta(days=model.API_KEY_DAYS)
    given = CredentialKind.PRE_SHARED_TOKEN
    made = store.add_credential(tx, device.id, text, now, kind=given, lineage=None, expires_at=until)
    audit.note(tx, by, f"gave {given.words}", f"device:{device.key}", now=now)
    service.access_changed(tx, device, now, kick=False)
    return made


def end_tokens(tx: Tx, by: Actor, device: Device, now: datetime, *, but: int | None = None) -> int:
    """How many pre-shared tokens opened something until now."""
    live = [
        one.id
        for one in store.credentials(tx, device.id)
        if one.kind is CredentialKind.PRE_SHARED_TOKEN and one.is_live(now) and one.id != but
    ]
    for credential_id in live:
        service.revoke(tx, by, device, now, credential_id=credential_id)
    return len(live)


def is_live_token(tx: Tx, device: Device, token: str, *, kind: str, value: str) -> bool:
    """Whether this very token opens something for the device."""
    digests = (secrets.digest(token), chosen.bound_digest(kind, value, token))
    found = (chosen.holder(tx, one) for one in digests)
    return any(row is not None and row.device_id == device.id and row.state != CredentialState.RETIRED for row in found)


def _opens_alone(tx: Tx, device: Device, token: str) -> bool:
    found = chosen.holder(tx, secrets.digest(token))
    return model.API_KEY.fullmatch(token) is not None and (found is None or found.device_id == device.id)
