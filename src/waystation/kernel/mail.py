"""Mail: a row of the outbox in the transaction that has something to say, then SMTP (RFC 5321), or kept to be read."""

import asyncio
import hashlib
import re
import secrets
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, parseaddr
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import sqlalchemy as sa
import structlog

from waystation.kernel import outbox
from waystation.kernel.db import Tx
from waystation.kernel.errors import Invalid, NotFound, Unavailable
from waystation.kernel.feature import Every, Feature
from waystation.kernel.outbox import GiveUp, NotSent, Sender
from waystation.kernel.settings import Settings

log = structlog.get_logger(__name__)

MAIL = "mail"
PATIENCE = timedelta(days=4)
KEPT = timedelta(days=30)
TIMEOUT_SECONDS = 30
WHOLE_SECONDS = 120
SCHEMES = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
MOST_SUBJECT = 200
ADDRESS = re.compile(r'[^@\s<>()\[\],;:\\"]{1,64}@[^@\s<>()\[\],;:\\"]{1,190}')
NO_SERVER = "no mail server is set (SMTP_URL); read it here, or set one and send it again"
EXAMPLE = "smtp+starttls://user:password@mail.example.org:587"


class Letter(msgspec.Struct, frozen=True):
    """One mail to one address, as it waits in the outbox. Its text may hold a secret link, so it is never logged."""

    to: str
    subject: str
    text: str
    html: str | None
    written_at: datetime
    mark: str  # the part of the Message-ID before its @, by which a mail that came twice is recognised


LETTER = msgspec.json.Decoder(Letter)


def send(
    tx: Tx, now: datetime, *, to: str, subject: str, text: str, html: str | None = None, dedupe: str | None = None
) -> None:
    """Leaves after the commit. While one of the same `dedupe` waits no second is written, and if one has left already
    the second has the same Message-ID.
    """
    mark = hashlib.sha256(dedupe.encode()).hexdigest()[:32] if dedupe else secrets.token_hex(16)
    letter = Letter(check_address(to), one_line(subject), text, html, now, mark)
    outbox.put(tx, letter.to, letter, now, kind=MAIL, dedupe=f"mail:{dedupe}" if dedupe else None)


def is_on(settings: Settings) -> bool:
    """Whether there is a mail server. Without one, forms show the link that they would have mailed."""
    return bool(settings.smtp_url.get_secret_value())


def sender(settings: Settings) -> Sender:
    """The courier's: over SMTP, or, without a server, none: what is written stays to be read by `waystation mail`."""
    post = poster(settings)

    def send(_subject: str, body: bytes) -> None:
        post(LETTER.decode(body))

    return Sender(send, singly=True, patience=PATIENCE if is_on(settings) else None)


def poster(settings: Settings) -> Callable[[Letter], None]:
    """What hands a letter to the mail server, now; it gives up where there is none."""
    if not is_on(settings):
        return _keep
    server = Server.parse(settings.smtp_url.get_secret_value())
    mail_from = _mail_from(settings, server)
    return lambda letter: deliver(server, mail_from, letter)


def _keep(_letter: Letter) -> None:
    raise GiveUp(NO_SERVER)


