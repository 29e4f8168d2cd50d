"""How long a commit of 100 readings waits while something else runs: sealing, counting, retention, export, deletion.

Commits come every few milliseconds from a thread, as the hub's writer makes them, beside each piece of work in turn.
The longest of those that took more than 50 ms are listed with what ran. `held`: the longest that a transaction of that
work kept the write lock, before its commit, and `held_cpu` how much of that it worked rather than waited for a core.
"""

import argparse
import contextlib
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import databases
import report
from plots import Chart

import waystation.alerts  # noqa: F401  its tables
from waystation import devices, homes
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import micros
from waystation.kernel.db import Database, Tx
from waystation.kernel.server import spare_the_collector
from waystation.telemetry import seal, store
from waystation.telemetry.keeping import service
from waystation.telemetry.keeping.model import Limits
from waystation.telemetry.keeping.service import Scope, Unwanted
from waystation.telemetry.keeping.sweeps import counting, deletion, retention
from waystation.telemetry.model import EARLIEST, LATEST, Kind, Stamped, own
from waystation.telemetry.transfer import export
from waystation.telemetry.transfer.export import Wanted

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS = 100
DEVICES, METRICS = 20, 5
IN_A_COMMIT = 100
PAUSE_SECONDS = 0.003
STALL_MS = 50
MOST_LISTED = 20
QUIET_SECONDS = 3.0
SWEEP_SECONDS = 0.2
BACKGROUND_BYTES = Path("/proc/sys/vm/dirty_background_bytes")  # 0: unset, see docs/guides/operating.md


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("--values", type=int, default=10_000_000)
    wanted.add_argument("--quick", action="store_true", help="half a million values")
    wanted.add_argument("--postgresql", action="store_true")
    wanted.add_argument("--folder", type=Path, default=None, help="where the database is made and removed again")
    given = wanted.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="waystation-bench-", dir=given.folder) as folder,
        databases.opened(Path(folder), postgresql=given.postgresql) as database,
    ):
        house = House(Timed.of(database), 500_000 if given.quick else given.values)
        house.fill()
        phases = list(house.phases())
    name, word = ("stalls_postgresql" if given.postgresql else "stalls"), databases.word(postgresql=given.postgresql)
    rows = [phase.row() for phase in phases]
    stalls = [stall for phase in phases for stall in phase.stalls()]
    longest = sorted(stalls, key=lambda stall: -stall["longest_ms"])[:MOST_LISTED]
    notes = (
        f"{word}; {house.values:,} values of {DEVICES * METRICS} series stored; commits of {IN_A_COMMIT} readings with "
        f"fsync, {PAUSE_SECONDS * 1000:.0f} ms after each other; {len(stalls)} took longer than {STALL_MS} ms; "
        f"vm.dirty_background_bytes is {BACKGROUND_BYTES.read_text().strip()}"
    )
    report.save(name, [*rows, *longest], notes)
    draw(phases, name, word)
    print(notes)
    for row in (*rows, *longest):
        print(row)


@dataclass(slots=True)
class Timed:
    """A database that notes how long a transaction of the main thread has the write lock before its commit."""

    database: Database
    held: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    @classmethod
    def of(cls, database: Database) -> "Timed":
        timed, write = cls(database), database.write

        @contextlib.contextmanager
        def noted() -> Generator[Tx]:
            with write() as tx:
                began, worked = time.perf_counter(), time.thread_time()
                yield tx
                if threading.current_thread() is threading.main_thread():
                    held = time.perf_counter() - began, time.thread_time() - worked
                    timed.held.append((held[0] * 1000, held[1] * 1000))

        database.write = noted  # type: ignore[method-assign]
        return timed


@dataclass(slots=True)
class Phase:
    """What ran from when to when, and the commits beside it as (seconds since the very beginning, milliseconds)."""

    name: str
    began: float
    ended: float
    steps: int
    held: list[tuple[float, float]]
    commits: list[tuple[float, float]]

    def row(self) -> dict[str, Any]:
        taken = sorted(milliseconds for _, milliseconds in self.commits)
        return {
            "what": self.name,
            "seconds": round(self.ended - self.began, 1),
            "steps": self.steps,
            "commits": len(taken),
            "p50_ms": round(statistics.median(taken), 1),
            "p99_ms": round(taken[int(len(taken) * 0.99)], 1),
            "longest_ms": round(taken[-1], 1),
            "held_ms": round(max((held for held, _ in self.held), default=0.0), 1),
            "held_cpu_ms": round(max((worked for _, worked in self.held), default=0.0), 1),
        }

    def stalls(self) -> list[dict[str, Any]]:
        return [
            {"what": f"stall at {at:.2f} s, beside {self.name}", "longest_ms": round(milliseconds, 1)}
            for at, milliseconds in self.commits
            if milliseconds > STALL_MS
        ]


