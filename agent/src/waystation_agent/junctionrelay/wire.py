"""What is said to a JunctionRelay server, in its own key case, and what its answers hold (contract 4.3)."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import cast

from waystation_agent.junctionrelay.account import Account, Registration
from waystation_agent.link import Answer


class Call(StrEnum):
    REGISTER = "register"
    REFRESH = "refresh"
    ROTATE = "refresh-rotate"
    HEALTH = "health"


Words = Mapping[str, object]
"""The object that a server answered, its keys in lower case."""


def register_body(registration: Registration) -> bytes:
    return _compact(
        {
            "registrationToken": registration.token,
            "actualDeviceId": registration.device_id,
            "deviceName": registration.name,
        }
    )


def renewal_body(account: Account) -> bytes:
    return _compact({"RefreshToken": account.refresh.text, "DeviceId": account.device_id})


def health_body(sensor_data: object, at: str) -> bytes:
    return _compact({"Status": "online", "SensorData": sensor_data, "Timestamp": at})


def words(answer: Answer) -> Words | None:
    """Return what the server itself said; None if somebody in between spoke, such as a portal or a proxy's page."""
    if not answer.body.strip():
        return {}
    try:
        found: object = json.loads(answer.body)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    return {str(key).lower(): value for key, value in cast("dict[object, object]", found).items()}


def text(said: Words, key: str) -> str:
    """Return the text under a key, whatever its case; empty if there is none."""
    found = said.get(key.lower())
    return found if isinstance(found, str) else ""


def reason(said: Words | None, status: int) -> str:
    if said:
        for key in ("error", "message", "detail", "title"):
            if text(said, key):
                return text(said, key)[:300]
    return f"the server answered {status}"


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _compact(value: object) -> bytes:
    return compact(value).encode()
