"""Values a second in large HTTP calls, each durable, against `executemany` of the same rows with a commit per call."""

import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from hub import running
from load import Shot, fire
from report import save

CONNECTIONS = 4
METRICS = 10


def main() -> int:
    seconds = 3.0 if "--quick" in sys.argv else 8.0
    rows = []
    with running() as site:
        device = site.device("bench")
        headers = (
            ("Authorization", f"Device {device['serial']}:{device['api_key']}"),
            ("Content-Type", "application/json"),
        )
        for size in (1000, 10_000):
            ours = fire(
                Shot(site.port, "POST", "/api/readings", body(size), headers), seconds=seconds, connections=CONNECTIONS
            )
            bare = bare_rate(size, seconds)
            if ours.refused or ours.broken:
                print(f"refused {ours.statuses}, broken {ours.broken}")
                return 1
            rate = ours.rate * size
            row = {
                "what": "values over HTTP, answered after fsync",
                "values_in_a_call": size,
                "values_per_second": round(rate),
                "bare_per_second": round(bare),
                "ratio_to_bare": round(rate / bare, 2),
                "p99_ms": ours.p99_ms,
            }
            rows.append(row)
            print(row)
    save(
        "http_batches",
        rows,
        f"{CONNECTIONS} connections, hub on one core with sealing running; readings without times of their own",
    )
    return 0


def body(size: int) -> bytes:
    """Without times of their own, so that every call is new readings."""
    values = {f"metric_{number}": 20.0 + number / 8 for number in range(METRICS)}
    return json.dumps([{"values": values}] * (size // METRICS)).encode()


def bare_rate(size: int, seconds: float) -> float:
    with tempfile.TemporaryDirectory(prefix="waystation-bench-") as folder:
        database = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
        database.execute("pragma journal_mode=wal")
        database.execute("pragma synchronous=full")
        database.execute("create table tail (id integer primary key, series_id int, stamp int, value real)")
        began, count, stamp = time.perf_counter(), 0, time.time_ns()
        while time.perf_counter() - began < seconds:
            rows = [(number % METRICS, stamp + number, 20.0 + number) for number in range(size)]
            database.execute("begin immediate")
            database.executemany("insert into tail (series_id, stamp, value) values (?, ?, ?)", rows)
            database.execute("commit")
            count, stamp = count + size, stamp + size
        return count / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
