"""InfluxDB 1.x and VictoriaMetrics of Debian as child processes in folders of their own, asked as their manuals say."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import fleet
import psutil
from ask import Answered, Asker, Request
from hub import free_port
from load import LOAD_CORE, SERVER_CORE, pin

DAY_MS, HOUR_MS, MONTH_MS = 86_400_000, 3_600_000, 30 * 86_400_000
POINTS = 500
PACKAGES = {"influxd": "influxdb", "victoria-metrics": "victoria-metrics"}
START_SECONDS, SETTLE_SECONDS, QUIET_SECONDS = 60, 300, 8


class Store(Protocol):
    """One of those that are compared. It is started on an empty folder, stopped and started again on a full one."""

    name: str
    durability: str
    folder: Path
    port: int

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def settle(self) -> None: ...
    def resident_bytes(self) -> int: ...
    def write(self, device: int, at: fleet.Ints, values: fleet.Floats) -> Request: ...
    def day(self, device: int, at: int) -> Request: ...
    def month(self, device: int, at: int) -> Request: ...
    def last_values(self, at: int) -> Request: ...
    def count(self) -> int: ...


def missing() -> list[str]:
    """Debian's packages that are not installed."""
    return [package for program, package in PACKAGES.items() if shutil.which(program) is None]


def size_bytes(folder: Path) -> int:
    """What its files take on disk."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(f"{place}/{name}").st_blocks * 512
            except FileNotFoundError:  # merged away meanwhile
                continue
    return size


class Server:
    """A child process on the server's core."""

    command: Sequence[str] = ()
    environment: Mapping[str, str] = {}
    health = "/ping"

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.port = folder, free_port()

    def start(self) -> None:
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            pin(SERVER_CORE)  # a child has the cores that its parent has when it is born
            environment = {**os.environ, **self.environment}
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=environment)
            pin(LOAD_CORE)
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.command[0]} did not start; see {self.folder.parent}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return self.ask(Request("GET", self.health)).status < 300
        except OSError:
            return False

    def ask(self, request: Request) -> Answered:
        with Asker(self.port) as asker:
            return asker.ask(request)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def resident_bytes(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss

    def until_quiet(self) -> None:
        """Until the folder has not changed its size for a while."""
        until, size, since = time.monotonic() + SETTLE_SECONDS, -1, time.monotonic()
        while time.monotonic() < until and time.monotonic() - since < QUIET_SECONDS:
            if (now := size_bytes(self.folder)) != size:
                size, since = now, time.monotonic()
            time.sleep(0.5)


class Influx(Server):
    name = "InfluxDB 1.6"
    durability = "fsync of its log before each answer (wal-fsync-delay 0, its default)"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.command = ("influxd", "run", "-config", str(self._configured()))

    def _configured(self) -> Path:
        """Its defaults, but it tidies up seconds after the last write, not hours, and does not write about itself."""
        path = self.folder.parent / "influx.conf"
        path.write_text(f"""
reporting-disabled = true
bind-address = "127.0.0.1:{free_port()}"
[meta]
  dir = "{self.folder}/meta"
[data]
  dir = "{self.folder}/data"
  wal-dir = "{self.folder}/wal"
  cache-snapshot-write-cold-duration = "5s"
  compact-full-write-cold-duration = "10s"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{self.port}"
  log-enabled = false
""")
        return path

    def start(self) -> None:
        super().start()
        self.ask(Request("POST", "/query?q=CREATE+DATABASE+bench"))

    def settle(self) -> None:
        """Its log goes into files, and these into one for each week."""
        until = time.monotonic() + SETTLE_SECONDS
        while size_bytes(self.folder / "wal") > 1_000_000 and time.monotonic() < until:
            time.sleep(0.5)
        self.until_quiet()

    def write(self, device: int, at: fleet.Ints, values: fleet.Floats) -> Request:
        before = f"reading,device=d{device} value="
        lines = [f"{before}{value} {ms}" for ms, value in zip(at.tolist(), values.tolist(), strict=True)]
        return Request("POST", "/write?db=bench&precision=ms", "\n".join(lines).encode())

    def day(self, device: int, at: int) -> Request:
        """Least and greatest of half as many stretches, as ours gives them."""
        every = DAY_MS // (POINTS // 2)
        return self._of_device("min(value), max(value)", device, at, (DAY_MS, every))

    def month(self, device: int, at: int) -> Request:
        return self._of_device("min(value), mean(value), max(value), count(value)", device, at, (MONTH_MS, HOUR_MS))

    def _of_device(self, what: str, device: int, at: int, span: tuple[int, int]) -> Request:
        length, every = span
        where = f"device = 'd{device}' AND time >= {at}ms AND time < {at + length}ms"
        return self._query(f"SELECT {what} FROM reading WHERE {where} GROUP BY time({every}ms) FILL(none)")

    def last_values(self, at: int) -> Request:  # noqa: ARG002
        return self._query("SELECT last(value) FROM reading GROUP BY device")

    def _query(self, text: str) -> Request:
        return Request("GET", "/query?" + urlencode({"db": "bench", "epoch": "ms", "q": text}))

    def count(self) -> int:
        answer = json.loads(self.ask(self._query("SELECT count(value) FROM reading")).body)
        return int(answer["results"][0]["series"][0]["values"][0][1])


class Victoria(Server):
    name = "VictoriaMetrics 1.79"
    durability = "none before the answer: what came in the last seconds is lost with the power"
    health = "/health"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.command = (
            "victoria-metrics", f"-storageDataPath={folder}", f"-httpListenAddr=127.0.0.1:{self.port}",
            "-retentionPeriod=100y", "-search.latencyOffset=0s", "-search.disableCache", "-loggerLevel=ERROR",
        )  # fmt: skip

    def settle(self) -> None:
        self.ask(Request("GET", "/internal/force_flush"))
        self.ask(Request("GET", "/internal/force_merge"))
        self.until_quiet()

    def write(self, device: int, at: fleet.Ints, values: fleet.Floats) -> Request:
        metric = {"__name__": "reading", "device": f"d{device}"}
        line = {"metric": metric, "values": values.tolist(), "timestamps": at.tolist()}
        return Request("POST", "/api/v1/import", json.dumps(line).encode())

    def day(self, device: int, at: int) -> Request:
        every = DAY_MS // (POINTS // 2)
        both = f'aggr_over_time(("min_over_time", "max_over_time"), reading{{device="d{device}"}}[{every}ms])'
        return self._range(both, at, (DAY_MS, every))

    def month(self, device: int, at: int) -> Request:
        names = '"min_over_time", "avg_over_time", "max_over_time", "count_over_time"'
        return self._range(f'aggr_over_time(({names}), reading{{device="d{device}"}}[1h])', at, (MONTH_MS, HOUR_MS))

    def _range(self, text: str, at: int, span: tuple[int, int]) -> Request:
        """A bucket is named after its end."""
        length, every = span
        asked = {"query": text, "start": (at + every) / 1000, "end": (at + length) / 1000, "step": f"{every}ms"}
        return Request("GET", "/api/v1/query_range?" + urlencode({**asked, "nocache": "1"}))

    def last_values(self, at: int) -> Request:
        asked = {"query": "last_over_time(reading[1h])", "time": at / 1000, "nocache": "1"}
        return Request("GET", "/api/v1/query?" + urlencode(asked))

    def count(self) -> int:
        asked = urlencode({"query": "sum(count_over_time(reading[10y]))", "time": time.time() + 60, "nocache": "1"})
        answer: Any = json.loads(self.ask(Request("GET", "/api/v1/query?" + asked)).body)
        return int(float(answer["data"]["result"][0]["value"][1]))
