"""What devices say, as it arrives, for those who watch: the newest of each device, never more than they can take."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec

from waystation.devices import CallingDevice
from waystation.kernel.bus import Bus, Unsubscribe
from waystation.telemetry.ingest import Receipt
from waystation.telemetry.model import Sample, Value

HOLD_SECONDS = 0.2  # a device is shown at most five times a second
WATCHED_SECONDS = 45  # a watcher says that it is there with every ping
PING_SECONDS = 15
MOST_EVENTS = 200


class News(msgspec.Struct):
    """The values of one device that are newer than what was told before; `at` is epoch milliseconds."""

    device: str
    name: str
    at: float
    values: dict[str, Value]

    def add(self, later: "News") -> None:
        self.values.update(later.values)
        self.name, self.at = later.name, max(self.at, later.at)


encode = msgspec.json.Encoder().encode
NEWS = msgspec.json.Decoder(News)


class Watch:
    """One open page: what it has not been sent yet. Bounded: a newer value of a metric takes the older one's place."""

    def __init__(self) -> None:
        self.ended = False
        self._news: dict[str, News] = {}
        self._events: list[bytes] = []
        self._something = asyncio.Event()

    def tell(self, news: News) -> None:
        if news.device in self._news:
            self._news[news.device].add(news)
        else:
            self._news[news.device] = news
        self._something.set()

    def pass_on(self, event: bytes) -> None:
        """An event that nothing newer replaces; a watcher that leaves hundreds unread is cut off, and starts afresh."""
        if len(self._events) == MOST_EVENTS:
            self.end()
            return
        self._events.append(event)
        self._something.set()

    def end(self) -> None:
        self.ended = True
        self._something.set()

    async def next(self) -> bytes:
        """What there is to say, as server-sent events; waits while there is nothing."""
        await self._something.wait()
        self._something.clear()
        news, events = self._news, self._events
        self._news, self._events = {}, []
        told = [b"event: readings\ndata: " + encode(item) + b"\n\n" for item in news.values()]
        return b"".join([*(b"event: device\ndata: " + event + b"\n\n" for event in events), *told])


@dataclass(slots=True)
class Follower:
    """Whom a watch follows, and what ends it: notices, and time when there are `seconds`.

    With `metrics` only these of each device are told; device events are of `events_of`, or of all that are followed.
    """

    home_id: int
    keys: Collection[str] | None = None
    ended_by: Sequence[str] = field(default_factory=tuple[str, ...])
    metrics: Mapping[str, Collection[str]] | None = None
    events_of: Collection[str] | None = None
    seconds: float | None = None

    def may_see(self, news: News) -> News:
        if self.metrics is not None:
            known = self.metrics.get(news.device, ())
            news.values = {metric: value for metric, value in news.values.items() if metric in known}
        return news


class Live:
    """A part. Takes readings to the bus while somebody watches their home, and from there to this process's watches."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._watched_until: dict[int, float] = {}
        self._held: dict[str, News] = {}
        self._watches: set[Watch] = set()

    def start(self) -> Unsubscribe:
        """Listens for watchers in all processes; call on the event loop."""
        return self._bus.subscribe("watching.*", self._note_watcher)

    def end_all(self) -> None:
        """The process stops: open pages are let go, so that they come back to another one or to the next."""
        for watch in list(self._watches):
            watch.end()

    def readings_stored(self, device: CallingDevice, samples: Sequence[Sample], receipt: Receipt) -> None:
        """Costs one look-up when nobody watches the device's home."""
        if self._watched_until.get(device.home_id, 0.0) < time.monotonic():
            return
        news = _newest(device, samples, receipt)
        held = self._held.get(device.key)
        if held is not None:
            held.add(news)
        else:
            self._publish(device.home_id, news)

    def _publish(self, home_id: int, news: News) -> None:
        """Tells now, and holds what comes within the next moment back for its end."""
        self._bus.publish(f"readings.{home_id}.{news.device}", encode(news))
        self._held[news.device] = News(news.device, news.name, news.at, {})
        asyncio.get_running_loop().call_later(HOLD_SECONDS, self._release, home_id, news.device)

    def _release(self, home_id: int, key: str) -> None:
        held = self._held.pop(key)
        if held.values:
            self._publish(home_id, held)

    def announce(self, home_id: int) -> None:
        """Says to all processes that somebody watches this home."""
        self._bus.publish(f"watching.{home_id}", b"")

    def _note_watcher(self, subject: str, _body: bytes) -> None:
        home = subject.rpartition(".")[2]
        if home.isdecimal():
            self._watched_until[int(home)] = time.monotonic() + WATCHED_SECONDS

    @asynccontextmanager
    async def watch(self, follower: Follower) -> AsyncGenerator[Watch]:
        """A watch that gets what the follower may see, while the block lasts."""
        watch = Watch()
        ends = [self._bus.subscribe(subject, lambda _subject, _body: watch.end()) for subject in follower.ended_by]
        ends += self._subscribe(watch, follower)
        if follower.seconds is not None:
            ends.append(asyncio.get_running_loop().call_later(follower.seconds, watch.end).cancel)
        self._watches.add(watch)
        self.announce(follower.home_id)
        try:
            yield watch
        finally:
            self._watches.discard(watch)
            for unsubscribe in ends:
                unsubscribe()

    def _subscribe(self, watch: Watch, follower: Follower) -> list[Unsubscribe]:
        def on_readings(_subject: str, body: bytes) -> None:
            news = follower.may_see(NEWS.decode(body))
            if news.values or follower.metrics is None:
                watch.tell(news)

        def on_device(_subject: str, body: bytes) -> None:
            watch.pass_on(body)

        names = ["*"] if follower.keys is None else sorted(follower.keys)
        told_of = names if follower.events_of is None else sorted(follower.events_of)
        readings = [self._bus.subscribe(f"readings.{follower.home_id}.{name}", on_readings) for name in names]
        return readings + [self._bus.subscribe(f"devices.{follower.home_id}.{name}", on_device) for name in told_of]


def _newest(device: CallingDevice, samples: Sequence[Sample], receipt: Receipt) -> News:
    """Of several samples in one call, the values that are newest."""
    by_time = sorted(samples, key=lambda sample: receipt.at if sample.at is None else sample.at)
    values: dict[str, Value] = {}
    for sample in by_time:
        values.update(sample.values)
    at = (by_time[-1].at if by_time else None) or receipt.at
    return News(device.key, device.name, at / 1000, values)