class House:
    def __init__(self, timed: Timed, values: int) -> None:
        self.database, self.held, self.values = timed.database, timed.held, values
        self.ids = store.SeriesIds()
        with self.database.write() as tx:
            self.home_id = homes.the_home(tx, NOW).id
            keys = [devices.register(tx, COMMAND_LINE, self.home_id, NOW, name=f"d{n}").key for n in range(DEVICES)]
            self.devices = [devices.find(tx, self.home_id, key).id for key in keys]
        self.beginning = time.perf_counter()
        self.lately = 0

    def fill(self) -> None:
        """Sealed all along, so that there are chunks of every size; a hundred days up to now."""
        chance, lines = random.Random(1), 400
        blocks = self.values // (lines * DEVICES * METRICS)
        every = DAYS * 86_400_000_000 // (blocks * lines)
        start, later = micros(NOW) - DAYS * 86_400_000_000, NOW
        for block in range(blocks):
            at = [own(start + (block * lines + n) * every) for n in range(lines)]
            said = [
                (f"m{m}", Kind.NUMBER, one, round(20 + chance.random() * 5, 1)) for one in at for m in range(METRICS)
            ]
            with self.database.write() as tx:
                store.append(tx, self.ids, [Stamped(device, said) for device in self.devices])
            later += timedelta(hours=1)
            while block % 4 == 3 and seal.seal(self.database, later):
                pass
            print(f"\r{block + 1} of {blocks} blocks", end="", flush=True)
        print()
        self.later = later
        databases.settle(self.database)
        spare_the_collector()

    def phases(self) -> Generator[Phase]:
        yield self.beside("nothing", self._wait)
        yield self.beside("sealing", self._seal)
        yield self.beside("counting", lambda: _steps(lambda: counting.count(self.database, NOW)))
        yield self.beside("export", self._export)
        with self.database.write() as tx:
            service.set_retention(tx, COMMAND_LINE, self.home_id, Scope(), limits=Limits(30), now=NOW)
        yield self.beside("retention", lambda: _steps(lambda: retention.expire(self.database, NOW)))
        span = {"first": NOW - timedelta(days=20), "last": NOW - timedelta(days=10), "typed": "DELETE THIS RANGE"}
        yield self.deleting("deleting a range", Unwanted(**span))
        yield self.deleting("deleting all", Unwanted(typed="DELETE ALL MY DATA"))

    def deleting(self, name: str, unwanted: Unwanted) -> Phase:
        with self.database.write() as tx:
            service.ask_deletion(tx, COMMAND_LINE, self.home_id, unwanted, now=NOW)
        return self.beside(name, lambda: _steps(lambda: deletion.delete(self.database, NOW)))

    def _wait(self) -> int:
        threading.Event().wait(QUIET_SECONDS)
        return 0

    def _seal(self) -> int:
        """A backlog, as the hub finds it after it was away."""
        at = [own(micros(NOW) - n * 60_000_000) for n in range(1000)]
        said = [(f"backlog{m}", Kind.NUMBER, one, 21.5) for one in at for m in range(METRICS)]
        for device in self.devices:
            with self.database.write() as tx:
                store.append(tx, self.ids, [Stamped(device, said)])
        self.held.clear()
        self.later += timedelta(hours=1)
        return _steps(lambda: seal.seal(self.database, self.later))

    def _export(self) -> int:
        with self.database.read() as tx:
            plan = export.plan(tx, Wanted(self.home_id, (), (), EARLIEST, LATEST, newest_series=LATEST))
        until = time.perf_counter() + 5 * QUIET_SECONDS
        parts = export.parts(self.database, plan, export.start(plan))
        with self._sealing():
            return sum(1 for _ in parts if time.perf_counter() < until)

    @contextlib.contextmanager
    def _sealing(self) -> Generator[None]:
        """What is sent during a long export is sealed meanwhile, as in a hub. Else the tail would grow by megabytes,
        which the system writes to the disk half a minute later, all at once, and a commit would wait for that.
        """
        ended = threading.Event()

        def seal_on() -> None:
            while not ended.wait(SWEEP_SECONDS):
                _steps(lambda: seal.seal(self.database, self.later))

        thread = threading.Thread(target=seal_on)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def beside(self, name: str, work: Callable[[], int]) -> Phase:
        ended, commits = threading.Event(), list[tuple[float, float]]()
        thread = threading.Thread(target=self._commit, args=(ended, commits))
        self.held.clear()
        began = time.perf_counter() - self.beginning
        thread.start()
        try:
            steps = work()
            ended.wait(0.2)  # some commits at least
        finally:
            ended.set()
            thread.join()
        return Phase(name, began, time.perf_counter() - self.beginning, steps, list(self.held), commits)

    def _commit(self, ended: threading.Event, commits: list[tuple[float, float]]) -> None:
        while not ended.wait(PAUSE_SECONDS):
            first = micros(NOW) + self.lately
            self.lately += IN_A_COMMIT
            rows = [("live", Kind.NUMBER, own(first + n), 1.0) for n in range(IN_A_COMMIT)]
            began = time.perf_counter()
            with self.database.write() as tx:
                store.append(tx, self.ids, [Stamped(self.devices[0], rows)])
            commits.append((began - self.beginning, (time.perf_counter() - began) * 1000))


def _steps(step: Callable[[], int]) -> int:
    return sum(1 for _ in iter(step, 0))


def draw(phases: list[Phase], name: str, word: str) -> None:
    """Of every twentieth of a second the longest commit."""
    start = phases[0].began
    longest: dict[int, float] = {}
    for phase in phases:
        for at, milliseconds in phase.commits:
            place = int((at - start) * 20)
            longest[place] = max(longest.get(place, 0.0), milliseconds)
    points = [(place / 20, milliseconds) for place, milliseconds in sorted(longest.items())]
    strips = [(phase.began - start, phase.ended - start, phase.name) for phase in phases]
    lines = {"longest commit of 100 readings in each 50 ms": points}
    Chart(f"Commits beside what else runs, {word}", "seconds", "ms", lines, strips=strips, bound=STALL_MS,
          is_log=True).save(name)  # fmt: skip


if __name__ == "__main__":
    main()
