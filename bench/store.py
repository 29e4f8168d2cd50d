"""Appending batches of readings, durable, against a bare executemany of the same rows in the same run."""

import argparse
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import fleet
import report

from waystation.kernel.db import Database, metadata, sqlite_url
from waystation.telemetry import seal, store
from waystation.telemetry.model import Kind, Stamped, own

DEVICES = 100
METRICS = 10
START = 1_790_000_000_000_000

Batch = list[Stamped]
Round = Callable[[Sequence[Batch], int], float]


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--quick", action="store_true")
    wanted.add_argument("--rounds", type=int, default=7)
    given = wanted.parse_args()
    rounds = 3 if given.quick else given.rounds
    rows = [row for lines in (1, 10, 100) for row in measured(lines * DEVICES * METRICS, rounds)]
    report.save("store", rows, "1,000 series; every batch is one commit with fsync; medians of rounds that take turns")
    for row in rows:
        print(row)


def measured(batch_values: int, rounds: int) -> list[dict[str, object]]:
    batches = made(batch_values, 200_000 // batch_values + 1)
    with tempfile.TemporaryDirectory(prefix="waystation-bench-") as folder:
        bare, ours = Bare(Path(folder)), Ours(Path(folder))
        taken: dict[str, list[float]] = {"bare executemany": [], "append": [], "append and seal": []}
        for number in range(rounds):
            taken["bare executemany"].append(bare.run(batches, number))
            taken["append"].append(ours.run(batches, number))
            ours.seal_all()
            taken["append and seal"].append(ours.run_sealing(batches, number + rounds))
        ours.database.close()
    rates = {name: statistics.median(some) for name, some in taken.items()}
    return [
        {
            "what": name,
            "values_in_a_commit": batch_values,
            "values_per_second": round(rate),
            "ratio_to_bare": round(rate / rates["bare executemany"], 2),
        }
        for name, rate in rates.items()
    ]


def made(batch_values: int, count: int) -> list[Batch]:
    lines = batch_values // (DEVICES * METRICS)
    columns = [fleet.values(number, lines * count, 10).tolist() for number in range(DEVICES * METRICS)]
    return [
        [
            Stamped(device, [
                (f"metric_{metric}", Kind.NUMBER, (batch * lines + line) * 10_000_000,
                 columns[device * METRICS + metric][batch * lines + line])
                for line in range(lines) for metric in range(METRICS)
            ])
            for device in range(DEVICES)
        ]
        for batch in range(count)
    ]  # fmt: skip


def later(batches: Sequence[Batch], number: int) -> list[Batch]:
    """The same values in another day: made before the clock starts."""
    first = START + number * 86_400_000_000
    return [
        [Stamped(one.device_id, [(m, k, own(first + at), v) for m, k, at, v in one.rows]) for one in batch]
        for batch in batches
    ]


class Bare:
    def __init__(self, folder: Path) -> None:
        self.connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
        self.connection.execute("pragma journal_mode = wal")
        self.connection.execute("pragma synchronous = full")
        self.connection.execute("create table tail (id integer primary key, series integer, at integer, value real)")

    def run(self, batches: Sequence[Batch], number: int) -> float:
        rows = [
            [(one.device_id * METRICS + int(m[7:]), stamp, v) for one in batch for m, _, stamp, v in one.rows]
            for batch in later(batches, number)
        ]
        start = time.perf_counter()
        for batch in rows:
            self.connection.execute("begin immediate")
            self.connection.executemany("insert into tail (series, at, value) values (?, ?, ?)", batch)
            self.connection.execute("commit")
        return sum(map(len, rows)) / (time.perf_counter() - start)


class Ours:
    def __init__(self, folder: Path) -> None:
        self.database = Database(sqlite_url(folder / "ours.db"))
        metadata.create_all(self.database.engine)
        self.ids = store.SeriesIds()

    def run(self, batches: Sequence[Batch], number: int) -> float:
        batches = later(batches, number)
        start = time.perf_counter()
        for batch in batches:
            with self.database.write() as tx:
                store.append(tx, self.ids, batch)
        return sum(len(one.rows) for batch in batches for one in batch) / (time.perf_counter() - start)

    def run_sealing(self, batches: Sequence[Batch], number: int) -> float:
        """Until the last value is durable and the tail is short again."""
        batches = later(batches, number)
        ended = threading.Event()
        sealer = threading.Thread(target=self._seal_until, args=(ended,))
        start = time.perf_counter()
        sealer.start()
        for batch in batches:
            with self.database.write() as tx:
                store.append(tx, self.ids, batch)
        ended.set()
        sealer.join()
        return sum(len(one.rows) for batch in batches for one in batch) / (time.perf_counter() - start)

    def _seal_until(self, ended: threading.Event) -> None:
        while self.seal_all() or not ended.wait(0.02):
            pass

    def seal_all(self) -> int:
        """Until the sealer finds too little to do."""
        return sum(iter(lambda: seal.seal(self.database, datetime.now(UTC)), 0))


if __name__ == "__main__":
    main()
