"""A client of a running hub: an administrator with Basic, and a device with its token."""

import base64
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

from tests.hub import Hub


class Client:
    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        made = hub.command("token", "create", "--basic")
        assert made.keys() == {"user", "password"}
        self.user, self.password = made["user"], made["password"]

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def get(self, path: str) -> Any:
        return json.loads(self.bytes(path, self.basic))

    def bytes(self, path: str, authorization: str = "") -> bytes:
        headers = {"Authorization": authorization} if authorization else {}
        request = urllib.request.Request(f"{self.hub.url}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def form(self, method: str, path: str, *, admin: bool = False, **fields: str) -> tuple[int, Any]:
        text = "&".join(f"{name}={quote(value)}" for name, value in fields.items())
        url, body = f"{self.hub.url}{path}", None
        if method == "GET":
            url = f"{url}?{text}" if text else url
        else:
            body = text.encode()
        headers = {"Authorization": self.basic} if admin else {}
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.loads(refused.read() or b"null")
