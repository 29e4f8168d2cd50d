"""`waystation serve`: one command to a running system."""

import fcntl
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import structlog

import waystation
from waystation import __version__, homes
from waystation.kernel import logs, migrations, qr
from waystation.kernel.clock import SystemClock
from waystation.kernel.db import Database, Listener, Listeners
from waystation.kernel.desk import Desk, say
from waystation.kernel.errors import Conflict, DomainError, Unavailable
from waystation.kernel.secrets import make_folder, write_private
from waystation.kernel.settings import Settings
from waystation.kernel.site import local_url, public_url
from waystation.kernel.sockets import begin_again, open_sockets

log = structlog.get_logger(__name__)

RUNNING = "running.json"
PACKAGE = Path(waystation.__file__).parent


def open_desk(settings: Settings, sources: Mapping[str, str]) -> Desk:
    """The database, up to date, with the hub's home; made when the data folder is empty."""
    make_folder(settings.data)
    database = Database(settings.database, listeners=AtNeed())
    migrations.bring_up_to_date(database, PACKAGE)
    with database.read() as tx:
        home = homes.first_home(tx)
    if home is None:
        with database.write() as tx:
            home = homes.the_home(tx, SystemClock().now())
    return Desk(settings, sources, database, home.id)


class AtNeed(Mapping[type, Sequence[Listener]]):
    """Every feature's listeners, which means all features, loaded when a command tells the first event."""

    @cached_property
    def _all(self) -> Listeners:
        from waystation import app  # noqa: PLC0415

        return app.heard()

    def __getitem__(self, kind: type) -> Sequence[Listener]:
        return self._all[kind]

    def __iter__(self) -> Iterator[type]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def serve(settings: Settings, sources: Mapping[str, str]) -> int:
    """Serves until it is told to stop; the exit code."""
    from waystation import identity  # noqa: PLC0415  what only a server needs
    from waystation.kernel import server  # noqa: PLC0415

    logs.configure(settings.log_level, settings.log_format)
    make_folder(settings.data)
    with _alone(settings):
        sockets = open_sockets(settings.host, settings.port)
        kept = [one.dup() for one in sockets]  # the server closes its own at the end
        settings = settings.model_copy(update={"port": sockets[0].getsockname()[1]})
        _bring_up_to_date_elsewhere(settings)
        desk = open_desk(settings, sources)
        with desk.database.write() as tx:
            link = identity.new_setup_link(tx, desk.now())
        desk.database.close()

        def ready() -> None:
            _note_running(settings)
            greet(settings, link)

        try:
            code = server.serve(build, settings, sockets, on_ready=ready)
        finally:
            (settings.data / RUNNING).unlink(missing_ok=True)
    if code == server.AGAIN:
        begin_again(kept)
    return code


def build(settings: Settings) -> Any:
    """The app of one process, which may be a worker that has only just begun."""
    from waystation import app  # noqa: PLC0415

    logs.configure(settings.log_level, settings.log_format)
    return app.build(settings)


def _bring_up_to_date_elsewhere(settings: Settings) -> None:
    """In a child that ends: what migrating needs (12 MB) would stay with a server for as long as it runs."""
    child = multiprocessing.get_context("fork").Process(target=_bring_up_to_date, args=(settings.database,))
    child.start()
    child.join()
    if child.exitcode:
        raise Unavailable("the database could not be brought up to date; the reason stands above")


def _bring_up_to_date(url: str) -> None:
    try:
        migrations.bring_up_to_date(Database(url), PACKAGE)
    except DomainError as fault:
        raise SystemExit(f"waystation: {fault.sentence}") from None


@contextmanager
def _alone(settings: Settings) -> Generator[None]:
    """A data folder serves one hub at a time. The lock ends with the process, however it ends."""
    with (settings.data / "hub.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"a hub is running on {settings.data} already; stop it, or give this one its own --data"
            ) from None
        yield


def _note_running(settings: Settings) -> None:
    """Where the running hub is found, for the commands beside it."""
    path = settings.data / RUNNING
    path.unlink(missing_ok=True)
    facts = {
        "pid": os.getpid(),
        "started_at": time.time(),
        "port": settings.port,
        "url": local_url(settings),
        "public_url": public_url(settings),
        "mqtt_port": settings.mqtt_port,
    }
    write_private(path, json.dumps(facts).encode())


def running(data: Path) -> dict[str, Any] | None:
    """What the hub on this folder noted, if it still lives."""
    try:
        facts = json.loads((data / RUNNING).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return facts if psutil.pid_exists(facts["pid"]) else None


def restart(data: Path, within_seconds: float = 60) -> None:
    """Returns when the hub on this folder serves again; its sockets have listened all the time."""
    before = running(data)
    if before is None:
        raise Conflict(f"no hub is running on {data}")
    os.kill(before["pid"], signal.SIGUSR2)
    end = time.monotonic() + within_seconds
    while time.monotonic() < end:
        facts = running(data)
        if facts is not None and facts["started_at"] != before["started_at"]:
            return
        time.sleep(0.1)
    raise Unavailable(f"the hub did not come back within {within_seconds:g} s; its log has the reason")


def greet(settings: Settings, link: str | None) -> None:
    """What a person reads when the hub is ready."""
    address = public_url(settings)
    kept = "SQLite" if settings.is_sqlite else "PostgreSQL"
    say(f"\nWaystation {__version__} is running.\n")
    say(f"  Open    {address}")
    if settings.https_only and not settings.trusted_proxies:
        say("  HTTPS   pages need it: name the proxy in front in WAYSTATION_TRUSTED_PROXIES,")
        say("          or set WAYSTATION_HTTPS_ONLY=false to try things out at home")
    if settings.mqtt_port or settings.nats_url.get_secret_value():
        say(
            f"  MQTT    port {settings.mqtt_port}"
            if not settings.nats_url.get_secret_value()
            else "  MQTT    at your NATS"
        )
    say(f"  Data    {settings.data.resolve()} ({kept})")
    if link is not None:
        say("\nNobody can sign in yet. This link lets you, once, within 24 hours:\n")
        say(f"  {address}/setup/{link}\n")
        say(qr.terminal(f"{address}/setup/{link}"))
    say("\nCtrl-C stops it.\n")
