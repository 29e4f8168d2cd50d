"""Which device a token proves; in one place for hot paths and for those of the web framework (DS-2, DS-4)."""

from waystation.devices import CallingDevice, Gate
from waystation.dialects.dropsync import wire
from waystation.dialects.dropsync.model import KIND, is_device_id
from waystation.dialects.dropsync.pace import Pace
from waystation.dialects.dropsync.wire import Given, Unfit
from waystation.kernel.errors import Refused
from waystation.kernel.parts import Parts

MOST_TOKEN = 256


def token_of(given: Given, authorization: bytes) -> str:
    """Of the form or query, else of the header. Noted as missing when it is in neither."""
    return given.optional("token").strip() or wire.bearer(authorization) or given.text("token").strip()


async def proven(
    parts: Parts, device_id: str, token: str, *, address: str, sentence: str = wire.UNAUTHORIZED
) -> CallingDevice:
    """Unfit, in the words of the path, for an unknown device as for a wrong or revoked token."""
    name = device_id if is_device_id(device_id) else ""
    try:
        return await parts.get(Gate).admit_called(KIND, name, token[:MOST_TOKEN])
    except Refused as fault:
        Pace.of(parts).wrong(address)
        raise Unfit(sentence) from fault
