"""Devices and their readings, and the server that all calls of a device go to."""

import gzip
import math
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from email.utils import formatdate
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex
from typing import TypeGuard, cast
from urllib.parse import parse_qsl, urlsplit

from waystation_agent.clock import iso
from waystation_agent.local_hub.errands import Errands
from waystation_agent.local_hub.files import Files
from waystation_agent.local_hub.wire import Object, Refusal, Reply, Request, as_object, said

MOST_VALUES = 10_000
BODY_BYTES = 4_000_000

SCHEMA = """
create table if not exists device (serial text primary key, code text unique, name text, key_sha256 text);
create table if not exists reading (serial text, metric text, at text, value real, primary key (serial, metric, at));
create table if not exists message (
    serial text, at text, severity text, type text, content text, primary key (serial, at, type, content)
);
"""


class Ledger:
    """Devices and readings, durable when a method returns. One writer at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.executescript(SCHEMA)
        self.errands = Errands(self._db, self._lock)
        self.files = Files(self._db, self._lock, path.with_name(f"{path.name}.files"))

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

    def store(self, serial: str, readings: list[tuple[str, str, float | str]]) -> None:
        rows = [(serial, metric, at, value) for metric, at, value in readings]
        with self._lock:
            self._db.execute("begin")
            self._db.executemany("insert or ignore into reading values (?, ?, ?, ?)", rows)
            self._db.execute("commit")

    def hear(self, serial: str, said: list[tuple[str, str, str, str]]) -> None:
        """Words of a device, each with time, severity, type and content."""
        with self._lock:
            self._db.execute("begin")
            rows = [(serial, *one) for one in said]
            self._db.executemany("insert or ignore into message values (?, ?, ?, ?, ?)", rows)
            self._db.execute("commit")

    def heard(self) -> list[tuple[str, str]]:
        """Return severity and content of every message, in the order of their times."""
        with self._lock:
            return self._db.execute("select severity, content from message order by at").fetchall()

    def times(self, metric: str) -> list[str]:
        """Return the times of a metric as they were sent, oldest first."""
        with self._lock:
            rows = self._db.execute("select at from reading where metric = ? order by at", (metric,)).fetchall()
        return [row[0] for row in rows]


class LocalHub:
    """`faults` are used up one per request: a status to answer, "cut" to do everything and then hang up, "lost" to hang
    up before anything is done.
    """

    def __init__(self, path: Path, port: int = 0) -> None:
        self.faults: deque[int | str] = deque()
        self.fault: Callable[[], int | str | None] = lambda: self.faults.popleft() if self.faults else None
        self.unsound: Callable[[str, str, object], bool] = lambda _metric, _at, _value: False
        self.wall: Callable[[], float | None] = lambda: None
        self.headers: dict[str, str] = {}
        self.connections = 0
        self.ledger = Ledger(path)
        self.errands, self.files = self.ledger.errands, self.ledger.files
        self._answering: dict[str, Callable[[Request], Reply]] = {
            "/api/readings": self._store,
            "/api/messages": self._hear,
            "/api/commands/": self.errands.answer,
            "/api/uploads": self.files.answer,
            "/api/packages/": self.files.answer,
            "/api/blobs/": self.files.answer,
        }
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

    def answer(self, request: Request) -> Reply:
        if request.path == "/api/claim":
            return said(self._claim(as_object(request.json())))
        if request.method == "GET" and not request.path.startswith("/api/"):
            return said({"status": "ok"})
        answering = next((told for path, told in self._answering.items() if request.path.startswith(path)), None)
        if answering is None:
            raise Refusal(404, "not_found", "There is nothing here.")
        return answering(replace(request, serial=self._caller(request.headers.get("Authorization", ""))))

    def _caller(self, authorization: str) -> str:
        serial, _, api_key = authorization.removeprefix("Device ").partition(":")
        if not self.ledger.knows(serial, api_key):
            raise Refusal(401, "unauthorized", "This credential is not known.")
        return serial

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

    def _store(self, request: Request) -> Reply:
        readings = [reading for sample in cast("list[object]", request.json()) for reading in self._check(sample)]
        if len(readings) > MOST_VALUES:
            raise Refusal(413, "too_large", f"At most {MOST_VALUES} values fit into one call.")
        self.ledger.store(request.serial, readings)
        return said({"stored": len(readings)})

    def _hear(self, request: Request) -> Reply:
        found = [as_object(one) for one in cast("list[object]", request.json())]
        lines = [tuple(str(one[field]) for field in ("at", "severity", "type", "content")) for one in found]
        if any("unheard of" in content for *_, content in lines):
            raise Refusal(400, "invalid", "A message cannot be accepted.")
        self.ledger.hear(request.serial, cast("list[tuple[str, str, str, str]]", lines))
        return said({"stored": len(lines)})

    def _check(self, sample: object) -> list[tuple[str, str, float | str]]:
        at = str(as_object(sample)["at"])
        if datetime.fromisoformat(at).tzinfo is None:
            raise Refusal(400, "invalid", "A time needs its offset.")
        readings: list[tuple[str, str, float | str]] = []
        for metric, value in as_object(as_object(sample)["values"]).items():
            if not _is_value(value) or self.unsound(metric, at, value):
                raise Refusal(400, "invalid", f"{metric} of {at} cannot be accepted.")
            readings.append((metric, at, value))
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
        self._converse()

    do_POST = do_HEAD = do_PATCH = do_DELETE = do_GET  # noqa: N815 the names are the base class's

    def _converse(self) -> None:
        where = urlsplit(self.path)
        request = Request(
            self.command, where.path, dict(parse_qsl(where.query)), dict(self.headers.items()), self._body()
        )
        fault = self.hub.fault() if where.path != "/health" else None
        if fault == "lost":
            self._cut()
        elif isinstance(fault, int):
            self._refuse(Refusal(fault, "fault", "The hub was told to fail."))
        else:
            self._answer(request, is_cut=fault == "cut")

    def _answer(self, request: Request, *, is_cut: bool) -> None:
        try:
            reply = self.hub.answer(request)
        except Refusal as refusal:
            self._refuse(refusal)
        except (ValueError, KeyError, TypeError) as error:
            self._refuse(Refusal(400, "invalid", f"The body is not understood: {error}"))
        else:
            self._cut() if is_cut else self._reply(reply)

    def _body(self) -> bytes:
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), BODY_BYTES))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _cut(self) -> None:
        self.close_connection = True

    def _refuse(self, refusal: Refusal) -> None:
        self._reply(said(refusal.problem, refusal.status))

    def _reply(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json" if reply.is_object else "application/octet-stream")
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        for name, value in {**reply.headers, **self.hub.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(self.hub.wall() if timestamp is None else timestamp, usegmt=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the name is the base class's
        del format, args


def _is_value(found: object) -> TypeGuard[float | str]:
    return isinstance(found, str) or (isinstance(found, int | float) and math.isfinite(found))
