"""From the command to the first answer, on an empty folder and on one that exists, and the memory of all processes."""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from hub import Site, free_port, start, until_ready
from report import save

SETTLE_SECONDS = 3.0


def main() -> int:
    rounds = 3 if "--quick" in sys.argv else 7
    first, again, sizes = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="waystation-bench-") as folder:
            seconds, resident = once(Path(folder))
            first.append(seconds)
            sizes.append(resident)
            again.append(once(Path(folder))[0])
        print(f"empty folder {first[-1]:.2f} s, existing {again[-1]:.2f} s, {sizes[-1] / 1e6:.1f} MB in all processes")
    row = {
        "what": "waystation serve, cold",
        "first_start_seconds": round(statistics.median(first), 2),
        "start_seconds": round(statistics.median(again), 2),
        "resident_mb": round(statistics.median(sizes) / 1e6, 1),
    }
    save(
        "start",
        [row],
        f"median of {rounds}; memory of hub and nats-server, 0 devices, {SETTLE_SECONDS:.0f} s after the start",
    )
    print(row)
    return 0


def once(data: Path) -> tuple[float, int]:
    with (data / "log").open("wb") as log:
        port, mqtt_port = free_port(), free_port()
        began = time.perf_counter()
        site = Site(data, start(data, port, mqtt_port, log), port, mqtt_port)
        try:
            until_ready(site)
            seconds = time.perf_counter() - began
            time.sleep(SETTLE_SECONDS)
            return seconds, site.resident_bytes()
        finally:
            site.process.terminate()
            site.process.wait(30)


if __name__ == "__main__":
    sys.exit(main())
