"""`GET /api/commands/next` and `POST /api/commands/outcome`: what a device asks all day, and what it says of it."""

import asyncio
import math

import msgspec

from waystation.commands import wire
from waystation.commands.delivery import Delivery
from waystation.commands.model import Command
from waystation.devices import CallingDevice, Gate, for_devices
from waystation.kernel.errors import DomainError, Invalid
from waystation.kernel.feature import HotAnswer, HotRequest

LINK = "http"
LONGEST_WAIT_SECONDS = 60
NOTHING = HotAnswer(200, wire.NO_COMMAND)


@for_devices
async def next_command(request: HotRequest, device: CallingDevice) -> HotAnswer:
    """The device's next command, or null; with `wait` held until there is one, at most so many seconds (0 to 60)."""
    delivery = request.parts.get(Delivery)
    now = delivery.clock.now()
    request.parts.get(Gate).hear(device.id, now, request.client_ip)
    if not request.query:
        if not delivery.waiting.may_have(device.id, now):
            return NOTHING
        found = await delivery.take(device.id, link=LINK, is_gone=request.is_gone)
    else:
        found = await _taken_within(_wait_seconds(request.query), request, device, delivery)
    if found is not None and request.is_gone():  # it hung up while the lease was on its way to the disk
        await delivery.give_back(found)
        return NOTHING
    return NOTHING if found is None else HotAnswer(200, wire.encode({"command": wire.command(found)}))


async def _taken_within(
    seconds: float, request: HotRequest, device: CallingDevice, delivery: Delivery
) -> Command | None:
    loop = asyncio.get_running_loop()
    ticket = delivery.waiting.arrive(device.id, LINK)
    until = loop.time() + seconds
    while True:
        found = await delivery.take(device.id, link=LINK, is_gone=request.is_gone)
        left = until - loop.time()
        if found is not None or left <= 0 or request.is_gone():
            return found
        if not await delivery.waiting.wait(device.id, ticket, delivery.clock.now(), link=LINK, seconds=left):
            return None


@for_devices
async def post_outcome(request: HotRequest, device: CallingDevice) -> HotAnswer:
    """What became of commands: one outcome or an array. 200 once it is durable, with the state that each has now."""
    delivery = request.parts.get(Delivery)
    request.parts.get(Gate).hear(device.id, delivery.clock.now(), request.client_ip)
    if wire.is_array(request.body):
        answers = [_settled(one, device, delivery) for one in wire.many_said(request.body)]
        return HotAnswer(200, wire.encode({"outcomes": await asyncio.gather(*answers)}))
    said = wire.said(request.body)
    settled = await delivery.settle(device.id, said.id, said.outcome, link=LINK)
    if settled.refusal is not None:
        raise settled.refusal
    return HotAnswer(200, wire.encode(wire.taken(settled.command)))


async def _settled(text: msgspec.Raw, device: CallingDevice, delivery: Delivery) -> dict[str, str]:
    uid = ""
    try:
        said = wire.said(text)
        uid = said.id
        settled = await delivery.settle(device.id, uid, said.outcome, link=LINK)
    except DomainError as fault:
        return wire.refused(uid, fault)
    return wire.taken(settled.command) if settled.refusal is None else wire.refused(uid, settled.refusal)


def _wait_seconds(query: bytes) -> float:
    """Of `wait=…`; any other word of the query is passed over."""
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name == b"wait":
            return _seconds(value)
    return 0.0


def _seconds(text: bytes) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= LONGEST_WAIT_SECONDS:
        raise Invalid(f"wait is a number of seconds, 0 to {LONGEST_WAIT_SECONDS}")
    return seconds
