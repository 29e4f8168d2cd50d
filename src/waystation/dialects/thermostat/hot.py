"""`POST /api/telemetry/ingest/`, as the firmware in the field sends it (contract section 4.2)."""

from typing import Any

import msgspec

from waystation.devices import CallingDevice, Gate, calling_device
from waystation.dialects.thermostat import legacy, oddities, repeats, wire
from waystation.dialects.thermostat.oddities import Oddities
from waystation.kernel.clock import Clock
from waystation.kernel.door import counted_as
from waystation.kernel.errors import DomainError, StorageFull, TooLarge, TooMany, Unauthenticated
from waystation.kernel.feature import HotAnswer, HotRequest
from waystation.kernel.hot import refusal
from waystation.kernel.limits import Limiter, Rate
from waystation.telemetry import POST_BYTES, Ingest, QuotaReached, Sample, Throttle

PATH = "/api/telemetry/ingest"
PATH_WITHOUT_PROOF = "/api/telemetry"
MOST_BYTES = 16_384
FLOOD = Rate(per_minute=600, burst=600)
"""Of one address, of posts whose key is not known yet: a house of devices never starts with so many."""
SCHEME = b"device "

RATE_LIMITED = {"error": "rate_limit_exceeded", "message": "Too many requests. Please try again later."}


async def ingest(request: HotRequest) -> HotAnswer:
    """Every answer is JSON in the contract's form; the order of the checks is the contract's as well."""
    try:
        if len(request.body) > MOST_BYTES:
            raise TooLarge(f"the body is larger than {MOST_BYTES} bytes")
        device = await _calling(request)
        await _limit(request, device)
        return await _stored(request, device)
    except DomainError as fault:
        return _refused(fault)


async def only_post(request: HotRequest) -> HotAnswer:
    body = {"detail": f'Method "{request.method.decode()}" not allowed.'}
    return _json(405, {} if request.method == b"HEAD" else body, (b"allow", b"POST"))


async def too_old(request: HotRequest) -> HotAnswer:
    """The first firmware's dummy values, without any proof of who sent them (TH-9)."""
    del request
    return _refused(Unauthenticated(legacy.NO_CREDENTIALS))


async def _calling(request: HotRequest) -> CallingDevice:
    """Here only the scheme `Device` counts (TH-4). Who has proved itself before does not stand before the flood guard:
    a stranger behind the same address shuts nobody out.
    """
    authorization = request.headers.get(b"authorization", b"")
    is_own = authorization[: len(SCHEME)].lower() == SCHEME
    known = request.parts.get(Gate).known(authorization) if is_own else None
    if known is not None:
        return known
    flood = request.parts.get(Limiter).take(FLOOD, "flood", counted_as(request.client_ip))
    if flood.wait:
        raise TooMany("too many posts without a known key", retry_after_seconds=flood.wait_seconds)
    return await calling_device(request) if is_own else await legacy.admit(request)


async def _limit(request: HotRequest, device: CallingDevice) -> None:
    """Keyed by the device that proved itself, so that nobody else can use its budget up (TH-5)."""
    allowance = await request.parts.get(Throttle).take(device)
    if allowance is not None and allowance.wait:
        raise TooMany("too many posts", retry_after_seconds=allowance.wait_seconds)


async def _stored(request: HotRequest, device: CallingDevice) -> HotAnswer:
    ingest, odd, now = request.parts.get(Ingest), Oddities.of(request.parts), request.parts.get(Clock).now()
    try:
        ingest.check_room(device)  # before the body is looked at (TH-6)
        sample = wire.payload(request.body)
        place = await repeats.place(request, device)
        charge = POST_BYTES + len(request.body)
        receipt = await ingest.put(
            device, [Sample(None, sample.values)], request.client_ip, queued=place, charge_bytes=charge
        )
    except DomainError as fault:
        ingest.refused(device, fault)
        odd.refused(device, request.body, now)
        raise
    odd.came_from(device, request.client_ip, oddities.own_address(sample.device_ip), now)
    return _json(200, wire.stored(receipt.at if place is None else place.at))


def _refused(fault: DomainError) -> HotAnswer:
    answer = refusal(fault)
    kept = tuple(header for header in answer.headers if header[0] == b"retry-after")
    if isinstance(fault, Unauthenticated):
        kept = (*kept, (b"www-authenticate", b'Device realm="waystation"'))
    return _json(fault.status, _body(fault), *kept)


def _body(fault: DomainError) -> dict[str, Any]:
    if isinstance(fault, TooMany):
        return wire.RATE_LIMITED
    if isinstance(fault, QuotaReached):
        return {"status": "error", "code": "STORAGE_LIMIT_EXCEEDED", "message": fault.sentence}
    if isinstance(fault, StorageFull):
        return {"status": "error", "code": "STORAGE_FULL", "message": fault.sentence}
    return {"detail": fault.sentence}


def _json(status: int, body: dict[str, Any], *headers: tuple[bytes, bytes]) -> HotAnswer:
    return HotAnswer(status, msgspec.json.encode(body), ((b"content-type", b"application/json"), *headers))
