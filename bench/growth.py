"""What a reading costs to store, by how many are stored already: single ones, and batches with their sealing.

A bare append of the same rows to a new file is measured beside each point: where the machine was slower, it shows there
too. Up to 200 million the line is fitted to the measured points: rate = a + b · log10(values).
"""

import argparse
import math
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import databases
import fleet
import numpy as np
import report
from plots import Chart

from waystation.kernel.clock import SystemClock
from waystation.kernel.db import Database
from waystation.telemetry import codec, seal, store
from waystation.telemetry.model import SOURCE_BITS, Kind, Stamped, own

SERIES = 1000
EVERY_MICROS = 60_000_000
BEGIN = 1_500_000_000_000_000
BATCH = 1000
FAR = 200_000_000
ROUNDS = 3


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("--quick", action="store_true", help="up to a million values")
    wanted.add_argument("--millions", type=float, nargs="+", default=[1, 5, 10, 25, 50])
    wanted.add_argument("--postgresql", action="store_true")
    wanted.add_argument("--folder", type=Path, default=None, help="where the database is made and removed again")
    given = wanted.parse_args()
    points = [0.1, 0.3, 1.0] if given.quick else given.millions
    with (
        tempfile.TemporaryDirectory(prefix="waystation-bench-", dir=given.folder) as folder,
        databases.opened(Path(folder), postgresql=given.postgresql) as database,
    ):
        house = House(database, Path(folder))
        rows = [house.measured(int(millions * 1e6), batches=20 if given.quick else 150) for millions in points]
    fitted = list(fits(rows))
    name = "growth_postgresql" if given.postgresql else "growth"
    report.save(name, [*rows, *fitted], notes(postgresql=given.postgresql))
    draw(rows, fitted, name, databases.word(postgresql=given.postgresql))


def notes(*, postgresql: bool) -> str:
    return (
        f"{databases.word(postgresql=postgresql)}; {SERIES:,} series; single: one value in a commit with fsync; batch: "
        f"{BATCH:,} values in a commit, and the time to seal them; bare: executemany of the same rows into an empty "
        f"file of SQLite, in turns; medians of {ROUNDS} rounds. The last rows are extrapolated to {FAR:,} values"
    )


@dataclass(slots=True)
class House:
    database: Database
    folder: Path
    stored: int = 0
    ids: store.SeriesIds = field(default_factory=store.SeriesIds)

    def measured(self, values: int, *, batches: int) -> dict[str, Any]:
        self._fill(values)
        rounds = [(self._single(SERIES), self._bare(batches), self._batches(batches)) for _ in range(ROUNDS)]
        single, bare, batch = (statistics.median(rates) for rates in zip(*rounds, strict=True))
        row = {
            "what": f"{self.stored:,} stored",
            "stored": self.stored,
            "single_per_second": round(single),
            "batch_per_second": round(batch),
            "bare_per_second": round(bare),
            "batch_ratio_to_bare": round(batch / bare, 3),
        }
        print(row, flush=True)
        return row

    def _at(self) -> int:
        """The time of the next reading of every series."""
        return BEGIN + self.stored // SERIES * EVERY_MICROS

    def _fill(self, values: int) -> None:
        """As chunks, as sealing makes them in the end."""
        count = (values - self.stored) // SERIES
        if count <= 0:
            return
        with self.database.write() as tx:
            known = self.ids.found(tx, [(number, "m", Kind.NUMBER) for number in range(SERIES)])
        for number in range(SERIES):
            times = fleet.times(number, count, first_at=self._at(), every_seconds=EVERY_MICROS // 1_000_000)
            run = codec.Run(times << SOURCE_BITS, fleet.values(number, count, EVERY_MICROS // 1_000_000))
            parts = (run.part(slice(at, at + codec.MOST_VALUES)) for at in range(0, count, codec.MOST_VALUES))
            series_id = known[number, "m", Kind.NUMBER]
            with self.database.write() as tx:
                store.replace_chunks(tx, [], [seal.row_of(series_id, part, Kind.NUMBER) for part in parts])
        self.stored += count * SERIES

    def _single(self, count: int) -> float:
        """Values a second; each is its series' newest."""
        values = [[Stamped(number % SERIES, [("m", Kind.NUMBER, own(self._at()), 20.5)])] for number in range(count)]
        return self._appended(values, count)

    def _appended(self, batches: Sequence[Sequence[Stamped]], values: int) -> float:
        began = time.perf_counter()
        for batch in batches:
            with self.database.write() as tx:
                store.append(tx, self.ids, batch)
        seconds = time.perf_counter() - began
        self._seal()
        return values / seconds

    def _batches(self, count: int) -> float:
        """Values a second until all are sealed."""
        batches: list[list[Stamped]] = []
        for _ in range(count):
            self.stored += SERIES
            at = self._at()
            batches.append([Stamped(n, [("m", Kind.NUMBER, own(at + n), 20.0 + n % 7)]) for n in range(BATCH)])
        began = time.perf_counter()
        self._appended(batches, count * BATCH)
        return count * BATCH / (time.perf_counter() - began)

    def _seal(self) -> None:
        later = SystemClock().now()
        while seal.seal(self.database, later):
            later += timedelta(hours=1)  # also what could wait

    def _bare(self, count: int) -> float:
        path = self.folder / "bare.db"
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("create table tail (id integer primary key, series int, at int, value real)")
        rows = [(number, BEGIN + number, 20.0 + number % 7) for number in range(BATCH)]
        began = time.perf_counter()
        for _ in range(count):
            connection.execute("begin immediate")
            connection.executemany("insert into tail (series, at, value) values (?, ?, ?)", rows)
            connection.execute("commit")
        seconds = time.perf_counter() - began
        connection.close()
        path.unlink()
        return count * BATCH / seconds


FIGURES = ("single_per_second", "batch_per_second", "batch_ratio_to_bare")


def fits(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The line through the points at 200 million, and how far the points lie from it, in percent of it."""
    across = np.log10([row["stored"] for row in rows])
    far: dict[str, Any] = {"what": f"{FAR:,}, extrapolated", "stored": FAR}
    off: dict[str, Any] = {"what": "greatest distance of a point from the line, %"}
    slope: dict[str, Any] = {"what": "change for ten times as many stored, %"}
    for figure in FIGURES:
        up = np.array([row[figure] for row in rows], np.float64)
        b, a = np.polyfit(across, up, 1)
        line = a + b * across
        far[figure] = round(float(a + b * math.log10(FAR)), 3 if figure.endswith("bare") else None)
        off[figure] = round(float(np.abs(up / line - 1).max() * 100), 1)
        slope[figure] = round(float(b / statistics.fmean(up) * 100), 1)
    return [far, off, slope]


def draw(rows: Sequence[dict[str, Any]], fitted: Sequence[dict[str, Any]], name: str, word: str) -> None:
    names = {"single_per_second": "single readings", "batch_per_second": "batches and sealing"}
    names |= {"bare_per_second": "bare append"}
    measured = {said: [(row["stored"] / 1e6, row[figure]) for row in rows] for figure, said in names.items()}
    ends = {names[figure]: [*measured[names[figure]], (FAR / 1e6, fitted[0][figure])] for figure in FIGURES[:2]}
    title = f"Readings a second by how many are stored, {word} (the last stretch is extrapolated)"
    Chart(title, "million values stored", "a second", {**ends, "bare append": measured["bare append"]}, measured,
          is_log=True).save(name)  # fmt: skip


if __name__ == "__main__":
    main()
