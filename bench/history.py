"""Reading history back from many values, against the same values as plain rows with a primary key in the same run.

All but the last day is written as the chunks that sealing would have made, by the same codec; the last day comes in by
append and seal, so that short chunks and a tail are there as in real life. With --postgresql both are there.
"""

import argparse
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import databases
import fleet
import numpy as np
import psycopg
import report

from waystation.kernel.db import Database
from waystation.telemetry import codec, query, seal, store
from waystation.telemetry.history import service
from waystation.telemetry.history.calendar import Buckets
from waystation.telemetry.history.model import Asked
from waystation.telemetry.last import last_values
from waystation.telemetry.model import EARLIEST, LATEST, Kind, Stamped, own

SERIES = 1000
EVERY_SECONDS = 60
DAY = fleet.DAY_SECONDS * 1_000_000
MONTH = 30 * DAY
END = 1_790_000_000_000_000
POINTS = 500
TAIL_LINES = 15  # the newest values of every series are still unsealed

BY_HOUR = Asked(Buckets("3600"), frozenset({"min", "mean", "max", "count"}), 3600 * 1_000_000)

Columns = list[tuple[codec.Ints, codec.Floats]]


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("--values", type=int, default=2_000_000)
    wanted.add_argument("--quick", action="store_true")
    wanted.add_argument("--postgresql", action="store_true")
    wanted.add_argument("--folder", type=Path, default=None, help="where the two databases are made and removed again")
    given = wanted.parse_args()
    count = (200_000 if given.quick else given.values) // SERIES
    with both(given.folder, postgresql=given.postgresql) as (ours, plain):
        for number in range(SERIES):
            run = made(number, count)
            ours.fill(number, *run)
            plain.fill(number, *run)
            print(f"\r{number + 1} of {SERIES} series", end="", flush=True)
        ours.last_day()
        plain.finish()
        rows = [*sizes(ours, plain, count * SERIES), *compared(ours, plain, count, 20 if given.quick else 100)]
        plain.close()
    what = f"{count * SERIES:,} values of {SERIES} series, one a minute"
    word = databases.word(postgresql=given.postgresql)
    report.save("history_postgresql" if given.postgresql else "history", rows, f"{what}; {word}; one thread")
    print()
    for row in rows:
        print(row)


@contextmanager
def both(folder: Path | None, *, postgresql: bool) -> "Generator[tuple[Ours, Plain]]":
    """Ours and the plain one, in one server where there is one."""
    with (
        tempfile.TemporaryDirectory(prefix="waystation-bench-", dir=folder) as place,
        databases.opened(Path(place), postgresql=postgresql) as database,
    ):
        yield Ours(database), PlainPostgres(database) if postgresql else PlainSqlite(Path(place) / "plain.db")


def made(number: int, count: int) -> tuple[codec.Ints, codec.Floats]:
    first_at = END - count * EVERY_SECONDS * 1_000_000
    return fleet.times(number, count, first_at=first_at, every_seconds=EVERY_SECONDS), fleet.values(
        number, count, EVERY_SECONDS
    )


class Ours:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.ids = store.SeriesIds()
        self.recent: Columns = []
        with self.database.write() as tx:
            self.series = self.ids.found(tx, [(number, "m", Kind.NUMBER) for number in range(SERIES)])

    def fill(self, number: int, times: codec.Ints, values: codec.Floats) -> None:
        old = int(np.searchsorted(times, END - DAY))
        self.recent.append((times[old:], values[old:]))
        run = codec.Run(times[:old] << 8, values[:old])
        parts = [run.part(slice(at, at + codec.MOST_VALUES)) for at in range(0, old, codec.MOST_VALUES)]
        series_id = self.series[number, "m", Kind.NUMBER]
        with self.database.write() as tx:
            store.replace_chunks(tx, [], [seal.row_of(series_id, part, Kind.NUMBER) for part in parts])

    def last_day(self) -> None:
        lines = max(len(times) for times, _ in self.recent)
        for start in range(0, lines, TAIL_LINES):
            with self.database.write() as tx:
                store.append(tx, self.ids, [_lines(n, *run, start) for n, run in enumerate(self.recent)])
            if start + TAIL_LINES < lines:
                seal.seal(self.database, datetime.now(UTC))
                databases.tidy(self.database)

    def day(self, number: int, at: int) -> int:
        with self.database.read() as tx:
            runs = query.read(tx, [number + 1], own(at), own(at + DAY))
        return sum(len(query.downsampled(run, Kind.NUMBER, POINTS)) for run in runs.values())

    def month(self, number: int, at: int) -> int:
        with self.database.read() as tx:
            [series] = store.series_of(tx, [number])
            page = service.bucketed(tx, [series], service.Range(at, at + MONTH, END), BY_HOUR, most=1000)
        return int(page.tables[series.id].covered.sum())

    def page(self, number: int, at: int) -> int:
        with self.database.read() as tx:
            return sum(map(len, query.raw(tx, [number + 1], own(at), LATEST, limit=1000).runs.values()))

    def last_values(self, _number: int, _at: int) -> int:
        with self.database.read() as tx:
            return len(last_values(tx, range(SERIES)))

    def everything(self) -> int:
        with self.database.read() as tx:
            return sum(len(query.read(tx, [number + 1], EARLIEST, LATEST)[number + 1]) for number in range(SERIES))


def _lines(number: int, times: codec.Ints, values: codec.Floats, start: int) -> Stamped:
    part = slice(start, start + TAIL_LINES)
    pairs = zip(times[part].tolist(), values[part].tolist(), strict=True)
    return Stamped(number, [("m", Kind.NUMBER, own(at), value) for at, value in pairs])


