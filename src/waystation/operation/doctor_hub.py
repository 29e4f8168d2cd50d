"""What the doctor looks at in the hub: database, backlogs, and whether it answers."""

import asyncio
import socket
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import sqlalchemy as sa

from waystation import telemetry
from waystation.kernel import migrations
from waystation.kernel.db import Database, Tx
from waystation.kernel.outbox import outbox
from waystation.kernel.site import EVERYWHERE
from waystation.operation import doctor_machine as machine
from waystation.operation import queue
from waystation.operation.doctor import Check, Finding, Site, doubtful, fine, wrong

ANSWER_SECONDS = 5
CHECK_SECONDS = 20
STEPS_BETWEEN_LOOKS = 10_000
MOST_IN_OUTBOX, MOST_UNSEALED, MOST_IN_QUEUE = 1_000, 5_000_000, 10_000
OLDEST_POSTGRESQL = 15
# An MQTT 3.1.1 log-in as "doctor", which has no credential: to be refused is an answer too.
CONNECT = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x0a\x00\x06doctor"
CONNACK = 0x20


def database(site: Site) -> Finding:
    """Opens it as the hub does."""
    path = site.settings.data / "waystation.db"
    if site.settings.is_sqlite and not path.exists():
        return doubtful(
            f"{path} is not there yet", f"The first start makes it: waystation serve --data {site.settings.data}"
        )
    with closing(Database(site.settings.database)) as opened, opened.read() as tx:
        return _revision(tx) or (_sqlite(tx) if opened.is_sqlite else _postgresql(tx))


def _revision(tx: Tx) -> Finding | None:
    found, newest = migrations.current(tx), migrations.head(machine.PACKAGE)
    if found == newest:
        return None
    if found is not None and found > newest:
        return wrong(f"the database is at {found}, newer than this program ({newest})", "Install the newer version.")
    return doubtful(
        f"the database is at {found or 'nothing'}, this program's is {newest}",
        "The next start brings it up to date by itself.",
    )


def _sqlite(tx: Tx) -> Finding:
    mode, synchronous = (tx.scalar(sa.text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous"))
    sentence = f"SQLite {sqlite3.sqlite_version}, journal_mode={mode}, synchronous={synchronous}"
    if mode != "wal" or synchronous < 2:
        return wrong(
            sentence,
            "This must be wal and 2 (FULL), or acknowledgements are not durable. Is the folder on a network disk?",
        )
    return fine(sentence)


def _postgresql(tx: Tx) -> Finding:
    number = tx.scalar(sa.text("SHOW server_version_num"))
    sentence = f"PostgreSQL {tx.scalar(sa.text('SHOW server_version'))}"
    if int(number) // 10_000 < OLDEST_POSTGRESQL:
        return wrong(sentence, f"Waystation needs PostgreSQL {OLDEST_POSTGRESQL} or newer.")
    if tx.scalar(sa.text("SHOW fsync")) != "on":
        return wrong(f"{sentence} with fsync=off", "Set fsync=on, or acknowledgements are not durable.")
    return fine(sentence)


def integrity(site: Site) -> Finding | None:
    """SQLite's own quick check, as far as it gets in a bounded time: the hub is not kept waiting for it."""
    path = site.settings.data / "waystation.db"
    if not site.settings.is_sqlite or not path.exists():
        return None
    until = time.monotonic() + CHECK_SECONDS
    with closing(sqlite3.connect(path)) as opened:
        opened.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_LOOKS)
        try:
            said = [str(row[0]) for row in opened.execute("PRAGMA quick_check(3)")]
        except sqlite3.OperationalError as fault:
            if "interrupted" not in str(fault):
                raise
            return fine(f"no fault was found in {CHECK_SECONDS} seconds; `waystation backup` checks everything")
        except sqlite3.DatabaseError as fault:
            said = [str(fault)]
    if said == ["ok"]:
        return fine("the database is sound")
    return wrong(
        f"the database is damaged: {'; '.join(said)}",
        "Stop the hub, keep a copy of the folder, and restore the newest backup.",
    )


def left_behind(site: Site) -> Finding | None:
    """What waits to be sent and to be sealed."""
    if site.settings.is_sqlite and not (site.settings.data / "waystation.db").exists():
        return None  # to open it would make it
    with closing(Database(site.settings.database)) as opened, opened.read() as tx:
        if migrations.current(tx) is None:
            return None
        waiting = tx.scalar(sa.select(sa.func.count()).select_from(outbox))
        fault = tx.scalar(sa.select(outbox.c.fault).where(outbox.c.fault.is_not(None)).order_by(outbox.c.id).limit(1))
        unsealed = telemetry.extent(tx).unsealed
    sentence = f"{waiting:,} in the outbox, {unsealed:,} values not yet sealed"
    if waiting > MOST_IN_OUTBOX or fault:
        return doubtful(
            sentence + (f"; the oldest failed: {fault}" if fault else ""),
            "They are sent by a running hub; the system page shows the last errors.",
        )
    if unsealed > MOST_UNSEALED:
        return doubtful(sentence, "A running hub seals them by itself; if this number grows, its machine is too slow.")
    return fine(sentence)


def hub(site: Site) -> Finding:
    if site.running is None:
        return doubtful("no hub runs on this folder", f"Start it: waystation serve --data {site.settings.data}")
    return fine(f"process {site.running['pid']} at {site.running['url']}")


def http(site: Site) -> Finding | None:
    if site.running is None:
        return None
    url = f"{site.running['url']}/health/readyz"
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS):  # noqa: S310  the hub's own note of its address
            return fine(f"{url} answers")
    except urllib.error.HTTPError as refused:
        return wrong(f"{url} says {refused.code}", "Its log, on the terminal or in the journal, says why.")
    except OSError as fault:
        return wrong(f"{url} does not answer: {fault}", "Start the hub again; if that does not help, its log says why.")


