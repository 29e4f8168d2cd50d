"""MQTT messages that a device heard were safe, and that wait in NATS to become readings."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import psutil
from nats.aio.client import Client

from waystation.kernel.errors import Unavailable
from waystation.kernel.mqtt_inbox import NO_SUCH_STREAM, STREAM, STREAM_SUBJECTS, durable_of, subject_of
from waystation.kernel.nats_config import USER
from waystation.kernel.nats_server import find_binary
from waystation.kernel.nats_session import JetStreamFault, Line, ask_jetstream
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings

DRAIN_SECONDS = 60.0
LOOK_SECONDS = 0.1


def url_of(settings: Settings, running: Mapping[str, Any]) -> str | None:
    """Where the NATS of the running hub listens; None without MQTT, Unavailable while it is away."""
    if owners := settings.nats_url.get_secret_value():
        return owners
    if not running["mqtt_port"] or find_binary() is None:
        return None
    try:
        told = json.loads((settings.data / "nats" / "server.pid").read_bytes())
        (port,) = _listening(told["child"]["pid"]) - {running["mqtt_port"]}
    except (OSError, ValueError, KeyError, psutil.Error) as fault:
        raise Unavailable("the hub's MQTT server is away just now; try again in a moment") from fault
    password = KeyRing(settings.data / "keys").get("nats-password").decode()
    return f"nats://{USER}:{password}@127.0.0.1:{port}"


def _listening(pid: int) -> set[int]:
    found = psutil.Process(pid).net_connections("tcp")
    return {one.laddr.port for one in found if one.status == psutil.CONN_LISTEN}


async def drained(url: str, *, within_seconds: float = DRAIN_SECONDS) -> None:
    """Waits until every message that is in the queue now is in the database; what comes later is not waited for."""
    client = Client()
    await client.connect(servers=url.split(","), name="waystation backup", connect_timeout=5, max_reconnect_attempts=1)
    try:
        last = await _last(client)
        until = time.monotonic() + within_seconds
        while last and (behind := await _behind(client, last)):
            if time.monotonic() > until:
                raise Unavailable(
                    f"{behind} MQTT messages still wait to be stored, so a backup would miss them; "
                    "see `waystation doctor`, then try again"
                )
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await client.close()


async def backlog(url: str) -> int:
    """How many messages wait to be stored."""
    client = Client()
    await client.connect(servers=url.split(","), name="waystation doctor", connect_timeout=5, max_reconnect_attempts=1)
    try:
        return await _behind(client, last) if (last := await _last(client)) else 0
    finally:
        await client.close()


async def _last(line: Line) -> int:
    """The number of the newest message; 0 when there never was one."""
    try:
        found = await ask_jetstream(line, f"STREAM.INFO.{STREAM}")
    except JetStreamFault as fault:
        if fault.code == NO_SUCH_STREAM:
            return 0
        raise
    return found["state"]["last_seq"]


async def _behind(line: Line, last: int) -> int:
    """How many messages up to number `last` our consumers may still have to settle."""
    listed = await ask_jetstream(line, f"CONSUMER.LIST.{STREAM}")
    ours = [one for one in listed.get("consumers") or () if _takes_readings(one)]
    return sum(one["num_pending"] + one["num_ack_pending"] for one in ours if one["ack_floor"]["stream_seq"] < last)


def _takes_readings(consumer: Mapping[str, Any]) -> bool:
    """Devices that subscribed at QoS 1 have consumers too, and one of ours only keeps the stream from being empty."""
    wanted = str(consumer["config"].get("filter_subject", ""))
    return consumer["name"].startswith(durable_of("")) and wanted.startswith(f"{STREAM_SUBJECTS}{subject_of('')}")
