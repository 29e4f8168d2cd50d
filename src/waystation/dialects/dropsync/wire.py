"""DropSync's forms and answers: what the sketch sends unescaped is read all the same, what is missing is 422 (4.2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from waystation.kernel.errors import DomainError, Refused, TooLarge

Fields = dict[str, Any]

MOST_FORM_BYTES = 65_536
MOST_FIELDS = 100
MOST_MULTIPART_HEADERS = 16
QUERY, BODY = "query", "body"
UNAUTHORIZED = "Unauthorized device or invalid token"
UNAUTHORIZED_LEGACY = "Unauthorized device or token"
TOO_MANY = "Too many requests"
NO_INTEGER = "Input should be a valid integer, unable to parse string as an integer"
STRAY = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Unprocessable(DomainError):
    """422 with its list of what is missing or mistyped."""

    status, word = 422, "unprocessable"

    def __init__(self, detail: list[Fields]) -> None:
        super().__init__("; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in detail))
        self.detail = detail


class Unfit(Refused):
    """The wrong device or token, in the words of the path that was called."""


@dataclass(slots=True)
class Given:
    """What came in a query or a form. What is wrong with it is gathered, and raised by `check` all at once."""

    place: str
    fields: Mapping[str, str]
    wrong: list[Fields] = field(default_factory=list[Fields])

    def text(self, name: str, *, may_be_empty: bool = False) -> str:
        """A required field."""
        value = self.fields.get(name)
        if value is None or (not value and not may_be_empty):
            self._note("missing", name, "Field required", None)
            return ""
        return value

    def optional(self, name: str, default: str = "") -> str:
        return self.fields.get(name) or default

    def integer(
        self, name: str, default: int | None = None, *, least: int | None = None, most: int | None = None
    ) -> int:
        """Required without a `default`; beyond `least` and `most` it is wrong."""
        text = self.fields.get(name, "").strip()
        if not text and default is not None:
            return default
        if not text:
            self._note("missing", name, "Field required", None)
            return 0
        if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
            self._note(
                "int_parsing", name, "Input should be a valid integer, unable to parse string as an integer", text
            )
            return 0
        value = int(text)
        if least is not None and value < least:
            self._note("greater_than_equal", name, f"Input should be greater than or equal to {least}", text)
        if most is not None and value > most:
            self._note("less_than_equal", name, f"Input should be less than or equal to {most}", text)
        return value

    def boolean(self, name: str, *, default: bool) -> bool:
        text = self.fields.get(name, "").strip().lower()
        if not text:
            return default
        if text not in YES | NO:
            self._note("bool_parsing", name, "Input should be a valid boolean, unable to interpret input", text)
        return text in YES

    def refuse(self, name: str, sentence: str) -> None:
        self._note("value_error", name, sentence, self.fields.get(name))

    def check(self) -> None:
        if self.wrong:
            raise Unprocessable(self.wrong)

    def _note(self, kind: str, name: str, sentence: str, given: str | None) -> None:
        shown = None if given is None else given[:100]
        self.wrong.append({"type": kind, "loc": [self.place, name], "msg": sentence, "input": shown})


YES, NO = frozenset({"true", "1", "yes", "on", "t", "y"}), frozenset({"false", "0", "no", "off", "f", "n"})


def parse_form(body: bytes, content_type: bytes = b"") -> dict[str, str]:
    """The last value of each name. Anything is a form here: it may have no name that is looked for, and that is all."""
    if len(body) > MOST_FORM_BYTES:
        raise TooLarge(f"a form has at most {MOST_FORM_BYTES} bytes here")
    if content_type[:19].lower() == b"multipart/form-data":
        return _parse_multipart(body, content_type)
    fields: dict[str, str] = {}
    for pair in body.strip(b"\r\n").split(b"&", MOST_FIELDS)[:MOST_FIELDS]:
        name, _, value = pair.partition(b"=")
        if name:
            fields[_unescaped(name).strip()] = _unescaped(value)
    return fields


def _unescaped(part: bytes) -> str:
    """`+` is a space, `%41` a letter; a stray `%` stays, and what is no UTF-8 becomes U+FFFD. No text has a NUL."""
    plain = STRAY.sub(b"%25", part.replace(b"+", b" "))
    return unquote_to_bytes(plain).decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _parse_multipart(body: bytes, content_type: bytes) -> dict[str, str]:
    """Of a small form without files; what is broken ends where it breaks."""
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    found = SmallParts()
    if boundary and len(boundary) <= 200:
        try:
            parser = MultipartParser(boundary, found.callbacks, max_size=MOST_FORM_BYTES)  # type: ignore[arg-type]
            parser.write(body)
        except FormParserError:
            pass
    return found.fields


class SmallParts:
    """Callbacks of the parser that gather texts."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self._header, self._value, self._content = b"", b"", bytearray()
        self._name = ""
        self.callbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._header_ended,
            "on_part_data": self._on_content,
            "on_part_end": self._ended,
        }

    def _begin(self) -> None:
        self._header, self._value, self._name, self._content = b"", b"", "", bytearray()

    def _on_header(self, piece: bytes, start: int, end: int) -> None:
        self._header += piece[start:end]

    def _on_value(self, piece: bytes, start: int, end: int) -> None:
        self._value += piece[start:end]

    def _header_ended(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._name = parse_options_header(self._value)[1].get(b"name", b"").decode(errors="replace")
        self._header, self._value = b"", b""

    def _on_content(self, piece: bytes, start: int, end: int) -> None:
        self._content += piece[start:end]

    def _ended(self) -> None:
        if self._name and len(self.fields) < MOST_FIELDS:
            text = self._content.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
            self.fields[self._name] = text


def when(at: datetime) -> str:
    """`2026-11-20T23:15:43.192159`: naive UTC, six decimals."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def when_known(at: datetime | None) -> str | None:
    return None if at is None else when(at)


def refusal_body(fault: DomainError) -> Fields:
    """`{"detail": …}`, as every refusal of this dialect is said."""
    if isinstance(fault, Unprocessable):
        return {"detail": fault.detail}
    return {"detail": fault.sentence}


def bearer(authorization: bytes) -> str:
    scheme, _, rest = authorization.partition(b" ")
    return rest.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


def line(text: str, most: int) -> str:
    """On one line, and no longer than that."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:most]


def compact(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def printable(text: str) -> str:
    """As any database takes it."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
