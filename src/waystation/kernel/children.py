"""Child processes that never outlive their parent, even a killed one, and are never mistaken for somebody else's."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import structlog

from waystation.kernel.errors import Conflict
from waystation.kernel.secrets import write_private

log = structlog.get_logger(__name__)

STOP_SECONDS = 10
INHERITED = ("PATH", "LD_LIBRARY_PATH", "SYSTEMD_EXEC_PID")

# Linux tells the child when we die without a goodbye; asking for its parent closes the gap between fork and prctl.
LAUNCHER = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class Living:
    """A process told apart from a later one with the same number by when it began."""

    pid: int
    began_at: float

    @classmethod
    def of(cls, pid: int) -> "Living":
        return cls(pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.began_at) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        return process if same else None


async def spawn(command: Sequence[str], environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    """Its stderr is a pipe. In a session of its own, so that Ctrl-C reaches us first and we stop it in order.

    Call on the main thread: Linux counts the death of the thread that began a child as its parent's.
    """
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return await asyncio.create_subprocess_exec(
        *tied(command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**inherited, **environment},
        start_new_session=True,
    )


def tied(command: Sequence[str]) -> list[str]:
    """The same command, ended by Linux when this process dies. Start it from the main thread."""
    launch = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(os.getpid())] if sys.platform == "linux" else []
    return [*launch, *command]


async def stop(process: asyncio.subprocess.Process) -> None:
    """Asks, waits, then kills."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def remember(path: Path, child_pid: int) -> None:
    """Write down which child runs for which parent."""
    path.unlink(missing_ok=True)
    told = {"child": asdict(Living.of(child_pid)), "parent": asdict(Living.of(os.getpid()))}
    write_private(path, json.dumps(told).encode())


def end_leftover(path: Path) -> None:
    """End the child of a parent that is gone; Conflict when its parent lives, because then the folder is in use."""
    try:
        told = json.loads(path.read_bytes())
        child, parent = Living(**told["child"]), Living(**told["parent"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return
    if parent.pid != os.getpid() and parent.find():
        raise Conflict(f"another Waystation (process {parent.pid}) is using {path.parent}; stop it first")
    if leftover := child.find():
        log.warning("ending a server left over from a Waystation that was killed", pid=child.pid)
        _end(leftover)


def _end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
