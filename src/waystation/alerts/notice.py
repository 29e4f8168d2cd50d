"""What people are told of incidents: a notice, made in the transaction of the incident, sent by the home's channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from waystation.kernel.db import Tx

Told = Literal["fired", "recovered", "digest", "away", "test"]


@dataclass(frozen=True, slots=True)
class Line:
    """What happened to one device: `word` is a few plain words, as in “is above 30” or “recovered, after 12 times”."""

    incident_uid: str
    rule: str
    device_name: str
    device_key: str
    metric: str
    word: str
    value: str
    unit: str
    threshold: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """`channels` are ids; none means all of the home. `dedupe` names the notice: the same again is the same notice.

    `rule_id` is None when it is about the hub itself. `more` lines were left out.
    """

    home_id: int
    rule_id: int | None
    kind: Told
    subject: str
    lines: Sequence[Line]
    dedupe: str
    severity: str = "warning"
    channels: Sequence[int] = ()
    more: int = 0


def notify(tx: Tx, now: datetime, notice: Notice) -> None:
    """Into the outbox, for every channel that it is for, with the change that it is about."""
    from waystation.alerts import channels  # noqa: PLC0415  a channel knows what a notice is

    channels.put(tx, now, notice)
