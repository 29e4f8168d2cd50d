"""`POST /api/messages`: lines that a device writes."""

from waystation.devices import CallingDevice, for_devices
from waystation.kernel.errors import DomainError
from waystation.kernel.feature import HotAnswer, HotRequest
from waystation.messages.decode import MOST_LINES
from waystation.messages.intake import Intake, too_many
from waystation.messages.model import DEFAULT_TYPE, MOST_CONTENT, TYPE, Severity

MESSAGE = {
    "type": "object",
    "required": ["content"],
    "properties": {
        "at": {"type": ["string", "number", "null"], "description": "ISO 8601 or epoch milliseconds"},
        "severity": {"enum": [*Severity, None], "default": Severity.INFO},
        "type": {"type": ["string", "null"], "pattern": f"^{TYPE.pattern}$", "default": DEFAULT_TYPE},
        "content": {"type": "string", "maxLength": MOST_CONTENT},
    },
    "examples": [{"at": "2026-01-31T12:00:00.250Z", "severity": "warning", "content": "sensor 3 does not answer"}],
}
BODY = {"oneOf": [MESSAGE, {"type": "array", "items": MESSAGE, "maxItems": MOST_LINES}]}
ANSWER = {"type": "object", "required": ["stored"], "properties": {"stored": {"type": "integer"}}}


@for_devices
async def post_messages(request: HotRequest, device: CallingDevice) -> HotAnswer:
    """200 `{"stored": n}` once all of its lines are durable, or a problem and nothing stored."""
    intake = request.parts.get(Intake)
    try:
        count = await _stored(intake, request, device)
    except DomainError as fault:
        intake.refused(device, fault)
        raise
    return HotAnswer(200, b'{"stored":%d}' % count)


async def _stored(intake: Intake, request: HotRequest, device: CallingDevice) -> int:
    intake.check_room(device)
    messages = await intake.decoded(request.body, request.headers.get(b"content-encoding", b"").lower())
    allowance = intake.allow(device, len(messages))
    if allowance is not None and allowance.wait:
        raise too_many(allowance)
    await intake.put(device, messages, request.client_ip)
    return len(messages)
