"""`waystation serve`: one command to a running system."""

import ctypes
import fcntl
import gc
import json
import multiprocessing
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import structlog

from waystation import __version__, app, homes, identity
from waystation.kernel import logs, migrations, qr, server
from waystation.kernel.clock import SystemClock
from waystation.kernel.db import Database, Listener
from waystation.kernel.desk import Desk, say
from waystation.kernel.errors import Conflict, DomainError, Unavailable
from waystation.kernel.hot import Hot
from waystation.kernel.secrets import make_folder, write_private
from waystation.kernel.settings import Settings
from waystation.kernel.site import local_url, public_url

log = structlog.get_logger(__name__)

RUNNING = "running.json"


def open_desk(settings: Settings, sources: Mapping[str, str]) -> Desk:
    """The database, up to date, with the hub's home; made when the data folder is empty."""
    make_folder(settings.data)
    listeners: dict[type, list[Listener]] = {}
    for feature in app.FEATURES:
        for kind, listener in feature.listens.items():
            listeners.setdefault(kind, []).append(listener)
    database = Database(settings.database, listeners=listeners)
    migrations.bring_up_to_date(database, app.PACKAGE)
    with database.read() as tx:
        home = homes.first_home(tx)
    if home is None:
        with database.write() as tx:
            home = homes.the_home(tx, SystemClock().now())
    return Desk(settings, sources, database, home.id)


def serve(settings: Settings, sources: Mapping[str, str]) -> int:
    """Serves until it is told to stop; the exit code."""
    logs.configure(settings.log_level, settings.log_format)
    make_folder(settings.data)
    with _alone(settings):
        sockets = server.listen(settings.host, settings.port)
        settings = settings.model_copy(update={"port": sockets[0].getsockname()[1]})
        _bring_up_to_date_elsewhere(settings)
        desk = open_desk(settings, sources)
        with desk.database.write() as tx:
            link = identity.new_setup_link(tx, desk.now())
        desk.database.close()

        def ready() -> None:
            _give_back_memory()
            _note_running(settings)
            greet(settings, link)

        try:
            return server.serve(build, settings, sockets, on_ready=ready)
        finally:
            (settings.data / RUNNING).unlink(missing_ok=True)


def build(settings: Settings) -> Hot:
    """The app of one process, which may be a worker that has only just begun."""
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
        migrations.bring_up_to_date(Database(url), app.PACKAGE)
    except DomainError as fault:
        raise SystemExit(f"waystation: {fault.sentence}") from None


def _give_back_memory() -> None:
    """What starting up has used and no longer needs; the modules themselves are never looked through again."""
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


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


def greet(settings: Settings, link: str | None) -> None:
    """What a person reads when the hub is ready."""
    address = public_url(settings)
    kept = "SQLite" if settings.is_sqlite else "PostgreSQL"
    say(f"\nWaystation {__version__} is running.\n")
    say(f"  Open    {address}")
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
