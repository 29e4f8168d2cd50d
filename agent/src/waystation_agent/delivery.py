"""Sends what is spooled, in order, until the hub has it for good: one step at a time, each ending in a pause."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from waystation_agent.backoff import CAP_SECONDS, chance, jittered, pause_seconds
from waystation_agent.errors import BadInput, Unreachable
from waystation_agent.identity import Identity, IdentityFile
from waystation_agent.link import Answer, Link, Server
from waystation_agent.logs import LOG, facts, strike_out
from waystation_agent.spool import Sample, Spool
from waystation_agent.timekeeper import Timekeeper

MOST_SAMPLES = 500
MOST_VALUES = 10_000
GZIP_FROM_BYTES = 1_000
PROBES = 3
"""Values of a refused sample that are refused one by one before the whole sample, such as its time, takes the blame."""


class Verdict(StrEnum):
    DELIVERED = "delivered"
    UNSOUND = "unsound"
    REFUSED = "refused"
    LATER = "later"


@dataclass(frozen=True)
class Pause:
    """What to wait for: the seconds, or the next sample if that comes sooner."""

    seconds: float
    until_sample: bool = False


ON_WITH_IT = Pause(0)
ALL_SENT = Pause(60, until_sample=True)
UNPAIRED = Pause(1)


def judge(answer: Answer) -> Verdict:
    """Say what an answer means. Only a hub's own words count: a portal in between can neither take nor condemn."""
    if answer.status == 200 and isinstance(answer.fields().get("stored"), int):
        return Verdict.DELIVERED
    if answer.status == 413 or (answer.status in {400, 422} and {"detail", "title", "code"} & answer.fields().keys()):
        return Verdict.UNSOUND
    if answer.status in {401, 403}:
        return Verdict.REFUSED
    return Verdict.LATER


class Delivery:
    def __init__(
        self,
        spool: Spool,
        identities: IdentityFile,
        timekeeper: Timekeeper,
        *,
        luck: Callable[[], float] = chance,
    ) -> None:
        self._spool = spool
        self._identities = identities
        self._timekeeper = timekeeper
        self._luck = luck
        self._identity: Identity | None = None
        self._link = Link(Server("http://127.0.0.1"))
        self._failures = 0
        self._most = MOST_SAMPLES

    def step(self) -> Pause:
        """Send at most one batch, and return what to wait for before the next step."""
        identity = self._identities.current()
        if not isinstance(identity, Identity):
            return UNPAIRED
        if identity != self._identity:
            self._turn_to(identity)
        try:
            return self._send_next()
        except (Unreachable, BadInput) as error:
            return self._try_later(str(error))

    def close(self) -> None:
        self._link.close()

    def _turn_to(self, identity: Identity) -> None:
        self._link.close()
        self._identity, self._link, self._failures = identity, Link(identity.server), 0
        LOG.info("delivering to %s", facts(server=identity.server.url, device=identity.key, name=identity.name))

    def _send_next(self) -> Pause:
        batch = within_values(self._spool.oldest(self._most))
        if not batch:
            return self._ask_the_time() if self._needs_the_time() else ALL_SENT
        answer = self._post([sample.wire() for sample in batch])
        match judge(answer):
            case Verdict.DELIVERED:
                return self._accept(batch)
            case Verdict.UNSOUND if len(batch) > 1:
                self._most = len(batch) // 2
                return ON_WITH_IT
            case Verdict.UNSOUND:
                return self._isolate(batch[0], answer)
            case _:
                return self._put_off(answer)

    def _accept(self, batch: Sequence[Sample]) -> Pause:
        self._spool.delivered(batch, self._timekeeper.now_us())
        if self._failures:
            LOG.info("hub is back %s", facts(after_failures=self._failures))
        LOG.debug("delivered %s", facts(samples=len(batch)))
        self._failures = 0
        self._most = min(MOST_SAMPLES, self._most * 2)
        return ON_WITH_IT

    def _isolate(self, sample: Sample, answer: Answer) -> Pause:
        """Deliver the sound values of a refused sample one by one, and set the others aside."""
        if not answer.fields():
            return self._put_off(answer)
        refused: dict[str, str] = {}
        for tried, (metric, value) in enumerate(sample.values.items(), 1):
            alone = self._post([sample.wire() | {"values": {metric: value}}])
            verdict = judge(alone)
            if verdict in {Verdict.REFUSED, Verdict.LATER}:
                return self._put_off(alone)
            if verdict is Verdict.UNSOUND:
                refused[metric] = strike_out(alone.problem())
            if tried == len(refused) == PROBES:
                refused = dict.fromkeys(sample.values, refused[metric])
                break
        self._spool.quarantine(sample, refused, now_us=self._timekeeper.now_us())
        LOG.warning("hub refused readings, set aside %s", facts(readings=len(refused), reason=answer.problem()))
        return ON_WITH_IT

    def _needs_the_time(self) -> bool:
        return not self._timekeeper.is_known and self._spool.has_held()

    def _ask_the_time(self) -> Pause:
        """Ask the hub for any answer at all: its `Date` header dates the samples that are held."""
        self._timekeeper.hear(self._link.get("/health").hub_time_us)
        if self._timekeeper.is_known:
            return ALL_SENT
        return self._try_later("the time is not known yet, neither here nor from the hub")

    def _put_off(self, answer: Answer) -> Pause:
        if judge(answer) is not Verdict.REFUSED:
            return self._try_later(answer.problem(), answer.retry_after_seconds)
        self._trouble(answer.problem(), "refused")
        return Pause(max(jittered(CAP_SECONDS, self._luck()), answer.retry_after_seconds))

    def _try_later(self, sentence: str, asked_seconds: float = 0.0) -> Pause:
        self._trouble(sentence, "retrying")
        return Pause(pause_seconds(self._failures, self._luck(), asked_seconds))

    def _trouble(self, sentence: str, state: str) -> None:
        sentence = strike_out(sentence)
        self._failures += 1
        level = LOG.warning if self._failures == 1 else LOG.debug
        level("not delivered %s", facts(state=state, failures=self._failures, reason=sentence))
        self._spool.note_error(sentence, state, now_us=self._timekeeper.now_us())

    def _post(self, readings: Sequence[Mapping[str, object]]) -> Answer:
        assert self._identity
        body = json.dumps(readings, separators=(",", ":"), allow_nan=False).encode()
        headers = {"Authorization": self._identity.authorization, "Content-Type": "application/json"}
        if len(body) >= GZIP_FROM_BYTES:
            body = gzip.compress(body, 6, mtime=0)
            headers["Content-Encoding"] = "gzip"
        answer = self._link.post("/api/readings", body, headers)
        self._timekeeper.hear(answer.hub_time_us)
        return answer


def within_values(samples: Sequence[Sample]) -> list[Sample]:
    """Return the first samples that fit into one call; always at least one."""
    batch: list[Sample] = []
    values = 0
    for sample in samples:
        values += len(sample.values)
        if batch and values > MOST_VALUES:
            break
        batch.append(sample)
    return batch
