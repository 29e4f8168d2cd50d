"""A real hub on an empty folder, pinned to the server's core, for the benches to ask."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from load import SERVER_CORE, pin

COMMAND = (sys.executable, "-m", "waystation")
START_SECONDS = 30


@dataclass(slots=True)
class Site:
    """`process` is the hub; `port` and `mqtt_port` are chosen by the kernel."""

    data: Path
    process: subprocess.Popen[bytes]
    port: int
    mqtt_port: int
    token: str = ""
    devices: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def device(self, name: str) -> dict[str, Any]:
        made = self.tell("device", "register", name)
        self.devices.append(made)
        return made

    def tell(self, *words: str) -> dict[str, Any]:
        told = subprocess.run([*COMMAND, *words, "--json", "--data", str(self.data)], capture_output=True, check=True)
        return json.loads(told.stdout)

    def get(self, path: str) -> Any:
        self.token = self.token or self.tell("token", "create")["token"]
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.loads(answer.read())

    def resident_bytes(self) -> int:
        """Of the hub and all its children."""
        return sum(process.memory_info().rss for process in self.processes())

    def busy_seconds(self) -> float:
        """What the hub and all its children have used of a core so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())

    def processes(self) -> list[psutil.Process]:
        hub = psutil.Process(self.process.pid)
        return [hub, *hub.children(recursive=True)]

    def restart(self) -> float:
        """In order, on the server's core from the first; the seconds until it was ready again."""
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(START_SECONDS)
        with (self.data / "log").open("ab") as log:
            self.process = start(self.data, self.port, self.mqtt_port, log)
        pin(SERVER_CORE, self.process.pid)  # before it has threads and children, which inherit it
        until_ready(self)
        return time.monotonic() - began

    def stored(self, device: dict[str, Any], metric: str) -> int:
        """How many values of the metric there are, page by page."""
        count, cursor = 0, ""
        while True:
            query = f"/api/readings?device={device['key']}&metric={metric}&from=-1d&resolution=raw&limit=10000"
            page = self.get(f"{query}&cursor={cursor}" if cursor else query)
            count += sum(len(series["points"]) for series in page["series"])
            cursor = page["next"]
            if not cursor:
                return count


@contextmanager
def running(*, mqtt: bool = False, pinned: bool = True) -> Iterator[Site]:
    """Ready to serve when the block begins, gone with its folder after it."""
    with tempfile.TemporaryDirectory(prefix="waystation-bench-") as folder:
        data, port, mqtt_port = Path(folder), free_port(), free_port() if mqtt else 0
        with (data / "log").open("wb") as log:
            site = Site(data, start(data, port, mqtt_port, log), port, mqtt_port)
        try:
            until_ready(site)
            if pinned:
                for process in site.processes():
                    pin_all_threads(process.pid)
            yield site
        finally:
            site.process.terminate()
            site.process.wait(30)


def start(data: Path, port: int, mqtt_port: int, log: Any) -> subprocess.Popen[bytes]:
    options = ["--data", str(data), "--host", "127.0.0.1", "--port", str(port), "--mqtt-port", str(mqtt_port)]
    return subprocess.Popen([*COMMAND, "serve", *options], stdout=log, stderr=log)


def until_ready(site: Site) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and site.process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{site.port}/health/readyz", timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError("the hub did not start:\n" + (site.data / "log").read_text()[-2000:])


def pin_all_threads(pid: int) -> None:
    for thread in psutil.Process(pid).threads():
        pin(SERVER_CORE, thread.id)


def free_port() -> int:
    import socket  # noqa: PLC0415

    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]
