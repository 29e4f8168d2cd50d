"""What is odd about a device: a loose sensor sends no numbers, two boards have one serial (quirks 6 and 8).

Each process counts in memory, so that posting costs no statement, and writes down every few seconds what is new.
"""

import asyncio
import ipaddress
import re
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from waystation import telemetry
from waystation.devices import CallingDevice
from waystation.dialects.thermostat import store
from waystation.dialects.thermostat.store import Oddity
from waystation.kernel.clock import from_micros
from waystation.kernel.db import Database, Tx
from waystation.kernel.parts import Parts

WRITE_SECONDS = 5
NOT_A_NUMBER = re.compile(rb":\s*[+-]?(?:nan|inf)", re.IGNORECASE)
BETWEEN_TURNS = timedelta(minutes=10)
TURNS = 3  # A, B, A, B: one board that gets a new address moves once, and rarely back
MOST_PLACES = 100_000


@dataclass(slots=True)
class Place:
    """Where a device posts from, and where it was before."""

    now: str
    before: str = ""
    moved_at: datetime | None = None
    turns: int = 0


@dataclass(slots=True)
class News:
    """What is not written down yet."""

    faults: int = 0
    fault_since: datetime | None = None
    fault_at: datetime | None = None
    addresses: str | None = None
    addresses_at: datetime | None = None


class Oddities:
    """A part; used on the event loop."""

    def __init__(self) -> None:
        self._news: dict[int, News] = {}
        self._places: dict[int, Place] = {}

    @classmethod
    def of(cls, parts: Parts) -> "Oddities":
        """The process's own, made when first asked for."""
        if not parts.has(cls):
            parts.put(cls, cls())
        return parts.get(cls)

    def refused(self, device: CallingDevice, body: bytes, now: datetime) -> None:
        """A body that was not taken; it counts when it has `nan` where a number belongs."""
        if NOT_A_NUMBER.search(body) is None:
            return
        news = self._news.setdefault(device.id, News())
        news.faults, news.fault_at = news.faults + 1, now
        news.fault_since = news.fault_since or now

    def came_from(self, device: CallingDevice, address: str, own_address: str | None, now: datetime) -> None:
        """An accepted post: from our side's address, and from the one that the device knows of itself."""
        where = f"{address} {own_address}" if own_address else address
        place = self._places.get(device.id)
        if place is None:
            if len(self._places) >= MOST_PLACES:
                self._places.clear()
            self._places[device.id] = Place(where)
        elif place.now != where:
            self._move(device.id, place, where, now)

    def take(self) -> Mapping[int, News]:
        news, self._news = self._news, {}
        return news

    def _move(self, device_id: int, place: Place, where: str, now: datetime) -> None:
        soon = place.moved_at is not None and now - place.moved_at < BETWEEN_TURNS
        place.turns = place.turns + 1 if soon and where == place.before else 1
        place.now, place.before, place.moved_at = where, place.now, now
        if place.turns >= TURNS:
            news = self._news.setdefault(device_id, News())
            news.addresses, news.addresses_at = _told_apart(place.now, place.before), now


def _told_apart(one: str, other: str) -> str:
    """By the devices' own addresses where these are what differs: two boards behind one router."""
    (near, *own), (other_near, *other_own) = one.split(" "), other.split(" ")
    pair = (near, other_near) if near != other_near else ("".join(own) or near, "".join(other_own) or other_near)
    return ", ".join(sorted(pair))


def own_address(given: object) -> str | None:
    """`device_ip` as an address, or None when it is none."""
    if not isinstance(given, str) or not given or len(given) > 45:
        return None
    try:
        return str(ipaddress.ip_address(given))
    except ValueError:
        return None


@asynccontextmanager
async def keep_oddities(parts: Parts) -> AsyncGenerator[None]:
    writing = asyncio.create_task(_keep_writing(parts))
    try:
        yield
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await asyncio.to_thread(write_down, parts)


async def _keep_writing(parts: Parts) -> None:
    while True:
        await asyncio.sleep(WRITE_SECONDS)
        await asyncio.to_thread(write_down, parts)


def write_down(parts: Parts) -> None:
    news = Oddities.of(parts).take()
    if not news:
        return
    with parts.get(Database).write() as tx:
        known, good = store.oddities(tx, news.keys()), last_good(tx, news.keys())
        for device_id, new in sorted(news.items()):
            store.keep_oddity(tx, _added(known.get(device_id, Oddity(device_id)), new, good.get(device_id)))


def _added(known: Oddity, new: News, good_at: datetime | None) -> Oddity:
    """A good sample since the last fault begins the count anew."""
    if new.addresses is not None:
        known = replace(known, addresses=new.addresses, addresses_at=new.addresses_at)
    if not new.faults:
        return known
    goes_on = known.fault_at is not None and (good_at is None or good_at < known.fault_at)
    since = known.fault_since if goes_on else new.fault_since
    return replace(
        known, faults=(known.faults if goes_on else 0) + new.faults, fault_since=since, fault_at=new.fault_at
    )


def last_good(tx: Tx, device_ids: Collection[int]) -> dict[int, datetime]:
    """When the newest sample of each device came."""
    found = telemetry.last_values(tx, device_ids, ["temp_inside_c"])
    return {one.series.device_id: from_micros(telemetry.at_of(one.stamp)) for one in found}


def notices(found: Oddity | None, good_at: datetime | None, now: datetime) -> dict[str, object]:
    """As the list of devices and their pages show it; nothing for a device that is in order."""
    if found is None:
        return {}
    told: dict[str, object] = {}
    if found.fault_at is not None and (good_at is None or good_at < found.fault_at):
        since = found.fault_since or found.fault_at
        told["sensor_fault"] = {"count": found.faults, "since": since.isoformat(), "last": found.fault_at.isoformat()}
    if found.addresses and found.addresses_at is not None and now - found.addresses_at < timedelta(days=1):
        told["two_addresses"] = {"addresses": found.addresses.split(", "), "last": found.addresses_at.isoformat()}
    return told
