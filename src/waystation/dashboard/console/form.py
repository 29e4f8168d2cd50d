"""What is typed into the form "Send a command", and the command that it means."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from waystation.commands import NewCommand, Targets
from waystation.kernel.errors import Invalid

USUAL = ("ping", "status", "sync", "upload-log", "reboot", "restart-agent", "firmware-info", "network-info")
PRIORITIES = {"2": "Low", "4": "Normal", "7": "High", "9": "First of all"}
LIFETIMES = {"": "Never", "300": "In 5 minutes", "3600": "In an hour", "86400": "In a day", "604800": "In a week"}


@dataclass(frozen=True, slots=True)
class Draft:
    """As typed. `to` is `home`, or `device:`, `model:` or `tag:` with its name."""

    to: str = ""
    name: str = ""
    parameters: str = ""
    priority: str = "4"
    lifetime: str = ""

    def targets(self) -> Targets:
        kind, _, which = self.to.partition(":")
        if self.to == "home":
            return Targets(home=True)
        if which and kind == "device":
            return Targets(devices=[which])
        if which and kind in ("model", "tag"):
            return Targets(model=which) if kind == "model" else Targets(tag=which)
        raise Invalid("choose who shall do it")

    def command(self, now: datetime, idempotency_key: str = "") -> NewCommand:
        if self.priority not in PRIORITIES or self.lifetime not in LIFETIMES:
            raise Invalid("choose a priority and a time from the lists")
        expires_at = now + timedelta(seconds=int(self.lifetime)) if self.lifetime else None
        return NewCommand(
            self.name.strip(),
            _object(self.parameters),
            int(self.priority),
            expires_at=expires_at,
            idempotency_key=idempotency_key,
        )


def _object(text: str) -> dict[str, Any] | None:
    if not text.strip():
        return None
    try:
        given: Any = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise Invalid('parameters are a JSON object, such as {"seconds": 30}') from fault
    if not isinstance(given, dict):
        raise Invalid('parameters are a JSON object, such as {"seconds": 30}')
    return cast("dict[str, Any]", given)


def written(value: Any) -> str:
    """As a person reads it; text stands for itself."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
