"""A channel that POSTs JSON to an address of the owner's, signed as Standard Webhooks are."""

from urllib.parse import urlsplit

import msgspec

from waystation.alerts.channels import outward
from waystation.alerts.channels.model import Config, Field, Kind, Sending
from waystation.alerts.channels.webhook import signing
from waystation.kernel.clock import iso
from waystation.kernel.outbox import GiveUp, NotSent
from waystation.kernel.settings import Settings

GONE = 410


def _check(config: Config, settings: Settings) -> Config:
    url = outward.check_url(config["url"], settings.webhook_private_networks)
    given = config.get("secret", "").strip()
    return {"url": url, "secret": signing.check_secret(given) if given else signing.new_secret()}


def _where(config: Config) -> str:
    parts = urlsplit(config["url"])
    return f"{parts.scheme}://{parts.netloc}/…"  # the rest of such an address is often a secret


def _send(sending: Sending) -> None:
    body = msgspec.json.encode(_message(sending))
    signed = signing.headers(sending.config["secret"], sending.parcel.uid, int(sending.now.timestamp()), body)
    headers = {"content-type": "application/json", "user-agent": "Waystation", **signed}
    answer = outward.post(sending.config["url"], body, headers, sending.settings.webhook_private_networks)
    if 200 <= answer.status < 300:
        return
    sentence = f"{_where(sending.config)} answered {answer.status}"
    if answer.status == GONE:
        raise GiveUp(f"{sentence}: nobody listens there any more")
    raise NotSent(f"{sentence}; redirects are not followed" if 300 <= answer.status < 400 else sentence)


def _message(sending: Sending) -> dict[str, object]:
    notice = sending.notice
    told = {
        "home": sending.parcel.home_name,
        "rule_id": notice.rule_id,
        "severity": notice.severity,
        "subject": notice.subject,
        "lines": notice.lines,
        "more": notice.more,
        "url": sending.link,
    }
    return {"type": f"alert.{notice.kind}", "timestamp": iso(sending.parcel.put_at), "data": told}


KIND = Kind(
    word="webhook",
    label="Webhook",
    about="A signed POST with JSON to an address of yours, as the Standard Webhooks specification describes.",
    fields=(
        Field(
            "url",
            "Address",
            "Kept like a password: only its host is shown again.",
            type="url",
            is_required=True,
            is_secret=True,
            example="https://example.org/hooks/waystation",
        ),
        Field(
            "secret",
            "Signing secret",
            "Your receiver checks signatures with it. Left empty, one is made and shown once.",
            is_secret=True,
            example="whsec_…",
        ),
    ),
    check=_check,
    where=_where,
    send=_send,
)
