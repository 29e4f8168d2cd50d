"""The same readings into Waystation, InfluxDB and VictoriaMetrics, and the same three questions, in one run.

Each runs alone on one core, with its defaults; this client on the other: keep-alive HTTP, each server's own form of a
batch. A device drains what it gathered, devices take turns. Sizes are taken after each has settled and was stopped.
"""

import argparse
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fleet
import hub
import psutil
import report
from ask import Asker, Request, all_of
from load import LOAD_CORE, pin
from rivals import DAY_MS, MONTH_MS, POINTS, SETTLE_SECONDS, Influx, Store, Victoria, missing, size_bytes

from waystation import devices
from waystation.homes import the_home
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import SystemClock, from_micros, iso
from waystation.kernel.db import Database, sqlite_url

DEVICES = 1000
EVERY_SECONDS = 60
BATCH = 500
CONNECTIONS = 4
MINUTE_MS = EVERY_SECONDS * 1000
SHORT_TAIL = 20_000


class Ours:
    """A hub. Its folder is small from the start: keys, the embedded NATS."""

    name = "Waystation"
    durability = "fsync before each answer, shared by the calls that wait"

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.port = folder, hub.free_port()
        self.keys: list[tuple[str, dict[str, str]]] = []

    def start(self) -> None:
        with (self.folder.parent / "waystation.log").open("ab") as log:
            self.site = hub.Site(self.folder, hub.start(self.folder, self.port, 0, log), self.port, 0)
        hub.until_ready(self.site)
        for process in (psutil.Process(self.site.process.pid), *psutil.Process(self.site.process.pid).children()):
            hub.pin_all_threads(process.pid)
        if not self.keys:
            self.keys = list(self._registered())
            token = self.site.tell("token", "create")["token"]
            self.reader = {"Authorization": f"Bearer {token}"}

    def _registered(self) -> Iterator[tuple[str, dict[str, str]]]:
        database, now = Database(sqlite_url(self.folder / "waystation.db")), SystemClock().now()
        with database.write() as tx:
            home_id = the_home(tx, now).id
            made = [devices.register(tx, COMMAND_LINE, home_id, now, name=f"d{n}") for n in range(DEVICES)]
        database.close()
        for one in made:
            headers = {"Authorization": f"Device {one.serial}:{one.api_key}", "Content-Type": "application/json"}
            yield one.key, headers

    def stop(self) -> None:
        self.site.process.terminate()
        self.site.process.wait(60)

    def settle(self) -> None:
        """Until the sealer has left what it leaves for later."""
        until = time.monotonic() + SETTLE_SECONDS
        while self._scalar("select count(*) from tail") >= SHORT_TAIL and time.monotonic() < until:
            time.sleep(0.2)

    def _scalar(self, statement: str) -> int:
        connection = sqlite3.connect(f"file:{self.folder}/waystation.db?mode=ro", uri=True)
        try:
            return connection.execute(statement).fetchone()[0] or 0
        finally:
            connection.close()

    def resident_bytes(self) -> int:
        return self.site.resident_bytes()

    def write(self, device: int, at: fleet.Ints, values: fleet.Floats) -> Request:
        lines = [
            f'{{"at":{ms},"values":{{"m":{value}}}}}' for ms, value in zip(at.tolist(), values.tolist(), strict=True)
        ]
        return Request("POST", "/api/readings", f"[{','.join(lines)}]".encode(), self.keys[device][1])

    def day(self, device: int, at: int) -> Request:
        return self._history(device, at, DAY_MS, f"points={POINTS}")

    def month(self, device: int, at: int) -> Request:
        return self._history(device, at, MONTH_MS, "bucket=1h&aggregate=min,mean,max,count")

    def _history(self, device: int, at: int, length: int, how: str) -> Request:
        key = self.keys[device][0]
        path = f"/api/history?series={key}:m&from={_iso(at)}&to={_iso(at + length - 1)}&{how}"
        return Request("GET", path, headers=self.reader)

    def last_values(self, at: int) -> Request:  # noqa: ARG002
        return Request("GET", "/api/last-values", headers=self.reader)

    def count(self) -> int:
        return self._scalar("select sum(count) from chunk") + self._scalar("select count(*) from tail")


def _iso(ms: int) -> str:
    return iso(from_micros(ms * 1000))


