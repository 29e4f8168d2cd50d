"""`POST /api/readings`: what a device sends all day."""

from waystation.devices import CallingDevice, for_devices
from waystation.kernel.errors import DomainError
from waystation.kernel.feature import HotAnswer, HotRequest
from waystation.kernel.hot import refusal
from waystation.kernel.limits import Allowance
from waystation.telemetry.decode import LONGEST_TEXT, METRIC
from waystation.telemetry.ingest import Ingest
from waystation.telemetry.throttle import Throttle, too_many

VALUE = {"type": ["number", "boolean", "string", "null"], "maxLength": LONGEST_TEXT}
READING = {
    "type": "object",
    "required": ["values"],
    "properties": {
        "at": {"type": ["string", "number", "null"], "description": "ISO 8601 or epoch milliseconds"},
        "values": {
            "type": "object",
            "propertyNames": {"pattern": f"^{METRIC.pattern}$"},
            "additionalProperties": VALUE,
        },
    },
    "examples": [{"at": "2026-01-31T12:00:00.250Z", "values": {"temperature_c": 21.5, "heating": True}}],
}
BODY = {"oneOf": [READING, {"type": "array", "items": READING}]}
ANSWER = {"type": "object", "required": ["stored"], "properties": {"stored": {"type": "integer"}}}


@for_devices
async def post_readings(request: HotRequest, device: CallingDevice) -> HotAnswer:
    """200 `{"stored": n}` once all of its values are durable, or a problem and nothing stored."""
    allowance = await request.parts.get(Throttle).take(device)
    return await (_stored(request, device) if allowance is None else _limited(request, device, allowance))


async def _limited(request: HotRequest, device: CallingDevice, allowance: Allowance) -> HotAnswer:
    """Whatever the answer is, it says what the device's bucket still holds."""
    try:
        if allowance.wait:
            fault = too_many(allowance)
            request.parts.get(Ingest).refused(device, fault)
            raise fault
        answer = await _stored(request, device)
    except DomainError as fault:
        answer = refusal(fault)
    return HotAnswer(answer.status, answer.body, (*answer.headers, *allowance.headers))


async def _stored(request: HotRequest, device: CallingDevice) -> HotAnswer:
    ingest = request.parts.get(Ingest)
    try:
        ingest.check_room(device)
        samples = await ingest.decoded(request.body, request.headers.get(b"content-encoding", b"").lower())
        receipt = await ingest.put(device, samples, request.client_ip)
    except DomainError as fault:
        ingest.refused(device, fault)
        raise
    return HotAnswer(200, b'{"stored":%d}' % receipt.values)
