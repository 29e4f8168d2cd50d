"""Who this device is at its server: the credential, and the claim under way, kept in one file with a second copy."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes, token_urlsafe
from typing import cast

from waystation_agent import machine
from waystation_agent.errors import Fault
from waystation_agent.folder import locked, write_whole
from waystation_agent.junctionrelay.account import (
    Account,
    Fields,
    Registration,
    digest,
    read_account,
    read_registration,
    read_server,
)
from waystation_agent.link import Server
from waystation_agent.logs import LOG, facts, keep_out_of_logs

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)
REMEMBERED_REFUSALS = 8
LOCK_SECONDS = 10.0


@dataclass(frozen=True)
class Claim:
    """A pairing under way. Its key is saved before the hub hears of it, so that the same claim can be made again."""

    server: Server
    code_sha256: str
    api_key: str
    code: str = ""
    name: str = ""


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


Paired = Identity | Account
Pending = Claim | Registration


@dataclass(frozen=True)
class State:
    """The content of the file. A new claim stands beside the old identity until it has succeeded."""

    identity: Paired | None = None
    claim: Pending | None = None
    device_id: str = ""
    """What JunctionRelay servers know this machine by: made once, kept through every pairing (JR-A13, JR-A19)."""
    spent: tuple[str, ...] = ()
    """Digests of codes that were refused or whose pairing has ended, so that a file or variable cannot repeat them."""

    def claim_for(self, server: Server, code: str, name: str = "") -> Claim:
        """Return the claim to make with this code: the one that was made before, if its answer may have been lost."""
        code_sha256 = digest(code)
        for earlier in (self.claim, self.identity):
            if isinstance(earlier, Claim | Identity) and (earlier.code_sha256, earlier.server.url) == (
                code_sha256,
                server.url,
            ):
                return Claim(server, code_sha256, earlier.api_key, code, name)
        return Claim(server, code_sha256, token_urlsafe(32), code, name)

    def has_used(self, code_sha256: str) -> bool:
        known = {paired.code_sha256 for paired in (self.identity, self.claim) if paired}
        return code_sha256 in known or code_sha256 in self.spent

    def paired_as(self, device: Paired) -> "State":
        return replace(self, identity=device, claim=None)

    def without_claim(self) -> "State":
        return self._spending(self.claim.code_sha256 if self.claim else "", claim=None)

    def without_identity(self) -> "State":
        return self._spending(self.identity.code_sha256 if self.identity else "", identity=None)

    def _spending(self, code_sha256: str, **changes: None) -> "State":
        return replace(self, spent=(code_sha256, *self.spent)[:REMEMBERED_REFUSALS], **changes)

    def with_device_id(self) -> "State":
        known = self.device_id or (self.identity.device_id if isinstance(self.identity, Account) else "")
        return replace(self, device_id=known or new_device_id())


def new_device_id() -> str:
    """Return the address of a real network card as the Python client writes it; else a random one that is kept."""
    if found := machine.mac():
        return found.upper()
    return ":".join(["02", *(f"{byte:02X}" for byte in token_bytes(5))])


def save(path: Path, state: State) -> None:
    """Save so that at every instant one of the two copies is whole; the second is for cards that go bad."""
    sequence = max((found for found, _ in _copies(path)), default=0) + 1
    content = json.dumps(_sealed(sequence, _fields(state)), indent=2).encode()
    write_whole(path, content)
    write_whole(_second(path), content)


def load(path: Path) -> State:
    """Return the saved state: the newer of the copies that are whole; an empty one if nothing was saved yet."""
    copies = _copies(path)
    if not copies:
        if path.exists() or _second(path).exists():
            raise Fault(f"{path} and its .bak cannot be read; pair this device again")
        return State()
    return max(copies, key=lambda copy: copy[0])[1]


def update(path: Path, change: Callable[[State], State]) -> State:
    """Change the saved state while nobody else does, and return it."""
    with locked(path.with_name(path.name + ".lock"), LOCK_SECONDS, f"{path} is held by another program"):
        before = load(path)
        after = change(before)
        if after != before:
            save(path, after)
    return after


def _copies(path: Path) -> list[tuple[int, State]]:
    """Return the copies that are whole, each with its number."""
    found: list[tuple[int, State]] = []
    for copy in (path, _second(path)):
        try:
            found.append(_read(copy))
        except FileNotFoundError:
            continue
        except UNREADABLE as error:
            LOG.warning("identity file cannot be read %s", facts(file=copy, reason=type(error).__name__))
    return found


def _second(path: Path) -> Path:
    return path.with_name(path.name + ".bak")


def _sealed(sequence: int, fields: Fields) -> Fields:
    return {"version": 2, "sequence": sequence, "sha256": _checksum(sequence, fields), **fields}


def _checksum(sequence: int, fields: Fields) -> str:
    return sha256(json.dumps([sequence, fields], sort_keys=True).encode()).hexdigest()


def _fields(state: State) -> Fields:
    return {
        "identity": _kind(state.identity),
        "claim": _kind(state.claim),
        "device_id": state.device_id,
        "spent": list(state.spent),
    }


def _kind(entry: Paired | Pending | None) -> Fields | None:
    if entry is None:
        return None
    kind = "junctionrelay" if isinstance(entry, Account | Registration) else "waystation"
    return {"kind": kind, **asdict(entry)}


def _read(path: Path) -> tuple[int, State]:
    fields = cast("Fields", json.loads(path.read_bytes()))
    sequence = fields.get("sequence", 0)
    if not isinstance(sequence, int):
        raise TypeError("the sequence is no number")
    if fields.get("version", 1) == 1:
        fields |= {"device_id": "", "spent": []}
    elif fields["sha256"] != _checksum(sequence, _content(fields)):
        raise ValueError("the checksum is wrong")
    state = State(
        _identity(cast("Fields", fields["identity"])) if fields["identity"] else None,
        _claim(cast("Fields", fields["claim"])) if fields["claim"] else None,
        str(fields["device_id"]),
        tuple(str(known) for known in cast("list[object]", fields["spent"])),
    )
    return sequence, state


def _content(fields: Fields) -> Fields:
    return {key: fields[key] for key in ("identity", "claim", "device_id", "spent")}


def _identity(fields: Fields) -> Paired:
    if fields.get("kind") == "junctionrelay":
        return read_account(fields)
    port = fields["mqtt_port"]
    keep_out_of_logs(str(fields["api_key"]))
    return Identity(
        server=read_server(fields["server"]),
        code_sha256=str(fields["code_sha256"]),
        key=str(fields["key"]),
        serial=str(fields["serial"]),
        name=str(fields["name"]),
        api_key=str(fields["api_key"]),
        mqtt_port=port if isinstance(port, int) else None,
    )


def _claim(fields: Fields) -> Pending:
    if fields.get("kind") == "junctionrelay":
        return read_registration(fields)
    code = str(fields.get("code") or "")
    for secret in (str(fields["api_key"]), code):
        if secret:
            keep_out_of_logs(secret)
    return Claim(
        server=read_server(fields["server"]),
        code_sha256=str(fields["code_sha256"]),
        api_key=str(fields["api_key"]),
        code=code,
        name=str(fields.get("name") or ""),
    )


class IdentityFile:
    """The state as it is now: read again only when the file has changed, so a new pairing needs no restart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._state = State()

    def current(self) -> Paired | None:
        return self.state().identity

    def state(self) -> State:
        seen = self._version()
        if seen != self._seen:
            self._state = load(self.path)
            self._seen = seen
        return self._state

    def _version(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns
