"""A CSV of many values, against Python's csv.writer over the same rows from a plain table, in the same run.

Ours reads sealed chunks page by page, as it does for a person; first byte and growth of memory are measured on the way.
CSV takes all the values; the other forms at most ten million of them, the newest.
"""

import argparse
import csv
import hashlib
import io
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet
import report

from waystation import devices
from waystation.homes import store as homes
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import SystemClock, from_micros, iso
from waystation.kernel.db import Database, metadata, sqlite_url
from waystation.telemetry import codec, seal, store
from waystation.telemetry.model import EARLIEST, LATEST, SOURCE_BITS, Kind, first_from
from waystation.telemetry.transfer import export
from waystation.telemetry.transfer.export import Wanted
from waystation.telemetry.transfer.shape import Format

SERIES = 20
EVERY_SECONDS = 10
END = 1_790_000_000_000_000
BASELINE_ROWS = 500_000
MOST_OF_OTHERS = 10_000_000


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("--values", type=int, default=10_000_000)
    wanted.add_argument("--quick", action="store_true")
    wanted.add_argument("--folder", type=Path, default=None, help="where the database is made and removed again")
    given = wanted.parse_args()
    count = (1_000_000 if given.quick else given.values) // SERIES
    with tempfile.TemporaryDirectory(prefix="waystation-bench-", dir=given.folder) as folder:
        database = Database(sqlite_url(Path(folder) / "ours.db"))
        home_id = filled(database, count)
        baseline = plain(Path(folder) / "plain.db", min(count, BASELINE_ROWS // SERIES))
        rows = [ours(database, home_id, form, baseline) for form in Format]
        rows.append({"what": "csv.writer over sqlite3", "rows_per_second": baseline})
        database.close()
    report.save("export", rows, f"{count * SERIES:,} values of {SERIES} series, one every 10 s; SQLite; one thread")
    for row in rows:
        print(row)


def filled(database: Database, count: int) -> int:
    metadata.create_all(database.engine)
    now = SystemClock().now()
    with database.write() as tx:
        home_id = homes.add_home(tx, "Bench", now).id
        made = devices.register(tx, COMMAND_LINE, home_id, now, name="Probe")
        device = devices.find(tx, home_id, made.key)
        ids = store.SeriesIds().found(tx, [(device.id, f"t{n:02}", int(Kind.NUMBER)) for n in range(SERIES)])
    first_at = END - count * EVERY_SECONDS * 1_000_000
    for number, series_id in enumerate(sorted(ids.values())):
        times = fleet.times(number, count, first_at=first_at, every_seconds=EVERY_SECONDS)
        run = codec.Run(times << SOURCE_BITS, fleet.values(number, count, EVERY_SECONDS))
        parts = (run.part(slice(at, at + codec.MOST_VALUES)) for at in range(0, count, codec.MOST_VALUES))
        with database.write() as tx:
            store.replace_chunks(tx, [], [seal.row_of(series_id, part, Kind.NUMBER) for part in parts])
    return home_id


def ours(database: Database, home_id: int, form: Format, baseline: int) -> dict[str, Any]:
    before, began = resident_mb(), time.perf_counter()
    few = END - MOST_OF_OTHERS // SERIES * EVERY_SECONDS * 1_000_000
    first = EARLIEST if form == Format.CSV else first_from(few)
    with database.read() as tx:
        plan = export.plan(tx, Wanted(home_id, (), (), first, LATEST, form, newest_series=LATEST))
    first_byte = 0.0
    most = before
    last = begin = export.start(plan)
    for _, point in export.parts(database, plan, begin):
        last = point
        first_byte = first_byte or time.perf_counter() - began
        most = max(most, resident_mb())
    seconds = time.perf_counter() - began
    rate = round(last.rows / seconds)
    return {
        "what": f"export {form}",
        "rows": last.rows,
        "rows_per_second": rate,
        "ratio_to_csv_writer": round(rate / baseline, 2),
        "megabytes_per_second": round(last.size / seconds / 1e6, 1),
        "first_byte_ms": round(first_byte * 1000, 1),
        "resident_growth_mb": round(most - before, 1),
    }


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def plain(path: Path, count: int) -> int:
    """Rows a second of the obvious program: select, format, csv.writer, SHA-256."""
    database = sqlite3.connect(path)
    database.execute(
        "create table reading (metric text, at integer, value real, primary key (metric, at)) without rowid"
    )
    first_at = END - count * EVERY_SECONDS * 1_000_000
    for number in range(SERIES):
        times = fleet.times(number, count, first_at=first_at, every_seconds=EVERY_SECONDS).tolist()
        values = fleet.values(number, count, EVERY_SECONDS).tolist()
        rows = [(f"t{number:02}", at, value) for at, value in zip(times, values, strict=True)]
        database.executemany("insert into reading values (?, ?, ?)", rows)
    database.commit()
    began, digest = time.perf_counter(), hashlib.sha256()
    for text in written(database):
        digest.update(text.encode())
    rate = round(count * SERIES / (time.perf_counter() - began))
    database.close()
    return rate


def written(database: sqlite3.Connection) -> Iterator[str]:
    found = database.execute("select metric, at, value from reading order by metric, at")
    while rows := found.fetchmany(4096):
        out = io.StringIO()
        csv.writer(out).writerows(("abcd1234", metric, iso(from_micros(at)), value) for metric, at, value in rows)
        yield out.getvalue()


if __name__ == "__main__":
    main()
