"""Log lines over keep-alive HTTP, each call answered after fsync: one line a call, and a hundred."""

import os
import sys
from typing import Any

from hub import Site, running
from load import Outcome, Shot, fire
from report import save

CONNECTIONS = 64
MANY = 100
ONE = b'{"severity":"info","content":"heap 23104 of 81920 free, largest block 9216; line %d"}'
LIMITS = {"WAYSTATION_MESSAGES_PER_MINUTE": "0", "WAYSTATION_MESSAGES_PER_DEVICE": "100000000"}


def main() -> int:
    rounds, seconds = (1, 3.0) if "--quick" in sys.argv else (3, 5.0)
    os.environ.update(LIMITS)
    hundred = b"[" + b",".join(ONE % number for number in range(MANY)) + b"]"
    with running() as site:
        device = site.device("bench")
        single, acknowledged = fired(site, device, (ONE, 1), rounds=rounds, seconds=seconds)
        batched, more = fired(site, device, (hundred, MANY), rounds=rounds, seconds=seconds)
        stored = counted(site)
    row = {
        "what": "log lines over HTTP, answered after fsync",
        "single_per_second": round(single.rate),
        "single_p50_ms": single.p50_ms,
        "single_p99_ms": single.p99_ms,
        "batched_lines_per_second": round(batched.rate * MANY),
        "batched_p99_ms": batched.p99_ms,
        "acknowledged": acknowledged + more,
        "stored": stored,
    }
    how = f"{CONNECTIONS} connections, hub on one core, load on the other; {MANY} lines in a batch; median of {rounds}"
    save("messages", [row], how)
    print(row)
    return 0 if stored == acknowledged + more else 1


def fired(
    site: Site, device: dict[str, Any], what: tuple[bytes, int], *, rounds: int, seconds: float
) -> tuple[Outcome, int]:
    """The middle round, and how many lines were acknowledged in all."""
    body, lines = what
    headers = (("Authorization", f"Device {device['serial']}:{device['api_key']}"),)
    shot = Shot(site.port, "POST", "/api/messages", body, headers, numbered=lines == 1)
    outcomes = [fire(shot, seconds=seconds, connections=CONNECTIONS) for _ in range(rounds)]
    if any(one.refused or one.broken for one in outcomes):
        raise RuntimeError(f"refused {[one.statuses for one in outcomes]}")
    outcomes.sort(key=lambda one: one.rate)
    return outcomes[len(outcomes) // 2], sum(one.acknowledged for one in outcomes) * lines


def counted(site: Site) -> int:
    """Every line that was stored, also as a repeat."""
    count, cursor = 0, ""
    while True:
        page = site.get(f"/api/messages?limit=1000{f'&before={cursor}' if cursor else ''}")
        count += sum(one["count"] for one in page["messages"])
        cursor = page["older"] or ""
        if not cursor:
            return count


if __name__ == "__main__":
    sys.exit(main())
