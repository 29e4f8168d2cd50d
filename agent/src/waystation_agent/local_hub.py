"""A small honest hub for trying and testing the agent without one: what it acknowledges is on disk, and counted.

`python -m waystation_agent.local_hub FILE` serves on port 8000 and takes any code. The real one is `waystation serve`.
"""

import gzip
import json
import math
import sqlite3
import sys
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from email.utils import formatdate
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex
from typing import cast

from waystation_agent.clock import iso

MOST_VALUES = 10_000
BODY_BYTES = 4_000_000

SCHEMA = """
create table if not exists device (serial text primary key, code text unique, name text, key_sha256 text);
create table if not exists reading (serial text, metric text, at text, value real, primary key (serial, metric, at));
"""

Object = dict[str, object]


class Refusal(Exception):
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.problem: Object = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}


class Ledger:
    """Devices and readings, durable when a method returns. One writer at a time."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def claim(self, code: str, name: str, api_key: str) -> str:
        digest = sha256(api_key.encode()).hexdigest()
        with self._lock, self._db:
            known = self._db.execute("select serial, key_sha256 from device where code = ?", (code,)).fetchone()
            if known and known[1] != digest:
                raise Refusal(
                    409, "code_used", "This code was used by another device. Make a new one on the hub's page."
                )
            serial = known[0] if known else f"serial-{token_hex(8)}"
            if not known:
                self._db.execute("insert into device values (?, ?, ?, ?)", (serial, code, name, digest))
        return serial

    def knows(self, serial: str, api_key: str) -> bool:
        digest = sha256(api_key.encode()).hexdigest()
        query = "select 1 from device where serial = ? and key_sha256 = ?"
        with self._lock:
            return self._db.execute(query, (serial, digest)).fetchone() is not None

    def store(self, serial: str, readings: list[tuple[str, str, float]]) -> None:
        rows = [(serial, metric, at, value) for metric, at, value in readings]
        with self._lock:
            self._db.execute("begin")
            self._db.executemany("insert or ignore into reading values (?, ?, ?, ?)", rows)
            self._db.execute("commit")

    def times(self, metric: str) -> list[str]:
        """Return the times of a metric as they were sent, oldest first."""
        with self._lock:
            rows = self._db.execute("select at from reading where metric = ? order by at", (metric,)).fetchall()
        return [row[0] for row in rows]


class LocalHub:
    """`faults` are used up one per request: a status to answer, or "cut" to store everything and then hang up."""

    def __init__(self, path: Path, port: int = 0) -> None:
        self.faults: deque[int | str] = deque()
        self.fault: Callable[[], int | str | None] = lambda: self.faults.popleft() if self.faults else None
        self.unsound: Callable[[str, str, object], bool] = lambda _metric, _at, _value: False
        self.wall: Callable[[], float | None] = lambda: None
        self.headers: dict[str, str] = {}
        self.connections = 0
        self.ledger = Ledger(path)
        self._server = _Server(("127.0.0.1", port), _Conversation)
        self._server.hub = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.ledger.close()

    def answer(self, path: str, authorization: str, body: bytes) -> Object:
        if path == "/api/claim":
            return self._claim(_object(json.loads(body)))
        if path == "/api/readings":
            return self._store(authorization, body)
        raise Refusal(404, "not_found", "There is nothing here.")

    def _claim(self, wanted: Object) -> Object:
        code, name, api_key = (str(wanted[field]) for field in ("code", "name", "api_key"))
        if code == "WRONGWRONGWR":
            raise Refusal(404, "not_found", "This code is unknown or has expired.")
        serial = self.ledger.claim(code, name, api_key)
        return {
            "key": sha256(serial.encode()).hexdigest()[:8],
            "serial": serial,
            "name": name,
            "api_key": api_key,
            "mqtt": None,
            "server_time": iso(0),
        }

    def _store(self, authorization: str, body: bytes) -> Object:
        serial, _, api_key = authorization.removeprefix("Device ").partition(":")
        if not self.ledger.knows(serial, api_key):
            raise Refusal(401, "unauthorized", "This credential is not known.")
        readings = [reading for sample in cast("list[object]", json.loads(body)) for reading in self._check(sample)]
        if len(readings) > MOST_VALUES:
            raise Refusal(413, "too_large", f"At most {MOST_VALUES} values fit into one call.")
        self.ledger.store(serial, readings)
        return {"stored": len(readings)}

    def _check(self, sample: object) -> list[tuple[str, str, float]]:
        at = str(_object(sample)["at"])
        if datetime.fromisoformat(at).tzinfo is None:
            raise Refusal(400, "invalid", "A time needs its offset.")
        readings: list[tuple[str, str, float]] = []
        for metric, value in _object(_object(sample)["values"]).items():
            if not isinstance(value, int | float) or not math.isfinite(value) or self.unsound(metric, at, value):
                raise Refusal(400, "invalid", f"{metric} of {at} cannot be accepted.")
            readings.append((metric, at, float(value)))
        return readings


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    hub: LocalHub

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed and a hub stopped in the middle of a call are what this hub is for: no traceback."""


class _Conversation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True

    @property
    def hub(self) -> LocalHub:
        return cast("_Server", self.server).hub

    def setup(self) -> None:
        super().setup()
        self.hub.connections += 1

    def do_GET(self) -> None:
        self._reply(200, {"status": "ok"})

    def do_POST(self) -> None:
        body = self._body()
        fault = self.hub.fault()
        if isinstance(fault, int):
            self._reply(fault, Refusal(fault, "fault", "The hub was told to fail.").problem)
            return
        try:
            said = self.hub.answer(self.path, self.headers.get("Authorization", ""), body)
        except Refusal as refusal:
            self._reply(refusal.status, refusal.problem)
        except (ValueError, KeyError, TypeError) as error:
            self._reply(400, Refusal(400, "invalid", f"The body is not understood: {error}").problem)
        else:
            self._cut() if fault == "cut" else self._reply(200, said)

    def _body(self) -> bytes:
        body = self.rfile.read(min(int(self.headers["Content-Length"]), BODY_BYTES))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _cut(self) -> None:
        self.close_connection = True

    def _reply(self, status: int, body: Object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in self.hub.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(self.hub.wall() if timestamp is None else timestamp, usegmt=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the name is the base class's
        del format, args


def _object(found: object) -> Object:
    if not isinstance(found, dict):
        raise Refusal(400, "invalid", "An object was expected.")
    return cast("Object", found)


if __name__ == "__main__":
    hub = LocalHub(Path(sys.argv[1]), 8000)
    sys.stdout.write(f"{hub.url} accepts any code of 12 letters; Ctrl-C ends it.\n")
    threading.Event().wait()
