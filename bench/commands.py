"""A thousand devices and their commands: idle polls, how soon a command is there, and all of them back at once."""

import http.client
import re
import resource
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from crowd import Fact, Orders
from http_single import noop
from hub import Site, running
from load import Shot, fire
from report import save
from signin_storm import EMAIL, PASSWORD, Browser

from waystation import devices
from waystation.homes import the_home
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import SystemClock
from waystation.kernel.db import Database, sqlite_url

CONNECTIONS = 64
MODEL = "Crowd"
MOST_FILES = 16_384
ASK_SECONDS = 0.1
PER_SECOND = 25.0  # commands
FLOW_SECONDS = 3.0
SENDING = 200  # devices that send telemetry beside those that wait for commands
HOW = (
    "hub and nats-server together on one core, devices on the other; connected: half on WebSockets, a quarter over "
    "MQTT at QoS 0 and a quarter at QoS 1; telemetry: 200 other devices, each with a poll and a reading a second; "
    "bare: two durable commits of one row each; who was cut off pauses as the agent does; the honest client asks for a "
    "page and sends a reading every 100 ms"
)


def main() -> int:
    quick = "--quick" in sys.argv
    allow_files()
    rows = [
        *idle_polls(2.0 if quick else 4.0),
        polling(250 if quick else 1000, 5.0 if quick else 15.0),
        *reach(200 if quick else 1000, 100 if quick else 500),
        *(storm(400 if quick else 2000, cut=cut) for cut in (True, False)),
    ]
    save("commands", rows, HOW)
    return 1 if any(row["lost"] for row in rows) else 0


def allow_files() -> None:
    """For us and those we start: a connection is an open file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(MOST_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def shown(row: Fact) -> Fact:
    print(row)
    return row


def registered(site: Site, count: int) -> list[Fact]:
    """New devices, beside the running hub as a command line is."""
    database, now = Database(sqlite_url(site.data / "waystation.db")), SystemClock().now()
    with database.write() as tx:
        home_id = the_home(tx, now).id
        made = [devices.register(tx, COMMAND_LINE, home_id, now, name=f"d{n}", model_text=MODEL) for n in range(count)]
    database.close()
    return [{"key": one.key, "serial": one.serial, "api_key": one.api_key} for one in made]


# Polls.


def idle_polls(seconds: float) -> list[Fact]:
    """As fast as one core answers that there is nothing, against a server that does nothing."""
    rows: list[Fact] = []
    with running() as site:
        device = site.device("bench")
        headers = (("Authorization", f"Device {device['serial']}:{device['api_key']}"),)
        for what, path in (("commands", "/api/commands/next"), ("packages", "/api/packages/next")):
            shot = Shot(site.port, "GET", path, headers=headers)
            ours = fire(shot, seconds=seconds, connections=CONNECTIONS)
            bare = noop(seconds)
            row = {
                "what": f"idle polls for {what}",
                "per_second": round(ours.rate),
                "bare_per_second": round(bare.rate),
                "ratio_to_bare": round(ours.rate / bare.rate, 2),
                "p50_ms": ours.p50_ms,
                "p99_ms": ours.p99_ms,
                "lost": ours.refused + ours.broken,
            }
            rows.append(shown(row))
    return rows


def polling(count: int, seconds: float) -> Fact:
    """Each device polls and sends a reading once a second."""
    with running() as site, Orders() as crowd:
        made = registered(site, count)
        crowd.ask("visit", port=site.port, devices=made, seconds=3.0)  # connections are made, credentials are known
        before, began = site.busy_seconds(), time.perf_counter()
        told = crowd.ask("visit", port=site.port, devices=made, seconds=seconds)
        took = time.perf_counter() - began
        busy = site.busy_seconds() - before
    row = {"what": f"{count:,} devices that poll and send a reading every second"}
    row |= {"per_second": round(len(told["polls"]) / took), "readings_per_second": round(len(told["readings"]) / took)}
    row |= {**times_of(told["polls"]), "core_percent": round(100 * busy / took), "lost": len(told["refused"])}
    return shown(row)


def times_of(took: Sequence[float]) -> Fact:
    """Of milliseconds."""
    ordered = sorted(took)
    return {
        "p50_ms": round(ordered[len(ordered) // 2], 2),
        "p99_ms": round(ordered[len(ordered) * 99 // 100], 2),
        "worst_ms": round(ordered[-1], 2),
    }


# Commands.


def reach(count: int, commands: int) -> list[Fact]:
    """From the call of the API until the device has the command, by the device's link; then with telemetry too."""
    rows: list[Fact] = []
    with running(mqtt=True) as site, Orders() as crowd:
        token = site.tell("token", "create")["token"]
        made = registered(site, count + SENDING)
        connected, sending = made[:count], made[count:]
        print(crowd.ask("connect", devices=connected, ports={"http": site.port, "mqtt": site.mqtt_port}))
        asked = {"port": site.port, "token": token, "count": commands, "per_second": PER_SECOND}
        crowd.ask("tell_each", **{**asked, "count": 20})
        for beside in ("", ", beside telemetry"):
            if beside:
                crowd.begin("visit", port=site.port, devices=sending, seconds=commands / PER_SECOND + FLOW_SECONDS)
                time.sleep(FLOW_SECONDS)  # until all are there
            crowd.begin("tell_each", **asked)
            if beside:
                crowd.end()
            told = crowd.end()
            if told["lost"]:
                print("not there:", told["lost"])
            bare = times_of(two_commits(site.data, 5.0))
            for link, took in sorted(told["links"].items()):
                row = {"what": f"command over {link}, {count:,} devices connected{beside}", **times_of(took)}
                row |= {"answered_p50_ms": times_of(told["answered"])["p50_ms"], "lost": len(told["lost"])}
                row |= {"bare_p50_ms": bare["p50_ms"], "bare_p99_ms": bare["p99_ms"]}
                rows.append(shown(row))
    return rows