class Fleet:
    """`count` readings of every device, one a minute, up to the last full minute."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.until = int(datetime.now(UTC).timestamp() * 1000) // MINUTE_MS * MINUTE_MS
        self.first = self.until - count * MINUTE_MS
        self.runs = [self._run(number) for number in range(DEVICES)]

    def _run(self, number: int) -> tuple[fleet.Ints, fleet.Floats]:
        at = fleet.times(number, self.count, first_at=self.first * 1000, every_seconds=EVERY_SECONDS) // 1000
        return at, fleet.values(number, self.count, EVERY_SECONDS)

    def rounds(self, store: Store) -> Iterator[list[Request]]:
        """One batch of every device."""
        for start in range(0, self.count, BATCH):
            part = slice(start, start + BATCH)
            yield [store.write(number, at[part], values[part]) for number, (at, values) in enumerate(self.runs)]


def main() -> int:
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("--values", type=int, default=50_000_000)
    wanted.add_argument("--quick", action="store_true", help="half a million values")
    wanted.add_argument("--folder", type=Path, default=None, help="where the databases are made and removed again")
    given = wanted.parse_args()
    if absent := missing():
        print(f"These are missing: {', '.join(absent)}. Install them for this bench only, with no service started:")
        print(f"  scripts/debian-packages {' '.join(absent)}")
        print(f"and where systemd has started them all the same: systemctl disable --now {' '.join(absent)}")
        return 1
    pin(LOAD_CORE)
    made = Fleet((500_000 if given.quick else given.values) // DEVICES)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="waystation-bench-", dir=given.folder) as folder:
        for kind in (Ours, Influx, Victoria):
            rows.append(measured(kind(Path(folder) / kind.__name__.lower()), made, 20 if given.quick else 100))
            print(rows[-1], flush=True)
    rows += compared(rows)
    report.save("peers", rows, notes(made))
    for row in rows[-2:]:
        print(row)
    return 0


def notes(made: Fleet) -> str:
    return (
        f"{made.count * DEVICES:,} values of {DEVICES:,} devices, one a minute, batches of {BATCH} over {CONNECTIONS} "
        "connections; each server alone on one core. Cold: the first question after its restart, the system's page "
        "cache warm; p50 and p95: other devices and times each. A day comes as least and greatest of 250 stretches, "
        "a month as min, mean, max and count. Stamps are milliseconds. "
        + "; ".join(f"{kind.name}: {kind.durability}" for kind in (Ours, Influx, Victoria))
    )


def measured(store: Store, made: Fleet, rounds: int) -> dict[str, Any]:
    store.start()
    try:
        empty = size_bytes(store.folder)
        ingest = _ingested(store, made)
        memory = store.resident_bytes()
        began = time.perf_counter()
        store.settle()
        settled = time.perf_counter() - began
        found = store.count()
        assert found == made.count * DEVICES, f"{store.name} has {found} of {made.count * DEVICES} values"
    finally:
        store.stop()
    size = size_bytes(store.folder) - empty
    store.start()
    try:
        answers = _questioned(store, made, rounds)
        asked_memory = store.resident_bytes()
    finally:
        store.stop()
    return {
        "what": store.name, "durable": store.durability, **ingest, "settled_seconds": round(settled, 1),
        "bytes_per_value": round(size / found, 2), **answers,
        "ingest_memory_mb": round(memory / 1e6), "query_memory_mb": round(asked_memory / 1e6),
    }  # fmt: skip


def _ingested(store: Store, made: Fleet) -> dict[str, float]:
    seconds, taken = 0.0, list[float]()
    for number, requests in enumerate(made.rounds(store)):
        more, some = all_of(store.port, requests, connections=CONNECTIONS)
        seconds, taken = seconds + more, taken + some
        print(f"\r{store.name}: {(number + 1) * BATCH * DEVICES:,} values", end="", flush=True)
    print()
    rate = made.count * DEVICES / seconds
    return {"values_per_second": round(rate), "batch_p99_ms": round(statistics.quantiles(taken, n=100)[-1], 1)}


def _questioned(store: Store, made: Fleet, rounds: int) -> dict[str, float]:
    chance, found = random.Random(1), dict[str, float]()
    asked: dict[str, Callable[[], Request]] = {
        "day": lambda: store.day(chance.randrange(DEVICES), _begin(chance, made, DAY_MS)),
        "month": lambda: store.month(chance.randrange(DEVICES), _begin(chance, made, MONTH_MS)),
        "last": lambda: store.last_values(made.until),
    }
    with Asker(store.port) as asker:
        for what, request in asked.items():
            cold, *taken = [asker.well(request()).milliseconds for _ in range(rounds + 1)]
            found[f"{what}_cold_ms"] = round(cold, 1)
            found[f"{what}_p50_ms"] = round(statistics.median(taken), 2)
            found[f"{what}_p95_ms"] = round(statistics.quantiles(taken, n=20)[-1], 2)
    return found


def _begin(chance: random.Random, made: Fleet, span: int) -> int:
    """A full minute from which on there is so much history; the beginning of it all where there is less."""
    return made.first + chance.randrange(max(1, made.until - made.first - span)) // MINUTE_MS * MINUTE_MS


def compared(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Ours against each of the others: above 1 is better."""
    ours, *others = rows
    for other in others:
        less_is_better = ("bytes_per_value", "day_p50_ms", "month_p50_ms", "last_p50_ms", "ingest_memory_mb")
        ratios = {name: round(other[name] / ours[name], 2) for name in less_is_better}
        ingest = round(ours["values_per_second"] / other["values_per_second"], 2)
        yield {"what": f"Waystation against {other['what']}, times better", "values_per_second": ingest, **ratios}


if __name__ == "__main__":
    sys.exit(main())
