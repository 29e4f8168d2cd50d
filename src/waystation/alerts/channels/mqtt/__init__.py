"""A channel that publishes JSON to a topic of an MQTT broker that the owner has."""

import re
import socket
import ssl
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from waystation.alerts.channels import guard, outward
from waystation.alerts.channels.model import Config, Field, Kind, Sending
from waystation.kernel.clock import iso
from waystation.kernel.errors import Invalid
from waystation.kernel.outbox import NotSent
from waystation.kernel.settings import Settings

PORTS = {"mqtt": 1883, "mqtts": 8883}
TIMEOUT_SECONDS = 10
TOPIC = "waystation/alerts"
MOST_TOPIC = 200


def _check(config: Config, settings: Settings) -> Config:
    url = outward.check_url(config["url"], settings.webhook_private_networks, PORTS).rstrip("/")
    topic = config.get("topic", "").strip() or TOPIC
    if len(topic) > MOST_TOPIC or re.search(r"[#+]", topic) or topic.startswith("$"):
        raise Invalid("a topic to publish to has no # and no + and does not begin with $")
    kept = {name: config[name] for name in ("username", "password") if config.get(name)}
    if "password" in kept and "username" not in kept:
        raise Invalid("a password needs its user name")
    return {"url": url, "topic": topic, **kept}


def _where(config: Config) -> str:
    return f"{config['topic']} at {urlsplit(config['url']).netloc}"


def _send(sending: Sending) -> None:
    parts = urlsplit(sending.config["url"])
    name, port = unquote(parts.hostname or ""), parts.port or PORTS[parts.scheme]
    target = guard.find(name, port, sending.settings.webhook_private_networks)
    try:
        _publish(sending, target, is_tls=parts.scheme == "mqtts")
    except (OSError, ValueError, RuntimeError) as fault:
        raise NotSent(f"the broker {name}:{port} did not take it: {fault}") from fault


def _publish(sending: Sending, target: guard.Target, *, is_tls: bool) -> None:
    """Returns when the broker has acknowledged it (QoS 1)."""
    from paho.mqtt.client import Client  # noqa: PLC0415  slow to load, seldom asked
    from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415

    client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
    client.connect_timeout = TIMEOUT_SECONDS
    refused: list[str] = []

    def connected(*told: Any) -> None:
        reason = told[3]
        if reason.is_failure:
            refused.append(str(reason))

    client.on_connect = connected
    if sending.config.get("username"):
        client.username_pw_set(sending.config["username"], sending.config.get("password"))
    if is_tls:
        client.tls_set_context(_Trust.of(target.name))  # pyright: ignore[reportUnknownMemberType]
    client.connect(target.address, target.port)
    client.loop_start()
    try:
        sent = client.publish(sending.config["topic"], msgspec.json.encode(_message(sending)), qos=1)
        sent.wait_for_publish(TIMEOUT_SECONDS)
        if not sent.is_published():
            raise NotSent(f"the broker {target.name}:{target.port} did not take it: {(refused or ['no answer'])[0]}")
    finally:
        client.disconnect()
        client.loop_stop()


class _Trust(ssl.SSLContext):
    """Checks the certificate against the name that the owner typed, not the address that was connected to."""

    name: str

    @classmethod
    def of(cls, name: str) -> "_Trust":
        made = cls(ssl.PROTOCOL_TLS_CLIENT)
        made.name = name
        made.load_default_certs()
        return made

    def wrap_socket(self, sock: socket.socket, *more: Any, **named: Any) -> ssl.SSLSocket:
        return super().wrap_socket(sock, *more, **{**named, "server_hostname": self.name})


def _message(sending: Sending) -> dict[str, object]:
    notice = sending.notice
    return {
        "id": sending.parcel.uid,
        "type": notice.kind,
        "at": iso(sending.parcel.put_at),
        "home": sending.parcel.home_name,
        "severity": notice.severity,
        "subject": notice.subject,
        "lines": notice.lines,
        "more": notice.more,
        "url": sending.link,
    }


KIND = Kind(
    word="mqtt",
    label="MQTT",
    about="JSON to a topic of your MQTT broker (Mosquitto, EMQX, Home Assistant …), QoS 1.",
    fields=(
        Field("url", "Broker", type="url", is_required=True, example="mqtts://broker.example.org:8883"),
        Field("topic", "Topic", f"Empty is {TOPIC}.", example=TOPIC),
        Field("username", "User name"),
        Field("password", "Password", type="password", is_secret=True),
    ),
    check=_check,
    where=_where,
    send=_send,
)
