"""Several processes that serve the same sockets, and the small one that starts them again when they die."""

import asyncio
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import TYPE_CHECKING

import structlog

from waystation.kernel.door import Limits
from waystation.kernel.server import (
    AGAIN,
    GRACE_SECONDS,
    SLOT,
    BuildApp,
    Ready,
    Server,
    serve_here,
    spare_the_collector,
)
from waystation.kernel.settings import Settings

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
WELL_AFTER_SECONDS = 60.0
STOP_WITHIN_SECONDS = GRACE_SECONDS + 10


@dataclass(slots=True)
class Worker:
    """A slot and the process that fills it now; `pause_seconds` is how long an empty slot waits to be filled again."""

    slot: int
    process: BaseProcess | None = None
    word: Connection | None = None
    was_ready: bool = False
    started_at: float = 0.0
    pause_seconds: float = FIRST_PAUSE_SECONDS
    start_at: float = 0.0


def supervise(
    build_app: BuildApp, settings: Settings, sockets: Sequence[socket.socket], *, on_ready: Ready | None
) -> int:
    """Until SIGTERM, SIGINT or SIGUSR2 (then AGAIN); 1 when a worker could not even start the first time."""
    with _noticed_signals() as signals:
        return Supervisor(build_app, settings, sockets, on_ready).run(signals)


class Supervisor:
    """Has no thread and no loop: it waits for processes, their first word, and signals."""

    def __init__(
        self, build_app: BuildApp, settings: Settings, sockets: Sequence[socket.socket], on_ready: Ready | None
    ) -> None:
        self._spawn: SpawnContext = multiprocessing.get_context("spawn")
        self._build_app = build_app
        self._settings = settings
        self._sockets = list(sockets)
        self._on_ready = on_ready
        self._workers = [Worker(number) for number in range(1, settings.workers + 1)]

    def run(self, signals: socket.socket) -> int:
        failed, received = False, b""
        while not failed and not received:
            for worker in self._workers:
                self._fill(worker)
            if signals in self._wait(signals):
                received = signals.recv(1)
                break
            failed = sum(self._look_at(worker) for worker in self._workers) > 0
        self._stop_all()
        return AGAIN if received == bytes([signal.SIGUSR2]) else int(failed)

    def _fill(self, worker: Worker) -> None:
        if worker.process is not None or time.monotonic() < worker.start_at:
            return
        worker.word, told = self._spawn.Pipe(duplex=False)
        os.environ[SLOT] = str(worker.slot)  # inherited
        arguments = (self._build_app, self._settings, self._sockets, told)
        worker.process = self._spawn.Process(target=_work, args=arguments, name=f"waystation-{worker.slot}")
        worker.process.start()
        worker.started_at = time.monotonic()
        told.close()

    def _wait(self, signals: socket.socket) -> list[object]:
        waited: list[object] = [signals]
        for worker in self._workers:
            waited += [worker.process.sentinel] if worker.process is not None else []
            waited += [worker.word] if worker.word is not None else []
        pauses = [worker.start_at - time.monotonic() for worker in self._workers if worker.process is None]
        return list(wait(waited, max(0.0, min(pauses)) if pauses else None))  # type: ignore[arg-type]

    def _look_at(self, worker: Worker) -> bool:
        """Whether the whole start has failed."""
        if worker.word is not None and worker.word.poll():
            self._hear(worker, worker.word)
        if worker.process is None or worker.process.is_alive():
            return False
        return self._bury(worker, worker.process)

    def _hear(self, worker: Worker, word: Connection) -> None:
        try:
            word.recv()
            worker.was_ready = True
        except EOFError:
            pass
        word.close()
        worker.word = None
        if self._on_ready is not None and all(one.was_ready for one in self._workers):
            spare_the_collector()
            self._on_ready()
            self._on_ready = None

    def _bury(self, worker: Worker, process: BaseProcess) -> bool:
        code, lived = process.exitcode, time.monotonic() - worker.started_at
        process.close()
        worker.process = None
        if not worker.was_ready:
            return True
        if lived > WELL_AFTER_SECONDS:
            worker.pause_seconds = FIRST_PAUSE_SECONDS
        log.error("worker ended, starting it again", slot=worker.slot, code=code, pause_seconds=worker.pause_seconds)
        worker.start_at = time.monotonic() + worker.pause_seconds
        worker.pause_seconds = min(worker.pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        return False

    def _stop_all(self) -> None:
        alive = [worker.process for worker in self._workers if worker.process is not None]
        for process in alive:
            process.terminate()
        end = time.monotonic() + STOP_WITHIN_SECONDS
        for process in alive:
            process.join(max(0.0, end - time.monotonic()))
            if process.is_alive():
                log.error("worker did not stop in time", pid=process.pid)
                process.kill()
                process.join()


def _work(build_app: BuildApp, settings: Settings, sockets: Sequence[socket.socket], told: Connection) -> None:
    """A worker's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal; the supervisor decides
    code = serve_here(
        build_app(settings),
        Limits.of(settings),
        sockets,
        on_ready=lambda: (told.send("ready"), told.close())[0],
        stop_when=_until_orphaned,
    )
    raise SystemExit(code)


async def _until_orphaned(server: Server) -> None:
    """A supervisor that was killed leaves no workers behind."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    orphaned = asyncio.Event()
    asyncio.get_running_loop().add_reader(parent.sentinel, orphaned.set)
    await orphaned.wait()
    asyncio.get_running_loop().remove_reader(parent.sentinel)
    log.error("the supervisor is gone")
    server.stop()


def _ignored(_number: int, _frame: FrameType | None) -> None:
    """Python writes the signal's number to the wake-up descriptor, which is all we need."""


@contextmanager
def _noticed_signals() -> Generator[socket.socket, None, None]:
    """A socket that becomes readable on SIGTERM, SIGINT and SIGUSR2, with the signal's number."""
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = {number: signal.signal(number, _ignored) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)}
    old = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        reading.close()
        writing.close()
