"""Single readings over keep-alive HTTP, each answered after fsync, against bare no-op servers in the same run.

The promise speaks of bare asyncio; how far the hub is from a no-op on its own faster loop is told beside it.
"""

import subprocess
import sys
import time
from pathlib import Path

from hub import running
from load import SERVER_CORE, Outcome, Shot, fire, pin
from report import save

CONNECTIONS = 64
BODY = b'{"values":{"temperature_c":%d.25}}'


def main() -> int:
    rounds, seconds = (2, 3.0) if "--quick" in sys.argv else (5, 5.0)
    runs = []
    with running() as site:
        device = site.device("bench")
        headers = (("Authorization", f"Device {device['serial']}:{device['api_key']}"),)
        acknowledged = 0
        for number in range(rounds):
            ours = fire(
                Shot(site.port, "POST", "/api/readings", BODY, headers, numbered=True),
                seconds=seconds,
                connections=CONNECTIONS,
            )
            acknowledged += ours.acknowledged
            bare, quick = noop(seconds), noop(seconds, "uvloop")
            runs.append((ours, bare, quick))
            ratio = f"ratio {ours.rate / bare.rate:.2f}, {ours.rate / quick.rate:.2f}"
            print(
                f"round {number + 1}: {ours.rate:,.0f}/s, bare {bare.rate:,.0f}/s, uvloop {quick.rate:,.0f}/s, {ratio}"
            )
            if ours.refused or ours.broken:
                print(f"refused {ours.statuses}, broken {ours.broken}")
                return 1
        stored = site.stored(device, "temperature_c")
    runs.sort(key=lambda run: run[0].rate / run[1].rate)
    ours, bare, quick = runs[len(runs) // 2]
    row = {
        "what": "single readings over HTTP, answered after fsync",
        "readings_per_second": round(ours.rate),
        "bare_per_second": round(bare.rate),
        "ratio_to_bare": round(ours.rate / bare.rate, 2),
        "bare_uvloop_per_second": round(quick.rate),
        "ratio_to_bare_uvloop": round(ours.rate / quick.rate, 2),
        "p50_ms": ours.p50_ms,
        "p99_ms": ours.p99_ms,
        "acknowledged": acknowledged,
        "stored": stored,
    }
    save(
        "http_single",
        [row],
        f"{CONNECTIONS} connections, hub on one core, load on the other; median of {rounds} rounds",
    )
    print(row)
    return 0 if stored == acknowledged else 1


def noop(seconds: float, *words: str) -> Outcome:
    """The same requests to asyncio and httptools that do nothing but answer."""
    command = [sys.executable, str(Path(__file__).with_name("noop_server.py")), *words]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = int(server.stdout.readline().split()[1])
    pin(SERVER_CORE, server.pid)
    time.sleep(0.2)
    try:
        return fire(Shot(port, "POST", "/api/readings", BODY, numbered=True), seconds=seconds, connections=CONNECTIONS)
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    sys.exit(main())
