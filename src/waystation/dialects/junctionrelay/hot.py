"""The calls of devices: register, refresh, rotate, health (contract section 4.3), each answered after its commit."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from waystation import devices
from waystation.devices import Gate, Introduction, Pair, Presented, calling_device
from waystation.dialects.junctionrelay import wire
from waystation.dialects.junctionrelay.reports import Reports
from waystation.dialects.junctionrelay.strangers import Strangers
from waystation.kernel import jwt
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.errors import DomainError, Refused, TooLarge, Unauthenticated, Unavailable
from waystation.kernel.feature import HotAnswer, HotRequest
from waystation.kernel.hot import refusal
from waystation.kernel.jwt import Tokens
from waystation.kernel.limits import Limiter
from waystation.kernel.parts import Parts
from waystation.kernel.settings import Settings
from waystation.telemetry import Ingest, Throttle

BAD_REGISTRATION = "this registration token is unknown, used or expired"
BAD_REFRESH = "this refresh token is unknown, expired or revoked, or belongs to another device"
REGISTRATIONS = "30/minute"
JSON = (b"content-type", b"application/json")
AGAIN_SECONDS, PATIENCE_SECONDS = 0.25, 20.0  # clients give up after 30 s, and forget who they are (JR-10)

Answer = TypeVar("Answer")


async def register(request: HotRequest) -> HotAnswer:
    return await _answered(request, _register)


async def register_and_exchange(request: HotRequest) -> HotAnswer:
    """What an older ESP32 client calls instead (contract section 4.9)."""
    return await _answered(request, _register_and_exchange)


async def refresh(request: HotRequest) -> HotAnswer:
    return await _answered(request, _refresh)


async def rotate(request: HotRequest) -> HotAnswer:
    return await _answered(request, _rotate)


async def health(request: HotRequest) -> HotAnswer:
    return await _answered(request, _health)


async def _answered(request: HotRequest, call: Callable[[HotRequest], Awaitable[wire.Fields]]) -> HotAnswer:
    """Every answer in the contract's form; what nobody foresaw is left to the kernel, which logs it."""
    try:
        return HotAnswer(200, msgspec.json.encode(await call(request)), (JSON,))
    except DomainError as fault:
        body = {"success": False, "error": fault.sentence}
        kept = tuple(header for header in refusal(fault).headers if header[0] == b"retry-after")
        return HotAnswer(fault.status, msgspec.json.encode(body), (JSON, *kept))


async def _register(request: HotRequest) -> wire.Fields:
    given = wire.fields(request.body)
    return await _registered(request, given, wire.text(given, "actualDeviceId"), wire.text(given, "deviceName"))


async def _register_and_exchange(request: HotRequest) -> wire.Fields:
    given = wire.fields(request.body)
    return await _registered(request, given, wire.text(given, "deviceId"), wire.optional_text(given, "deviceName"))


async def _registered(request: HotRequest, given: wire.Fields, said_id: str, name: str) -> wire.Fields:
    """Only here an address can be refused for trying too often: who has a pasted token has a person beside it."""
    token = wire.text(given, "registrationToken")
    said_id, model = devices.registration.check_said_id(said_id), wire.optional_text(given, "deviceType")
    await request.parts.get(Limiter).limit_async(REGISTRATIONS, "register", request.client_ip)
    pair = None
    if wire.could_be_ours(token):
        introduction = Introduction(token, said_id, name, model)
        pair = await asyncio.to_thread(_sign_on, request, introduction)
    if pair is None:
        await Strangers.of(request.parts).wait()
        raise Unauthenticated(BAD_REGISTRATION)
    return wire.registered(pair)


def _sign_on(request: HotRequest, introduction: Introduction) -> Pair | None:
    parts = request.parts
    now, settings = parts.get(Clock).now(), parts.get(Settings)
    with parts.get(Database).write() as tx:
        made = devices.registration.register(
            tx,
            parts.get(Tokens),
            introduction,
            now,
            lifetimes=lambda device: devices.registration.lifetimes_of(device, settings),
        )
        if made is not None:
            devices.seen(tx, [(made[0].id, now, request.client_ip)])
    return None if made is None else made[1]


