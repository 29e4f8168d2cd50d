"""A Redis of a test's own, that can be killed in the middle and started again."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

from tests.hub import free_port
from tests.servers import required

READY = b"Ready to accept connections"


class Redis:
    def __init__(self, folder: Path) -> None:
        required(which("redis-server"), "Redis")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        self._server = subprocess.Popen(["redis-server", *where], stdout=subprocess.PIPE)
        assert self._server.stdout
        for line in self._server.stdout:
            if READY in line:
                return

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            assert self._server.stdout
            self._server.stdout.close()
            self._server = None


@contextmanager
def running_redis(folder: Path) -> Iterator[Redis]:
    redis = Redis(folder)
    redis.start()
    try:
        yield redis
    finally:
        redis.kill()
