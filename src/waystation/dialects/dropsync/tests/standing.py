"""A home whose devices speak DropSync, as the sketch, the command-line tool and a browser call it."""

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from tests.site import Answer, Site

from waystation import homes, identity
from waystation.dialects.dropsync.pace import Pace
from waystation.homes import Role
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.limits import Limiter
from waystation.kernel.settings import Settings

BOUNDARY = "0123456789"
SKETCH = "ESP8266HTTPClient"


class Drop:
    def __init__(self, site: Site, home: homes.Home) -> None:
        self.site = site
        self.home = home
        self.owner = site.somebody(home)
        self.tokens: dict[str, str] = {}
        if site.parts.has(Pace):
            site.parts.put(Pace, Pace(site.parts.get(Limiter), site.parts.get(Settings)))

    def turn(self, seconds: float) -> None:
        """An app's log-in does not last as long as some tests."""
        self.site.clock.at += timedelta(seconds=seconds)
        self.owner = self.site.somebody(self.home)

    def register(self, name: str = "esp001", **fields: str) -> str:
        answer = self.admin("POST", "devices/register", device_id=name, **fields)
        assert answer.status == 200, answer.body
        self.tokens[name] = answer.json["token"]
        return self.tokens[name]

    def admin(self, method: str, path: str, **fields: str) -> Answer:
        """As an administrator with an app's log-in."""
        return self.ask(method, f"/api/v1/admin/{path}", fields, authorization=self.owner.authorization)

    def ask(self, method: str, path: str, fields: Mapping[str, str], **headers: str) -> Answer:
        text = "&".join(f"{name}={quote(value)}" for name, value in fields.items())
        if method in ("GET", "DELETE"):
            return self.site.ask(method, f"{path}?{text}" if text else path, **headers)
        return self.site.ask(method, path, body=text.encode(), **headers)

    def call(self, method: str, path: str, name: str = "esp001", **fields: str) -> Answer:
        """As the sketch, with the device's token last."""
        return self.ask(method, path, {**fields, "token": self.tokens[name]}, user_agent=SKETCH)

    def poll(self, name: str = "esp001") -> Any:
        return self.call("GET", f"/api/v1/device/commands/{name}", name).json

    def beat(self, name: str = "esp001", **fields: str) -> Answer:
        return self.call("POST", f"/api/v1/device/heartbeat/{name}", name, **{"status": "online", **fields})

    def say(self, content: str, name: str = "esp001", **fields: str) -> Answer:
        words = {"msg_type": "status", "content": content, **fields}
        return self.call("POST", f"/api/v1/device/messages/{name}", name, **words)

    def complete(self, number: int, result: str = "done", name: str = "esp001") -> Answer:
        path = f"/api/v1/device/commands/{name}/complete"
        return self.call("POST", path, name, command_id=str(number), result=result)

    def send(self, command: str, name: str = "esp001", **fields: str) -> Answer:
        return self.admin("POST", f"devices/{name}/command", command=command, **fields)

    def commands(self, name: str = "esp001") -> list[Any]:
        return self.admin("GET", f"devices/{name}/commands").json["commands"]

    def messages(self, name: str = "esp001", **fields: str) -> list[Any]:
        return self.admin("GET", f"devices/{name}/messages", **fields).json["messages"]

    def device(self, name: str = "esp001") -> Any:
        found = self.admin("GET", "devices", include_inactive="True").json["devices"]
        return next((one for one in found if one["device_id"] == name), None)

    def upload(self, filename: str, content: bytes, name: str = "esp001", *, token_first: bool = False) -> Answer:
        body = form(filename, content, token=self.tokens[name], token_first=token_first)
        return self.multipart(f"/api/v1/files/upload/{name}", body)

    def multipart(self, path: str, body: bytes, **headers: str) -> Answer:
        return self.site.ask(
            "POST", path, body=body, content_type=f"multipart/form-data; boundary={BOUNDARY}", **headers
        )

    def events(self) -> list[str]:
        """Newest first."""
        return [one["event_type"] for one in self.admin("GET", "system/logs", limit="100").json["logs"]]

    def basic(self, role: str = "admin", user: str = "admin") -> str:
        with self.site.database.write() as tx:
            token = identity.new_token(tx, COMMAND_LINE, self.site.clock.now(), name=user, role=role)
        return "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()

    def somebody(self, role: Role) -> Any:
        return self.site.somebody(self.home, role)


def form(filename: str, content: bytes, *, token: str = "", token_first: bool = False, **fields: str) -> bytes:
    texts = {**fields, **({"token": token} if token else {})}
    said = [part(f'name="{name}"', value.encode()) for name, value in texts.items()]
    file = part(f'name="file"; filename="{filename}"', content)
    ordered = [*said, file] if token_first else [file, *said]
    return b"".join(ordered) + f"--{BOUNDARY}--\r\n".encode()


def part(disposition: str, content: bytes) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") + content + b"\r\n"
