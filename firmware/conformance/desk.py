"""What an administrator does and sees at the hub, over the API of people."""

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from tests.hub import Hub

from waystation import devices
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.db import Database, sqlite_url

OVER = ("done", "failed", "rejected", "expired", "cancelled")


class Desk:
    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def send(self, key: str, name: str, parameters: Mapping[str, Any] | None) -> str:
        """A command; its id."""
        wanted = {"to": {"devices": [key]}, "name": name, "parameters": parameters}
        return self._ask("POST", "/api/commands", wanted)["commands"][0]["id"]

    def command(self, uid: str) -> dict[str, Any]:
        return self._ask("GET", f"/api/commands/{uid}")

    def messages(self, key: str) -> list[tuple[str, str]]:
        """Severity and content of what a device wrote, oldest first."""
        found = self._ask("GET", f"/api/messages?device={key}")["messages"]
        return [(one["severity"], one["content"]) for one in reversed(found)]

    def files(self, key: str) -> dict[str, str]:
        """Name → SHA-256 of the files that a device has sent."""
        return {one["name"]: one["sha256"] for one in self._ask("GET", f"/api/files?device={key}")["files"]}

    def stage(self, key: str, kind: str, members: Mapping[str, bytes], *, damaged: str = "") -> str:
        """A package of these members, staged for the device; its id. Of `damaged` the bytes are wrong on the disk."""
        version = hashlib.sha256(repr(sorted(members.items())).encode()).hexdigest()[:8]
        uid = self._ask("POST", "/api/packages", {"name": f"{kind} of {key}", "type": kind, "version": version})["id"]
        for name, content in members.items():
            file = self._bytes("POST", f"/api/uploads/whole?name={quote(name.replace('/', '_'))}", content)
            self._ask("POST", f"/api/packages/{uid}/members", {"file": json.loads(file)["id"], "name": name})
            if name == damaged:
                self._damage(content)
        self._ask("POST", f"/api/packages/{uid}/stage", {"to": [{"by": "device", "value": key}]})
        return uid

    def package(self, uid: str) -> tuple[str, str]:
        """State and detail, as its one device has said."""
        (found,) = self._ask("GET", f"/api/packages/{uid}")["deliveries"]
        return found["state"], found["detail"]

    def disable(self, key: str) -> None:
        self.hub.command_without_json("device", "disable", key)

    def enable(self, key: str) -> None:
        self.hub.command_without_json("device", "enable", key)

    def revoke(self, key: str) -> None:
        self.hub.command_without_json("device", "revoke", key)

    def new_claim(self, key: str) -> str:
        """A code by which a known device gets a new credential, as its page gives it."""
        database = Database(sqlite_url(self.hub.data / "waystation.db"))
        with database.write() as tx:
            known = tx.connection.execute(sa.text("select home_id from device where key = :key"), {"key": key}).one()
            device = devices.by_key(tx, known.home_id, key)
            claim = devices.offer_claim(tx, COMMAND_LINE, known.home_id, datetime.now(UTC), name="", device=device)
        database.close()
        return claim.code

    def _damage(self, content: bytes) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        (self.hub.data / "blobs" / sha256[:2] / sha256[2:4] / sha256).write_bytes(content[:-1] + b"!")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        sent = None if body is None else json.dumps(body).encode()
        return json.loads(self._bytes(method, path, sent, "application/json"))

    def _bytes(self, method: str, path: str, body: bytes | None, kind: str = "application/octet-stream") -> bytes:
        headers = {"Authorization": f"Bearer {self.hub.token}", "Content-Type": kind}
        request = urllib.request.Request(f"{self.hub.url}{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                said = refused.read().decode()
            raise AssertionError(f"{method} {path}: {refused.code} {said}") from None
