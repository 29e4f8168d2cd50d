"""`POST /api/readings`: what a device sends all day."""

from waystation.devices import CallingDevice, Gate
from waystation.kernel.errors import DomainError, Unauthenticated
from waystation.kernel.feature import HotAnswer, HotRequest
from waystation.kernel.hot import refusal
from waystation.telemetry.ingest import Ingest

CHALLENGE = (b"www-authenticate", b'Device realm="waystation", Bearer realm="waystation"')


async def post_readings(request: HotRequest) -> HotAnswer:
    """200 `{"stored": n}` once all of its values are durable, or a problem and nothing stored."""
    try:
        device = await calling_device(request)
    except Unauthenticated as fault:
        answer = refusal(fault)
        kept = tuple(header for header in answer.headers if header[0] != CHALLENGE[0])
        return HotAnswer(answer.status, answer.body, (*kept, CHALLENGE))
    ingest = request.parts.get(Ingest)
    try:
        samples = await ingest.decoded(request.body, request.headers.get(b"content-encoding", b"").lower())
        receipt = await ingest.put(device, samples, request.client_ip)
    except DomainError as fault:
        ingest.refused(device, fault)
        raise
    return HotAnswer(200, b'{"stored":%d}' % receipt.values)


async def calling_device(request: HotRequest) -> CallingDevice:
    """Unauthenticated or Refused when there is none; usually found without waiting."""
    gate = request.parts.get(Gate)
    authorization = request.headers.get(b"authorization")
    return gate.known(authorization) or await gate.admit(authorization, request.client_ip)
