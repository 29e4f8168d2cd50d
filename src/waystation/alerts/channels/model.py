"""A channel is a way out of the house for notices; its kind says what must be known of it and how it sends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from waystation.alerts.notice import Notice
from waystation.kernel.errors import Invalid
from waystation.kernel.settings import Settings

MOST_NAME = 80
MOST_VALUE = 2000
MOST_CHANNELS = 20
Config = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to know of a channel. A secret one is sealed, and never shown again."""

    name: str
    label: str
    hint: str = ""
    type: str = "text"
    is_required: bool = False
    is_secret: bool = False
    example: str = ""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One notice to one address of one channel, as it waits in the outbox."""

    delivery_id: int
    channel_id: int
    uid: str  # the same at every try, so that a receiver recognises what came twice
    to: str
    home_name: str
    notice: Notice
    put_at: datetime


@dataclass(frozen=True, slots=True)
class Sending:
    """One try to send a parcel. `site` is the address under which people reach the pages."""

    parcel: Parcel
    config: Config
    settings: Settings
    site: str
    now: datetime

    @property
    def notice(self) -> Notice:
        return self.parcel.notice

    @property
    def link(self) -> str:
        """To the incident that it is about, or to all of them."""
        uids = {line.incident_uid for line in self.notice.lines if line.incident_uid}
        return f"{self.site}/alerts/incidents/{uids.pop()}" if len(uids) == 1 else f"{self.site}/alerts"


def nobody_in_particular(_config: Config, _owners: Sequence[str]) -> Sequence[str]:
    return ("",)


@dataclass(frozen=True, slots=True)
class Kind:
    """`check(config, settings)` gives the config as it is kept, or Invalid; it may make a secret that is missing.

    `where(config)` says in a few words, without secrets, where notices go. `send` raises NotSent or GiveUp.
    """

    word: str
    label: str
    about: str
    fields: Sequence[Field]
    check: Callable[[Config, Settings], Config]
    where: Callable[[Config], str]
    send: Callable[[Sending], None]
    recipients: Callable[[Config, Sequence[str]], Sequence[str]] = nobody_in_particular

    @property
    def secret_names(self) -> set[str]:
        return {one.name for one in self.fields if one.is_secret}


@dataclass(frozen=True, slots=True)
class Channel:
    """As people see it: `config` without its secrets, `secrets` the names of those that are kept."""

    id: int
    home_id: int
    kind: str
    name: str
    where: str
    is_enabled: bool
    created_at: datetime
    sent_at: datetime | None
    failed_at: datetime | None
    fault: str | None
    config: Config = field(default_factory=dict[str, str])
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Made:
    """A channel just made or changed; `shown_once` are secrets that were made for it."""

    channel: Channel
    shown_once: Config


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notice to one address, and what became of it."""

    id: int
    channel_name: str
    to: str
    notice: str
    subject: str
    put_at: datetime
    sent_at: datetime | None
    given_up_at: datetime | None
    tries: int
    fault: str | None

    @property
    def state(self) -> str:
        if self.sent_at is not None:
            return "sent"
        return "given up" if self.given_up_at is not None else "waiting"


def check_name(text: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= MOST_NAME or not name.isprintable():
        raise Invalid(f"a channel's name has 1 to {MOST_NAME} printable characters")
    return name


def check_values(kind: Kind, given: Config) -> None:
    """Whether every value could be one at all; what it means is the kind's matter."""
    known = {one.name for one in kind.fields}
    for name, value in given.items():
        if name not in known:
            raise Invalid(f"a channel of kind {kind.word} has no field {name[:40]!r}")
        if len(value) > MOST_VALUE or not value.isprintable():
            raise Invalid(f"the field {name} has at most {MOST_VALUE} printable characters")
    for one in kind.fields:
        if one.is_required and not given.get(one.name, "").strip():
            raise Invalid(f"the field {one.name} is needed")