def two_commits(folder: Path, seconds: float) -> list[float]:
    """What a command cannot do without: durable when it was asked for, and again before it is handed out."""
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        bare.execute(f"PRAGMA {pragma}")
    bare.execute("CREATE TABLE IF NOT EXISTS command (text TEXT)")
    took: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        for _ in range(2):
            bare.execute("INSERT INTO command VALUES ('blink')")
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(1 / PER_SECOND)
    bare.close()
    return took


# Everybody comes back.


def storm(count: int, *, cut: bool) -> Fact:
    """All are cut off at once, by their network or by a hub that starts anew, while somebody else goes on working."""
    with running(mqtt=True) as site, Orders() as crowd:
        token = site.tell("token", "create")["token"]
        honest = Honest(site)
        print(crowd.ask("connect", devices=registered(site, count), ports={"http": site.port, "mqtt": site.mqtt_port}))
        with honest.working() as alone:
            time.sleep(3)
        with honest.working() as beside:
            crowd.begin("come_back", cut=cut)
            away = 0.0 if cut else site.restart()
            told = crowd.end()
        with honest.working() as later:
            heard = crowd.ask("tell_all", port=site.port, token=token, model=MODEL)
    how = "cut off" if cut else "cut off by a restart of the hub"
    row = {"what": f"{count:,} devices {how}", "half_back_seconds": round(told["half"], 2)}
    row |= {"all_back_seconds": round(told["last"], 2), "away_seconds": round(away, 2)}
    row |= {"tries_refused": told["refused"], "all_told_seconds": round(heard["last"], 2)}
    row["honest_alone_worst_ms"] = times_of(alone)["worst_ms"]
    row |= {f"honest_{name}": value for name, value in times_of(beside).items()}
    row["honest_worst_while_all_are_told_ms"] = times_of(later)["worst_ms"]
    row |= {"honest_refused": honest.refused}
    row["lost"] = count - told["back"] + count - heard["had"] + (honest.refused if cut else 0)
    return shown(row)


class Honest:
    """Somebody signed in who looks at the devices' page, and a device that sends a reading, one after the other."""

    def __init__(self, site: Site) -> None:
        link = re.search(r"/setup/([\w-]+)", (site.data / "log").read_text())
        assert link is not None, "the hub printed no set-up link"
        self.reader = Browser(site.port)
        assert self.reader.ask("POST", f"/setup/{link[1]}", {"email": EMAIL, "password": PASSWORD}) == 303
        device = site.device("honest")
        self.proof = {"Authorization": f"Device {device['serial']}:{device['api_key']}"}
        self.sender = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
        self.refused = 0

    @contextmanager
    def working(self) -> Generator[list[float]]:
        """Milliseconds of each request that was answered; whole when the block has ended."""
        took: list[float] = []
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(ASK_SECONDS):
                for ask in (self._send, self._look):
                    began = time.perf_counter()
                    if self._is_answered(ask):
                        took.append((time.perf_counter() - began) * 1000)
                    else:
                        self.refused += 1

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield took
        finally:
            stop.set()
            thread.join()

    def _is_answered(self, ask: Callable[[], int]) -> bool:
        try:
            return ask() == 200
        except (OSError, http.client.HTTPException):  # the hub is away; closed connections are opened anew
            for connection in (self.sender, self.reader.connection):
                if connection is not None:
                    connection.close()
            return False

    def _look(self) -> int:
        return self.reader.ask("GET", "/devices")

    def _send(self) -> int:
        self.sender.request("POST", "/api/readings", b'{"values":{"temperature_c":21.5}}', self.proof)
        answer = self.sender.getresponse()
        answer.read()
        return answer.status


if __name__ == "__main__":
    sys.exit(main())
