"""One call of a device on a hot path: read leniently, then proved, then limited, then answered in DropSync's words."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

import msgspec

from waystation.devices import CallingDevice
from waystation.dialects.dropsync import wire
from waystation.dialects.dropsync.pace import Pace
from waystation.dialects.dropsync.proof import proven, token_of
from waystation.dialects.dropsync.pulse import Pulse
from waystation.dialects.dropsync.wire import BODY, QUERY, Fields, Given
from waystation.kernel.clock import Clock
from waystation.kernel.errors import DomainError, NotFound, TooMany
from waystation.kernel.feature import HotAnswer, HotEndpoint, HotRequest
from waystation.kernel.hot import refusal
from waystation.kernel.parts import Parts
from waystation.kernel.settings import Settings

T = TypeVar("T")
JSON = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, as it calls itself (`name`) and as the house knows it, and when."""

    request: HotRequest
    name: str
    device: CallingDevice
    now: datetime

    @property
    def parts(self) -> Parts:
        return self.request.parts

    @property
    def is_small(self) -> bool:
        """Whether the caller reads answers into a kilobyte (DS-8)."""
        return self.request.headers.get(b"user-agent", b"")[:3].upper() == b"ESP"


@dataclass(frozen=True, slots=True)
class Way:
    """`word` is which word of the path names the device, None when a field does."""

    word: int | None
    is_legacy: bool = False
    is_poll: bool = False
    is_beat: bool = False


def device_call(answer: Callable[[Asked, T], Awaitable[Fields]], read: Callable[[Given], T], way: Way) -> HotEndpoint:
    """What is missing is said before anybody is proved, as the original does (DS-2)."""

    @wraps(answer)
    async def endpoint(request: HotRequest) -> HotAnswer:
        try:
            if way.is_legacy and not request.parts.get(Settings).dropsync_legacy:
                raise NotFound("Not Found")
            given = given_in(request)
            asked_for = read(given)
            name = given.text("device_id") if way.word is None else request.word(way.word)
            token = token_of(given, request.headers.get(b"authorization", b""))
            given.check()
            return json(200, await answer(await _proved(request, name, token, way), asked_for))
        except DomainError as fault:
            return refused(fault)

    return endpoint


def given_in(request: HotRequest) -> Given:
    if request.method != b"POST":
        return Given(QUERY, wire.parse_form(request.query))
    return Given(BODY, wire.parse_form(request.body, request.headers.get(b"content-type", b"")))


async def _proved(request: HotRequest, name: str, token: str, way: Way) -> Asked:
    parts, sentence = request.parts, wire.UNAUTHORIZED_LEGACY if way.is_legacy else wire.UNAUTHORIZED
    device = await proven(parts, name, token, address=request.client_ip, sentence=sentence)
    await Pace.of(parts).check(device)
    asked = Asked(request, name, device, parts.get(Clock).now())
    if not way.is_beat:
        await parts.get(Pulse).heard(device, asked.now, request.client_ip, is_poll=way.is_poll)
    return asked


def refused(fault: DomainError) -> HotAnswer:
    kept = tuple(header for header in refusal(fault).headers if header[0] == b"retry-after")
    body: Mapping[str, Any] = {"detail": wire.TOO_MANY} if isinstance(fault, TooMany) else wire.refusal_body(fault)
    return HotAnswer(fault.status, msgspec.json.encode(body), (JSON, *kept))


def json(status: int, body: Fields) -> HotAnswer:
    return HotAnswer(status, msgspec.json.encode(body), (JSON,))
