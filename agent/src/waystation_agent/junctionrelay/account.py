"""What this device holds at a JunctionRelay server: its tokens, and a registration under way."""

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import cast

from waystation_agent.link import Server
from waystation_agent.logs import keep_out_of_logs

Fields = dict[str, object]

PREFIX = "/cloud/devices"
REMEMBERED_TOKENS = 8


@dataclass(frozen=True)
class Token:
    """`expires_at` is the server's word in seconds since 1970, never our own (JR-A1); None where it said nothing.

    `lifetime_seconds` is what the token had when it came: None while that is uncertain, 0 for an end that cannot be
    meant, such as one in the past.
    """

    text: str = ""
    expires_at: float | None = None
    lifetime_seconds: float | None = None


@dataclass(frozen=True)
class Registration:
    """A line from the owner's page that the server has not answered yet."""

    server: Server
    device_id: str
    name: str
    token: str
    public_key: str = ""
    prefix: str = PREFIX

    @property
    def code_sha256(self) -> str:
        return digest(self.token)


@dataclass(frozen=True)
class Account:
    server: Server
    device_id: str
    name: str
    code_sha256: str = ""
    public_key: str = ""
    prefix: str = PREFIX
    jwt: Token = Token()
    refresh: Token = Token()
    previous: Token | None = None
    """The refresh token before the last rotation, until the server has taken the new pair (JR-A3)."""
    rotating: bool = False
    """A rotation was asked for and its answer is not saved: it is asked for again before anything else (JR-A9)."""
    refreshed_at: float = 0.0
    old_config: str | None = None
    """The Python client's file that this account came from, and which follows it."""
    origin: str = ""
    """Tells this pairing from another one of the same device, through all renewals."""
    retired: tuple[str, ...] = ()
    """Digests of refresh tokens that were ours once, so that an old file cannot bring them back."""

    @property
    def key(self) -> str:
        return self.device_id

    def is_same_pairing(self, other: object) -> bool:
        return isinstance(other, Account) and other.origin == self.origin and other.server.url == self.server.url

    def knows(self, refresh_token: str) -> bool:
        known = {self.refresh.text, self.previous.text if self.previous else ""}
        return refresh_token in known or digest(refresh_token) in self.retired

    def with_pair(self, jwt: Token, refresh: Token, *, at: float) -> "Account":
        retired = (digest(self.refresh.text), *self.retired)[:REMEMBERED_TOKENS]
        return replace(
            self, jwt=jwt, refresh=refresh, previous=self.refresh, rotating=False, refreshed_at=at, retired=retired
        )


def digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def read_account(fields: Fields) -> Account:
    """Read what `asdict` wrote, and keep its secrets out of the logs."""
    previous = fields["previous"]
    old_config = fields["old_config"]
    account = Account(
        server=read_server(fields["server"]),
        device_id=str(fields["device_id"]),
        name=str(fields["name"]),
        code_sha256=str(fields["code_sha256"]),
        public_key=str(fields["public_key"]),
        prefix=str(fields["prefix"]),
        jwt=_token(fields["jwt"]),
        refresh=_token(fields["refresh"]),
        previous=_token(previous) if previous else None,
        rotating=fields["rotating"] is True,
        refreshed_at=_number(fields["refreshed_at"]) or 0.0,
        old_config=str(old_config) if old_config else None,
        origin=str(fields["origin"]),
        retired=tuple(str(known) for known in cast("list[object]", fields["retired"])),
    )
    hush(account)
    return account


def read_registration(fields: Fields) -> Registration:
    keep_out_of_logs(str(fields["token"]))
    return Registration(
        server=read_server(fields["server"]),
        device_id=str(fields["device_id"]),
        name=str(fields["name"]),
        token=str(fields["token"]),
        public_key=str(fields["public_key"]),
        prefix=str(fields["prefix"]),
    )


def read_server(found: object) -> Server:
    fields = cast("Fields", found)
    ca_file = fields["ca_file"]
    return Server(str(fields["url"]), None if ca_file is None else str(ca_file), fields["insecure_http"] is True)


def hush(account: Account) -> None:
    for token in (account.jwt, account.refresh, account.previous):
        if token and token.text:
            keep_out_of_logs(token.text)


def _token(found: object) -> Token:
    fields = cast("Fields", found)
    return Token(str(fields["text"]), _number(fields["expires_at"]), _number(fields["lifetime_seconds"]))


def _number(found: object) -> float | None:
    return float(found) if isinstance(found, int | float) else None
