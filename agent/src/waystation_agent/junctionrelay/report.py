"""One sample as a health report's `SensorData`: object, text, or sealed for the owner (contract 4.5)."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from importlib.util import find_spec

from waystation_agent.errors import BadInput
from waystation_agent.junctionrelay.account import Account
from waystation_agent.junctionrelay.curve import parse_public_key
from waystation_agent.junctionrelay.wire import compact
from waystation_agent.sensors import Value
from waystation_agent.spool import Sample

STATISTICS: Mapping[str, tuple[str, Callable[[float], float]]] = {
    "uptime_seconds": ("uptime", int),
    "memory_available_bytes": ("freeHeap", int),
    "memory_total_bytes": ("totalMemory", int),
    "memory_percent": ("memoryUsage", float),
    "cpu_percent": ("cpuUsage", float),
    "cpu_temperature_c": ("cpuTemp", float),
}
"""Our metric: the Python client's word for it, and its number. All other values are custom sensors there: texts."""


class Form(StrEnum):
    OBJECT = "object"
    TEXT = "text"
    SEALED_V1 = "sealed-v1"
    SEALED_V2 = "sealed-v2"


def check(form: Form, account: Account) -> None:
    """Raise BadInput with advice if reports to this server cannot have this form."""
    if form in {Form.OBJECT, Form.TEXT}:
        return
    if not account.public_key:
        raise BadInput("reports cannot be sealed: the registration line had no publicKey; pair with one that has")
    parse_public_key(account.public_key)
    if find_spec("cryptography") is None:
        raise BadInput("sealed reports need one more library: pip install 'waystation-agent[encrypted]'")


def measurements(form: Form, account: Account, sample: Sample) -> object:
    found = in_their_words(sample.values)
    if form is Form.OBJECT:
        return found
    text = compact(found)
    return text if form is Form.TEXT else _sealed(form, account, text.encode(), sample.at_us)


def _sealed(form: Form, account: Account, plain: bytes, counter: int) -> str:
    from waystation_agent.junctionrelay.sealing import seal_v1, seal_v2  # noqa: PLC0415  slow to load, seldom asked

    if form is Form.SEALED_V1:
        return seal_v1(plain, account.public_key)
    return seal_v2(plain, account.public_key, device_id=account.device_id, counter=counter)


def in_their_words(values: Mapping[str, Value]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for metric, value in values.items():
        theirs = STATISTICS.get(metric)
        if theirs and not isinstance(value, str):
            found[theirs[0]] = theirs[1](value)
        else:
            found[metric] = _as_text(value)
    return found


def _as_text(value: Value) -> str:
    """Write 23.0 as `23` and true as `true`."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
