"""What alert rules cost ingest: batches appended durably with no rule and with 1,000 rules watching, in turns."""

import argparse
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import report
import store as stored

from waystation import devices
from waystation.alerts import service
from waystation.alerts import store as kept
from waystation.alerts.evaluator import PAUSE_SECONDS, Evaluator
from waystation.alerts.model import Condition, Scope, When, Wish
from waystation.homes import the_home
from waystation.kernel.audit import Actor
from waystation.kernel.clock import SystemClock
from waystation.kernel.db import Database, metadata, sqlite_url
from waystation.telemetry import follow
from waystation.telemetry.model import Stamped, own
from waystation.telemetry.store import SeriesIds, append, drop_tail, tail_span

RULES = 1000
BATCH, BATCHES = 10_000, 40
BY = Actor("bench")


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--quick", action="store_true")
    given = wanted.parse_args()
    rows = measured(rounds=3 if given.quick else 9)
    report.save("alerts", rows, "100 devices of 10 metrics; 10 rules for each device, a tenth of all readings watched")
    for row in rows:
        print(row)


@dataclass(frozen=True, slots=True)
class Run:
    """Of one round: values a second until all were durable, processor seconds of ingest and of the evaluator."""

    rate: float
    ingest_seconds: float
    evaluator_seconds: float
    behind_seconds: float  # from the last commit until everything was evaluated


def measured(rounds: int) -> list[dict[str, object]]:
    batches = stored.made(BATCH, BATCHES)
    with tempfile.TemporaryDirectory(prefix="waystation-bench-") as folder:
        house = House(Path(folder))
        runs: dict[bool, list[Run]] = {False: [], True: []}
        house.run(batches)
        for number in range(rounds):
            for with_rules in (False, True) if number % 2 else (True, False):
                house.switch(with_rules=with_rules)
                runs[with_rules].append(house.run(batches))
        house.database.close()
    rates = {one: statistics.median(run.rate for run in runs[one]) for one in runs}
    ingest, evaluator, behind = (
        statistics.median(getattr(run, name) for run in runs[True])
        for name in ("ingest_seconds", "evaluator_seconds", "behind_seconds")
    )
    millions = BATCH * BATCHES / 1e6
    return [
        {"what": "no rules", "values_per_second": round(rates[False])},
        {
            "what": "1,000 rules",
            "values_per_second": round(rates[True]),
            "cost_percent": round(100 * (1 - rates[True] / rates[False]), 1),
            "ingest_cpu_seconds_per_million": round(ingest / millions, 2),
            "evaluator_cpu_seconds_per_million": round(evaluator / millions, 2),
            "evaluated_after_seconds": round(behind, 2),
        },
    ]


class House:
    """A home whose devices are those of the batches."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(sqlite_url(folder / "alerts.db"))
        metadata.create_all(self.database.engine)
        self.ids, self.clock = SeriesIds(), SystemClock()
        now = datetime.now(UTC)
        with self.database.write() as tx:
            self.home_id = the_home(tx, now).id
            made = [devices.register(tx, BY, self.home_id, now, name=f"D{n}") for n in range(stored.DEVICES)]
            found = [devices.find(tx, self.home_id, one.key) for one in made]
            self.devices = [one.id for one in found]
            wish = Wish("Hot", When(Condition.ABOVE, 1e9), metric="metric_0", scope=Scope.DEVICE)
            for number in range(RULES):
                its_own = replace(wish, name=f"Hot {number}", target=found[number % len(found)].key)
                service.add(tx, BY, self.home_id, now, wish=its_own)
            self.rules = kept.rules(tx, self.home_id)

    def switch(self, *, with_rules: bool) -> None:
        now = datetime.now(UTC)
        with self.database.write() as tx:
            span = tail_span(tx)
            if span is not None:
                drop_tail(tx, span)
            if with_rules:
                follow.end(tx, service.FOLLOWER)
                follow.begin(tx, service.FOLLOWER, now)
            else:
                follow.end(tx, service.FOLLOWER)

    def run(self, batches: list[list[Stamped]]) -> Run:
        """Without a rule the evaluator looks in vain."""
        first = round(time.time() * 1_000_000)
        rows = [
            [
                Stamped(
                    self.devices[one.device_id], [(m, k, own(first + at // 100_000), v) for m, k, at, v in one.rows]
                )
                for one in batch
            ]
            for batch in batches
        ]
        evaluator, ended, spent = Evaluator(self.database, self.clock), threading.Event(), list[float]()
        evaluator.step()
        thread = threading.Thread(target=_evaluate, args=(evaluator, ended, spent))
        start, own_start = time.perf_counter(), time.thread_time()
        thread.start()
        for batch in rows:
            with self.database.write() as tx:
                append(tx, self.ids, batch)
        durable, own_end = time.perf_counter(), time.thread_time()
        ended.set()
        thread.join()
        rate = sum(len(one.rows) for batch in rows for one in batch) / (durable - start)
        return Run(rate, own_end - own_start, spent[0], time.perf_counter() - durable)


def _evaluate(evaluator: Evaluator, ended: threading.Event, spent: list[float]) -> None:
    start = time.thread_time()
    while not ended.is_set():
        if not evaluator.step():
            ended.wait(PAUSE_SECONDS)
    while evaluator.step(keep=True):
        pass
    spent.append(time.thread_time() - start)


if __name__ == "__main__":
    main()
