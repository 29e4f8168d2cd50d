"""Who is connected: the caps on connections, and one regular look at every connection's deadlines."""

import asyncio
import ipaddress
from collections import Counter
from dataclasses import dataclass
from math import inf

from waystation.kernel.errors import DomainError, TooMany, Unavailable
from waystation.kernel.settings import Settings


class HeadersTooLarge(DomainError):
    status, word = 431, "headers_too_large"


class TooSlow(DomainError):
    status, word = 408, "too_slow"


WORKED_OFF = (b"/api/v1/files/upload/", b"/api/v1/admin/sync-packages", b"/upload/")
"""Whose endpoints stream to the disk and have caps of their own, in words of their own."""
ANY_LENGTH = 2**62  # of bodies that are worked off as they come


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take from the others.

    A body may take longer than `body_timeout_seconds` while it keeps the least rate; `larger_bodies` are path prefixes
    with a cap of their own.
    """

    header_timeout_seconds: float = 10
    body_timeout_seconds: float = 30
    idle_timeout_seconds: float = 75
    write_timeout_seconds: float = 30
    linger_seconds: float = 2
    least_body_bytes_per_second: int = 500
    max_header_bytes: int = 32_768
    max_headers: int = 100
    max_body_bytes: int = 1_048_576
    max_pipelined: int = 64
    max_connections: int = 20_000
    max_connections_per_address: int = 2_000
    trusted_proxies: tuple[str, ...] = ()
    larger_bodies: tuple[tuple[bytes, int], ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        return cls(
            header_timeout_seconds=settings.header_timeout_seconds,
            body_timeout_seconds=settings.body_timeout_seconds,
            idle_timeout_seconds=settings.idle_timeout_seconds,
            max_body_bytes=settings.max_body_bytes,
            max_connections=settings.max_connections,
            max_connections_per_address=settings.max_connections_per_address,
            trusted_proxies=settings.trusted_proxies,
            larger_bodies=(
                (b"/api/import", ANY_LENGTH),
                (b"/api/uploads", settings.max_file_bytes),
                *((path, ANY_LENGTH) for path in WORKED_OFF),
            ),
        )

    @property
    def look_seconds(self) -> float:
        """Between two looks at the deadlines: a quarter of the shortest, so that none is overrun by much."""
        shortest = min(
            self.header_timeout_seconds,
            self.body_timeout_seconds,
            self.idle_timeout_seconds,
            self.write_timeout_seconds,
            self.linger_seconds,
        )
        return min(1.0, shortest / 4)

    def body_bytes(self, path: bytes) -> int:
        caps = [cap for prefix, cap in self.larger_bodies if path.startswith(prefix)]
        return max(caps, default=self.max_body_bytes)


@dataclass(slots=True)
class Traffic:
    """What the edge of this process has seen, for /metrics and the system page."""

    connections: int = 0
    turned_away: int = 0
    timed_out: int = 0
    malformed: int = 0
    hot_answers: int = 0
    answers: int = 0


class Watched(asyncio.Protocol):
    """A connection with deadlines, in the loop's time.

    `due` for what its client must send, `write_due` for what it must read, `close_due` for a close that waits for it.
    """

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    limits: Limits
    due: float = inf
    write_due: float = inf
    close_due: float = inf

    @property
    def address(self) -> str:
        raise NotImplementedError

    def overdue(self, now: float) -> None:
        """The client did not send in time."""
        raise NotImplementedError

    def check(self, now: float) -> None:
        if self.transport.is_closing():
            self.close_due = min(self.close_due, now + self.limits.write_timeout_seconds)
        if now > min(self.write_due, self.close_due):
            self.transport.abort()
        elif now > self.due and self.close_due == inf:
            self.overdue(now)

    def pause_writing(self) -> None:
        """The transport's buffer is full: its client has the write time-out to empty it to the low-water mark."""
        self.write_due = self.loop.time() + self.limits.write_timeout_seconds
        super().pause_writing()

    def resume_writing(self) -> None:
        self.write_due = inf
        super().resume_writing()


class Door:
    def __init__(self, limits: Limits, traffic: Traffic) -> None:
        self.limits = limits
        self.traffic = traffic
        self._inside: dict[Watched, str] = {}
        self._by_address: Counter[str] = Counter()

    def enter(self, connection: Watched) -> DomainError | None:
        """Counts the connection in; one to be turned away, for the reason returned, counts too until it leaves."""
        key = counted_as(connection.address)
        self._inside[connection] = key
        self._by_address[key] += 1
        self.traffic.connections = len(self._inside)
        refused = self._refusal(key, connection.address)
        self.traffic.turned_away += refused is not None
        return refused

    def leave(self, connection: Watched) -> None:
        key = self._inside.pop(connection, None)
        if key is None:
            return
        self._by_address[key] -= 1
        if not self._by_address[key]:
            del self._by_address[key]
        self.traffic.connections = len(self._inside)

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.limits.look_seconds)
            now = loop.time()
            for connection in list(self._inside):
                connection.check(now)

    def _refusal(self, key: str, address: str) -> DomainError | None:
        if len(self._inside) > self.limits.max_connections:
            return Unavailable("too many connections; try again shortly", retry_after_seconds=5)
        if (
            self._by_address[key] > self.limits.max_connections_per_address
            and address not in self.limits.trusted_proxies
        ):
            return TooMany("too many connections from your address; close some", retry_after_seconds=5)
        return None


def counted_as(address: str) -> str:
    """The address, or the /64 network of an IPv6 address: one client has all of its network's addresses."""
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Address(address.partition("%")[0]).packed[:8].hex())
