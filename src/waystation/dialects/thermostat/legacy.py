"""The first firmware: one key for all of them and an id in the body. Off until the owner maps ids to devices."""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import msgspec
import structlog

from waystation.devices import CallingDevice, Gate
from waystation.kernel.errors import Invalid, Refused, Unauthenticated
from waystation.kernel.feature import HotRequest
from waystation.kernel.parts import Parts
from waystation.kernel.secrets import same
from waystation.kernel.settings import Settings, weakened

log = structlog.get_logger(__name__)

NO_CREDENTIALS = "Missing or invalid Authorization header"
PAIR = re.compile(r"\s*([^=,]{1,128}?)\s*=\s*([A-Za-z0-9._-]{1,64})\s*")


class Said(msgspec.Struct):
    device_id: str


SAID = msgspec.json.Decoder(Said)


class Shared:
    """A part: the shared key and whose posts it lets in."""

    def __init__(self, settings: Settings) -> None:
        self.key = settings.thermostat_shared_key.get_secret_value()
        self.serials: Mapping[str, str] = pairs(settings.thermostat_shared_devices) if self.key else {}

    @classmethod
    def of(cls, parts: Parts) -> "Shared":
        """Made when first asked for; nothing of it changes while the process runs."""
        if not parts.has(cls):
            parts.put(cls, cls(parts.get(Settings)))
        return parts.get(cls)

    @property
    def is_on(self) -> bool:
        return bool(self.key and self.serials)


def pairs(text: str) -> dict[str, str]:
    """`esp32-thermostat-1=SN-1, hall=SN-2`, else Invalid."""
    found: dict[str, str] = {}
    for part in filter(str.strip, text.split(",")):
        match = PAIR.fullmatch(part)
        if match is None:
            raise Invalid(f"thermostat_shared_devices: {part.strip()[:80]!r} is not like esp32-thermostat-1=SN-1")
        found[match[1]] = match[2]
    return found


async def admit(request: HotRequest) -> CallingDevice:
    """Unauthenticated in the words for no credentials at all, whatever was wrong."""
    shared = Shared.of(request.parts)
    given = request.headers.get(b"x-api-key", b"")
    if not shared.is_on or not same(given, shared.key):
        raise Unauthenticated(NO_CREDENTIALS)
    try:
        name = SAID.decode(request.body).device_id
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Unauthenticated(NO_CREDENTIALS) from fault
    serial = shared.serials.get(name)
    if serial is None:
        raise Unauthenticated(NO_CREDENTIALS)
    try:
        return await request.parts.get(Gate).admit_named(serial, f"shared {shared.key} {serial}")
    except Refused as fault:
        raise Unauthenticated(NO_CREDENTIALS) from fault


@asynccontextmanager
async def announce(parts: Parts) -> AsyncGenerator[None]:
    """A wrong mapping ends the start here; a right one is told of, as on the system page (G-20)."""
    Shared.of(parts)
    for told in weakened(parts.get(Settings)):
        log.warning("a setting weakens security", told=told)
    yield
