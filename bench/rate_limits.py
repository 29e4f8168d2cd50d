"""What a limit costs: single readings with none, with one in the process and with one in a Redis, in the same run."""

import os
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from statistics import median
from typing import Any

from hub import Site, free_port, running
from load import Outcome, Shot, fire
from report import save

from waystation.kernel.buckets import Buckets, Rate

CONNECTIONS = 64
BODY = b'{"values":{"temperature_c":%d.25}}'
PLENTY = {"WAYSTATION_INGEST_PER_MINUTE": "60000000"}
TAKES = 200_000


@dataclass(frozen=True, slots=True)
class Served:
    """`where` is where its limit is counted."""

    where: str
    site: Site
    headers: tuple[tuple[str, str], ...]

    def fire(self, seconds: float) -> Outcome:
        shot = Shot(self.site.port, "POST", "/api/readings", BODY, self.headers, numbered=True)
        return fire(shot, seconds=seconds, connections=CONNECTIONS)


def main() -> int:
    rounds, seconds = (3, 2.0) if "--quick" in sys.argv else (7, 4.0)
    with ExitStack() as stack:
        served = [stack.enter_context(serving("nowhere", {})), stack.enter_context(serving("in the process", PLENTY))]
        if which("redis-server"):
            redis = stack.enter_context(running_redis())
            served.append(stack.enter_context(serving("in a Redis", {**PLENTY, "WAYSTATION_REDIS_URL": redis})))
        outcomes = [[one.fire(seconds) for one in served] for _ in range(rounds)]
    wrong = [outcome for turn in outcomes for outcome in turn if outcome.refused or outcome.broken]
    if wrong:
        print(f"refused {wrong[0].statuses}, broken {wrong[0].broken}")
        return 1
    rows = [row(one.where, number, outcomes) for number, one in enumerate(served)]
    rows.append({"what": "drawing from a bucket and saying so in two headers", "microseconds": draw_microseconds()})
    for one in rows:
        print(one)
    save(
        "rate_limits",
        rows,
        f"{CONNECTIONS} connections of one device, hub on one core; median of {rounds} rounds, by turns",
    )
    return 0


def row(where: str, number: int, outcomes: list[list[Outcome]]) -> dict[str, Any]:
    return {
        "what": f"single readings, a limit {where}",
        "readings_per_second": round(median(turn[number].rate for turn in outcomes)),
        "ratio_to_none": round(median(turn[number].rate / turn[0].rate for turn in outcomes), 2),
        "p50_ms": round(median(turn[number].p50_ms for turn in outcomes), 2),
        "p99_ms": round(median(turn[number].p99_ms for turn in outcomes), 2),
    }


def draw_microseconds() -> float:
    buckets, rate = Buckets(), Rate(60_000_000, 1000)
    taking = timeit.repeat(lambda: buckets.take(("readings", "kitchen2"), rate).headers, number=TAKES, repeat=5)
    return round(min(taking) / TAKES * 1_000_000, 1)


@contextmanager
def serving(where: str, environment: Mapping[str, str]) -> Generator[Served]:
    os.environ.update(environment)
    try:
        hub = running()
        site = hub.__enter__()
    finally:
        for name in environment:
            del os.environ[name]
    with ExitStack() as stack:
        stack.push(hub)
        device = site.device("bench")
        yield Served(where, site, (("Authorization", f"Device {device['serial']}:{device['api_key']}"),))


@contextmanager
def running_redis() -> Generator[str]:
    with tempfile.TemporaryDirectory(prefix="waystation-bench-") as folder:
        port = free_port()
        where = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(Path(folder)), "--save", ""]
        server = subprocess.Popen(["redis-server", *where], stdout=subprocess.PIPE)
        assert server.stdout is not None
        while b"Ready to accept" not in server.stdout.readline():
            pass
        try:
            yield f"redis://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(10)
            server.stdout.close()


if __name__ == "__main__":
    sys.exit(main())
