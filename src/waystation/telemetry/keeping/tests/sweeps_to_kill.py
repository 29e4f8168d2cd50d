"""Retention, a deletion and sealing in a process of their own, for `kill -9`: it says when it has begun."""

import sys
import time
from datetime import datetime, timedelta

from waystation.kernel.db import Database
from waystation.telemetry import seal
from waystation.telemetry.keeping.sweeps import counting, deletion, retention


def main(url: str, text: str) -> None:
    """`text` is the time of the sweeps."""
    database, now = Database(url), datetime.fromisoformat(text)
    retention.SERIES_AT_ONCE = deletion.SERIES_AT_ONCE = 1
    retention.CHUNKS_AT_ONCE = retention.SPLIT_AT_ONCE = 1  # many small steps to be killed in
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    while any(sweep(database, now) for sweep in (retention.expire, deletion.delete, counting.count)):
        seal.seal(database, now + timedelta(days=400))
        time.sleep(0.001)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
