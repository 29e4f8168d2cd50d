"""Which device calls a path of the web framework: proved when its token is known, which may be in the body."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from waystation.devices import CallingDevice
from waystation.dialects.dropsync import wire
from waystation.dialects.dropsync.edge import DEVICE_TOKEN, find_admin
from waystation.dialects.dropsync.pace import Pace
from waystation.dialects.dropsync.proof import proven, token_of
from waystation.dialects.dropsync.pulse import Pulse
from waystation.dialects.dropsync.wire import Given
from waystation.homes import Membership
from waystation.kernel.calls import Call, Within
from waystation.kernel.clock import Clock
from waystation.kernel.errors import Unauthenticated
from waystation.kernel.https import PlainHttp
from waystation.kernel.settings import Settings

Prove = Callable[[str, Given], Awaitable[CallingDevice]]
"""Of the id in the path and the fields: Unprocessable without a token, Unfit with a wrong one."""


def _prover(sentence: str) -> Callable[[Call], Prove]:
    def find(call: Call) -> Prove:
        request, parts, address = call.request, call.parts, call.ip or ""

        async def prove(device_id: str, given: Given) -> CallingDevice:
            if request.url.scheme != "https" and not parts.get(Settings).plain_http_ingest:
                raise PlainHttp("devices are served over HTTPS only here (plain_http_ingest is off)")
            token = token_of(given, request.headers.get("authorization", "").encode("latin-1"))
            given.check()
            device = await proven(parts, device_id, token, address=address, sentence=sentence)
            await Pace.of(parts).check(device)
            await parts.get(Pulse).heard(device, parts.get(Clock).now(), address)
            return device

        return prove

    return find


def _admin_if_any(call: Call) -> Membership | None:
    """Refused for a form that another site sent."""
    try:
        return find_admin(call)
    except Unauthenticated:
        return None


Prover = Annotated[Prove, Within(_prover(wire.UNAUTHORIZED), who=DEVICE_TOKEN)]
LegacyProver = Annotated[Prove, Within(_prover(wire.UNAUTHORIZED_LEGACY))]
AdminOrNobody = Annotated[Membership | None, Within(_admin_if_any, who="admin")]
