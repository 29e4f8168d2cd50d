"""What the agent does for its hub beside readings: commands, packages and files, each with a thread of its own."""

import os
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from threading import Event

from waystation_agent import __version__, machine
from waystation_agent.caller import Caller
from waystation_agent.commands import config as commands_config
from waystation_agent.commands.deeds import Around, deeds
from waystation_agent.commands.errands import Errands
from waystation_agent.folder import Folder
from waystation_agent.identity import IdentityFile
from waystation_agent.journal import Journal, Now
from waystation_agent.logs import last_lines
from waystation_agent.messages import own
from waystation_agent.messages.outbox import Outbox
from waystation_agent.messages.own import Telling
from waystation_agent.messages.sending import Sending
from waystation_agent.packages import config as packages_config
from waystation_agent.packages.config import Deploying
from waystation_agent.packages.rounds import Packages, Rounds
from waystation_agent.spool import Spool
from waystation_agent.timekeeper import Timekeeper
from waystation_agent.unit import BY_FILE, REBOOT_FILE, REBOOT_VARIABLE
from waystation_agent.uploads import Uploads, queue, wait_for

PERIOD = "period_seconds"


@dataclass(frozen=True)
class Wanted:
    """What `agent.toml` says of all this."""

    askable: commands_config.Askable = field(default_factory=commands_config.Askable)
    deploying: Deploying = field(default_factory=Deploying)
    telling: Telling = field(default_factory=Telling)

    @classmethod
    def load(cls, folder: Folder) -> "Wanted":
        """Raises BadInput for a file that cannot be meant."""
        return cls(
            commands_config.load(folder.sensors),
            packages_config.load(folder.sensors, folder.packages.absolute()),
            own.load(folder.sensors),
        )


@dataclass(frozen=True)
class Host:
    """The running agent, as far as a command may reach into it."""

    restart: Callable[[], None]
    set_period: Callable[[float | None], float]
    status: Callable[[], Mapping[str, object]]
    is_ending: Callable[[str], bool]
    """Tell whether the agent ends; the thread named asks, and so is alive."""


class HubWork:
    def __init__(self, folder: Folder, wanted: Wanted, timekeeper: Timekeeper, host: Host) -> None:
        self._folder = folder
        self._wanted = wanted
        self._timekeeper = timekeeper
        self._host = host
        self._run = token_hex(8)
        self._rounds = Rounds()
        self._queued = Event()

    def period_seconds(self) -> float | None:
        """Return the period that the hub has set; None if it has not."""
        with closing(Journal(self._folder.journal)) as journal:
            found = journal.note(PERIOD)
        return found if isinstance(found, float) else None

    @property
    def packages_wanted(self) -> Callable[[], bool]:
        return self._rounds.wanted.is_set

    @property
    def files_wanted(self) -> Callable[[], bool]:
        return self._queued.is_set

    def commands(self) -> Errands:
        journal = Journal(self._folder.journal)
        reboot_file = self._folder.path / REBOOT_FILE
        reboot_file.unlink(missing_ok=True)  # laid down where nobody took it up
        around = Around(
            askable=self._wanted.askable,
            now=self._now,
            status=lambda: self._status(journal),
            restart=self._host.restart,
            sync=self._rounds.sync,
            send_log=lambda command, most_bytes, seconds: self._send_log(journal, command, most_bytes, seconds),
            reboot_file=reboot_file if os.environ.get(REBOOT_VARIABLE) == BY_FILE else None,
            set_period=lambda seconds: self._set_period(journal, seconds),
            is_ending=lambda: self._host.is_ending("commands"),
        )
        return Errands(
            journal,
            self._caller("commands"),
            deeds(around),
            self._now,
            wait_seconds=self._wanted.askable.allowed.wait_seconds,
        )

    def packages(self) -> Packages:
        return Packages(
            Journal(self._folder.journal),
            self._caller("packages"),
            self._caller("bytes of packages"),
            self._wanted.deploying,
            rounds=self._rounds,
            is_ending=lambda: self._host.is_ending("packages"),
        )

    def uploads(self) -> Uploads:
        return Uploads(Journal(self._folder.journal), self._caller("files"), self._folder, queued=self._queued)

    def messages(self) -> Sending:
        return Sending(Outbox(self._folder.messages), self._caller("messages"), self._timekeeper)

    def _caller(self, what: str) -> Caller:
        return Caller(what, IdentityFile(self._folder.identity), self._timekeeper)

    def _now(self) -> Now:
        ticks = self._timekeeper.ticks
        return Now(ticks.boot, self._run, ticks.monotonic_us())

    def _set_period(self, journal: Journal, seconds: float | None) -> float:
        was = self._host.set_period(seconds)
        journal.put(PERIOD, None if seconds is None else float(seconds))
        return was

    def _status(self, journal: Journal) -> dict[str, object]:
        with closing(Spool(self._folder.spool)) as spool:
            spooled = {"spool_depth": spool.depth(), "dropped_total": spool.count("dropped_total")}
        packages = {one.package.type: f"{one.package.name} {one.stage}"[:200] for one in journal.newest_packages()}
        return {
            "version": __version__,
            "machine": machine.model()[:100],
            **self._host.status(),
            **spooled,
            "uploads_waiting": journal.uploads_waiting(),
            "packages": packages,
            "scripts": sorted(self._wanted.askable.scripts),
        }

    def _send_log(self, journal: Journal, command: str, most_bytes: int, seconds: float) -> dict[str, object]:
        asked_before = journal.upload_for(command)
        number = asked_before.number if asked_before else self._queue_log(journal, command, most_bytes)
        sent = wait_for(journal, number, seconds, lambda: self._host.is_ending("commands"))
        return {"name": sent.name, "size_bytes": sent.size, "sha256": sent.sha256}

    def _queue_log(self, journal: Journal, command: str, most_bytes: int) -> int:
        self._folder.outgoing.mkdir(mode=0o700, exist_ok=True)
        path: Path = self._folder.outgoing / f"{command}.log"
        path.write_bytes(last_lines(self._folder.log, most_bytes))
        name = f"{os.uname().nodename}-{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}.log"
        number = queue(journal, path, name, key=command, is_ours=True)
        self._queued.set()
        return number
