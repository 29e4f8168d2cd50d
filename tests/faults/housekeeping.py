"""A hub's housekeeping as its owner sees it: files imported, readings deleted, old ones thinned, all exported."""

import hashlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Self

from tests.hub import Hub, Registered

DAY_MS = 86_400_000
ROWS = 7_000  # of each of the three devices: more than 20,000 together, so they are sealed at once
STEP_MS = DAY_MS // ROWS
PAUSE_AFTER_FAULT_SECONDS = 0.05
END_SECONDS = 90
METRIC = "n"
RETENTION_DAYS = 30
IMPORTING, DELETING, EXPORTING = "importing", "deleting", "exporting"

Points = dict[int, float]


@dataclass(slots=True)
class Seen:
    """What was found wrong, by kind."""

    lost: int = 0
    doubled: int = 0
    came_back: int = 0
    exports: int = 0
    broken_exports: int = 0

    @property
    def faults(self) -> int:
        return self.lost + self.doubled + self.came_back + self.broken_exports


@dataclass(slots=True)
class Acknowledged:
    """What the hub has said yes to, in days since the first."""

    imported: int = 0
    deleted: int = 0
    refusals: Counter[int] = field(default_factory=Counter[int])


class Housekeeper:
    """Day after day: imports one of three devices, deletes it of `doomed`, exports it of `kept`. `fading` is kept raw
    for a month only, and all of this is longer ago. What is cut off is done again until it is acknowledged.
    """

    def __init__(self, hub: Hub, *, may_say: Collection[int] = ()) -> None:
        """`may_say` are further statuses that are no answer: of a hub whose disk has gone a moment before it."""
        self._hub = hub
        self._no_answer = {0, 503, 507, *may_say}
        self.kept, self.doomed, self.fading = (hub.register_device(name) for name in ("kept", "doomed", "fading"))
        self._first_at = (int(time.time() * 1000) // DAY_MS - 400) * DAY_MS
        self._authorization = f"Bearer {hub.token}"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.phase = ""
        self.done = Acknowledged()
        self.seen = Seen()
        self.failure: BaseException | None = None
        self._known: set[int] = set()
        self._gone: set[int] = set()
        rule = {"device": self.fading.key, "raw_days": RETENTION_DAYS}
        status, said = hub.post("/api/storage/retention", rule, self._authorization)
        assert status == 200, said

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends what was begun: the hub must be running."""
        self._stopping.set()
        self._thread.join(END_SECONDS)
        assert not self._thread.is_alive(), f"{self.phase} never ended; {self._hub.log[-2000:]}"
        if self.failure is not None:
            raise self.failure

    def wait_for(self, phase: str) -> None:
        until = time.monotonic() + END_SECONDS
        while self.phase != phase:
            assert time.monotonic() < until, f"never came to {phase}, is {self.phase}; {self._hub.log[-2000:]}"
            assert self.failure is None, self.failure
            time.sleep(0.002)

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                self._one_day()
        except BaseException as fault:  # noqa: BLE001  the test's own thread raises it
            self.failure = fault

    def _one_day(self) -> None:
        day = self.done.imported
        self.phase = IMPORTING
        said = self._until_done("POST", "/api/import", self._file(day))
        assert said["stored"] + said["duplicates"] == 3 * ROWS
        self.done.imported += 1
        self.phase = DELETING
        span = {"from": self._at(day * ROWS), "to": self._at((day + 1) * ROWS - 1)}
        order = json.dumps({"device": self.doomed.key, "typed": "DELETE THIS RANGE", **span}).encode()
        number = self._until_done("POST", "/api/storage/deletions", order)["id"]
        while self._until_done("GET", f"/api/storage/deletions/{number}")["state"] != "done":
            time.sleep(PAUSE_AFTER_FAULT_SECONDS)
        self.done.deleted += 1
        self.phase = EXPORTING
        self._export(span)
        self.phase = ""

    def _at(self, number: int) -> str:
        seconds, millis = divmod(self._first_at + number * STEP_MS, 1000)
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{millis:03d}Z"

    def _file(self, day: int) -> bytes:
        names = [device.key for device in (self.kept, self.doomed, self.fading)]
        numbers = range(day * ROWS, (day + 1) * ROWS)
        lines = [f"{name},{METRIC},{self._first_at + n * STEP_MS},{n}\n" for n in numbers for name in names]
        return "".join(["device,metric,time,value\n", *lines]).encode()

    def _export(self, span: dict[str, str]) -> None:
        """Of what is kept of this day, gone on with after every break at the byte where it ended."""
        asked = f"/api/exports?device={self.kept.key}&format=ndjson&from={span['from']}&to={span['to']}"
        number = self._until_done("POST", asked)["id"]
        content = bytearray()
        while True:
            content += self._bytes_from(number, len(content))
            told = self._until_done("GET", f"/api/exports/{number}")
            if told["state"] == "done" and len(content) == told["bytes"]:
                break
        right = hashlib.sha256(content).hexdigest() == told["sha256"] and told["rows"] == ROWS
        self.seen.exports += 1
        self.seen.broken_exports += not (right and content.count(b"\n") == ROWS)

    def _bytes_from(self, number: int, offset: int) -> bytes:
        """As many as come before the connection breaks."""
        connection = self._connection()
        content = bytearray()
        try:
            connection.request("GET", f"/api/exports/{number}/content?from_byte={offset}", headers=self._headers)
            answer = connection.getresponse()
            while answer.status == 200 and (part := answer.read1(4096)):
                content += part
        except (OSError, http.client.HTTPException):
            time.sleep(PAUSE_AFTER_FAULT_SECONDS)
        finally:
            connection.close()
        return bytes(content)

    def _until_done(self, method: str, path: str, body: bytes = b"") -> Any:
        """The answer of 200 at last; the disk may be full or the hub away."""
        until = time.monotonic() + END_SECONDS
        while True:
            status, said = self._asked(method, path, body)
            if status == 200:
                return json.loads(said)
            self.done.refusals[status] += 1
            assert status in self._no_answer, f"{method} {path}: {status} {said[:300]!r}"
            assert time.monotonic() < until, f"{method} {path} never done: {status} {said[:300]!r}"
            time.sleep(PAUSE_AFTER_FAULT_SECONDS)

    def _asked(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Status 0: no answer."""
        connection = self._connection()
        try:
            connection.request(method, path, body, self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._hub.port, timeout=30)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._authorization, "Content-Type": "application/json"}

    # What the hub has of it

    def look(self) -> Seen:
        """Compares what is stored with what was acknowledged: at the end, when nothing of it runs any more."""
        for device, days in ((self.kept, self.done.imported), (self.doomed, 0)):
            stored = Counter(number for number, _ in self._stored(device))
            whole = set(range(days * ROWS))
            self.seen.lost += len(whole - stored.keys())
            self.seen.came_back += len(stored.keys() - whole)
            self.seen.doubled += stored.total() - len(stored)
        counted = self._counted(self.fading) - self.done.imported * ROWS
        self.seen.lost += max(-counted, 0)
        self.seen.doubled += max(counted, 0)
        return self.seen

    def look_at_fading(self) -> None:
        """What has gone since the last look must stay away."""
        raw = {number for number, _ in self._stored(self.fading)}
        self.seen.came_back += len(self._gone & raw)
        self._gone |= self._known - raw
        self._known |= raw

    @property
    def faded(self) -> int:
        return len(self._gone)

    def _stored(self, device: Registered) -> list[tuple[int, int]]:
        points = self._hub.readings(device).get(METRIC, [])
        wrong = [(at, value) for at, value in points if at != self._first_at + int(value) * STEP_MS]
        assert not wrong, f"values under another's time: {wrong[:5]}"
        return [(int(value), at) for at, value in points]

    def _counted(self, device: Registered) -> int:
        """By what is kept of each hour, raw or not."""
        asked = f"series={device.key}:{METRIC}&from=0&to=now&bucket=month&aggregate=count"
        return sum(sum(series["count"]) for series in self._hub.get(f"/api/history?{asked}")["series"])
