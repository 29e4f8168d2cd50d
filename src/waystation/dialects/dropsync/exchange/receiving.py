"""A multipart form as it arrives: fields are gathered, files go piece by piece to whoever reads them (DS-16)."""

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from enum import Enum, auto
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from waystation.dialects.dropsync.wire import MOST_FIELDS, MOST_FORM_BYTES
from waystation.kernel.errors import Invalid, TooLarge

FILE = "file"
MOST_BOUNDARY = 200


class Event(Enum):
    BEGIN = auto()
    CONTENT = auto()
    END = auto()


class Parts:
    """What the parser has found: small fields, and of the parts called `file` what happens to them, in its order."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.events: deque[tuple[Event, bytes]] = deque()
        self._field, self._is_file = "", False
        self._header, self._value, self._text = b"", b"", bytearray()
        self.callbacks: dict[str, Any] = {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._header_ended,
            "on_part_data": self._on_content,
            "on_part_end": self._ended,
        }

    def _begin(self) -> None:
        self._header, self._value, self._text = b"", b"", bytearray()
        self._field, self._is_file = "", False

    def _on_header(self, piece: bytes, start: int, end: int) -> None:
        self._header += piece[start:end]

    def _on_value(self, piece: bytes, start: int, end: int) -> None:
        self._value += piece[start:end]

    def _header_ended(self) -> None:
        if self._header.lower() == b"content-disposition":
            options = parse_options_header(self._value)[1]
            self._field = options.get(b"name", b"").decode(errors="replace")
            self._is_file = self._field == FILE
            if self._is_file:
                self.events.append((Event.BEGIN, options.get(b"filename", b"")))
        self._header, self._value = b"", b""

    def _on_content(self, piece: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.events.append((Event.CONTENT, bytes(piece[start:end])))
            return
        self._text += piece[start:end]
        if len(self._text) > MOST_FORM_BYTES:
            raise TooLarge(f"a field of this form has more than {MOST_FORM_BYTES} bytes")

    def _ended(self) -> None:
        if self._is_file:
            self.events.append((Event.END, b""))
        elif self._field and len(self.fields) < MOST_FIELDS:
            self.fields[self._field] = self._text.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


class Form:
    """Ask for the next file's name, then read that file; fields are known as far as the form has come. What is no
    multipart form has nothing in it, and one that breaks off ends there.
    """

    def __init__(self, content_type: str, stream: AsyncIterable[bytes]) -> None:
        self._stream = aiter(stream)
        self._parts = Parts()
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        fits = kind == b"multipart/form-data" and 0 < len(boundary) <= MOST_BOUNDARY
        self._parser = MultipartParser(boundary, self._parts.callbacks) if fits else None  # type: ignore[arg-type]

    @property
    def fields(self) -> dict[str, str]:
        return self._parts.fields

    async def next_file(self) -> str | None:
        """The name that its sender gives it, perhaps empty; None when there is no further file."""
        while True:
            event = await self._next()
            if event is None or event[0] is Event.BEGIN:
                return None if event is None else event[1].decode(errors="replace")

    async def file(self) -> AsyncIterator[bytes]:
        """Of the file whose name was asked for last. BrokenOff when the rest of it does not come."""
        while (event := await self._next()) is not None:
            if event[0] is Event.END:
                return
            yield event[1]
        raise BrokenOff("the upload broke off, so nothing of it was kept")

    async def until_end(self) -> None:
        """All fields are known when this returns."""
        while await self._next() is not None:
            pass

    async def _next(self) -> tuple[Event, bytes] | None:
        while not self._parts.events:
            if not await self._read():
                return None
        return self._parts.events.popleft()

    async def _read(self) -> bool:
        """False at the end, and where it is no multipart form."""
        piece = await anext(self._stream, None) if self._parser is not None else None
        if piece is None or self._parser is None:
            return False
        try:
            self._parser.write(piece)
        except FormParserError:
            self._parser = None
        return True


class BrokenOff(Invalid):
    word = "broken_off"
