"""`waystation up`: a hub and this machine's own agent, together until Ctrl-C."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waystation import devices
from waystation.kernel import children
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.desk import FAILED, say
from waystation.kernel.errors import Unavailable
from waystation.kernel.settings import Settings
from waystation.operation import start

READY_SECONDS = 60
STOP_SECONDS = 15
AGENT = (sys.executable, "-m", "waystation_agent")
NOT_PAIRED = 3

NEXT_STEPS = """This machine reports to its own hub:  {address}/devices/{key}

What to try next
  Another computer or Raspberry Pi   {address}/devices, "Add a device", then on it:
                                     waystation-agent pair CODE --server {address}
  A fleet to look at                 {program} simulate --devices 20 --rate 10 --data {data}
  Your own device                    {program} device register "My ESP32" --data {data}
"""


class Ended(Exception):
    """Somebody pressed Ctrl-C or sent SIGTERM."""


@dataclass(frozen=True, slots=True)
class Local:
    """The agent of this machine and its folder beside the hub's files."""

    data: Path

    def pairing(self) -> Mapping[str, Any] | None:
        """What it is paired to, or None."""
        told = self.run("status", "--json")
        return json.loads(told.stdout) if told.returncode != NOT_PAIRED else None

    def pair(self, url: str, code: str) -> None:
        told = self.run("pair", json.dumps({"server": url, "code": code}))
        if told.returncode:
            raise Unavailable(f"this machine's agent could not be paired: {told.stderr.strip()}")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*AGENT, *words, "--data", str(self.data)], capture_output=True, text=True, check=False)  # noqa: S603

    def start(self) -> subprocess.Popen[bytes]:
        return _begin([*AGENT, "run", "--data", str(self.data), "--log-level", "warning"])


def up(settings: Settings, sources: Mapping[str, str], options: Sequence[str]) -> int:
    """Returns the hub's exit code; 0 after Ctrl-C."""
    with _ended_by_signals():
        running: list[subprocess.Popen[bytes]] = []
        try:
            hub = _begin([sys.executable, "-m", "waystation", "serve", *options])
            running.append(hub)
            url = _until_ready(hub, settings)
            agent = Local(settings.data / "agent")
            key = _paired(agent, settings, sources, url)
            running.append(agent.start())
            say(NEXT_STEPS.format(address=url["public_url"], key=key, data=settings.data, program=_program()))
            return _watch(hub, agent, running)
        except Ended:
            say("\nStopping the agent and the hub …")
            return 0
        finally:
            _stop(reversed(running))
            say("Stopped.")


def _program() -> str:
    """How a person in this folder calls this very program."""
    path = Path(sys.argv[0])
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)


def _until_ready(hub: subprocess.Popen[bytes], settings: Settings) -> dict[str, Any]:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if hub.poll() is not None:
            raise Unavailable("the hub did not start; what it said stands above")
        found = start.running(settings.data)
        if found is not None and found["pid"] == hub.pid:
            return found
        time.sleep(0.1)
    raise Unavailable(f"the hub was not ready after {READY_SECONDS} seconds")


def _paired(agent: Local, settings: Settings, sources: Mapping[str, str], found: Mapping[str, Any]) -> str:
    """The key of this machine's device. It is paired anew when the hub moved or does not know it any more."""
    desk = start.open_desk(settings, sources)
    told = agent.pairing()
    with desk.database.read() as tx:
        known = devices.by_key(tx, desk.home_id, told["device_key"]) if told else None
    if told is not None and known is not None and told["server"] == found["url"]:
        return str(told["device_key"])
    with desk.database.write() as tx:
        claim = devices.offer_claim(tx, COMMAND_LINE, desk.home_id, desk.now(), name="", hours=1, device=known)
    agent.pair(str(found["url"]), claim.code)
    desk.database.close()
    paired = agent.pairing()
    assert paired is not None
    return str(paired["device_key"])


def _watch(hub: subprocess.Popen[bytes], agent: Local, running: list[subprocess.Popen[bytes]]) -> int:
    """Until the hub ends; the agent is started again when it does."""
    while hub.poll() is None:
        time.sleep(0.5)
        if running[-1].poll() is not None:
            say("The agent ended; starting it again.")
            time.sleep(2)
            running[-1] = agent.start()
    return hub.returncode or FAILED


def _begin(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """In a session of its own, so that Ctrl-C reaches us first and we stop both in order."""
    return subprocess.Popen(children.tied(command), stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603


def _stop(running: Iterator[subprocess.Popen[bytes]]) -> None:
    for process in running:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _ended_by_signals() -> Generator[None]:
    def end(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Ended

    before = signal.signal(signal.SIGINT, end), signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
