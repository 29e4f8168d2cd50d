"""What a scenario stands on: a hub, one device of it, the client that runs there, and the link between them."""

from dataclasses import dataclass, field
from typing import Any

from firmware.conformance.client import PATIENCE_SECONDS, Client, Manner, until
from firmware.conformance.desk import OVER, Desk
from firmware.conformance.link import Link
from tests.hub import Hub, Registered


@dataclass(slots=True)
class House:
    hub: Hub
    client: Client
    link: Link
    desk: Desk
    claim_code: str
    _key: str = field(default="")

    def start(self, manner: Manner | None = None) -> None:
        """The client claims at its first start; later it goes on with what it has."""
        claim, self.claim_code = self.claim_code, ""
        self.client.start(self.link.url, claim=claim, manner=manner)

    def pair_anew(self) -> None:
        """The same device gets a new credential, by another claim code."""
        self.client.stop()
        self.client.start(self.link.url, claim=self.desk.new_claim(self.key))

    def until(self, condition: Any, what: str, *, seconds: float = PATIENCE_SECONDS) -> Any:
        return until(condition, what, self.client, seconds=seconds)

    @property
    def key(self) -> str:
        """Of the device that came by the claim code; waits until it is there."""
        if not self._key:
            self._key = self.until(self._found_key, "the device is claimed")
        return self._key

    def _found_key(self) -> str | None:
        return next((one["key"] for one in self.hub.command("device", "list") if one["name"] == self.name), None)

    @property
    def name(self) -> str:
        return self.client.folder.name

    def points(self) -> list[tuple[int, int]]:
        """What the hub has of the metric `count`, by time: (value, milliseconds)."""
        found = self.hub.readings(Registered(self.key, "", "")).get("count", [])
        return [(round(value), round(at)) for at, value in found]

    def counts(self) -> list[int]:
        return [value for value, _ in self.points()]

    def do(self, doing: str, **parameters: Any) -> str:
        """Asks the client for something by a command; the command's id."""
        return self.desk.send(self.key, *self.client.asked(doing, parameters))

    def until_ended(self, command: str, *, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            found = self.desk.command(command)
            return found if found["state"] in OVER else None

        return self.until(ended, "the command has ended", seconds=seconds)
