"""Make this machine a device of a hub, with a code that a person has got from the hub's page."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from waystation_agent import identity, machine
from waystation_agent.address import DEFAULT_SERVER, parse_server
from waystation_agent.backoff import chance, pause_seconds
from waystation_agent.errors import BadInput, Fault, Unreachable
from waystation_agent.identity import Claim, Identity, State
from waystation_agent.link import Answer, Link, Server
from waystation_agent.logs import LOG, facts, keep_out_of_logs

CODE_LETTERS = 12
ATTEMPTS = 5
LONGEST_PAUSE_SECONDS = 10.0


@dataclass(frozen=True)
class Invitation:
    server: str
    code: str


def parse_invitation(text: str, server: str | None) -> Invitation:
    """Read what was typed, pasted or scanned: a code or the page's JSON. A server named apart wins over the JSON's."""
    code, named = _parse_json(text) if text.lstrip().startswith("{") else (text, None)
    return Invitation(parse_server(server or named or DEFAULT_SERVER), _parse_code(code))


def _parse_json(text: str) -> tuple[str, str]:
    try:
        found: object = json.loads(text)
    except ValueError as error:
        raise BadInput(f"the pairing text is not whole JSON ({error}); copy it again from the hub's page") from error
    fields = cast("dict[str, object]", found)
    code, server = fields.get("code"), fields.get("server")
    if not isinstance(code, str) or not isinstance(server, str):
        raise BadInput('the pairing text must be {"server":"http://host:8000","code":"ABCD-EFGH-JKLM"}')
    return code, server


def _parse_code(text: str) -> str:
    code = "".join(text.split()).replace("-", "").upper()
    if len(code) != CODE_LETTERS or not (code.isascii() and code.isalnum()):
        raise BadInput("the code must be 12 letters and digits, like ABCD-EFGH-JKLM")
    return code


def pair(path: Path, invitation: Invitation, server: Server, *, name: str) -> Identity:
    """Claim this machine at the hub and save who it is now.

    The key is saved before the hub hears of it, so after a crash or a lost answer the same command ends the pairing.
    """
    state = identity.load(path)
    claim = state.claim_for(server, invitation.code)
    keep_out_of_logs(claim.api_key)
    keep_out_of_logs(invitation.code)
    identity.save(path, State(state.identity, claim))
    device = _identity(claim, _claim_patiently(claim, _claim_body(claim, invitation.code, name)))
    identity.save(path, State(device))
    LOG.info("paired %s", facts(server=server.url, device=device.key, name=device.name))
    return device


def _claim_body(claim: Claim, code: str, name: str) -> bytes:
    return json.dumps(
        {
            "code": code,
            "name": name,
            "model": machine.model(),
            "external_ids": machine.external_ids(),
            "api_key": claim.api_key,
        }
    ).encode()


def _claim_patiently(claim: Claim, body: bytes, sleep: Callable[[float], None] = time.sleep) -> Answer:
    """Ask until the hub says yes or no; give up after a few attempts, since a person is waiting."""
    link = Link(claim.server)
    trouble = ""
    try:
        for attempt in range(1, ATTEMPTS + 1):
            asked_seconds = 0.0
            try:
                answer = link.post("/api/claim", body, {"Content-Type": "application/json"})
            except Unreachable as error:
                trouble = str(error)
            else:
                if answer.status == 200 or (answer.status < 500 and answer.status not in {408, 425, 429}):
                    return answer
                trouble, asked_seconds = answer.problem(), answer.retry_after_seconds
            LOG.debug("claim not answered %s", facts(attempt=attempt, reason=trouble))
            if attempt < ATTEMPTS:
                sleep(min(pause_seconds(attempt, chance(), asked_seconds), LONGEST_PAUSE_SECONDS))
    finally:
        link.close()
    raise Fault(f"{claim.server.url}: {trouble}. Nothing is lost: run the same command again")


def _identity(claim: Claim, answer: Answer) -> Identity:
    if answer.status != 200:
        raise Fault(f"{claim.server.url} refused the code: {answer.problem()}")
    fields = answer.fields()
    key, serial = fields.get("key"), fields.get("serial")
    if not isinstance(key, str) or not isinstance(serial, str):
        raise Fault(f"{claim.server.url} does not answer like a Waystation hub; check the address")
    keep_out_of_logs(str(fields.get("api_key") or ""))
    return Identity(
        server=claim.server,
        code_sha256=claim.code_sha256,
        key=key,
        serial=serial,
        name=str(fields.get("name") or key),
        api_key=str(fields.get("api_key") or claim.api_key),
        mqtt_port=_mqtt_port(fields.get("mqtt")),
    )


def _mqtt_port(mqtt: object) -> int | None:
    port = cast("dict[str, object]", mqtt).get("port") if isinstance(mqtt, dict) else None
    return port if isinstance(port, int) else None
