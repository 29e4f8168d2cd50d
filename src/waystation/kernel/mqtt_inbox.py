"""What devices send: QoS 1 from the server's durable stream, QoS 0 as it flies by, both in batches."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nats.errors
import structlog
from nats.aio.msg import Msg

from waystation.kernel.nats_session import API_SECONDS, JetStreamFault, Line, accepted, ask_jetstream

log = structlog.get_logger(__name__)

STREAM = "$MQTT_msgs"
STREAM_SUBJECTS = "$MQTT.msgs."
QOS_HEADER = "Nmqtt-Pub"
MOST_IN_BATCH = 1_000
MOST_BYTES_ASKED = 8 * 1_048_576
MOST_WAITING_BYTES = 4 * MOST_BYTES_ASKED
MOST_UNSETTLED = 5_000
ASK_SECONDS = 30
LONGEST_PAUSE_SECONDS = 30
KEEPER, KEPT = "waystation-keeper", f"{STREAM_SUBJECTS}waystation.kept"
KEEPING = {"durable_name": KEEPER, "filter_subject": KEPT, "ack_policy": "explicit"}
MOST_CONSUMERS = 1_000_000
NANOSECONDS = 1_000_000_000
NO_SUCH_STREAM, REPLICAS_NEED_A_CLUSTER = 10059, 10074


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """One message of a device. `at` (µs) and `sequence` are None at QoS 0, the same at every redelivery of QoS 1."""

    device_key: str
    subject: str
    payload: bytes
    at: int | None
    sequence: int | None


@dataclass(frozen=True, slots=True)
class Later:
    """Not settled; it comes again in `seconds`."""

    seconds: float


Settled = bool | Later
Settle = Callable[[Sequence[MqttMessage]], Awaitable[Sequence[Settled]]]
"""Says of each message whether it is settled: stored, or refused for good. What is not comes again (at QoS 1)."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where and how often the stream delivered a message, as its reply subject says it."""

    times: int
    sequence: int
    at: int

    @staticmethod
    def of(reply: str) -> "Delivery":
        """`$JS.ACK.<stream>.<consumer>.<times>.<sequence>.<…>.<ns>.<pending>`, or with domain and account before it."""
        words = reply.split(".")
        times, sequence, _, at_ns = words[4:8] if len(words) == 9 else words[6:10]
        return Delivery(int(times), int(sequence), int(at_ns) // 1000)


def subject_of(name: str) -> str:
    return f"d.*.up.{name}"


def durable_of(name: str) -> str:
    return f"waystation-{name.replace('.', '-')}"


async def prepare(line: Line, names: Sequence[str], redeliver_seconds: float) -> None:
    """The stream that holds QoS 1 messages until they are settled, and one durable consumer per name.

    The server makes the stream itself when the first device connects, but keeps in it only what a consumer waits for.
    So both are made here, before the server has anybody to ask whether a device may connect.
    """
    try:
        found = await ask_jetstream(line, f"STREAM.INFO.{STREAM}")
    except JetStreamFault as fault:
        if fault.code != NO_SUCH_STREAM:
            raise
        found = await _make_stream(line)
    await _allow_consumers(line, found["config"])
    for name in names:
        asked = {"stream_name": STREAM, "config": _consumer(name, redeliver_seconds)}
        await ask_jetstream(line, f"CONSUMER.DURABLE.CREATE.{STREAM}.{durable_of(name)}", asked)


async def keep_from_empty(line: Line) -> None:
    """Lay a message into the stream that nobody takes, and remove the one before it. Fails when it cannot be stored.

    Whenever a stream's newest file has no message left, the server goes on in a new file, whose name it does not sync.
    """
    await ask_jetstream(line, f"CONSUMER.DURABLE.CREATE.{STREAM}.{KEEPER}", {"stream_name": STREAM, "config": KEEPING})
    accepted(await line.request(KEPT, timeout=API_SECONDS))
    await ask_jetstream(line, f"STREAM.PURGE.{STREAM}", {"filter": KEPT, "keep": 1})


async def _make_stream(line: Line) -> dict[str, Any]:
    """As the server would: with three copies in a cluster, one on a single server."""
    config = {"name": STREAM, "subjects": [f"{STREAM_SUBJECTS}>"], "storage": "file", "retention": "interest"}
    try:
        return await ask_jetstream(line, f"STREAM.CREATE.{STREAM}", {**config, "num_replicas": 3})
    except JetStreamFault as fault:
        if fault.code != REPLICAS_NEED_A_CLUSTER:
            raise
        return await ask_jetstream(line, f"STREAM.CREATE.{STREAM}", {**config, "num_replicas": 1})


async def _allow_consumers(line: Line, config: Mapping[str, Any]) -> None:
    """The server makes two of them for a device that subscribes to `…/#` at QoS 1, and by itself stops at a thousand:
    later devices would be refused, or hear nothing. An account of a cluster may have a limit of its own.
    """
    if config["max_consumers"] == MOST_CONSUMERS:
        return
    try:
        await ask_jetstream(line, f"STREAM.UPDATE.{STREAM}", {**config, "max_consumers": MOST_CONSUMERS})
    except JetStreamFault as fault:
        log.info("the stream's limit of consumers stays", fault=str(fault))


def _consumer(name: str, redeliver_seconds: float) -> dict[str, str | int]:
    return {
        "durable_name": durable_of(name),
        "filter_subject": STREAM_SUBJECTS + subject_of(name),
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": int(redeliver_seconds * NANOSECONDS),
        "max_deliver": -1,
        "max_ack_pending": MOST_UNSETTLED,
    }


class Arrivals:
    """What came in and is not handled yet; taken in batches."""

    def __init__(self) -> None:
        self._waiting: deque[Msg] = deque()
        self._waiting_bytes = 0
        self._woken = asyncio.Event()

    def put(self, message: Msg) -> bool:
        """Whether there was room for it."""
        if self._waiting_bytes > MOST_WAITING_BYTES:
            return False
        self._waiting.append(message)
        self._waiting_bytes += len(message.data)
        self._woken.set()
        return True

    def wake(self) -> None:
        self._woken.set()

    async def take(self, patience_seconds: float) -> list[Msg]:
        """All that has arrived, at most a batch; nothing when woken otherwise; TimeoutError when left alone."""
        if not self._waiting:
            self._woken.clear()
            async with asyncio.timeout(patience_seconds):
                await self._woken.wait()
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_IN_BATCH))]
        self._waiting_bytes -= sum(len(message.data) for message in batch)
        return batch


