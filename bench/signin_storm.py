"""What others notice of a flood of wrong sign-ins: a page, a reading and an honest sign-in, alone and in the storm."""

import http.client
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from hub import Site, running
from report import save

EMAIL, PASSWORD = "ann@example.org", "seven grey herons wade"
STORMS = (10, 50)
PAUSE_SECONDS = 0.02
UNLIMITED = "1000000"  # as if every wrong sign-in came from another address
Ask = Callable[[], None]


@dataclass
class Browser:
    """One browser with its cookies, on one connection."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict[str, str])
    connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> int:
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Accept": "text/html", "Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), **headers}
        body = urlencode(form) if form else None
        if form:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, path, body, sent)
        answer = self.connection.getresponse()
        answer.read()
        for line in answer.headers.get_all("set-cookie") or ():
            self.cookies.update({name: one.value for name, one in SimpleCookie(line).items()})
        return answer.status

    def sign_in(self) -> None:
        status = self.ask("POST", "/signin", {"email": EMAIL, "password": PASSWORD})
        assert status == 303, f"an honest sign-in was answered {status}"


def main() -> int:
    if "--storm" in sys.argv:
        return storm(int(sys.argv[2]), int(sys.argv[3]))
    seconds = 3.0 if "--quick" in sys.argv else 10.0
    os.environ["WAYSTATION_SIGNIN_PER_MINUTE"] = UNLIMITED
    rows = []
    with running(pinned=False) as site:
        honest = honest_requests(site)
        alone = {what: timed(ask, seconds / 2) for what, ask in honest.items()}
        for at_once in STORMS:
            with raging(site.port, at_once) as wrong:
                for what, ask in honest.items():
                    rows.append(row(what, at_once, alone[what], timed(ask, seconds)))
            rows[-1]["wrong_sign_ins"] = wrong()
    for one in rows:
        print(one)
    save("signin_storm", rows, "an honest client beside clients that sign in with wrong passwords without a pause")
    late = [one for one in rows if one["at_once"] == STORMS[0] and one["delay_ms"] > 100]
    return 1 if late else 0


def honest_requests(site: Site) -> dict[str, Ask]:
    """A page of somebody who is signed in, a reading of a device, and a sign-in in a browser that is known."""
    link = re.search(r"/setup/([\w-]+)", (site.data / "log").read_text())
    assert link is not None, "the hub printed no set-up link"
    reader, visitor = Browser(site.port), Browser(site.port)
    assert reader.ask("POST", f"/setup/{link[1]}", {"email": EMAIL, "password": PASSWORD}) == 303
    visitor.sign_in()
    device = site.device("bench")
    proof = {"Authorization": f"Device {device['serial']}:{device['api_key']}"}
    sender = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)

    def look() -> None:
        assert reader.ask("GET", "/devices") == 200

    def send() -> None:
        sender.request("POST", "/api/readings", b'{"values":{"temperature_c":21.5}}', proof)
        answer = sender.getresponse()
        answer.read()
        assert answer.status == 200, answer.status

    return {"page": look, "reading": send, "sign-in in a known browser": visitor.sign_in}


def timed(ask: Ask, seconds: float) -> list[float]:
    """Milliseconds of every answer, the quickest first."""
    took: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(PAUSE_SECONDS)
    return sorted(took)


def row(what: str, at_once: int, alone: list[float], stormy: list[float]) -> dict[str, object]:
    usual = alone[len(alone) // 2]
    return {
        "what": f"{what}, {at_once} wrong sign-ins at once",
        "at_once": at_once,
        "alone_p50_ms": round(usual, 1),
        "alone_worst_ms": round(alone[-1], 1),
        "p50_ms": round(stormy[len(stormy) // 2], 1),
        "worst_ms": round(stormy[-1], 1),
        "delay_ms": round(stormy[-1] - usual, 1),
        "requests": len(stormy),
    }


@contextmanager
def raging(port: int, at_once: int) -> Iterator[Callable[[], int]]:
    """A process of its own floods the hub; afterwards the call tells how many were refused."""
    command = [sys.executable, __file__, "--storm", str(port), str(at_once)]
    flood = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert flood.stdout is not None
    flood.stdout.readline()
    refused: list[int] = []
    try:
        yield lambda: refused[0]
    finally:
        told, _ = flood.communicate("", timeout=60)
        refused.append(int(told))


def storm(port: int, at_once: int) -> int:
    """Until standard input ends. Every wrong sign-in is for another account, so none is refused unheard."""
    stop, counts = threading.Event(), [0] * at_once

    def flood(number: int) -> None:
        browser = Browser(port)
        while not stop.is_set():
            form = {"email": f"nobody{number}.{counts[number]}@example.org", "password": "not this one"}
            status = browser.ask("POST", "/signin", form)
            assert status == 403, f"a wrong sign-in was answered {status}"
            counts[number] += 1

    threads = [threading.Thread(target=flood, args=(number,)) for number in range(at_once)]
    for thread in threads:
        thread.start()
    while not all(counts):
        time.sleep(0.05)
    print("raging", flush=True)
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    print(sum(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