def mqtt(site: Site) -> Finding | None:
    """Whether whoever listens speaks MQTT. An owner's own NATS may have its listener anywhere."""
    if site.running is None or not site.running["mqtt_port"] or site.settings.nats_url.get_secret_value():
        return None
    host = "127.0.0.1" if site.settings.mqtt_host in EVERYWHERE else site.settings.mqtt_host
    place = f"port {site.running['mqtt_port']}"
    try:
        with socket.create_connection((host, site.running["mqtt_port"]), ANSWER_SECONDS) as line:
            line.sendall(CONNECT)
            said = line.recv(4)
    except OSError as fault:
        return wrong(
            f"{place} does not answer: {fault}", "The hub starts its MQTT server again by itself; its log says why not."
        )
    if said[:1] != bytes([CONNACK]):
        return wrong(
            f"{place} answers, but not MQTT", "Another program may have the port: choose one with --mqtt-port."
        )
    return fine(f"{place} answers")


def mqtt_queue(site: Site) -> Finding | None:
    """Messages that devices heard were safe, and that are not readings yet. Also shows that NATS can be reached."""
    if site.running is None or (url := queue.url_of(site.settings, site.running)) is None:
        return None
    waiting = asyncio.run(queue.backlog(url))
    if waiting > MOST_IN_QUEUE:
        return doubtful(
            f"{waiting:,} messages wait to be stored", "If this number grows, the disk is too slow or full."
        )
    return fine(f"{waiting:,} messages wait to be stored")


CHECKS: Mapping[str, Check] = {
    "data folder": machine.folder_of_the_hub,
    "keys": machine.keys,
    "durable writes": machine.durable_writes,
    "disk": machine.disk,
    "database": database,
    "integrity": integrity,
    "backlog": left_behind,
    "hub": hub,
    "HTTP": http,
    "MQTT": mqtt,
    "MQTT queue": mqtt_queue,
    "NATS server": machine.nats_program,
    "clock": machine.clock,
    "libraries": machine.libraries,
}


def facts(found: Mapping[str, Finding]) -> list[dict[str, Any]]:
    return [
        {"check": name, "state": one.state.value, "sentence": one.sentence, "advice": one.advice}
        for name, one in found.items()
    ]
