"""`POST /api/telemetry/ingest/`, as the firmware in the field sends it (contract section 4.2)."""

from typing import Any

import msgspec

from waystation.devices import CallingDevice
from waystation.dialects.thermostat import wire
from waystation.kernel.errors import DomainError, StorageFull, TooLarge, TooMany, Unauthenticated
from waystation.kernel.feature import HotAnswer, HotRequest
from waystation.kernel.hot import refusal
from waystation.kernel.limits import Limiter
from waystation.kernel.settings import Settings
from waystation.telemetry import Ingest, Sample, calling_device

PATH = "/api/telemetry/ingest"
MOST_BYTES = 16_384
SCHEME = b"device "

RATE_LIMITED = {"error": "rate_limit_exceeded", "message": "Too many requests. Please try again later."}


async def ingest(request: HotRequest) -> HotAnswer:
    """Every answer is JSON in the contract's form; the order of the checks is the contract's as well."""
    try:
        if len(request.body) > MOST_BYTES:
            raise TooLarge(f"the body is larger than {MOST_BYTES} bytes")
        device = await _calling(request)
        _limit(request, device)
        return await _stored(request, device)
    except DomainError as fault:
        return _refused(fault)


async def only_post(request: HotRequest) -> HotAnswer:
    body = {"detail": f'Method "{request.method.decode()}" not allowed.'}
    return _json(405, {} if request.method == b"HEAD" else body, (b"allow", b"POST"))


async def _calling(request: HotRequest) -> CallingDevice:
    """Here only the scheme `Device` counts (TH-4)."""
    if request.headers.get(b"authorization", b"")[: len(SCHEME)].lower() != SCHEME:
        raise Unauthenticated("Missing or invalid Authorization header")
    return await calling_device(request)


def _limit(request: HotRequest, device: CallingDevice) -> None:
    """Keyed by the device that proved itself, so that nobody else can use its budget up (TH-5)."""
    per_minute = request.parts.get(Settings).ingest_per_minute
    if per_minute:
        request.parts.get(Limiter).limit(f"{per_minute}/minute", "post telemetry", device.key)


async def _stored(request: HotRequest, device: CallingDevice) -> HotAnswer:
    ingest = request.parts.get(Ingest)
    try:
        ingest.space.check()  # before the body is looked at, as with the quota (TH-6)
        values = wire.payload(request.body).values
        receipt = await ingest.put(device, [Sample(None, values)], request.client_ip)
    except DomainError as fault:
        ingest.refused(device, fault)
        raise
    return _json(200, wire.stored(receipt.at))


def _refused(fault: DomainError) -> HotAnswer:
    answer = refusal(fault)
    kept = tuple(header for header in answer.headers if header[0] == b"retry-after")
    if isinstance(fault, Unauthenticated):
        kept = (*kept, (b"www-authenticate", b'Device realm="waystation"'))
    return _json(fault.status, _body(fault), *kept)


def _body(fault: DomainError) -> dict[str, Any]:
    if isinstance(fault, TooMany):
        return RATE_LIMITED
    if isinstance(fault, StorageFull):
        return {"status": "error", "code": "STORAGE_FULL", "message": fault.sentence}
    return {"detail": fault.sentence}


def _json(status: int, body: dict[str, Any], *headers: tuple[bytes, bytes]) -> HotAnswer:
    return HotAnswer(status, msgspec.json.encode(body), ((b"content-type", b"application/json"), *headers))