class Plain(Protocol):
    """What many would write first: one row per value, its primary key the series and the time."""

    def fill(self, number: int, times: codec.Ints, values: codec.Floats) -> None: ...
    def finish(self) -> None: ...
    def size_bytes(self) -> int: ...
    def close(self) -> None: ...
    def day(self, number: int, at: int) -> int: ...
    def month(self, number: int, at: int) -> int: ...
    def page(self, number: int, at: int) -> int: ...
    def last_values(self, number: int, at: int) -> int: ...


class Rows:
    """The questions as SQL; `mark` is how the driver writes a parameter."""

    mark = "?"
    connection: Any

    def asked(self, query_: str, given: tuple[int, ...]) -> list[Any]:
        return self.connection.execute(query_.replace("?", self.mark), given).fetchall()

    def day(self, number: int, at: int) -> int:
        query_ = "select at, value from reading where series = ? and at between ? and ?"
        rows = self.asked(query_, (number, at, at + DAY))
        times, values = np.array(rows, np.float64).T
        return len(query.extremes(times.astype(np.int64), values, POINTS))

    def month(self, number: int, at: int) -> int:
        query_ = """select at / 3600000000, min(value), max(value), avg(value), count(*) from reading
                    where series = ? and at between ? and ? group by 1"""
        return len(self.asked(query_, (number, at, at + MONTH)))

    def page(self, number: int, at: int) -> int:
        query_ = "select at, value from reading where series = ? and at >= ? order by at limit 1000"
        return len(self.asked(query_, (number, at)))

    def last_values(self, _number: int, _at: int) -> int:
        query_ = "select at, value from reading where series = ? order by at desc limit 1"
        return sum(len(self.asked(query_, (number,))) for number in range(SERIES))


class PlainSqlite(Rows):
    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("pragma journal_mode = wal")
        self.connection.execute(
            "create table reading (series integer, at integer, value real, primary key (series, at)) without rowid"
        )

    def fill(self, number: int, times: codec.Ints, values: codec.Floats) -> None:
        self.connection.execute("begin")
        rows = zip([number] * len(times), times.tolist(), values.tolist(), strict=True)
        self.connection.executemany("insert into reading values (?, ?, ?)", rows)
        self.connection.execute("commit")

    def finish(self) -> None:
        self.connection.execute("pragma wal_checkpoint(truncate)")

    def size_bytes(self) -> int:
        return self.path.stat().st_size

    def close(self) -> None:
        self.connection.close()


class PlainPostgres(Rows):
    mark = "%s"

    def __init__(self, database: Database) -> None:
        url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute("create table reading (series bigint, at bigint, value double precision)")

    def fill(self, number: int, times: codec.Ints, values: codec.Floats) -> None:
        with self.connection.cursor().copy("copy reading from stdin") as copied:
            for at, value in zip(times.tolist(), values.tolist(), strict=True):
                copied.write_row((number, at, value))

    def finish(self) -> None:
        self.connection.execute("alter table reading add primary key (series, at)")
        self.connection.execute("vacuum (analyze) reading")
        self.connection.execute("checkpoint")

    def size_bytes(self) -> int:
        return self.asked("select pg_total_relation_size('reading')", ())[0][0]

    def close(self) -> None:
        self.connection.close()


def sizes(ours: Ours, plain: Plain, count: int) -> Iterator[dict[str, Any]]:
    found = ours.everything()
    assert found == count, f"{found} of {count} values are there"
    with ours.database.read() as tx:
        extent = store.extent(tx)
    sealed = count - extent.unsealed
    yield {"what": "values", "stored": count, "unsealed": extent.unsealed, "chunks": extent.chunks}
    yield {
        "what": "bytes per sealed value",
        "ours": round((databases.size_bytes(ours.database) - extent.unsealed * 24) / sealed, 2),
        "ours_data_only": round(extent.chunk_bytes / sealed, 2),
        "plain": round(plain.size_bytes() / count, 2),
    }


def compared(ours: Ours, plain: Plain, count: int, rounds: int) -> Iterator[dict[str, Any]]:
    asked = {
        f"a day in {POINTS} points": (ours.day, plain.day, DAY),
        "a month by hour": (ours.month, plain.month, MONTH),
        "1,000 raw values": (ours.page, plain.page, DAY),
        "last value of 1,000 devices": (ours.last_values, plain.last_values, DAY),
    }
    for what, (mine, theirs, span) in asked.items():
        chance = random.Random(1)
        latest = max(
            1, count * EVERY_SECONDS * 1_000_000 - span
        )  # how far back the span may begin to lie in the history
        begins = [(chance.randrange(SERIES), END - span - chance.randrange(latest)) for _ in range(rounds)]
        ours_ms, plain_ms = taken(mine, begins), taken(theirs, begins)
        yield {
            "what": what,
            **{f"ours_{name}": value for name, value in ours_ms.items()},
            **{f"plain_{name}": value for name, value in plain_ms.items()},
            "times_faster": round(plain_ms["p50_ms"] / ours_ms["p50_ms"], 1),
        }


def taken(ask: Callable[[int, int], int], begins: list[tuple[int, int]]) -> dict[str, float]:
    milliseconds: list[float] = []
    for number, at in begins:
        start = time.perf_counter()
        ask(number, at)
        milliseconds.append((time.perf_counter() - start) * 1000)
    return {
        "p50_ms": round(statistics.median(milliseconds), 2),
        "p95_ms": round(statistics.quantiles(milliseconds, n=20)[-1], 2),
    }


if __name__ == "__main__":
    main()
