"""A channel that publishes to a topic of ntfy, on ntfy.sh or a server of one's own, and so to phones."""

import re
from email.header import Header

from waystation.alerts.channels import outward, words
from waystation.alerts.channels.model import Config, Field, Kind, Sending
from waystation.kernel.errors import Invalid
from waystation.kernel.outbox import GiveUp, NotSent
from waystation.kernel.settings import Settings

TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
TOKEN = re.compile(r"[!-~]{1,200}")
MOST_BYTES = 4000  # longer ones become a file
PRIORITIES = {"critical": "5", "warning": "4", "info": "3"}
TAGS = {"fired": "rotating_light", "recovered": "white_check_mark", "digest": "bell", "away": "bell", "test": "wave"}
NEVER = (400, 413)


def _check(config: Config, settings: Settings) -> Config:
    server = outward.check_url(config.get("server", "").strip() or "https://ntfy.sh", settings.webhook_private_networks)
    topic, token = config["topic"].strip(), config.get("token", "").strip()
    if not TOPIC.fullmatch(topic):
        raise Invalid("a topic has 1 to 64 letters, digits, - and _")
    if token and not TOKEN.fullmatch(token):
        raise Invalid("an access token is one word, such as tk_…")
    return {"server": server.rstrip("/"), "topic": topic} | ({"token": token} if token else {})


def _where(config: Config) -> str:
    return f"{config['server']}/{config['topic']}"


def _send(sending: Sending) -> None:
    config, notice = sending.config, sending.notice
    headers = {
        "title": _in_header(notice.subject),
        "priority": PRIORITIES.get(notice.severity, "3") if notice.kind == "fired" else "3",
        "tags": TAGS[notice.kind],
        "click": sending.link,
        "x-sequence-id": sending.parcel.uid,  # a second copy replaces the first on the phone
        "content-type": "text/plain; charset=utf-8",
    }
    if config.get("token"):
        headers["authorization"] = f"Bearer {config['token']}"
    body = _cut("\n".join(words.text(sending).splitlines()[2:-2]).strip() or notice.subject)
    answer = outward.post(_where(config), body, headers, sending.settings.webhook_private_networks)
    if 200 <= answer.status < 300:
        return
    sentence = f"{config['server']} answered {answer.status}"
    if answer.status in (401, 403):
        sentence += "; it wants an access token that may publish to the topic"
    raise GiveUp(sentence) if answer.status in NEVER else NotSent(sentence)


def _in_header(text: str) -> str:
    """RFC 2047, when it is more than ASCII."""
    return text if text.isascii() else Header(text, "utf-8", maxlinelen=10_000).encode()


def _cut(text: str) -> bytes:
    whole = text.encode()
    return whole if len(whole) <= MOST_BYTES else whole[:MOST_BYTES].decode(errors="ignore").encode() + "…".encode()


KIND = Kind(
    word="ntfy",
    label="ntfy",
    about="A push message to phones by ntfy.sh or your own ntfy server.",
    fields=(
        Field("server", "Server", "Empty is https://ntfy.sh.", type="url", example="https://ntfy.sh"),
        Field("topic", "Topic", "Whoever knows it can read it: choose one that nobody guesses.", is_required=True),
        Field("token", "Access token", "Only if the topic is protected.", is_secret=True, example="tk_…"),
    ),
    check=_check,
    where=_where,
    send=_send,
)
