"""What the scenarios ask of every client: one device, whose folder outlives the program that runs on it.

The program of each driver does the same small things, so that one scenario fits all:

- It samples the metric `count` every `period_seconds`: 1, 2, 3 …, never the same number twice, also after a restart.
  A number that the client has *taken for delivery* (it arrives, whatever happens now) is a line of `kept.txt`.
- It carries out the commands `note` (`{"text": …}` becomes a line of `notes.txt`; result `{"noted": <lines>}`), `say`
  (`{"severity", "content"}` becomes a log message), `upload` (`{"file": …}` of its folder is sent to the hub) and
  `reboot`.
- Each start of the program is a line of `boots.txt`; after `reboot` the program ends, and the driver starts it again.
- Of a sync package that is deployed, `package_folder(type)` is the folder with its members.
"""

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tests.hub import DIES_WITH_THE_TEST

PATIENCE_SECONDS = 60
STOP_SECONDS = 10
REBOOT = 75  # exit code of a program that wants to be started again


@dataclass(frozen=True, slots=True)
class Manner:
    """How a client is to run."""

    period_seconds: float = 0.1
    knows_time: bool = (
        True  # without it the clock of the machine is not to be believed, as on a board without a battery
    )
    long_poll: bool = False  # it holds a call for commands open, where it could as well ask now and then


class Client(ABC):
    """A driver: `start`, `stop`, `kill`, and what is found in the folder afterwards."""

    name: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._program: subprocess.Popen[bytes] | None = None
        self._command: list[str] = []

    @classmethod  # noqa: B027  most have nothing to prepare
    def prepare(cls) -> None:
        """Builds what must be built, once; pytest.skip or fail (`tests.servers.required`) when it cannot be had."""

    @abstractmethod
    def command_line(self, server: str, claim: str, manner: Manner) -> list[str]:
        """The program and its words. With `claim` it has no credential yet and is to get one; without, it has one."""

    def start(self, server: str, *, claim: str = "", manner: Manner | None = None) -> None:
        self._command = self.command_line(server, claim, manner or Manner())
        self._spawn()

    def _spawn(self) -> None:
        with (self.folder / "boots.txt").open("a") as boots:
            boots.write("boot\n")
        with (self.folder / "log.txt").open("ab") as log:
            self._program = subprocess.Popen(
                [*DIES_WITH_THE_TEST, *self._command], cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def tend(self) -> None:
        """Starts the program again when it asked for it; called while a scenario waits."""
        if self._program is None:
            return
        code = self._program.poll()
        if code == REBOOT:
            self._spawn()
        elif code is not None:
            raise AssertionError(f"{self.name} ended with code {code}:\n{self.log[-4000:]}")

    def stop(self) -> None:
        """As its owner does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As when its power is cut."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        program, self._program = self._program, None
        if program is None:
            return
        with suppress(ProcessLookupError):
            program.send_signal(number)
        try:
            program.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
            raise

    def asked(self, doing: str, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
        """Name and parameters of the command by which this client does `note`, `say`, `upload` or `reboot`."""
        return doing, dict(parameters) or None

    def put(self, name: str, content: bytes) -> None:
        """A file where `upload` finds it."""
        (self.folder / name).write_bytes(content)

    def package_folder(self, kind: str) -> Path | None:
        """Where the deployed package of this type (config, data, script …) is; None when there is none."""
        raise NotImplementedError(kind)

    @property
    def log(self) -> str:
        path = self.folder / "log.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    def kept(self) -> list[int]:
        return [int(line) for line in self._lines("kept.txt")]

    def notes(self) -> list[str]:
        return self._lines("notes.txt")

    def boots(self) -> int:
        return len(self._lines("boots.txt"))

    def _lines(self, name: str) -> list[str]:
        """Whole lines only: the last may be half written."""
        path = self.folder / name
        return path.read_text().split("\n")[:-1] if path.exists() else []


def until(condition: Callable[[], Any], what: str, *clients: Client, seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true value of the condition; clients that reboot meanwhile are started again."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        for client in clients:
            client.tend()
        if time.monotonic() > deadline:
            logs = "\n".join(f"--- {client.name}:\n{client.log[-3000:]}" for client in clients)
            raise AssertionError(f"not within {seconds:g} s: {what}\n{logs}")
        time.sleep(0.05)
    return found
