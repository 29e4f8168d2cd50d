"""Where the agent keeps its files, and the lock that lets only one agent run on them."""

import fcntl
import os
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from waystation_agent.errors import Fault

LOCK_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True)
class Folder:
    path: Path

    @property
    def identity(self) -> Path:
        return self.path / "agent.json"

    @property
    def spool(self) -> Path:
        return self.path / "spool.db"

    @property
    def lock(self) -> Path:
        return self.path / "agent.lock"

    def make(self) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Fault(f"the data folder {self.path} cannot be made: {error.strerror}") from error

    @contextmanager
    def held_alone(self) -> Generator[None]:
        """Hold the folder for as long as this agent runs; the kernel lets go even after a kill -9."""
        with self.lock.open("a") as lock:
            # `status` takes the lock for an instant to see whether an agent runs; wait that out.
            give_up_at = time.monotonic() + LOCK_PATIENCE_SECONDS
            while not _locked(lock.fileno()):
                if time.monotonic() > give_up_at:
                    raise Fault(f"another agent is running on {self.path}")
                time.sleep(0.05)
            yield

    def is_running(self) -> bool:
        try:
            with self.lock.open("r") as lock:
                return not _locked(lock.fileno())
        except FileNotFoundError:
            return False


def default_folder(environment: Mapping[str, str]) -> Folder:
    chosen = environment.get("WAYSTATION_AGENT_DATA")
    # systemd lists several state directories separated by colons; ours is the first.
    of_service = environment.get("STATE_DIRECTORY", "").split(":")[0]
    return Folder(Path(chosen or of_service or "~/.local/share/waystation-agent").expanduser())


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file so that after any crash it is wholly the old or wholly the new; its owner alone can read it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