class StoredInbox:
    """QoS 1 and 2: asks the durable consumer, which all processes share, and acknowledges what is settled."""

    def __init__(self, line: Line, name: str, settle: Settle) -> None:
        self._line = line
        self._name = name
        self._settle = settle
        self._arrivals = Arrivals()
        self._still_to_come = 0
        self._fault: str | None = None

    async def run(self) -> None:
        """Until the session ends; ends itself when the consumer is gone, so that a new session makes it again."""
        address = self._line.new_inbox()
        await self._line.subscribe(address, cb=self._arrive)
        while self._fault is None:
            if self._still_to_come <= 0:
                await self._ask(address)
            try:
                batch = await self._arrivals.take(ASK_SECONDS + 5)
            except TimeoutError:
                self._still_to_come = 0  # the server forgot what it was asked
                continue
            if batch:
                await self._deliver(batch)
        raise nats.errors.Error(f"consumer {durable_of(self._name)}: {self._fault}")

    async def _ask(self, address: str) -> None:
        self._still_to_come = MOST_IN_BATCH
        asked = {"batch": MOST_IN_BATCH, "max_bytes": MOST_BYTES_ASKED, "expires": ASK_SECONDS * NANOSECONDS}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{durable_of(self._name)}"
        await self._line.publish(subject, json.dumps(asked).encode(), reply=address)

    async def _arrive(self, message: Msg) -> None:
        status = (message.headers or {}).get("Status")
        if status is None:
            self._still_to_come -= 1
            self._arrivals.put(message)
            return
        self._still_to_come = 0  # every status ends what was asked: nothing came in time, or as many bytes as wanted
        if status == "503" or (status == "409" and "Deleted" in str(message.headers)):
            self._fault = str((message.headers or {}).get("Description", status))
        self._arrivals.wake()

    async def _deliver(self, batch: Sequence[Msg]) -> None:
        deliveries = [Delivery.of(message.reply) for message in batch]
        messages = [_stored(message, delivery) for message, delivery in zip(batch, deliveries, strict=True)]
        settled = await settled_by(self._settle, messages)
        for message, delivery, done in zip(batch, deliveries, settled, strict=True):
            await self._line.publish(message.reply, b"+ACK" if done is True else _again(delivery, done))


class PassingInbox:
    """QoS 0: whatever the server hands this process. It hands over QoS 1 and 2 too, which the stream has already."""

    def __init__(self, line: Line, name: str, settle: Settle) -> None:
        self._line = line
        self._name = name
        self._settle = settle
        self._arrivals = Arrivals()
        self.dropped = 0

    async def run(self) -> None:
        await self._line.subscribe(subject_of(self._name), queue="waystation", cb=self._arrive)
        while True:
            try:
                batch = await self._arrivals.take(ASK_SECONDS)
            except TimeoutError:
                continue
            await settled_by(self._settle, [_passing(message) for message in batch])

    async def _arrive(self, message: Msg) -> None:
        if (message.headers or {}).get(QOS_HEADER, "0") == "0" and not self._arrivals.put(message):
            self.dropped += 1


async def settled_by(settle: Settle, messages: Sequence[MqttMessage]) -> Sequence[Settled]:
    """A handler that raises has settled nothing."""
    try:
        return await settle(messages)
    except Exception:
        log.exception("device messages not settled", messages=len(messages))
        return [False] * len(messages)


def _stored(message: Msg, delivery: Delivery) -> MqttMessage:
    subject = message.subject.removeprefix(STREAM_SUBJECTS)
    return MqttMessage(subject.split(".")[1], subject, message.data, delivery.at, delivery.sequence)


def _passing(message: Msg) -> MqttMessage:
    return MqttMessage(message.subject.split(".")[1], message.subject, message.data, None, None)


def _again(delivery: Delivery, settled: Settled) -> bytes:
    wanted = settled.seconds if isinstance(settled, Later) else 2 ** min(delivery.times - 1, 8)
    return b'-NAK {"delay": %d}' % (min(wanted, LONGEST_PAUSE_SECONDS) * NANOSECONDS)
