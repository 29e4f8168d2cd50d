"""`waystation …` for tests, in children of a process that has loaded the program once: a tenth of the time."""

import array
import atexit
import ctypes
import functools
import importlib
import json
import os
import random
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

DIES_WITH_THE_TEST = ("setpriv", "--pdeathsig", "KILL")  # a test run that is killed leaves nothing behind
LOADED = ("waystation.app", "waystation.operation.start", "waystation.homes.cli", "waystation.devices.cli")
FILES = 2
PR_SET_PDEATHSIG = 1
RUN_FIRST = "TESTS_RUN_FIRST"  # names a script that the command runs before itself, in the same process


def waystation() -> list[str]:
    """The command as a person calls it, for what must be a process from the beginning."""
    return [str(Path(sys.executable).with_name("waystation"))]


def run(words: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What `waystation WORDS` prints and ends with; no terminal, nothing to read."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = Started(words, environment, out, err).wait()
        return subprocess.CompletedProcess(["waystation", *words], code, _text(out), _text(err))


class Started:
    """`waystation WORDS` as the leader of a session of its own."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], out: IO[bytes], err: IO[bytes]) -> None:
        line = socket.socket(socket.AF_UNIX)
        line.connect(str(_loaded()))
        asked = json.dumps({"words": words, "environment": dict(environment), "folder": str(Path.cwd())}).encode()
        files = array.array("i", [out.fileno(), err.fileno()])
        line.sendmsg([b"%8d" % len(asked)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        line.sendall(asked)
        self._line: socket.socket | None = line
        self.pid = int(self._told())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        try:
            return self.wait(0)
        except TimeoutError:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """TimeoutError when it does not end in time."""
        if self._line is not None:
            if timeout is not None and not select.select([self._line], [], [], timeout)[0]:
                raise TimeoutError
            self.returncode = int(self._told())
            self._line.close()
            self._line = None
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _told(self) -> bytes:
        assert self._line is not None
        told = b""
        while not told.endswith(b"\n"):
            part = self._line.recv(1)
            assert part, "the process that runs commands has ended"
            told += part
        return told


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@functools.cache
def _loaded() -> Path:
    """The socket of this test process's own; it is there as soon as commands are answered."""
    folder = Path(tempfile.mkdtemp(prefix="waystation-commands-"))
    address = folder / "line"
    command = [*DIES_WITH_THE_TEST, sys.executable, "-P", __file__, str(address)]
    listening = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        start_new_session=True,
    )
    assert listening.stdout is not None
    with listening.stdout:
        assert listening.stdout.readline(), "the process that runs commands did not start"
    atexit.register(_end, listening, folder)
    return address


def _end(listening: subprocess.Popen[bytes], folder: Path) -> None:
    listening.kill()
    listening.wait()
    shutil.rmtree(folder, ignore_errors=True)


def serve(address: str) -> None:
    """For ever: a child for everybody who calls."""
    for name in LOADED:
        importlib.import_module(name)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            line, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(line)
            line.close()


def _answer(line: socket.socket) -> None:
    """One command in a child of its own, whose number and exit code are told."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _die_with_parent()
    length, handed, _, _ = line.recvmsg(8, socket.CMSG_SPACE(FILES * array.array("i").itemsize))
    files = array.array("i", handed[0][2])
    asked = json.loads(line.makefile("rb").read(int(length)))
    child = os.fork()
    if child == 0:
        line.close()
        os.setsid()
        _die_with_parent()
        os._exit(_main(asked["words"], asked["environment"], asked["folder"], files))
    line.sendall(b"%d\n" % child)
    _, status = os.waitpid(child, 0)
    line.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _main(words: Sequence[str], environment: Mapping[str, str], folder: str, files: Sequence[int]) -> int:
    from waystation.cli import main  # noqa: PLC0415

    for number, file in enumerate(files, start=1):
        os.dup2(file, number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [*waystation(), *words]
    sys.orig_argv = [sys.executable, *sys.argv]
    random.seed()
    try:
        if RUN_FIRST in environment:
            runpy.run_path(environment[RUN_FIRST])
        main()
    except SystemExit as end:
        return _code(end)
    except BaseException:  # noqa: BLE001  as the interpreter does at the end of a program
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stderr.write(f"{end.code}\n")
    return 1


if __name__ == "__main__":
    serve(sys.argv[1])
