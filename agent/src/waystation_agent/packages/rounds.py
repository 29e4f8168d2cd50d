"""Sees one package after the other to its end: fetched, switched to, checked, and told; or rolled back, and told."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast

from waystation_agent import programs
from waystation_agent.caller import Caller, Later
from waystation_agent.delivery import ON_WITH_IT, UNPAIRED, Pause
from waystation_agent.errors import Fault
from waystation_agent.journal import Deployment, Journal
from waystation_agent.logs import LOG, facts
from waystation_agent.packages.config import Deploying
from waystation_agent.packages.fetch import Fetcher, on_disk
from waystation_agent.packages.model import (
    Member,
    Package,
    Stage,
    Unsound,
    check_whole,
    read_members,
    read_package,
)
from waystation_agent.packages.shelf import Shelf

PAGE = 200
MOST_MEMBERS = 20_000
PAGE_BYTES = 512 * 1_024
RESERVE_BYTES = 32 * 1_048_576
"""What stays free on the disk: for the spool, and for whoever else needs it."""
REPORT_SECONDS = 5.0
MOST_TRIES = 2
LONGEST_DETAIL = 500
OUTPUT_BYTES = 300
JSON = {"Content-Type": "application/json"}


class Ending(Exception):
    """The agent is ending; what is half done is gone on with at the next start."""


class Packages:
    def __init__(
        self,
        journal: Journal,
        calls: Caller,
        bytes_caller: Caller,
        deploying: Deploying,
        *,
        rounds: "Rounds | None" = None,
        is_ending: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._calls = calls
        self._bytes_caller = bytes_caller
        self._manners = deploying.manners
        self._poll_seconds = deploying.poll_seconds
        self._is_ending = is_ending
        self._monotonic = monotonic
        self._fetcher = Fetcher(bytes_caller, self._progress)
        self._done_bytes = 0
        self._reported_at = 0.0
        self.rounds = rounds or Rounds()

    def close(self) -> None:
        for one in (self._calls, self._bytes_caller, self._journal):
            one.close()

    def step(self) -> Pause:
        """Do the next thing there is to do for a package, and return what to wait for before the next step."""
        if not self._calls.is_native:
            return UNPAIRED
        deployment = self._journal.open_package()
        try:
            return self._go_on(deployment) if deployment else self._ask()
        except Later as later:
            return self._calls.pause(later)
        except Ending:
            return Pause(1.0)
        except (Unsound, Fault, OSError) as error:
            if deployment is None:
                raise
            return self._fail(deployment, str(error))

    def _go_on(self, deployment: Deployment) -> Pause:
        match deployment.stage:
            case Stage.FETCHING:
                self._fetch(deployment)
            case Stage.STAGED:
                self._prepare(deployment)
            case Stage.CHECKING:
                self._deploy(deployment)
            case Stage.ROLLING_BACK:
                self._roll_back(deployment)
            case _:
                self._tell(deployment)
        return ON_WITH_IT

    def _ask(self) -> Pause:
        self.rounds.begin()
        found = self._page("/api/packages/next")
        if found is None:
            self.rounds.end()
            return self._calls.jittered(self._poll_seconds)
        try:
            package = read_package(found)
        except ValueError as error:
            raise Later(str(error)) from error
        LOG.info("package found %s", facts(id=package.id, name=package.name, type=package.type))
        self._journal.begin_package(package)
        return ON_WITH_IT

    def _page(self, path: str) -> Mapping[str, object] | None:
        answer = self._calls.call("GET", path, most_bytes=PAGE_BYTES)
        fields = answer.fields()
        if answer.status != 200 or "package" not in fields:
            raise Later(answer.problem())
        found = fields["package"]
        return cast("Mapping[str, object]", found) if isinstance(found, dict) else None

    # Fetching

    def _fetch(self, deployment: Deployment) -> None:
        """Fetch, and put what is whole onto the shelf. A crash after that finds it there."""
        package, version = deployment.package, _version(deployment)
        shelf = self._shelf(package)
        if not shelf.version(version).exists():
            members = self._members(package)
            self._fetch_members(deployment, members, shelf.make(version))
            shelf.put(version)
        self._journal.put_stage(deployment.number, Stage.STAGED)

    def _members(self, package: Package) -> list[Member]:
        members: list[Member] = []
        while True:
            found = self._page(f"/api/packages/next?id={package.id}&from={len(members)}&limit={PAGE}")
            if found is None:
                raise Unsound("the hub has withdrawn it")
            page = read_members(found.get("members"))
            members += page
            count = found.get("count")
            if not isinstance(count, int) or count > MOST_MEMBERS:
                raise Unsound(f"it has more than {MOST_MEMBERS} members")
            if not page or len(members) >= count:
                check_whole(members, package.manifest_sha256)
                return members

    def _fetch_members(self, deployment: Deployment, members: list[Member], folder: Path) -> None:
        shelf = self._shelf(deployment.package)
        current = shelf.current()
        known = on_disk(shelf.version(current)) if current else {}
        self._done_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        missing_bytes = sum(member.size for member in members) - self._done_bytes
        if missing_bytes + RESERVE_BYTES > shelf.free_bytes():
            free = shelf.free_bytes() // 1_048_576
            raise Unsound(f"it needs {missing_bytes // 1_048_576} MiB and a reserve, but {free} MiB are free")
        for member in members:
            is_program = deployment.package.type == "script"
            self._fetcher.fetch(member, folder, known, is_program=is_program)

    def _progress(self, more_bytes: int) -> None:
        if self._is_ending():
            raise Ending
        self._done_bytes += more_bytes
        if self._monotonic() - self._reported_at < REPORT_SECONDS:
            return
        self._reported_at = self._monotonic()
        deployment = self._journal.open_package()
        if deployment:
            self._report(deployment, "deploying")

    # Switching over

    def _prepare(self, deployment: Deployment) -> None:
        """Ask whether it is still wanted, and note what it will replace."""
        if not self._report(deployment, "deploying"):
            self._journal.put_stage(deployment.number, Stage.FAILED, reason="the hub has withdrawn it")
            return
        self._journal.put_former(deployment.number, self._shelf(deployment.package).current())

    def _deploy(self, deployment: Deployment) -> None:
        """Switch, reload, check. A package whose check ends the agent time and again is not good either."""
        if deployment.tries >= MOST_TRIES:
            self._condemn(deployment, "the agent ended whenever it was checked")
            return
        self._journal.put_tries(deployment.number, deployment.tries + 1)
        self._shelf(deployment.package).switch(_version(deployment))
        manner = self._manners[deployment.package.type]
        for command in (manner.after, manner.check):
            if command and (why := self._run(command, deployment, manner.timeout_seconds)):
                if self._is_ending():
                    self._journal.put_tries(deployment.number, deployment.tries)
                    raise Ending
                self._condemn(deployment, why)
                return
        self._journal.put_stage(deployment.number, Stage.DEPLOYED)
        LOG.info("package is deployed %s", facts(id=deployment.package.id, name=deployment.package.name))

    def _condemn(self, deployment: Deployment, why: str) -> None:
        self._journal.put_stage(deployment.number, Stage.ROLLING_BACK, reason=why)

    def _roll_back(self, deployment: Deployment) -> None:
        shelf, manner = self._shelf(deployment.package), self._manners[deployment.package.type]
        shelf.switch(deployment.former)
        reason = f"{deployment.reason}; {'the former version is back' if deployment.former else 'nothing is deployed'}"
        if manner.after and (why := self._run(manner.after, deployment, manner.timeout_seconds)):
            reason += f", but {why}"
        self._journal.put_stage(deployment.number, Stage.FAILED, reason=reason)

    def _fail(self, deployment: Deployment, why: str) -> Pause:
        """Whatever cannot be gone on with: before the switch it is given up, from there on rolled back."""
        if deployment.stage is Stage.CHECKING:
            self._condemn(deployment, why)
        else:
            self._journal.put_stage(deployment.number, Stage.FAILED, reason=why)
        return ON_WITH_IT

    def _run(self, command: tuple[str, ...], deployment: Deployment, timeout_seconds: float) -> str:
        """Return what went wrong; nothing if all is well."""
        shelf = self._shelf(deployment.package)
        given = {
            "WAYSTATION_PACKAGE": deployment.package.name,
            "WAYSTATION_PACKAGE_VERSION": deployment.package.version,
            "WAYSTATION_PACKAGE_FOLDER": str(shelf.path / "current"),
        }
        try:
            ended = programs.carry_out(
                command, timeout_seconds, last_bytes=OUTPUT_BYTES, given=given, is_ending=self._is_ending
            )
        except programs.NotRun as error:
            return str(error)
        if ended.status == 0:
            return ""
        output = ended.outputs[0].decode(errors="replace").strip()
        return f"{command[0]} {ended.how()}{f': {output}' if output else ''}"

    # Telling

    def _tell(self, deployment: Deployment) -> None:
        package, stage = deployment.package, deployment.stage
        self._report(deployment, "deployed" if stage is Stage.DEPLOYED else "failed")
        if package.type in self._manners:
            with suppress(OSError, Fault):  # what cannot be removed is no reason to say it again
                self._shelf(package).tidy(deployment.former)
        self._journal.package_told(deployment.number)
        self.rounds.told(package.name, "" if stage is Stage.DEPLOYED else deployment.reason)
        if stage is Stage.FAILED:
            LOG.warning("package failed %s", facts(id=package.id, name=package.name, reason=deployment.reason))

    def _report(self, deployment: Deployment, state: str) -> bool:
        """Return whether the hub still wants it."""
        said = {"id": deployment.package.id, "state": state, "done_bytes": self._done_bytes}
        if deployment.reason:
            said["detail"] = deployment.reason[:LONGEST_DETAIL]
        answer = self._calls.call("POST", "/api/packages/report", json.dumps(said).encode(), JSON)
        if answer.status == 200 and "state" not in answer.fields():
            raise Later(answer.problem())
        return answer.status == 200

    def _shelf(self, package: Package) -> Shelf:
        manner = self._manners.get(package.type)
        if manner is None:
            raise Unsound(f"packages of type {package.type} are not known here")
        return Shelf(Path(manner.path))


class Rounds:
    """What a `sync` waits for: a whole round, begun after it was asked for, until the hub has nothing more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._begun = self._ended = 0
        self._results: dict[str, str] = {}
        self.wanted = threading.Event()

    def begin(self) -> None:
        with self._changed:
            self.wanted.clear()
            self._begun += 1

    def end(self) -> None:
        with self._changed:
            self._ended = self._begun
            self._changed.notify_all()

    def told(self, name: str, reason: str) -> None:
        with self._changed:
            self._results[name] = reason

    def sync(self, seconds: float) -> dict[str, object]:
        """Ask for a round and wait for its end, at most so long. Returns `deployed`, `failed`, and `goes_on` if so."""
        with self._changed:
            self._results.clear()
            begun_before = self._begun
            self.wanted.set()
            is_over = self._changed.wait_for(lambda: self._ended > begun_before, seconds)
            found = dict(self._results)
        result: dict[str, object] = {
            "deployed": [name for name, reason in found.items() if not reason],
            "failed": {name: reason for name, reason in found.items() if reason},
        }
        return result if is_over else result | {"goes_on": True}


def _version(deployment: Deployment) -> str:
    return f"{deployment.number}-{deployment.package.id}"