async def _refresh(request: HotRequest) -> wire.Fields:
    return wire.refreshed(await _renewed(request, _refreshed))


async def _rotate(request: HotRequest) -> wire.Fields:
    return wire.rotated(await _renewed(request, _rotated))


async def _renewed(request: HotRequest, renew: Callable[[Parts, str, str, str], Pair | None]) -> Pair:
    """A known token waits for nothing but its own commit, whatever strangers do (JR-10)."""
    given = wire.fields(request.body)
    token, said_id = wire.text(given, "RefreshToken"), wire.text(given, "DeviceId")
    pair = None
    if wire.could_be_ours(token):
        pair = await patiently(lambda: asyncio.to_thread(renew, request.parts, token, said_id, request.client_ip))
    if pair is None:
        await Strangers.of(request.parts).wait()
        raise Unauthenticated(BAD_REFRESH)
    return pair


async def patiently(attempt: Callable[[], Awaitable[Answer]]) -> Answer:
    """Tries again while the database is busy or away: a refusal would cost the device its identity (JR-10)."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE_SECONDS
    while True:
        try:
            return await attempt()
        except Unavailable:
            if loop.time() >= until:
                raise
            await asyncio.sleep(AGAIN_SECONDS)


def _refreshed(parts: Parts, token: str, said_id: str, client_ip: str) -> Pair | None:
    """Reads only, unless it is the first use of the token; the use is noted by a sweep."""
    now, tokens, settings = parts.get(Clock).now(), parts.get(Tokens), parts.get(Settings)
    with parts.get(Database).read() as tx:
        given = _own(devices.renewal.presented(tx, token), said_id)
    if given is None:
        return None
    lifetimes = devices.registration.lifetimes_of(given.device, settings)
    pair = devices.renewal.unchanged(tokens, given, token, now=now, lifetimes=lifetimes)
    if pair is None:
        with parts.get(Database).write() as tx:
            pair = devices.renewal.refreshed(tx, tokens, given, token, now=now, lifetimes=lifetimes)
    if pair is not None:
        parts.get(Gate).note(given.device.id, given.row.id, client_ip)
    return pair


def _rotated(parts: Parts, token: str, said_id: str, client_ip: str) -> Pair | None:
    now, tokens, settings = parts.get(Clock).now(), parts.get(Tokens), parts.get(Settings)
    with parts.get(Database).write() as tx:
        given = _own(devices.renewal.presented(tx, token), said_id)
        if given is None:
            return None
        lifetimes = devices.registration.lifetimes_of(given.device, settings)
        pair = devices.renewal.renewed(tx, tokens, given, now=now, lifetimes=lifetimes)
        if pair is not None:
            devices.seen(tx, [(given.device.id, now, client_ip)])
    return pair


def _own(given: Presented | None, said_id: str) -> Presented | None:
    """None when the token is another device's."""
    return given if given is not None and given.device.said_id == said_id else None


async def _health(request: HotRequest) -> wire.Fields:
    device = await _calling(request)
    if len(request.body) > wire.MOST_HEALTH_BYTES:
        raise TooLarge(f"the body is larger than {wire.MOST_HEALTH_BYTES} bytes")
    await request.parts.get(Throttle).check(device)
    request.parts.get(Ingest).check_room(device)
    samples = await Reports.of(request.parts).samples(device, request.body)
    await request.parts.get(Ingest).put(device, samples, request.client_ip)
    return {"success": True}


async def _calling(request: HotRequest) -> devices.CallingDevice:
    """Here only an access token counts, and whatever is wrong with it is 401 (JR-16)."""
    scheme, _, token = request.headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer" or not jwt.looks_like_one(token.decode("latin-1")):
        raise Unauthenticated("send the device's token as `Authorization: Bearer`")
    try:
        return await calling_device(request)
    except Refused as fault:
        raise Unauthenticated(jwt.WRONG) from fault
