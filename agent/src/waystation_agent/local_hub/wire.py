"""What is asked of the local hub and what it answers, as plain values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

Object = dict[str, object]


class Refusal(Exception):
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.problem: Object = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    serial: str = ""
    """Of the device that calls; empty where none need be known."""

    def json(self) -> object:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    is_object: bool = True


def said(content: Object, status: int = 200, **headers: str) -> Reply:
    return Reply(status, json.dumps(content).encode(), headers)


def as_object(found: object) -> Object:
    if not isinstance(found, dict):
        raise Refusal(400, "invalid", "An object was expected.")
    return cast("Object", found)
