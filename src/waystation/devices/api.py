"""Claiming, the one call of a device that has no credential yet; and credentials, for programs of the owner."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, Field

from waystation.devices import service, store
from waystation.devices.model import CredentialKind, CredentialState, Provisioned
from waystation.homes import HomeAdmin
from waystation.kernel.clock import iso
from waystation.kernel.limits import Limiter
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, PartsOf, Router, Tx
from waystation.kernel.settings import Settings

router = Router()


class ClaimRequest(BaseModel):
    """What a device says of itself. `api_key`, when given, is a secret it made and stored before it asked."""

    code: Annotated[str, Field(min_length=1, max_length=40)]
    name: Annotated[str, Field(max_length=200)] = ""
    model: Annotated[str, Field(max_length=200)] = ""
    external_ids: dict[str, str] = {}
    api_key: Annotated[str, Field(max_length=128)] = ""


class Mqtt(BaseModel):
    port: int


class Claimed(BaseModel):
    key: str
    serial: str
    name: str
    api_key: str
    mqtt: Mqtt | None
    server_time: str


@router.post("/api/claim", tags=["devices"], summary="Exchange a claim code for a device's credential")
def claim(wanted: ClaimRequest, request: Request, parts: PartsOf, tx: Tx, now: Now) -> Claimed:
    """Public: the code is the proof. The same code with the same `api_key` may be asked again for a day."""
    parts.get(Limiter).limit("30/minute", "claim", request.client.host if request.client else "")
    made = service.claim(
        tx,
        now,
        code=wanted.code,
        name=wanted.name[:120],
        model_text=wanted.model[:120],
        external_ids=wanted.external_ids,
        api_key=wanted.api_key,
    )
    return _answer(made, parts, iso(now))


class Shown(BaseModel):
    """A credential without its secret."""

    id: int
    kind: CredentialKind
    state: CredentialState
    hint: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class Wanted(BaseModel):
    """`days` is how long it is good; absent, ten years."""

    kind: CredentialKind = CredentialKind.API_KEY
    days: Annotated[float, Field(gt=0, le=3650)] | None = None


class Overlap(BaseModel):
    """How long the old one stays good while the new one has not been used."""

    overlap_days: Annotated[float, Field(ge=0, le=365)] = 30.0


class Secret(BaseModel):
    """Shown this once."""

    key: str
    serial: str
    kind: CredentialKind
    secret: str


@router.get("/api/devices/{key}/credentials", tags=["devices"], summary="A device's credentials, without secrets")
def credentials(key: str, me: HomeAdmin, tx: Tx) -> list[Shown]:
    device = service.find(tx, me.home_id, key)
    return [Shown.model_validate(one, from_attributes=True) for one in store.credentials(tx, device.id)]


@router.post("/api/devices/{key}/credentials", tags=["devices"], summary="Give a device one more credential")
def new_credential(key: str, wanted: Wanted, me: HomeAdmin, tx: Tx, now: Now) -> Secret:
    device = service.find(tx, me.home_id, key)
    return _secret(service.new_credential(tx, me.actor, device, now, kind=wanted.kind, days=wanted.days))


@router.post(
    "/api/devices/{key}/credentials/{credential_id}/rotate", tags=["devices"], summary="Replace one without a gap"
)
def rotate(key: str, credential_id: int, wanted: Overlap, me: HomeAdmin, tx: Tx, now: Now) -> Secret:
    """The old one is good until the new one's first use, or until the overlap ends."""
    device, overlap = service.find(tx, me.home_id, key), timedelta(days=wanted.overlap_days)
    return _secret(service.rotate(tx, me.actor, device, now, credential_id=credential_id, overlap=overlap))


@router.delete("/api/devices/{key}/credentials/{credential_id}", tags=["devices"], summary="Revoke one at once")
def revoke(key: str, credential_id: int, me: HomeAdmin, tx: Tx, now: Now) -> dict[str, int]:
    device = service.find(tx, me.home_id, key)
    return {"revoked": service.revoke(tx, me.actor, device, now, credential_id=credential_id)}


def _secret(made: Provisioned) -> Secret:
    return Secret(key=made.key, serial=made.serial, kind=made.kind, secret=made.api_key)


def _answer(made: Provisioned, parts: Parts, server_time: str) -> Claimed:
    port = parts.get(Settings).mqtt_port
    mqtt = Mqtt(port=port) if port else None
    return Claimed(
        key=made.key, serial=made.serial, name=made.name, api_key=made.api_key, mqtt=mqtt, server_time=server_time
    )
