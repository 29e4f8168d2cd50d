"""Where the agent keeps its files, and the lock that lets only one agent run on them."""

import fcntl
import os
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
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
    def journal(self) -> Path:
        return self.path / "journal.db"

    @property
    def messages(self) -> Path:
        """What is said in words, until the hub has it."""
        return self.path / "messages.db"

    @property
    def uploads_lock(self) -> Path:
        """Held while a piece of a file is sent, so that two programs do not send the same."""
        return self.path / "uploads.lock"

    @property
    def by_hand_lock(self) -> Path:
        """Held while a person sends a file, which the agent may have no right to read."""
        return self.path / "by-hand.lock"

    @property
    def outgoing(self) -> Path:
        """Files that the agent itself sends, gone once they are sent."""
        return self.path / "outgoing"

    @property
    def packages(self) -> Path:
        """Where packages go if nothing else is said."""
        return self.path / "packages"

    @property
    def log(self) -> Path:
        return self.path / "agent.log"

    @property
    def sensors(self) -> Path:
        """What its owner has written about this machine: sensors, scripts, packages."""
        return self.path / "agent.toml"

    @property
    def live(self) -> Path:
        """The socket on which a running agent tells about itself."""
        return self.path / "agent.sock"

    @property
    def lock(self) -> Path:
        return self.path / "agent.lock"

    @property
    def drop(self) -> Path:
        """Where a pairing may be laid down for a running agent (JR-A10)."""
        return self.path / "pair.json"

    def make(self) -> None:
        try:
            _make_durably(self.path)
        except OSError as error:
            raise Fault(f"the data folder {self.path} cannot be made: {error.strerror}") from error

    @contextmanager
    def held_alone(self) -> Generator[None]:
        """Hold the folder for as long as this agent runs; the kernel lets go even after a kill -9."""
        # `status` takes the lock for an instant to see whether an agent runs; wait that out.
        with locked(self.lock, LOCK_PATIENCE_SECONDS, f"another agent is running on {self.path}"):
            yield

    def is_running(self) -> bool:
        return is_held(self.lock)


def default_folder(environment: Mapping[str, str]) -> Folder:
    chosen = environment.get("WAYSTATION_AGENT_DATA")
    # systemd lists several state directories separated by colons; ours is the first.
    of_service = environment.get("STATE_DIRECTORY", "").split(":")[0]
    return Folder(Path(chosen or of_service or "~/.local/share/waystation-agent").expanduser())


def is_held(lock: Path) -> bool:
    try:
        with lock.open("r") as found:
            return not _locked(found.fileno())
    except FileNotFoundError:
        return False


@contextmanager
def locked(path: Path, patience_seconds: float, refusal: str) -> Generator[None]:
    """Hold a lock file; the kernel lets go even after a kill -9. Raises Fault when patience has ended."""
    with path.open("a") as lock:
        _leave_to_owner(lock.fileno(), path.parent)
        give_up_at = time.monotonic() + patience_seconds
        while not _locked(lock.fileno()):
            if time.monotonic() > give_up_at:
                raise Fault(refusal)
            time.sleep(0.02)
        yield


def _make_durably(path: Path) -> None:
    """Make a folder and those above it so that they, and what is put into them, outlast a power cut."""
    if path.is_dir():
        return
    _make_durably(path.parent)
    with suppress(FileExistsError):  # somebody else was quicker
        path.mkdir(mode=0o700)
    sync_folder(path.parent)


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
        _leave_to_owner(file.fileno(), path.parent)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def _leave_to_owner(descriptor: int, folder: Path) -> None:
    """What root writes for a service of fewer rights, as by `sudo … pair`, belongs to the service like its folder."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
