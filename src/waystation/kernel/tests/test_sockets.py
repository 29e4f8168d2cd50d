"""Sockets that listen before the program does."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.hub import DIES_WITH_THE_TEST, LOOPBACK, free_port, waystation
from tests.servers import required

from waystation.kernel.sockets import SPARE_FILES, given

pytestmark = pytest.mark.servers


def test_systemd_may_listen_for_the_program(tmp_path: Path) -> None:
    """sd_listen_fds(3), by systemd's own tool: the first call starts the program, and waits for its answer."""
    activate = shutil.which("systemd-socket-activate")
    required(activate, "systemd")
    port = free_port()
    serve = [*waystation(), "serve", "--data", str(tmp_path / "hub"), "--mqtt-port", "0"]
    command = [
        *DIES_WITH_THE_TEST,
        str(activate),
        "-l",
        f"127.0.0.1:{port}",
        *(f"-E{name}" for name in LOOPBACK),
        *serve,
    ]
    with (tmp_path / "log").open("wb") as log:
        program = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **LOOPBACK})
    try:
        while "Listening on" not in (tmp_path / "log").read_text():
            assert program.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as answer:
            assert answer.status == 200
    finally:
        program.terminate()
        program.wait(30)
    assert f":{port}" in (tmp_path / "log").read_text()


def test_sockets_that_are_for_another_process_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert given() == []


@pytest.mark.parametrize(
    ("given_files", "limit", "wanted"), [(64, 4096, 1000), (64, 512, 1000), (2048, 4096, 1000)], ids=str
)
def test_a_process_may_have_a_file_for_every_connection(given_files: int, limit: int, wanted: int) -> None:
    """In a process of its own, whose limits may be spoilt."""
    program = (
        "import resource; from waystation.kernel.sockets import allow_connections; "
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({given_files}, {limit})); allow_connections({wanted}); "
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.split() == [str(max(given_files, min(wanted + SPARE_FILES, limit))), str(limit)]
