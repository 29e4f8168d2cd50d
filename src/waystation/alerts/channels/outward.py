"""One HTTP POST to an address that a person of a home has typed: checked, without redirects, bounded in every way."""

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from waystation.alerts.channels import guard
from waystation.alerts.channels.guard import Target
from waystation.kernel.errors import Invalid
from waystation.kernel.outbox import NotSent

TIMEOUT_SECONDS = 10
WHOLE_SECONDS = 20
MOST_ANSWER_BYTES = 64 * 1024
MOST_URL = 2000
PORTS = {"http": 80, "https": 443}
UNTOUCHED = "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


def check_url(text: str, networks: Sequence[str], schemes: Mapping[str, int] = PORTS) -> str:
    """The address, trimmed; Invalid with the reason when nothing could ever be sent there."""
    text = text.strip()
    named = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Invalid(f"that is no address; it must begin with {named}") from None
    if parts.scheme not in schemes or not host or not text.isprintable() or " " in text:
        raise Invalid(f"that is no address; it must begin with {named}")
    if len(text) > MOST_URL:
        raise Invalid(f"an address has at most {MOST_URL} characters")
    if parts.username is not None or parts.fragment:
        raise Invalid("the address may hold no user, no password and no #")
    written = guard.literal(host)
    if host == "localhost" and not any(n.startswith(("127.", "::1")) for n in networks):
        raise Invalid(guard.refusal(host))
    if written is not None and not guard.may_reach(written, networks):
        raise Invalid(guard.refusal(host))
    return text


def post(url: str, content: bytes, headers: Mapping[str, str], networks: Sequence[str]) -> Answer:
    """NotSent when nobody answers in time; GiveUp when the address may not be reached from here."""
    parts = urlsplit(url)
    target = guard.find(_ascii(parts.hostname or ""), parts.port or PORTS[parts.scheme], networks)
    connection = Connection(target, is_tls=parts.scheme == "https")
    late = threading.Timer(WHOLE_SECONDS, connection.break_off)
    late.daemon = True
    late.start()
    try:
        connection.request("POST", _path(parts), content, dict(headers))
        with connection.getresponse() as answer:
            body = answer.read(MOST_ANSWER_BYTES)
        if connection.is_late:
            raise TimeoutError(f"no whole answer within {WHOLE_SECONDS} s")
        return Answer(answer.status, body)
    except (OSError, http.client.HTTPException, ValueError) as fault:
        raise NotSent(f"{target.name}:{target.port} did not answer: {_said(fault)}") from fault
    finally:
        late.cancel()
        connection.close()


class Connection(http.client.HTTPConnection):
    """As http.client's, but it goes to the target's address, and knows it by the target's name."""

    def __init__(self, target: Target, *, is_tls: bool) -> None:
        host = f"[{target.name}]" if ":" in target.name else target.name
        super().__init__(host, target.port, timeout=TIMEOUT_SECONDS)
        self.default_port = PORTS["https" if is_tls else "http"]
        self.is_late = False
        self._target = target
        self._trust = ssl.create_default_context() if is_tls else None

    def connect(self) -> None:
        plain = guard.connect(self._target, TIMEOUT_SECONDS)
        if self._trust is None:
            self.sock = plain
            return
        try:
            self.sock = self._trust.wrap_socket(plain, server_hostname=self._target.name)
        except BaseException:
            plain.close()
            raise

    def break_off(self) -> None:
        """Whoever answers a byte at a time is not listened to for ever."""
        self.is_late = True
        with suppress(OSError):
            if self.sock is not None:
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # wakes the reader; TLS's own would not end it


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError as fault:
        raise NotSent(f"{host} is no name that could be looked up") from fault


def _path(parts: SplitResult) -> str:
    query = f"?{parts.query}" if parts.query else ""
    return quote((parts.path or "/") + query, safe=UNTOUCHED)


def _said(fault: Exception) -> str:
    return (str(fault) or type(fault).__name__).splitlines()[0][:200]
