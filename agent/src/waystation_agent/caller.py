"""One kind of call to the hub: a connection of its own, opened anew after a new pairing, and its patience."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

from waystation_agent.backoff import CAP_SECONDS, chance, jittered, pause_seconds
from waystation_agent.delivery import Pause
from waystation_agent.errors import BadInput, Unreachable
from waystation_agent.identity import Identity, IdentityFile
from waystation_agent.link import ANSWER_BYTES, READ_SECONDS, Answer, Download, Link
from waystation_agent.logs import LOG, STAYS_HERE, facts, strike_out
from waystation_agent.timekeeper import Timekeeper

REFUSED = {401, 403}
PASSING = {408, 423, 425, 429}
"""What a 4xx says of the moment, not of what was asked."""


class Later(Exception):
    """The hub cannot be asked now, or not this; nobody knows whether it has acted on the request."""

    def __init__(self, sentence: str, asked_seconds: float = 0.0) -> None:
        super().__init__(sentence)
        self.asked_seconds = asked_seconds


class Declined(Exception):
    """The hub has decided not to give what was asked for."""


class Caller:
    """`call` returns only what a hub has decided: done (2xx), or never to be sent again as it is (4xx).

    JunctionRelay servers know none of these calls; while paired with one, `is_native` is false.
    """

    def __init__(
        self, what: str, identities: IdentityFile, timekeeper: Timekeeper, luck: Callable[[], float] = chance
    ) -> None:
        self._what = what
        self._identities = identities
        self._timekeeper = timekeeper
        self._luck = luck
        self._identity: Identity | None = None
        self._link: Link | None = None
        self._failures = 0

    @property
    def is_native(self) -> bool:
        return isinstance(self._identities.current(), Identity)

    def close(self) -> None:
        if self._link:
            self._link.close()

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        patience_seconds: float = READ_SECONDS,
        most_bytes: int = ANSWER_BYTES,
    ) -> Answer:
        """Raises Later for everything that is no decision of a hub: silence, a portal's page, a credential refused."""
        link, named = self._turned(headers)
        try:
            answer = link.ask(method, path, body, named, patience_seconds=patience_seconds, most_bytes=most_bytes)
        except (Unreachable, BadInput) as error:
            raise Later(str(error)) from error
        self._timekeeper.hear(answer.hub_time_us)
        _decided(answer, is_bare=method == "HEAD")
        self._succeeded()
        return answer

    @contextmanager
    def download(self, path: str, headers: Mapping[str, str]) -> Generator[Download]:
        """Give the bytes as they come. Raises Declined, and Later also where they are read, when they end early."""
        link, named = self._turned(headers)
        try:
            with link.download(path, named) as coming:
                if coming.status not in {200, 206}:
                    answer = coming.answer()
                    _decided(answer, is_bare=False)
                    raise Declined(answer.problem())
                yield coming
        except (Unreachable, BadInput) as error:
            raise Later(str(error)) from error
        self._succeeded()

    def pause(self, later: Later) -> Pause:
        """Return how long to wait after a call that came to nothing, and say so once."""
        self._failures += 1
        level = LOG.warning if self._failures == 1 else LOG.debug
        sentence = strike_out(str(later))
        words = facts(about=self._what, failures=self._failures, reason=sentence)
        level("hub cannot be asked %s", words, extra=STAYS_HERE)  # delivery says it for all
        return Pause(pause_seconds(self._failures, self._luck(), later.asked_seconds))

    def jittered(self, seconds: float) -> Pause:
        return Pause(jittered(seconds, self._luck()))

    def _succeeded(self) -> None:
        if self._failures:
            LOG.info("hub can be asked again %s", facts(about=self._what, after_failures=self._failures))
        self._failures = 0

    def _turned(self, headers: Mapping[str, str] | None) -> tuple[Link, dict[str, str]]:
        identity = self._identities.current()
        if not isinstance(identity, Identity):
            raise Later("this device is not paired with a hub")
        if identity != self._identity or self._link is None:
            self.close()
            self._identity, self._link, self._failures = identity, Link(identity.server), 0
        return self._link, {"Authorization": identity.authorization, **(headers or {})}


def _decided(answer: Answer, *, is_bare: bool) -> None:
    """Let pass only a hub's own decision; an answer without a body (`is_bare`) is believed by its status."""
    if answer.status in REFUSED:
        raise Later(answer.problem(), max(CAP_SECONDS, answer.retry_after_seconds))
    is_hubs = is_bare or bool({"detail", "title", "code"} & answer.fields().keys())
    is_final = 400 <= answer.status < 500 and answer.status not in PASSING and is_hubs
    if not (200 <= answer.status < 300 or is_final):
        raise Later(answer.problem(), answer.retry_after_seconds)
