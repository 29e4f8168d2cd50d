"""The one call of a device that has no credential yet: claiming."""

from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, Field

from waystation.devices import service
from waystation.devices.model import Provisioned
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


def _answer(made: Provisioned, parts: Parts, server_time: str) -> Claimed:
    port = parts.get(Settings).mqtt_port
    mqtt = Mqtt(port=port) if port else None
    return Claimed(
        key=made.key, serial=made.serial, name=made.name, api_key=made.api_key, mqtt=mqtt, server_time=server_time
    )
