"""A channel that writes mails, by the mail server that the site has (SMTP_URL)."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Template

from waystation import web
from waystation.alerts.channels import words
from waystation.alerts.channels.model import Config, Field, Kind, Sending
from waystation.kernel import mail
from waystation.kernel.errors import Invalid
from waystation.kernel.settings import Settings

HERE = Path(__file__).parent / "templates"
MOST_RECIPIENTS = 20
OWNERS = "the home's owners"


def _check(config: Config, _settings: Settings) -> Config:
    found = _addresses(config)
    if len(found) > MOST_RECIPIENTS:
        raise Invalid(f"a mail channel has at most {MOST_RECIPIENTS} addresses; make a second one")
    return {"to": ", ".join(mail.check_address(one) for one in found)} if found else {}


def _addresses(config: Config) -> list[str]:
    return list(dict.fromkeys(part for part in re.split(r"[,;\s]+", config.get("to", "")) if part))


def _where(config: Config) -> str:
    return config.get("to") or OWNERS


def _recipients(config: Config, owners: Sequence[str]) -> Sequence[str]:
    """Owners whose account has no possible address are left out."""
    return _addresses(config) or [one for one in owners if mail.ADDRESS.fullmatch(one)]


def _send(sending: Sending) -> None:
    mail.poster(sending.settings)(letter(sending))


def letter(sending: Sending) -> mail.Letter:
    notice, parcel = sending.notice, sending.parcel
    return mail.Letter(
        to=parcel.to,
        subject=mail.one_line(f"{words.dot(notice)} {notice.subject}"),
        text=f"{words.text(sending)}\n-- \n{_why(sending)}\n",
        html=_template().render(
            sending=sending,
            notice=notice,
            lines=notice.lines[: words.MOST_LINES],
            more=notice.more + max(0, len(notice.lines) - words.MOST_LINES),
            why=_why(sending),
        ),
        written_at=parcel.put_at,
        mark=parcel.uid,
    )


def _why(sending: Sending) -> str:
    return f"You get this because alerts of {sending.parcel.home_name} are sent to {sending.parcel.to}."


@cache
def _template() -> Template:
    return web.environment({"mail": HERE}).get_template("mail/notice.html")


KIND = Kind(
    word="mail",
    label="Mail",
    about="Mails by the mail server that this site has been given.",
    fields=(
        Field(
            "to",
            "Addresses",
            "Separated by commas. Left empty, the owners of the home get them.",
            example="ann@example.org, ben@example.org",
        ),
    ),
    check=_check,
    where=_where,
    send=_send,
    recipients=_recipients,
)
