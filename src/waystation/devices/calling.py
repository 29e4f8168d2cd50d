"""The device that calls: on the hot path, and for handlers of the web framework that stream."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Annotated

from waystation.devices.gate import Gate
from waystation.devices.guesses import Guesses
from waystation.devices.model import CallingDevice
from waystation.kernel.calls import Call, Connection, Within
from waystation.kernel.errors import Refused, Unauthenticated
from waystation.kernel.feature import HotAnswer, HotEndpoint, HotRequest
from waystation.kernel.hot import refusal
from waystation.kernel.https import PlainHttp
from waystation.kernel.parts import Parts
from waystation.kernel.settings import Settings

CHALLENGE = (b"www-authenticate", b'Device realm="waystation", Bearer realm="waystation"')


async def calling_device(request: HotRequest) -> CallingDevice:
    """Unauthenticated or Refused when there is none; usually found without waiting."""
    gate = request.parts.get(Gate)
    authorization = request.headers.get(b"authorization")
    return gate.known(authorization) or await gate.admit(authorization, request.client_ip)


def for_devices(answer: Callable[[HotRequest, CallingDevice], Awaitable[HotAnswer]]) -> HotEndpoint:
    """A hot endpoint that a device alone may call; strangers are answered, and counted, before it hears of them."""

    @wraps(answer)
    async def endpoint(request: HotRequest) -> HotAnswer:
        try:
            device = await calling_device(request)
        except (Unauthenticated, Refused) as fault:
            return await stranger(request, fault)
        return await answer(request, device)

    return endpoint


async def stranger(request: HotRequest, fault: Unauthenticated | Refused) -> HotAnswer:
    """The refusal of a caller that did not prove itself; TooMany when its address guesses too fast."""
    await Guesses.of(request.parts).count(request.client_ip)
    answer = refusal(fault)
    if not isinstance(fault, Unauthenticated):
        return answer
    kept = tuple(header for header in answer.headers if header[0] != CHALLENGE[0])
    return HotAnswer(answer.status, answer.body, (*kept, CHALLENGE))


def _find(call: Call) -> CallingDevice:
    """The first use of a rotated key is a write of its own, so no writing transaction may be open."""
    assert call.only_reads, "ask for the calling device in async handlers only"
    return call.parts.get(Gate).admit_here(_proof(call.request))


async def _find_ahead(connection: Connection) -> CallingDevice:
    parts: Parts = connection.app.state.parts
    return await parts.get(Gate).admit(_proof(connection))


def _proof(connection: Connection) -> bytes | None:
    """What it brings to prove itself, if it may do so on this connection."""
    parts: Parts = connection.app.state.parts
    if not parts.get(Settings).plain_http_ingest and connection.url.scheme not in ("https", "wss"):
        raise PlainHttp("devices are served over HTTPS only here (plain_http_ingest is off)")
    authorization = connection.headers.get("authorization")
    return None if authorization is None else authorization.encode("latin-1")


TheDevice = Annotated[CallingDevice, Within(_find, who="device", find_ahead=_find_ahead)]
