"""Single readings over keep-alive HTTP, each answered after fsync, against a bare no-op server in the same run."""

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
    pairs = []
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
            bare = noop(seconds)
            pairs.append((ours, bare))
            print(f"round {number + 1}: {ours.rate:,.0f}/s, bare {bare.rate:,.0f}/s, ratio {ours.rate / bare.rate:.2f}")
            if ours.refused or ours.broken:
                print(f"refused {ours.statuses}, broken {ours.broken}")
                return 1
        stored = site.stored(device, "temperature_c")
    pairs.sort(key=lambda pair: pair[0].rate / pair[1].rate)
    ours, bare = pairs[len(pairs) // 2]
    row = {
        "what": "single readings over HTTP, answered after fsync",
        "readings_per_second": round(ours.rate),
        "bare_per_second": round(bare.rate),
        "ratio_to_bare": round(ours.rate / bare.rate, 2),
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


def noop(seconds: float) -> Outcome:
    """The same requests to asyncio and httptools that do nothing but answer."""
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("noop_server.py"))], stdout=subprocess.PIPE, text=True
    )
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
