"""Token renewals of JunctionRelay devices over HTTP, against a bare no-op server in the same run."""

import json
import sys
import urllib.request
from typing import Any

from http_single import noop
from hub import Site, running
from load import Shot, fire
from report import save

CONNECTIONS = 32
SAID_ID = "02:FC:00:00:00:01"


def main() -> int:
    rounds, seconds = (2, 3.0) if "--quick" in sys.argv else (5, 5.0)
    rows: list[dict[str, Any]] = []
    with running() as site:
        body = json.dumps({"RefreshToken": registered(site), "DeviceId": SAID_ID}).encode()
        for call, what in (("refresh", "refreshes"), ("refresh-rotate", "rotations, each durable")):
            pairs = []
            for number in range(rounds):
                shot = Shot(site.port, "POST", f"/cloud/devices/{call}", body)
                ours, bare = fire(shot, seconds=seconds, connections=CONNECTIONS), noop(seconds)
                pairs.append((ours, bare))
                print(f"{what}, round {number + 1}: {ours.rate:,.0f}/s, ratio {ours.rate / bare.rate:.3f}")
                if ours.refused or ours.broken:
                    print(f"refused {ours.statuses}, broken {ours.broken}")
                    return 1
            pairs.sort(key=lambda pair: pair[0].rate / pair[1].rate)
            ours, bare = pairs[len(pairs) // 2]
            rows.append(
                {
                    "what": what,
                    "renewals_per_second": round(ours.rate),
                    "bare_per_second": round(bare.rate),
                    "ratio_to_bare": round(ours.rate / bare.rate, 3),
                    "p50_ms": ours.p50_ms,
                    "p99_ms": ours.p99_ms,
                }
            )
    save("renewals", rows, f"{CONNECTIONS} connections, hub on one core, load on the other; median of {rounds} rounds")
    print(rows)
    return 0


def registered(site: Site) -> str:
    """The refresh token of a new device. Its successors are never used, so it stays in force throughout."""
    line = site.tell("device", "registration-token", "Bench", "--approve")
    body = {"registrationToken": line["token"], "actualDeviceId": SAID_ID, "deviceName": line["deviceName"]}
    asked = urllib.request.Request(f"http://127.0.0.1:{site.port}/cloud/devices/register", json.dumps(body).encode())
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.loads(answer.read())["refreshToken"]


if __name__ == "__main__":
    sys.exit(main())
