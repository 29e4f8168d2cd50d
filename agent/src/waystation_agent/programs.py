"""Runs programs of others, without a shell and with a limit on everything; nothing of a program's group outlives it."""

import os
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

PART_BYTES = 65_536
LOOK_SECONDS = 1.0
OURS = ("WAYSTATION_AGENT_", "NOTIFY_SOCKET", "WATCHDOG_")
"""Variables that are the agent's own business, tokens among them."""


class NotRun(Exception):
    """Why a program could not be run to its own end."""


@dataclass(frozen=True)
class Ended:
    status: int
    """Exit code; negative for the signal that ended it."""
    outputs: tuple[bytes, ...]

    def how(self) -> str:
        status = self.status
        return f"ended with code {status}" if status >= 0 else f"was ended by {signal.Signals(-status).name}"


def ask(command: Sequence[str], timeout_seconds: float, *, most_bytes: int) -> Ended:
    """Return output and complaints of a program that is short of words; one that floods or hangs is ended."""
    said, complained = os.pipe(), os.pipe()
    try:
        outputs, status = _run(
            command, (said, complained), timeout_seconds, is_too_much=lambda got: len(got) > most_bytes
        )
    finally:
        _close(*said, *complained)
    if any(len(output) > most_bytes for output in outputs):
        raise NotRun(f"{command[0]} printed more than {most_bytes} bytes, and was ended")
    return Ended(status, outputs)


def carry_out(
    command: Sequence[str],
    timeout_seconds: float,
    *,
    last_bytes: int,
    given: Mapping[str, str] | None = None,
    is_ending: Callable[[], bool] = lambda: False,
) -> Ended:
    """Return the last of what a program has written, output and complaints together, however much it was.

    `given` are variables added to its environment. When the agent is ending, so is the program.
    """
    said = os.pipe()

    def keep_the_last(output: bytearray) -> bool:
        if len(output) > last_bytes:
            del output[:-last_bytes]
        return False

    try:
        outputs, status = _run(
            command, (said,), timeout_seconds, is_too_much=keep_the_last, given=given or {}, is_ending=is_ending
        )
    finally:
        _close(*said)
    return Ended(status, outputs)


Pipe = tuple[int, int]


def _run(
    command: Sequence[str],
    pipes: tuple[Pipe, ...],
    timeout_seconds: float,
    *,
    is_too_much: Callable[[bytearray], bool],
    given: Mapping[str, str] | None = None,
    is_ending: Callable[[], bool] = lambda: False,
) -> tuple[tuple[bytes, ...], int]:
    pid = _start(command, pipes[0][1], pipes[-1][1], given or {})
    outputs = {out: bytearray() for out, _ in pipes}
    try:
        why_not = _listen(
            pid, outputs, time.monotonic() + timeout_seconds, is_too_much=is_too_much, is_ending=is_ending
        )
    finally:
        status = _end(pid)
    if why_not:
        after = f" after {timeout_seconds:g} s" if why_not == TOO_SLOW else ""
        raise NotRun(f"{command[0]} was not done{after}{why_not}")
    return tuple(bytes(output) for output in outputs.values()), status


TOO_SLOW = ", and was ended"
AGENT_ENDS = " when the agent was told to end, and was ended"


def _start(command: Sequence[str], out: int, err: int, given: Mapping[str, str]) -> int:
    """Start it with all signals unblocked; it would inherit that the agent's threads block those that end it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, out, 1),
        (os.POSIX_SPAWN_DUP2, err, 2),
    ]
    try:
        return os.posix_spawnp(
            command[0], [*command], environment | dict(given), file_actions=files, setsid=True, setsigmask=()
        )
    except (OSError, ValueError) as error:
        raise NotRun(f"{command[0]} cannot be run: {getattr(error, 'strerror', error)}") from error


def _listen(
    pid: int,
    outputs: Mapping[int, bytearray],
    until: float,
    *,
    is_too_much: Callable[[bytearray], bool],
    is_ending: Callable[[], bool],
) -> str:
    """Take what is written up to the program's end, or to too much; return why it was not waited for, if so."""
    exited = os.pidfd_open(pid)
    try:
        waiting = select.poll()
        for descriptor in (*outputs, exited):
            waiting.register(descriptor, select.POLLIN)
        for end in outputs:
            os.set_blocking(end, False)
        is_over = False
        while not is_over:
            left = until - time.monotonic()
            ready = waiting.poll(min(max(0.0, left), LOOK_SECONDS) * 1_000)
            if not ready and left <= 0:
                return TOO_SLOW
            if is_ending():
                return AGENT_ENDS
            is_over = any(descriptor == exited for descriptor, _ in ready)
            is_over |= any(_take_all(end, output, is_too_much) for end, output in outputs.items())
    finally:
        os.close(exited)
    return ""


def _take_all(end: int, output: bytearray, is_too_much: Callable[[bytearray], bool]) -> bool:
    """Take what is there now, and tell whether it has become too much."""
    with suppress(BlockingIOError):
        while part := os.read(end, PART_BYTES):
            output += part
            if is_too_much(output):
                return True
    return False


def _end(pid: int) -> int:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
