"""The line that an owner copies from the page of a JunctionRelay server, and what can be wrong with it (JR-A11)."""

from collections.abc import Mapping
from dataclasses import dataclass

from waystation_agent.address import parse_server
from waystation_agent.errors import BadInput
from waystation_agent.junctionrelay.curve import parse_public_key

LONGEST_NAME = 200
LONGEST_TOKEN = 1_000
ORIGINAL = "https://api.junctionrelay.com"


@dataclass(frozen=True)
class Line:
    server: str
    name: str
    token: str
    public_key: str = ""


def is_line(fields: Mapping[str, object]) -> bool:
    return bool({"deviceName", "publicKey", "token"} & fields.keys())


def parse_line(fields: Mapping[str, object], server: str | None) -> Line:
    """Read the JSON object of the line; a server named apart wins over one in it."""
    missing = [key for key in ("deviceName", "token") if not _text(fields.get(key))]
    if missing:
        raise BadInput(
            f"the registration line lacks {' and '.join(missing)}; copy the whole line again, from {{ to }}, it must "
            'look like {"deviceName":"Porch Pi","publicKey":"A/Y6…","token":"reg-…"}'
        )
    name, token, key = (_text(fields.get(key)) for key in ("deviceName", "token", "publicKey"))
    if len(name) > LONGEST_NAME or len(token) > LONGEST_TOKEN:
        raise BadInput("the registration line is too long to be one; copy it again from the owner's page")
    if key:
        parse_public_key(key)
    named = server or _text(fields.get("server"))
    if not named:
        raise BadInput(
            f"a registration line does not name its server: add --server https://… (the original: {ORIGINAL})"
        )
    return Line(parse_server(named), name, token, "".join(key.split()))


def _text(found: object) -> str:
    return found.strip() if isinstance(found, str) else ""