@dataclass(frozen=True, slots=True)
class Server:
    """`smtps://` is TLS from the first byte, `smtp+starttls://` before anything is said, `smtp://` never."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""

    @classmethod
    def parse(cls, url: str) -> "Server":
        """Invalid with a sentence that does not repeat the password."""
        parts = urlsplit(url)
        options = parse_qs(parts.query)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if parts.scheme not in SCHEMES or not host or parts.path not in ("", "/") or set(options) - {"ca"}:
            raise Invalid(f"SMTP_URL must look like {EXAMPLE} (or smtps://…, or smtp://… without TLS)")
        if parts.scheme == "smtp" and parts.password and host not in LOOPBACK:
            raise Invalid("SMTP_URL: smtp:// would send the password in the clear; use smtp+starttls:// or smtps://")
        return cls(
            scheme=parts.scheme,
            host=host,
            port=port or SCHEMES[parts.scheme],
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            ca_file=options.get("ca", [""])[0],
        )

    def tls(self) -> ssl.SSLContext | None:
        """Trusts what the system trusts, or only the certificates in the file that `?ca=` names."""
        if self.scheme == "smtp":
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as fault:
            raise NotSent(f"the certificates in {self.ca_file} cannot be read: {fault.strerror}") from fault


def deliver(server: Server, mail_from: str, letter: Letter) -> None:
    """Returns when the server has taken it. GiveUp when it refused it for good, NotSent when a later try may do."""
    message = compose(mail_from, letter)

    async def within_time() -> None:
        async with asyncio.timeout(WHOLE_SECONDS):
            await _talk(server, message)

    try:
        asyncio.run(within_time())
    except (OSError, TimeoutError) as away:
        raise NotSent(f"{server.host}:{server.port} cannot be reached: {_first_line(away)}") from away


def compose(mail_from: str, letter: Letter) -> EmailMessage:
    """As it goes over the wire. The headers are made by a policy that refuses line breaks in them."""
    from email.headerregistry import Address  # noqa: PLC0415  slow to load, seldom asked
    from email.policy import SMTP, SMTPUTF8  # noqa: PLC0415

    plain = (mail_from + letter.to).isascii()
    message = EmailMessage(policy=SMTP if plain else SMTPUTF8)
    name, address = parseaddr(mail_from)
    message["From"] = Address(name, *address.rsplit("@", 1))
    message["To"] = Address("", *letter.to.rsplit("@", 1))
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(letter.written_at)
    message["Message-ID"] = f"<{letter.mark}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    if letter.html is not None:
        message.add_alternative(letter.html, subtype="html")
    return message


async def _talk(server: Server, message: EmailMessage) -> None:
    import aiosmtplib  # noqa: PLC0415  slow to load, seldom asked

    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        timeout=TIMEOUT_SECONDS,
        use_tls=server.scheme == "smtps",
        start_tls=server.scheme == "smtp+starttls",
        tls_context=server.tls(),
    )
    try:
        await client.connect()
        if server.user:
            await client.login(server.user, server.password)
        await client.send_message(message)
    except aiosmtplib.SMTPException as fault:
        raise _translated(fault, server) from fault
    finally:
        await _hang_up(client)


async def _hang_up(client: Any) -> None:
    """The mail is taken or not; a farewell that fails changes nothing. The socket is closed before the loop ends."""
    import aiosmtplib  # noqa: PLC0415

    transport = client.transport
    with suppress(aiosmtplib.SMTPException, OSError):
        await client.quit()
    client.close()
    if transport is not None:
        transport.abort()
    for _ in range(3):  # closing takes a few turns of the loop
        await asyncio.sleep(0)


def _translated(fault: Exception, server: Server) -> GiveUp | NotSent:
    """A refusal of this mail for good is final. Refusing us (a wrong password, too busy) is the server's state."""
    import aiosmtplib  # noqa: PLC0415

    at = f"{server.host}:{server.port}"
    if isinstance(fault, aiosmtplib.SMTPRecipientsRefused) and fault.recipients:
        fault = fault.recipients[0]
    if isinstance(fault, aiosmtplib.SMTPAuthenticationError):
        return NotSent(f"{at} does not accept the user and password of SMTP_URL: {fault.code} {_first_line(fault)}")
    about_this_mail = (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError)
    if isinstance(fault, aiosmtplib.SMTPResponseException):
        sentence = f"{at} answered {fault.code} {_first_line(fault)}"
        return GiveUp(sentence) if isinstance(fault, about_this_mail) and fault.code >= 500 else NotSent(sentence)
    if isinstance(fault, aiosmtplib.SMTPNotSupported):
        return NotSent(f"{at} cannot do what is asked of it: {_first_line(fault)}")
    return NotSent(f"{at} was not reached or broke off: {_first_line(fault)}")


def _first_line(fault: Exception) -> str:
    said = str(getattr(fault, "message", "") or fault or type(fault).__name__)
    return said.splitlines()[0][:200]


def check_address(address: str) -> str:
    """The address, trimmed, if it can stand alone in a header and an envelope; else Invalid."""
    address = address.strip()
    if not ADDRESS.fullmatch(address) or not address.isprintable():
        raise Invalid("that is not an e-mail address that a mail could be sent to")
    return address


def one_line(text: str) -> str:
    """Whatever was made part of a subject, it stays one header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MOST_SUBJECT]


def _mail_from(settings: Settings, server: Server) -> str:
    """Invalid when MAIL_FROM is no address; unset, it is the mail server's user, or one named after its host."""
    if settings.mail_from:
        name, address = parseaddr(settings.mail_from)
        check_address(address)
        return formataddr((one_line(name), address))
    return server.user if "@" in server.user else f"waystation@{server.host}"


def post_now(settings: Settings, to: str, now: datetime) -> None:
    """A mail that says that mail works, at once and not through the outbox; fails with the reason."""
    if not is_on(settings):
        raise Invalid(f"no mail server is set: set SMTP_URL, as in {EXAMPLE}")
    server = Server.parse(settings.smtp_url.get_secret_value())
    text = "Waystation can send mail. Nobody needs to answer this one.\n"
    letter = Letter(check_address(to), "Mail from Waystation works", text, None, now, secrets.token_hex(16))
    try:
        deliver(server, _mail_from(settings, server), letter)
    except (GiveUp, NotSent) as fault:
        raise Unavailable(str(fault)) from fault


@dataclass(frozen=True, slots=True)
class Waiting:
    """A mail that has not left. `given_up_at`: it will not, unless it is sent again."""

    id: int
    letter: Letter
    tries: int
    due_at: datetime
    given_up_at: datetime | None
    fault: str | None

    @property
    def state(self) -> str:
        return "waiting" if self.given_up_at is None else "given up"


def waiting(tx: Tx) -> list[Waiting]:
    """Oldest first."""
    return [_waiting(row) for row in outbox.waiting(tx, MAIL)]


def by_id(tx: Tx, number: int) -> Waiting:
    row = outbox.by_id(tx, MAIL, number)
    if row is None:
        raise NotFound(f"there is no mail {number} waiting; it may have left meanwhile")
    return _waiting(row)


def again(tx: Tx, found: Sequence[Waiting], now: datetime) -> int:
    """How many are due once more."""
    return sum(outbox.retry(tx, one.id, now) for one in found)


def forget(tx: Tx, number: int) -> bool:
    return outbox.forget(tx, number)


def forget_given_up(tx: Tx, now: datetime) -> int:
    """A sweep: somebody has had a month to look at it, and it may hold a link."""
    return outbox.forget_given_up(tx, now - KEPT)


def _waiting(row: sa.Row[Any]) -> Waiting:
    return Waiting(row.id, LETTER.decode(row.body), row.tries, row.due_at, row.given_up_at, row.fault)


feature = Feature(name="mail", jobs=(Every(3600, forget_given_up),))
