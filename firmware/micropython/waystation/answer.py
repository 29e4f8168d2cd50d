"""The hub's answers, read piece by piece from one small buffer.

Nothing here grows with what the other side sends: a line longer than the buffer, too many headers, or a body larger
than the caller asked for ends the reading with an error. Lengths, chunks and bodies that end with the connection
are understood.
Source: RFC 9112.
"""

import json

from .errors import LinkError

_WANTED = (
    "connection", "content-length", "content-range", "date", "etag", "location", "retry-after", "transfer-encoding",
    "upload-offset",
)  # fmt: skip
_MOST_HEADERS = 48
_MOST_INTERIM = 8


class Answer:
    """Status, the headers that the client knows (lower case), and the body, unless it went into a sink."""

    def __init__(self, status, headers):
        self.status = status
        self.headers = headers
        self.body = b""

    def json(self):
        """The body, which must be JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise LinkError("the answer is not JSON") from None

    def number(self, name):
        """A header that counts something; None when it is absent or no number."""
        text = self.headers.get(name, "")
        return int(text) if text and text.isdigit() and len(text) < 16 else None


class Reader:
    """Bytes of `stream` (anything with `async readinto(buffer)`) through `buffer`, which bounds a line."""

    def __init__(self, stream, buffer):
        self._stream = stream
        self._buffer = buffer
        self._view = memoryview(buffer)
        self._at = 0
        self._end = 0
        self.is_untouched = True  # nothing of this answer has arrived

    def is_empty(self):
        return self._at == self._end

    async def _fill(self):
        """More bytes behind what is there; False at the end of the stream."""
        if self._at:
            kept = self._end - self._at
            self._view[:kept] = bytes(self._view[self._at : self._end])
            self._at, self._end = 0, kept
        count = await self._stream.readinto(self._view[self._end :])
        if not count:
            return False
        self.is_untouched = False
        self._end += count
        return True

    async def line(self):
        """The next line without its end."""
        while True:
            text = bytes(self._view[self._at : self._end])
            found = text.find(b"\n")
            if found >= 0:
                self._at += found + 1
                return text[:found].rstrip(b"\r")
            if len(text) == len(self._buffer):
                raise LinkError("a line of the answer is too long")
            if not await self._fill():
                raise LinkError("the answer ended early")

    async def some(self, most):
        """A view of at most so many bytes, good until the next call; empty at the end of the stream."""
        if self._at == self._end:
            self._at = self._end = 0
            if not await self._fill():
                return self._view[:0]
        start = self._at
        self._at = min(self._end, start + most)
        return self._view[start : self._at]


async def read(reader, method, take, most_bytes):
    """The next answer. A body of a 2xx goes to `take(answer, piece)` if there is one, else it is kept, at most so long.

    The connection can be used again unless `answer.headers["connection"]` is `close`.
    """
    reader.is_untouched = reader.is_empty()
    answer = await _head(reader)
    if method == "HEAD" or answer.status in (204, 304):
        return answer
    kept = None
    if take is None or answer.status >= 300:
        kept = bytearray()
    async for piece in _Body(reader, answer):
        if kept is None:
            take(answer, piece)
        elif len(kept) + len(piece) > most_bytes:
            raise LinkError("the answer is larger than %d bytes" % most_bytes)
        else:
            kept.extend(piece)
    answer.body = kept or b""
    return answer


async def _head(reader):
    for _ in range(_MOST_INTERIM):
        answer = Answer(_status(await reader.line()), {})
        await _headers(reader, answer.headers)
        if answer.status >= 200:
            return answer
    raise LinkError("the answer never begins")


def _status(line):
    words = line.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or len(words[1]) != 3 or not words[1].isdigit():
        raise LinkError("this is no HTTP")
    return int(words[1])


async def _headers(reader, into):
    """Up to the empty line. Names and values that are not wanted are not kept."""
    for _ in range(_MOST_HEADERS):
        line = await reader.line()
        if not line:
            return
        name, colon, value = line.partition(b":")
        try:
            name, value = name.decode().lower(), value.strip().decode()
        except UnicodeError:
            continue
        if not colon:
            raise LinkError("this is no header")
        if name in _WANTED:
            if name == "content-length" and into.get(name, value) != value:
                raise LinkError("the answer has two lengths")
            into[name] = value
    raise LinkError("the answer has too many headers")


class _Body:
    """The pieces of a body, by whichever of the three framings it has."""

    def __init__(self, reader, answer):
        self._reader = reader
        self._is_chunked = answer.headers.get("transfer-encoding", "").lower() == "chunked"
        self._is_first = True
        self._left = 0 if self._is_chunked else answer.number("content-length")
        if self._left is None:
            if "content-length" in answer.headers:
                raise LinkError("the answer's length is no number")
            answer.headers["connection"] = "close"  # its end is the end of the connection

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self._is_chunked and not self._left:
            self._left = await self._next_chunk()
        if self._left == 0:
            raise StopAsyncIteration
        piece = await self._reader.some(1 << 20 if self._left is None else self._left)
        if self._left is not None:
            if not len(piece):
                raise LinkError("the answer ended early")
            self._left -= len(piece)
        elif not len(piece):
            raise StopAsyncIteration
        return piece

    async def _next_chunk(self):
        """Its size; 0 after the last, when its trailers are read as well."""
        if not self._is_first and await self._reader.line():
            raise LinkError("a chunk is longer than it said")
        self._is_first = False
        size = (await self._reader.line()).split(b";", 1)[0].strip()
        if not 0 < len(size) <= 7 or size.lower().strip(b"0123456789abcdef"):
            raise LinkError("a chunk has no size")
        size = int(size, 16)
        if not size:
            await _headers(self._reader, {})
        return size
