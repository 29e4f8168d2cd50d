"""How a running agent is paired without a person at it: a file laid down, a variable, a claim without its answer."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from waystation_agent import pairing
from waystation_agent.backoff import chance, pause_seconds
from waystation_agent.errors import BadInput, Fault
from waystation_agent.folder import Folder, sync_folder
from waystation_agent.identity import IdentityFile
from waystation_agent.junctionrelay.account import PREFIX, digest
from waystation_agent.junctionrelay.line import Line
from waystation_agent.link import Server
from waystation_agent.logs import LOG, facts, strike_out
from waystation_agent.spool import Spool
from waystation_agent.timekeeper import Timekeeper

LONGEST_BYTES = 10_000
DISK_PAUSE_SECONDS = 10.0
TOKEN_VARIABLE = "WAYSTATION_AGENT_TOKEN"  # noqa: S105 a name, no secret
TOKEN_FILE_VARIABLE = "WAYSTATION_AGENT_TOKEN_FILE"  # noqa: S105 a name, no secret


@dataclass(frozen=True)
class Destination:
    """Where to pair where the invitation does not say."""

    server: str | None = None
    ca_file: str | None = None
    insecure_http: bool = False
    prefix: str = PREFIX

    def reached_at(self, url: str) -> Server:
        return Server(url, self.ca_file, self.insecure_http)


class Invitations:
    def __init__(self, folder: Folder, spool: Spool, timekeeper: Timekeeper, destination: Destination) -> None:
        self._folder = folder
        self._spool = spool
        self._timekeeper = timekeeper
        self._destination = destination
        self._identities = IdentityFile(folder.identity)
        self._seen: tuple[int, int] | None = None
        self._failures = 0
        self._ask_at = 0.0

    def look(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Take what was laid down, and make a pending claim if it is time to."""
        try:
            self._look(monotonic)
        except (OSError, Fault) as error:
            self._ask_at = monotonic() + DISK_PAUSE_SECONDS
            LOG.error("pairing could not be saved %s", facts(reason=error))

    def _look(self, monotonic: Callable[[], float]) -> None:
        if monotonic() >= self._ask_at:
            self._look_at_drop()
        claim = self._identities.state().claim
        if claim is None:
            self._failures, self._ask_at = 0, 0.0
            return
        if monotonic() >= self._ask_at:
            self._ask(monotonic())

    def take(self, text: str, origin: str) -> None:
        """Begin a pairing from a text, once: what was used before, or refused, is not tried again. Raises BadInput."""
        found = pairing.parse(text, self._destination.server)
        code = digest(found.token) if isinstance(found, Line) else found.code_sha256
        if self._identities.state().has_used(code):
            return
        server = self._destination.reached_at(found.server)
        pairing.begin(self._folder.identity, found, server, prefix=self._destination.prefix)
        LOG.info("pairing begun %s", facts(by=origin, server=server.url))

    def _look_at_drop(self) -> None:
        """A file still being written is one that changes between two looks: it is left alone."""
        drop = self._folder.drop
        try:
            found = drop.stat()
        except FileNotFoundError:
            self._seen = None
            return
        seen = (found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            self._seen = seen
            return
        self._take_drop(drop)

    def _take_drop(self, drop: Path) -> None:
        try:
            self.take(read(drop), drop.name)
        except (BadInput, OSError) as error:
            aside = drop.with_name(drop.name + ".refused")
            drop.rename(aside)
            self._note(f"{drop} cannot be used: {error}", kept_as=str(aside))
        else:
            drop.unlink(missing_ok=True)
        sync_folder(drop.parent)

    def _ask(self, now: float) -> None:
        asked = pairing.finish_pending(self._folder.identity)
        if asked is None:
            self._ask_at = now + 1.0
        elif asked.refused:
            self._note(f"the pairing was refused: {asked.reason}")
        elif asked.device is None:
            self._failures += 1
            self._ask_at = now + pause_seconds(self._failures, chance(), asked.asked_seconds)
            self._note(asked.reason)

    def _note(self, sentence: str, **more: str) -> None:
        sentence = strike_out(sentence)
        level = LOG.warning if self._failures <= 1 else LOG.debug
        level("not paired %s", facts(reason=sentence, **more))
        state = "needs pairing" if self._identities.current() is None else "retrying"
        self._spool.note_error(sentence, state, now_us=self._timekeeper.now_us())


def from_environment(environment: Mapping[str, str]) -> str | None:
    """Return the invitation that the environment holds or names a file of; None if there is none. Raises BadInput."""
    if text := environment.get(TOKEN_VARIABLE, "").strip():
        return text
    path = environment.get(TOKEN_FILE_VARIABLE, "")
    return read(Path(path).expanduser()) if path else None


def read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_BYTES).decode(errors="replace").strip()
    except OSError as error:
        raise BadInput(f"the pairing text in {path} cannot be read: {error.strerror}") from error
