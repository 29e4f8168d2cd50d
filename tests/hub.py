"""The real program as a child process, as a person starts it: serve, register, kill, look what is left."""

import json
import os
import re
import signal
import socket
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import commands
from tests.commands import DIES_WITH_THE_TEST, waystation

__all__ = ["DIES_WITH_THE_TEST", "Hub", "Registered", "free_port", "waystation"]

READY_SECONDS = 60
STOP_SECONDS = 30
LOOPBACK = {"WAYSTATION_HOST": "127.0.0.1", "WAYSTATION_MQTT_HOST": "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class Registered:
    """A device and what it signs in with."""

    key: str
    serial: str
    api_key: str

    @property
    def authorization(self) -> str:
        return f"Device {self.serial}:{self.api_key}"


def free_port() -> int:
    """Free a moment ago; whoever needs it takes it soon."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Hub:
    """One data folder, and the program that is started and ended on it any number of times. MQTT only if asked for."""

    def __init__(
        self, data: Path, *, mqtt: bool = False, log: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.data = data
        self.port = free_port()
        self.mqtt_port = free_port() if mqtt else 0
        self.log_path = log or data.with_name(f"{data.name}.log")
        self.environment = {**os.environ, **LOOPBACK, **(environment or {})}
        self._program: commands.Started | None = None
        self._token: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def setup_path(self) -> str:
        """Of the link that it prints for its first person, a moment after it is ready."""
        until = time.monotonic() + READY_SECONDS
        while not (found := re.search(r"/setup/[\w-]{43}", self.log)):
            assert time.monotonic() < until, self.log
            time.sleep(0.02)
        return found[0]

    @property
    def pid(self) -> int:
        assert self._program
        return self._program.pid

    def start(self, *options: str) -> None:
        """Returns when it is ready to serve."""
        ports = ["--port", str(self.port), "--mqtt-port", str(self.mqtt_port)]
        words = ["serve", "--data", str(self.data), *ports, *options]
        with self.log_path.open("ab") as log:
            self._program = commands.Started(words, self.environment, log, log)
        self._until_ready()

    def stop(self) -> int:
        """As Ctrl-C does; returns the exit code."""
        assert self._program
        self._program.send_signal(signal.SIGTERM)
        try:
            return self._program.wait(STOP_SECONDS)
        finally:
            self.kill_all()

    def restart(self) -> None:
        """As its owner does, without a gap."""
        self.command_without_json("restart")

    def kill(self) -> None:
        """kill -9 of the program alone; children that it leaves are its own business at the next start."""
        assert self._program
        self._program.kill()
        self._program.wait()

    def kill_all(self) -> None:
        """kill -9 of the program and every child, as when the machine dies."""
        if self._program is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._program.pid, signal.SIGKILL)
            self._program.wait()

    def command(self, *words: str) -> Any:
        """A `waystation … --json` command on this hub's data; its answer."""
        return json.loads(self.command_without_json(*words, "--json"))

    def command_without_json(self, *words: str) -> str:
        ended = commands.run([*words, "--data", str(self.data)], self.environment)
        assert ended.returncode == 0, f"waystation {' '.join(words)}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def register_device(self, name: str) -> Registered:
        made = self.command("device", "register", name)
        return Registered(made["key"], made["serial"], made["api_key"])

    @property
    def token(self) -> str:
        """An administrator's API token, made when first asked for."""
        if self._token is None:
            self._token = self.command("token", "create")["token"]
        return self._token

    def get(self, path: str) -> Any:
        """The JSON that an administrator gets."""
        request = urllib.request.Request(f"{self.url}{path}", headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def post(self, path: str, body: Any, authorization: str) -> tuple[int, Any]:
        """Status and JSON, whatever the status."""
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.loads(refused.read() or b"null")

    def readings(self, device: Registered) -> dict[str, list[list[Any]]]:
        """Every stored point of the device by metric, as `[milliseconds, value]`, through the front door."""
        found: dict[str, list[list[Any]]] = {}
        path = f"/api/readings?device={device.key}&from=0&to=4000000000000&resolution=raw&limit=10000"
        cursor = ""
        while True:
            page = self.get(path + (f"&cursor={cursor}" if cursor else ""))
            for series in page["series"]:
                found.setdefault(series["metric"], []).extend(series["points"])
            cursor = page.get("next")
            if not cursor:
                return found

    def integrity(self) -> str:
        """What SQLite says of its file: `ok`."""
        with sqlite3.connect(self.data / "waystation.db") as database:
            verdict = "\n".join(row[0] for row in database.execute("PRAGMA integrity_check"))
        database.close()
        return verdict

    def _until_ready(self) -> None:
        assert self._program
        until = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            if self._program.poll() is not None:
                raise RuntimeError(f"the hub ended with code {self._program.returncode}:\n{self.log[-4000:]}")
            if time.monotonic() > until:
                raise RuntimeError(f"the hub was not ready within {READY_SECONDS} s:\n{self.log[-4000:]}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/readyz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False
