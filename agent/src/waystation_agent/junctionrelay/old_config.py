"""The Python client's own file, `junction_relay_config.json`: taken over in place, and kept so that one can go back.

Its times are local and end in a false `Z`, and in test mode, the client's default, they are not the server's at all.
So they only ever make the agent renew sooner (JR-A2).
"""

import json
import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import cast

from waystation_agent.errors import Fault
from waystation_agent.folder import write_whole
from waystation_agent.junctionrelay import times
from waystation_agent.junctionrelay.account import Account, Token, digest, hush
from waystation_agent.junctionrelay.curve import in_whole
from waystation_agent.link import Server
from waystation_agent.logs import LOG, facts

NAME = "junction_relay_config.json"
WIDEST_OFFSET_SECONDS = 14 * 3_600.0
"""How far local time may be ahead of UTC, so how much sooner than written a token may end."""

Fields = dict[str, object]


def find(folders: Iterable[Path]) -> Path | None:
    """Return the first old file that holds tokens."""
    for folder in folders:
        path = (folder / NAME).resolve()
        try:
            if path.is_file() and _has_tokens(_read(path)):
                return path
        except Fault as error:
            LOG.warning("the Python client's file is left aside %s", facts(reason=error))
    return None


def take_over(path: Path, server: Server, device_id: str, *, name: str) -> Account:
    """Return the account in the file. `device_id` serves where the file has none."""
    fields = _read(path)
    account = Account(
        server,
        _text(fields, "device_id") or device_id,
        name,
        public_key=_text(fields, "public_key_b64"),
        jwt=Token(_text(fields, "jwt"), times.parse_false_z(fields.get("jwt_expires_at"))),
        refresh=Token(_text(fields, "refresh_token"), _soonest(fields.get("refresh_token_expires_at"))),
        refreshed_at=_number(fields.get("last_token_refresh")),
        old_config=str(path),
        origin=digest(_text(fields, "refresh_token") or _text(fields, "jwt")),
    )
    hush(account)
    return account


def catch_up(account: Account) -> Account:
    """Return the account with the file's tokens, if the Python client has renewed them since we did; else as it is."""
    path = Path(account.old_config or "")
    try:
        fields = _read(path)
    except Fault:
        return account
    theirs = _text(fields, "refresh_token")
    if not theirs or account.knows(theirs):
        return account
    LOG.info("the Python client has renewed the tokens, taking them %s", facts(file=path))
    found = take_over(path, account.server, account.device_id, name=account.name)
    taken = account.with_pair(found.jwt, found.refresh, at=found.refreshed_at)
    return replace(taken, device_id=found.device_id, public_key=found.public_key or account.public_key)


def follow(account: Account) -> None:
    """Write the account into its old file, so that the Python client can go on from here at any time."""
    if account.old_config:
        refreshed = account.refreshed_at or time.time()
        _write(Path(account.old_config), _fields(account, refreshed))


def wipe(account: Account) -> None:
    """Leave the file as the Python client does when its tokens are refused: it asks for a registration then."""
    if account.old_config:
        gone = replace(account, device_id="", jwt=Token(), refresh=Token())
        _write(Path(account.old_config), _fields(gone, 0.0))


def _fields(account: Account, refreshed: float) -> Fields:
    fields: Fields = {
        "jwt": account.jwt.text,
        "refresh_token": account.refresh.text,
        "device_id": account.device_id,
        "jwt_expires_at": times.false_z(account.jwt.expires_at),
        "refresh_token_expires_at": times.false_z(account.refresh.expires_at),
        "last_token_refresh": refreshed,
    }
    if account.public_key:
        fields["public_key_b64"] = in_whole(account.public_key)
    return fields


def _write(path: Path, fields: Fields) -> None:
    """The original may run as another user than the agent that root runs; the file stays that user's."""
    try:
        owner = path.stat() if path.exists() else None
        write_whole(path, json.dumps(fields).encode())
        if owner and os.geteuid() == 0:
            os.chown(path, owner.st_uid, owner.st_gid)
    except OSError as error:
        LOG.warning("the Python client's file could not be written %s", facts(file=path, reason=error))


def _read(path: Path) -> Fields:
    try:
        found: object = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Fault(f"{path} cannot be read ({type(error).__name__})") from error
    return cast("Fields", found) if isinstance(found, dict) else {}


def _has_tokens(fields: Fields) -> bool:
    return bool(_text(fields, "refresh_token") or _text(fields, "jwt"))


def _soonest(text: object) -> float:
    meant = times.parse(text)
    return 0.0 if meant is None else meant - WIDEST_OFFSET_SECONDS


def _text(fields: Fields, key: str) -> str:
    found = fields.get(key)
    return found if isinstance(found, str) else ""


def _number(found: object) -> float:
    return float(found) if isinstance(found, int | float) else 0.0
