"""The embedded NATS server's configuration, as data; NATS reads JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waystation.kernel.mqtt_callout import ACCOUNT

USER = "waystation"
MEBIBYTE = 1_048_576
FORGET_SESSION_AFTER = "720h"
ANSWER_SECONDS = 3  # a log-in that we have not answered by then is refused, and the device tries again


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsOptions:
    """`mqtt_port` 0 means no MQTT."""

    mqtt_host: str = "127.0.0.1"
    mqtt_port: int = 1883
    max_payload_bytes: int = MEBIBYTE
    max_store_bytes: int = 1024 * MEBIBYTE
    min_free_bytes: int = 64 * MEBIBYTE
    max_connections: int = 20_000


def configuration(folder: Path, options: NatsOptions, *, password: str, issuer: str) -> dict[str, Any]:
    """The server's name must not change: MQTT sessions and their streams are found by it."""
    config: dict[str, Any] = {
        "server_name": "waystation-hub",
        "listen": "127.0.0.1:-1",
        "logtime": False,
        "max_payload": options.max_payload_bytes,
        "max_connections": options.max_connections,
        "jetstream": _jetstream(folder, options),
        "accounts": _accounts(password),
        "system_account": "SYS",
        "authorization": {
            "timeout": ANSWER_SECONDS,
            "auth_callout": {"issuer": issuer, "auth_users": [USER], "account": ACCOUNT},
        },
    }
    if options.mqtt_port:
        config["mqtt"] = {
            "host": options.mqtt_host,
            "port": options.mqtt_port,
            "consumer_inactive_threshold": FORGET_SESSION_AFTER,
            "consumer_memory_storage": True,  # nothing is sent at QoS 1, so that nothing of a subscription must last
        }
    return config


def _jetstream(folder: Path, options: NatsOptions) -> dict[str, Any]:
    """`sync_interval: always`: a PUBACK is sent after the fsync, not up to two minutes before it."""
    return {
        "store_dir": str(folder / "jetstream"),
        "sync_interval": "always",
        "max_file_store": options.max_store_bytes,
        "max_memory_store": 16 * MEBIBYTE,
    }


def _accounts(password: str) -> dict[str, Any]:
    """One account for us and the devices; of the system account it gets only the ending of connections."""
    kick = "$SYS.REQ.SERVER.*.KICK"
    return {
        ACCOUNT: {
            "jetstream": "enabled",
            "users": [{"user": USER, "password": password}],
            "imports": [{"service": {"account": "SYS", "subject": kick}}],
        },
        "SYS": {"exports": [{"service": kick, "accounts": [ACCOUNT]}]},
    }
