"""One kept connection to the hub.

A request waits for its turn, goes out, and its answer is read through the same small buffer each time. A connection
that the hub closed while it was idle is opened again without a word; everything else that breaks is a `LinkError`
at once, and nothing is ever waited for longer than `timeout_seconds`. Bodies may be bytes, or come from an open
file piece by piece; what arrives may go into a file the same way. With a `ssl` context for `tls` the connection is
encrypted, at the price of its buffers.
"""

import asyncio
import json

from . import answer as answers
from .errors import LinkError, problem


class Client:
    """Calls of one device. `authorization` is the header's value, once the device has a credential."""

    def __init__(self, url, authorization=None, clock=None, *, timeout_seconds=15, tls=None, buffer_bytes=512):
        self.secure, self.host, self.port = address(url)
        self.authorization = authorization
        self.clock = clock
        self.timeout_seconds = timeout_seconds
        self._tls = tls
        self._buffer = bytearray(buffer_bytes)
        self._turn = asyncio.Lock()
        self._stream = None
        self._reader = None

    async def call(self, method, path, value=None, *, most_bytes=1024, timeout_seconds=None):
        """JSON out and in. Anything but a 2xx is raised as a Problem."""
        body = None if value is None else json.dumps(value)
        answer = await self.request(method, path, body, most_bytes=most_bytes, timeout_seconds=timeout_seconds)
        return answer.json() if answer.body else None

    async def request(self, method, path, body=None, **options):
        """As `exchange`; anything but a 2xx is raised as a Problem."""
        answer = await self.exchange(method, path, body, **options)
        if not 200 <= answer.status < 300:
            raise problem(answer.status, _sentence(answer), answer.number("retry-after") or 0)
        return answer

    async def exchange(self, method, path, body=None, **options):
        """Any answer, whatever its status. Of the options:

        size             bytes of a body that is an open file, from where it stands
        headers          more lines, each with its line end
        take             called with (answer, piece) for each piece of a 2xx's body
        most_bytes       the longest body that is kept, without `take`
        timeout_seconds  for all of it; with a file or `take`, for each piece
        """
        async with self._turn:
            try:
                return await self._on_kept_connection(method, path, body, options)
            except BaseException as fault:  # also when cancelled: half an answer is nobody's
                await self._close()
                if isinstance(fault, (OSError, asyncio.TimeoutError)):
                    raise LinkError("%s %s: %r" % (method, path, fault)) from None
                raise

    async def close(self):
        async with self._turn:
            await self._close()

    async def _on_kept_connection(self, method, path, body, options):
        seconds = options.get("timeout_seconds") or self.timeout_seconds
        start = body.tell() if hasattr(body, "readinto") else 0
        if self._stream is not None:
            try:
                return await self._within(seconds, self._once(method, path, body, options), body, options)
            except (OSError, LinkError):
                if not self._reader.is_untouched:
                    raise
                await self._close()  # the hub had closed it while it was idle
                if hasattr(body, "seek"):
                    body.seek(start)
        await asyncio.wait_for(self._open(), seconds)
        return await self._within(seconds, self._once(method, path, body, options), body, options)

    async def _within(self, seconds, exchange, body, options):
        if "take" in options or hasattr(body, "readinto"):
            self._stream.seconds = seconds
            return await exchange
        self._stream.seconds = None
        return await asyncio.wait_for(exchange, seconds)

    async def _open(self):
        tls = self._tls or (True if self.secure else None)
        options = {"ssl": tls, "server_hostname": self.host} if tls else {}
        reader, writer = await asyncio.open_connection(self.host, self.port, **options)
        self._stream = _Timed(reader, writer)
        self._reader = answers.Reader(self._stream, self._buffer)

    async def _close(self):
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                await stream.close()
            except OSError:
                pass

    async def _once(self, method, path, body, options):
        self._reader.is_untouched = True
        await self._send(method, path, body, options)
        answer = await answers.read(self._reader, method, options.get("take"), options.get("most_bytes", 1024))
        if self.clock and "date" in answer.headers:
            self.clock.learn_date(answer.headers["date"])
        if answer.headers.get("connection", "").lower() == "close" or not self._reader.is_empty():
            await self._close()
        return answer

    async def _send(self, method, path, body, options):
        size = options.get("size")
        if size is None:
            if isinstance(body, str):
                body = body.encode()
            size = len(body or b"")
        head = "%s %s HTTP/1.1\r\nHost: %s\r\n" % (method, path, self.host)
        if self.authorization:
            head += "Authorization: %s\r\n" % self.authorization
        more = options.get("headers", "")
        if body is not None or method in ("POST", "PATCH", "PUT"):
            head += "Content-Length: %d\r\n" % size
            if "Content-Type:" not in more:
                head += "Content-Type: application/json\r\n"
        await self._stream.write((head + more + "\r\n").encode())
        if hasattr(body, "readinto"):
            await self._send_file(body, size)
        elif body:
            await self._stream.write(body)

    async def _send_file(self, file, size):
        view = memoryview(self._buffer)  # free until the answer comes
        while size:
            count = file.readinto(view[: min(size, len(view))])
            if not count:
                raise OSError("the file became shorter while it was sent")
            await self._stream.write(view[:count])
            size -= count


class _Timed:
    """A stream whose every read and write ends within `seconds`, if there are any."""

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer
        self.seconds = None

    async def readinto(self, buffer):
        count = None
        while count is None:  # TLS: not a whole record yet
            count = await self._limited(self._reader.readinto(buffer))
        return count

    async def write(self, piece):
        self._writer.write(piece)
        await self._limited(self._writer.drain())

    async def _limited(self, step):
        if self.seconds is None:
            return await step
        return await asyncio.wait_for(step, self.seconds)

    async def close(self):
        self._writer.close()
        await self._writer.wait_closed()


def address(url):
    """Whether it is encrypted, host and port of `http[s]://host[:port]`."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("http", "https") or not rest:
        raise ValueError("a hub's address is http://host:port or https://host:port")
    host, _, port = rest.partition("/")[0].partition(":")
    secure = scheme == "https"
    return secure, host, int(port) if port else (443 if secure else 80)


def _sentence(answer):
    """What a problem document says to people (RFC 9457)."""
    try:
        return str(json.loads(answer.body).get("detail", ""))
    except (ValueError, AttributeError):
        return ""
