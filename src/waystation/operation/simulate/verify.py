"""Reads back through the front door what the fleet was told is safe, and compares."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from waystation import identity
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.desk import Desk
from waystation.kernel.errors import Unavailable
from waystation.operation.archive import Tell

NAME = "waystation simulate --verify"
ARRIVE_SECONDS = 60.0
LOOK_SECONDS = 0.5
PAGE = 10_000

Get = Callable[[Mapping[str, Any]], Any]
"""The hub's answer to GET /api/readings with these parameters."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts of values. Acknowledged readings that are not there after a minute are missing."""

    acknowledged: int
    missing: int
    doubled: int

    @property
    def is_good(self) -> bool:
        return not self.missing and not self.doubled


def verdict(acknowledged: Mapping[str, Counter[int]], get: Get, tell: Tell) -> Verdict:
    """What came by MQTT was durable with its acknowledgement, and is a reading a moment later: so it is waited for."""
    missing = doubled = 0
    until = time.monotonic() + ARRIVE_SECONDS
    for number, (key, expected) in enumerate(acknowledged.items(), 1):
        found = stored(key, expected, get)
        while expected - found and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            found = stored(key, expected, get)
        missing += (expected - found).total()
        doubled += sum(more for at, more in (found - expected).items() if at in expected)
        tell("reading back", number, len(acknowledged))
    return Verdict(sum(counts.total() for counts in acknowledged.values()), missing, doubled)


def stored(key: str, expected: Counter[int], get: Get) -> Counter[int]:
    """How many values the hub has of every millisecond."""
    found: Counter[int] = Counter()
    if not expected:
        return found
    asked = {"device": key, "from": min(expected), "to": max(expected), "resolution": "raw", "limit": PAGE}
    cursor: str | None = ""
    while cursor is not None:
        page = get({**asked, "cursor": cursor})
        for series in page["series"]:
            found.update(round(at) for at, _ in series["points"])
        cursor = page["next"]
    return found


@contextmanager
def reader(desk: Desk, url: str) -> Generator[Get]:
    """Reads as an administrator, with a token that ends with the block."""
    with desk.database.write() as tx:
        token = identity.new_token(tx, COMMAND_LINE, desk.now(), name=NAME, days=1)

    def get(asked: Mapping[str, Any]) -> Any:
        request = urllib.request.Request(  # noqa: S310  the owner named the hub
            f"{url}/api/readings?{urllib.parse.urlencode(asked)}", headers={"Authorization": f"Bearer {token}"}
        )
        return json.loads(_patiently(request))

    try:
        yield get
    finally:
        with desk.database.write() as tx:
            for row in identity.tokens(tx):
                if row.name == NAME and row.revoked_at is None:
                    identity.revoke_token(tx, COMMAND_LINE, desk.now(), row.id)


def _patiently(request: urllib.request.Request) -> bytes:
    """A hub that is being started anew is waited for; Unavailable when it does not come back."""
    until = time.monotonic() + ARRIVE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.read()
        except (urllib.error.URLError, ConnectionError) as fault:
            answered = isinstance(fault, urllib.error.HTTPError) and fault.code < HTTPStatus.INTERNAL_SERVER_ERROR
            if answered or time.monotonic() > until:
                raise Unavailable(f"the readings could not be compared: {fault}") from fault
            time.sleep(LOOK_SECONDS)
