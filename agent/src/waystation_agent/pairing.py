"""Make this machine a device of a server, with what a person has got from the server's page.

Two kinds: a hub's claim code, and the registration line of a JunctionRelay server. Either way the claim is saved before
the server hears of it, so that after a crash or a lost answer the same claim, made again, ends in the same device.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from waystation_agent import identity, machine
from waystation_agent.address import DEFAULT_SERVER, parse_server
from waystation_agent.backoff import chance, pause_seconds
from waystation_agent.errors import BadInput, Fault, Unreachable
from waystation_agent.folder import locked
from waystation_agent.identity import Claim, Identity, Paired, Pending, State
from waystation_agent.junctionrelay import old_config, wire
from waystation_agent.junctionrelay.account import PREFIX, Account, Registration, digest, hush
from waystation_agent.junctionrelay.line import Line, is_line, parse_line
from waystation_agent.junctionrelay.protocol import Answered, Later, Now, Refusal, registered
from waystation_agent.link import Answer, Link, Server
from waystation_agent.logs import LOG, facts, keep_out_of_logs

CODE_LETTERS = 12
ATTEMPTS = 5
LONGEST_PAUSE_SECONDS = 10.0
SOMEBODY_PAIRS = "another program is pairing this device at this moment"

JSON_TYPE = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Invitation:
    server: str
    code: str

    @property
    def code_sha256(self) -> str:
        return digest(self.code)


def parse(text: str, server: str | None) -> Invitation | Line:
    """Read what was typed, pasted or scanned, of either kind. A server named apart wins over one in the text."""
    if text.lstrip().startswith("{") and is_line(fields := _object(text)):
        return parse_line(fields, server)
    return parse_invitation(text, server)


def parse_invitation(text: str, server: str | None) -> Invitation:
    """Read a hub's code or its page's JSON."""
    code, named = _parse_json(text) if text.lstrip().startswith("{") else (text, None)
    return Invitation(parse_server(server or named or DEFAULT_SERVER), _parse_code(code))


def _parse_json(text: str) -> tuple[str, str]:
    fields = _object(text)
    code, server = fields.get("code"), fields.get("server")
    if not isinstance(code, str) or not isinstance(server, str):
        raise BadInput(
            'the pairing text must be {"server":"http://host:8000","code":"ABCD-EFGH-JKLM"}, or a registration line: '
            '{"deviceName":"…","publicKey":"…","token":"…"}'
        )
    return code, server


def _object(text: str) -> dict[str, object]:
    try:
        found: object = json.loads(text)
    except ValueError as error:
        raise BadInput(f"the pairing text is not whole JSON ({error}); copy it again, from {{ to }}") from error
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}


def _parse_code(text: str) -> str:
    code = "".join(text.split()).replace("-", "").upper()
    if len(code) != CODE_LETTERS or not (code.isascii() and code.isalnum()):
        raise BadInput("the code must be 12 letters and digits, like ABCD-EFGH-JKLM")
    return code


# From invitation to claim


def pair(
    path: Path, invitation: Invitation | Line, server: Server, *, name: str | None = None, prefix: str = PREFIX
) -> Paired:
    """Pair while a person is waiting: ask a few times, and say what became of it. Raises Fault."""
    with locked(_lock(path), LONGEST_PAUSE_SECONDS, SOMEBODY_PAIRS):
        claim = begin(path, invitation, server, name=name, prefix=prefix)
        return _ask_patiently(path, claim)


def begin(
    path: Path, invitation: Invitation | Line, server: Server, *, name: str | None = None, prefix: str = PREFIX
) -> Pending:
    """Save the claim, with all that is needed to make it again."""

    def claimed(state: State) -> State:
        state = state.with_device_id() if isinstance(invitation, Line) else state
        return State(
            state.identity, _claim(state, invitation, server, name=name, prefix=prefix), state.device_id, state.spent
        )

    claim = identity.update(path, claimed).claim
    assert claim
    return claim


def _claim(state: State, invitation: Invitation | Line, server: Server, *, name: str | None, prefix: str) -> Pending:
    if isinstance(invitation, Line):
        keep_out_of_logs(invitation.token)
        called = name or invitation.name
        return Registration(server, state.device_id, called, invitation.token, invitation.public_key, prefix)
    claim = state.claim_for(server, invitation.code, name or machine.name())
    keep_out_of_logs(claim.api_key)
    keep_out_of_logs(invitation.code)
    return claim


# From claim to device


@dataclass(frozen=True)
class Asked:
    """What a claim came to: `device` is set, or it was `refused`, or is to be made again later."""

    device: Paired | None = None
    refused: bool = False
    reason: str = ""
    asked_seconds: float = 0.0


def ask(claim: Pending, link: Link) -> Asked:
    """Make the claim once."""
    try:
        if isinstance(claim, Registration):
            answer = link.post(f"{claim.prefix}/{wire.Call.REGISTER}", wire.register_body(claim), JSON_TYPE)
            return _registered(claim, answer)
        return _claimed(claim, link.post("/api/claim", _claim_body(claim), JSON_TYPE))
    except Unreachable as error:
        return Asked(reason=str(error))


def settle(path: Path, claim: Pending, asked: Asked) -> None:
    """Save what a claim came to, unless another claim has taken its place. An old pairing outlives a refusal."""

    def settled(state: State) -> State:
        if state.claim != claim:
            return state
        return state.paired_as(asked.device) if asked.device else state.without_claim()

    if asked.device or asked.refused:
        if isinstance(asked.device, Account):
            hush(asked.device)
        identity.update(path, settled)
    if asked.device:
        LOG.info("paired %s", facts(server=claim.server.url, device=asked.device.key, name=asked.device.name))


def finish_pending(path: Path) -> Asked | None:
    """Make a claim again whose answer was lost; None if there is none to make, or somebody else is at it."""
    try:
        with locked(_lock(path), 0.0, SOMEBODY_PAIRS):
            claim = identity.load(path).claim
            if claim is None or (isinstance(claim, Claim) and not claim.code):
                return None
            link = Link(claim.server)
            asked = ask(claim, link)
            link.close()
            settle(path, claim, asked)
            return asked
    except Fault as error:
        LOG.debug("pending pairing not looked at %s", facts(reason=error))
        return None


def _ask_patiently(path: Path, claim: Pending, sleep: Callable[[float], None] = time.sleep) -> Paired:
    """Ask until the server says yes or no; give up after a few attempts, since a person is waiting."""
    link = Link(claim.server)
    asked = Asked()
    try:
        for attempt in range(1, ATTEMPTS + 1):
            asked = ask(claim, link)
            settle(path, claim, asked)
            if asked.device:
                return asked.device
            if asked.refused:
                raise Fault(f"{claim.server.url} refused the pairing: {asked.reason}")
            LOG.debug("claim not answered %s", facts(attempt=attempt, reason=asked.reason))
            if attempt < ATTEMPTS:
                sleep(min(pause_seconds(attempt, chance(), asked.asked_seconds), LONGEST_PAUSE_SECONDS))
    finally:
        link.close()
    raise Fault(
        f"{claim.server.url}: {asked.reason}. Nothing is lost: run the same command again, or leave it to "
        "`waystation-agent run`"
    )


def _lock(path: Path) -> Path:
    return path.with_name("pairing.lock")


# A JunctionRelay server's answer


def _registered(claim: Registration, answer: Answer) -> Asked:
    at = None if answer.hub_time_us is None else answer.hub_time_us / 1_000_000
    event = Answered(wire.Call.REGISTER, answer.status, wire.words(answer), at, answer.retry_after_seconds)
    match registered(claim, Now(time.monotonic(), time.time()), event):
        case Refusal(reason):
            return Asked(refused=True, reason=reason + _about_prefix(claim, answer.status))
        case Later(reason, asked_seconds):
            return Asked(reason=reason, asked_seconds=asked_seconds)
        case Account() as account:
            return Asked(account)


def _about_prefix(claim: Registration, status: int) -> str:
    return f"; is {claim.prefix} right? see --prefix" if status in {404, 405} else ""


# A hub's answer


def _claim_body(claim: Claim) -> bytes:
    return json.dumps(
        {
            "code": claim.code,
            "name": claim.name,
            "model": machine.model(),
            "external_ids": machine.external_ids(),
            "api_key": claim.api_key,
        }
    ).encode()


def _claimed(claim: Claim, answer: Answer) -> Asked:
    fields = answer.fields()
    if answer.status >= 500 or answer.status in {408, 425, 429}:
        return Asked(reason=answer.problem(), asked_seconds=answer.retry_after_seconds)
    if not fields:  # a portal or proxy spoke, not a hub
        return Asked(reason=f"what answers there ({answer.status}) is no Waystation hub; check the address")
    if answer.status != 200:
        return Asked(refused=True, reason=answer.problem())
    key, serial = fields.get("key"), fields.get("serial")
    if not isinstance(key, str) or not isinstance(serial, str):
        return Asked(refused=True, reason="it does not answer like a Waystation hub; check the address")
    keep_out_of_logs(str(fields.get("api_key") or claim.api_key))
    return Asked(
        Identity(
            server=claim.server,
            code_sha256=claim.code_sha256,
            key=key,
            serial=serial,
            name=str(fields.get("name") or key),
            api_key=str(fields.get("api_key") or claim.api_key),
            mqtt_port=_mqtt_port(fields.get("mqtt")),
        )
    )


def _mqtt_port(mqtt: object) -> int | None:
    port = cast("dict[str, object]", mqtt).get("port") if isinstance(mqtt, dict) else None
    return port if isinstance(port, int) else None


# The Python client's file


def take_over(path: Path, folders: tuple[Path, ...], server: Server, *, prefix: str = PREFIX) -> Account | None:
    """Go on as the device of the Python client, if it left its file in one of the folders and nothing else is paired.

    Where its file was taken over before, the tokens that the Python client has renewed since then are taken.
    """

    def taken(state: State) -> State:
        if isinstance(state.identity, Account) and state.identity.old_config:
            return state.paired_as(old_config.catch_up(state.identity)) if not state.claim else state
        if state.identity or state.claim or not (found := old_config.find(folders)):
            return state
        state = state.with_device_id()
        account = old_config.take_over(found, server, state.device_id, name=machine.name())
        return State(_at_prefix(account, prefix), None, account.device_id, state.spent)

    before = identity.load(path).identity
    after = identity.update(path, taken).identity
    if not isinstance(after, Account) or after == before:
        return None
    LOG.info("took over %s", facts(file=after.old_config, server=after.server.url, device=after.device_id))
    return after


def _at_prefix(account: Account, prefix: str) -> Account:
    return replace(account, prefix=prefix)
