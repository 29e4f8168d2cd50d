"""One keep-alive connection to the hub, and answers as plain values."""

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import cast
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection

from waystation_agent import __version__
from waystation_agent.address import is_on_site
from waystation_agent.errors import BadInput, Unreachable

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
ANSWER_BYTES = 65_536
PART_BYTES = 65_536


@dataclass(frozen=True)
class Server:
    url: str
    ca_file: str | None = None
    insecure_http: bool = False


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    hub_time_us: int | None = None
    retry_after_seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def fields(self) -> dict[str, object]:
        """Return the JSON object of the body; empty when it is anything else."""
        try:
            found: object = json.loads(self.body)
        except ValueError:
            return {}
        return cast("dict[str, object]", found) if isinstance(found, dict) else {}

    def problem(self) -> str:
        """Return the sentence that the hub wrote for a person (RFC 9457), or its status."""
        fields = self.fields()
        said = fields.get("detail") or fields.get("title")
        return str(said)[:300] if said else f"the hub answered {self.status}"


class OnSiteConnection(HTTPConnection):
    """Plain HTTP that hangs up before the first byte when the name led to a public address (JR-A23)."""

    def connect(self) -> None:
        super().connect()
        peer = str(self.sock.getpeername()[0])
        if not is_on_site(peer):
            self.close()
            raise BadInput(
                f"{self.host} is a public address ({peer}), where plain http would show the device's secret to others; "
                "use https, or --insecure-http if you accept that"
            )


class Link:
    def __init__(self, server: Server) -> None:
        self._prefix = urlsplit(server.url).path
        self._pool = _pool(server)

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        return self.ask("POST", path, body, headers)

    def close(self) -> None:
        self._pool.close()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        patience_seconds: float = READ_SECONDS,
        most_bytes: int = ANSWER_BYTES,
    ) -> Answer:
        """Ask once. Repeating is the caller's choice, since only it knows what is safe to repeat.

        Patience is for one silence, not for the whole answer. Raises Unreachable, BadInput.
        """
        with _said_plainly():
            return _answer(self._open(method, path, body, headers or {}, patience_seconds=patience_seconds), most_bytes)

    @contextmanager
    def download(self, path: str, headers: Mapping[str, str]) -> Generator["Download"]:
        """Give the answer as its bytes come. One that ends early raises Unreachable where it is read."""
        with _said_plainly():
            response = self._open("GET", path, None, headers)
        try:
            yield Download(response)
        finally:
            response.close()  # a half-read answer must not stay in the connection

    def _open(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        patience_seconds: float = READ_SECONDS,
    ) -> urllib3.BaseHTTPResponse:
        named = {"User-Agent": f"waystation-agent/{__version__}", "Accept": "application/json", **headers}
        return self._pool.urlopen(
            method,
            self._prefix + path,
            body=body,
            headers=named,
            retries=False,
            redirect=False,
            preload_content=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=patience_seconds),
        )


class Download:
    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    def parts(self, most_bytes: int = PART_BYTES) -> Iterator[bytes]:
        """Give what has come, as soon as it has: of a connection that breaks nothing is lost."""
        while True:
            with _said_plainly():
                part = self._response.read1(most_bytes)
            if not part:
                return
            yield part

    def answer(self) -> Answer:
        """Return what was said instead of the bytes that were asked for."""
        with _said_plainly():
            return _answer(self._response, ANSWER_BYTES)


@contextmanager
def _said_plainly() -> Generator[None]:
    try:
        yield
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Unreachable(_sentence(error)) from error


def _pool(server: Server) -> urllib3.HTTPConnectionPool:
    parts = urlsplit(server.url)
    host = str(parts.hostname)
    if parts.scheme == "https":
        return urllib3.HTTPSConnectionPool(host, parts.port, maxsize=1, block=True, ca_certs=server.ca_file)
    pool = urllib3.HTTPConnectionPool(host, parts.port, maxsize=1, block=True)
    if not server.insecure_http:
        pool.ConnectionCls = OnSiteConnection  # pyright: ignore[reportAttributeAccessIssue] its own stub is narrower
    return pool


def _answer(response: urllib3.BaseHTTPResponse, most_bytes: int) -> Answer:
    body = response.read(most_bytes + 1)
    if len(body) > most_bytes:
        response.close()
        raise Unreachable("the answer was too long to come from a hub")
    response.release_conn()
    hub_time_us = http_date_us(response.headers.get("Date"))
    wait = retry_after_seconds(response.headers.get("Retry-After"), hub_time_us)
    return Answer(response.status, body, hub_time_us, wait, response.headers)


def http_date_us(text: str | None) -> int | None:
    """Return the middle of the second that a `Date` header names, in microseconds since 1970; None if it names none."""
    try:
        return int(parsedate_to_datetime(text or "").timestamp() * 1_000_000) + 500_000
    except (ValueError, OverflowError):
        return None


def retry_after_seconds(text: str | None, hub_time_us: int | None) -> float:
    """Return how long the hub asks us to wait: given in seconds, or as a date on the hub's own clock (RFC 9110)."""
    if text is None:
        return 0.0
    if text.strip().isascii() and text.strip().isdigit():
        return float(text[:9])
    until_us = http_date_us(text)
    if until_us is None or hub_time_us is None:
        return 0.0
    return max(0.0, (until_us - hub_time_us) / 1_000_000)


def _sentence(error: Exception) -> str:
    """Say why without urllib3's object addresses: `HTTPConnection(host=…): Failed to connect: [Errno 111] refused`."""
    text = str(error).rpartition("): ")[2] or type(error).__name__
    return f"the hub did not answer: {text[:200]}"
