"""Who this device is at its hub: the credential and the claim it came from, kept in one file."""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import cast

from waystation_agent.errors import Fault
from waystation_agent.folder import write_whole
from waystation_agent.link import Server
from waystation_agent.logs import LOG, facts, keep_out_of_logs

Fields = dict[str, object]


@dataclass(frozen=True)
class Claim:
    """A pairing under way. Its key is saved before the hub hears of it, so that the same claim can be made again."""

    server: Server
    code_sha256: str
    api_key: str


@dataclass(frozen=True)
class Identity:
    """What the hub answered: `serial` and `api_key` are the credential, `key` and `name` are for people."""

    server: Server
    code_sha256: str
    key: str
    serial: str
    name: str
    api_key: str
    mqtt_port: int | None = None

    @property
    def authorization(self) -> str:
        return f"Device {self.serial}:{self.api_key}"


@dataclass(frozen=True)
class State:
    """The content of the file. A new claim stands beside the old identity until it has succeeded."""

    identity: Identity | None = None
    claim: Claim | None = None

    def claim_for(self, server: Server, code: str) -> Claim:
        """Return the claim to make with this code: the one that was made before, if its answer may have been lost."""
        digest = sha256(code.encode()).hexdigest()
        for earlier in (self.claim, self.identity):
            if earlier and earlier.code_sha256 == digest and earlier.server.url == server.url:
                return Claim(server, digest, earlier.api_key)
        return Claim(server, digest, token_urlsafe(32))


def save(path: Path, state: State) -> None:
    """Save so that at every instant one of the two copies is whole; the second is for cards that go bad."""
    content = json.dumps({"version": 1, **asdict(state)}, indent=2).encode()
    write_whole(path, content)
    write_whole(_second(path), content)


def load(path: Path) -> State:
    """Return the saved state; an empty one if nothing was saved yet."""
    if not path.exists():
        return State()
    try:
        return _read(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        LOG.warning("identity file cannot be read, taking its second copy %s", facts(reason=type(error).__name__))
    try:
        return _read(_second(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Fault(f"{path} and its .bak cannot be read ({type(error).__name__}); pair this device again") from error


def _second(path: Path) -> Path:
    return path.with_name(path.name + ".bak")


def _read(path: Path) -> State:
    fields = cast("Fields", json.loads(path.read_bytes()))
    identity = _identity(cast("Fields", fields["identity"])) if fields["identity"] else None
    claim = _claim(cast("Fields", fields["claim"])) if fields["claim"] else None
    for known in (identity, claim):
        if known:
            keep_out_of_logs(known.api_key)
    return State(identity, claim)


def _identity(fields: Fields) -> Identity:
    port = fields["mqtt_port"]
    return Identity(
        server=_server(cast("Fields", fields["server"])),
        code_sha256=str(fields["code_sha256"]),
        key=str(fields["key"]),
        serial=str(fields["serial"]),
        name=str(fields["name"]),
        api_key=str(fields["api_key"]),
        mqtt_port=port if isinstance(port, int) else None,
    )


def _claim(fields: Fields) -> Claim:
    server = _server(cast("Fields", fields["server"]))
    return Claim(server, str(fields["code_sha256"]), str(fields["api_key"]))


def _server(fields: Fields) -> Server:
    ca_file = fields["ca_file"]
    return Server(str(fields["url"]), None if ca_file is None else str(ca_file), fields["insecure_http"] is True)


class IdentityFile:
    """The identity as it is now: read again only when the file has changed, so a new pairing needs no restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._identity: Identity | None = None

    def current(self) -> Identity | None:
        seen = self._version()
        if seen != self._seen:
            self._identity = load(self._path).identity
            self._seen = seen
        return self._identity

    def _version(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns
