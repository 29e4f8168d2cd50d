"""The client against a server of this process that does what it is told, byte by byte."""

import asyncio

import board
from waystation.client import Client, address
from waystation.clock import Clock
from waystation.errors import Busy, Denied, LinkError, Refused

PORTS = iter(range(18930, 19930))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Each connection is one of `scripts`: what is answered to its first, second … request; None ends it."""

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.requests = []
        self.connections = 0

    async def __aenter__(self):
        port = await self._listen()
        self.client = Client("http://127.0.0.1:%d" % port, "Device k:s", Clock(), timeout_seconds=1)
        return self

    async def _listen(self):
        for port in PORTS:
            try:
                self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
            except OSError:
                pass  # somebody else has it
            else:
                return port

        raise OSError("every port is taken")

    async def __aexit__(self, *fault):
        await self.client.close()
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        for answer in script:
            request = await self._request(reader)
            if request is None or answer is None:
                break
            self.requests.append(request)
            writer.write(answer)
            await writer.drain()
        else:
            await self._until_closed(reader)
        writer.close()
        await writer.wait_closed()

    async def _until_closed(self, reader):
        try:
            await reader.read(1)
        except OSError:
            pass

    async def _request(self, reader):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = await reader.read(1)
            if not piece:
                return None
            head += piece
        length = 0
        for line in head.split(b"\r\n"):
            if line.startswith(b"Content-Length:"):
                length = int(line[15:])
        return head + (await reader.readexactly(length) if length else b"")


def raises(kind, fault):
    if not isinstance(fault, kind):
        raise fault
    return fault


async def failure_of(*answers):
    async with Server(answers) as server:
        try:
            await server.client.call("GET", "/")
        except Exception as fault:
            return fault
    raise AssertionError("it did not fail")


async def test_calls_share_one_connection():
    async with Server([OK, OK, OK]) as server:
        assert await server.client.call("GET", "/a") == {}
        assert await server.client.call("POST", "/b", {"x": "ä"}) == {}
        assert await server.client.call("GET", "/c") == {}
        assert server.connections == 1
    assert server.requests[0] == b"GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Device k:s\r\n\r\n"
    assert server.requests[1].endswith(b'Content-Length: 11\r\nContent-Type: application/json\r\n\r\n{"x": "\xc3\xa4"}')


async def test_a_connection_that_was_closed_while_idle_is_opened_again():
    async with Server([OK, None], [OK]) as server:
        await server.client.call("GET", "/a")
        await server.client.call("POST", "/b", {})
        assert server.connections == 2


async def test_half_an_answer_is_not_asked_again():
    async with Server([OK, b"HTTP/1.1 200 OK\r\nContent-Le", None], [OK]) as server:
        await server.client.call("GET", "/a")
        try:
            await server.client.call("POST", "/b", {})
            raise AssertionError("it did not fail")
        except LinkError:
            pass
        assert await server.client.call("GET", "/c") == {}
        assert server.connections == 2


async def test_a_silent_hub_is_given_up():
    raises(LinkError, await failure_of(b""))


async def test_a_hub_that_stops_in_the_middle_is_given_up():
    raises(LinkError, await failure_of(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"))


async def test_nobody_at_home_is_a_link_error():
    try:
        await Client("http://127.0.0.1:1", timeout_seconds=1).call("GET", "/")
        raise AssertionError("somebody was at home")
    except LinkError:
        pass


async def test_chunks_and_interim_answers_are_understood():
    head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked = head + b"3;a=b\r\n[1,\r\n2\r\n2]\r\n0\r\nX: y\r\n\r\n"
    async with Server([chunked, chunked]) as server:
        assert await server.client.call("GET", "/a") == [1, 2]
        assert await server.client.call("GET", "/b") == [1, 2]
        assert server.connections == 1


async def test_refusals_are_sorted_by_what_to_do():
    body = b'{"detail": "too much"}'
    head = b"HTTP/1.1 %d X\r\nRetry-After: 7\r\nContent-Length: %d\r\n\r\n"
    busy = raises(Busy, await failure_of(head % (429, len(body)) + body))
    assert (busy.status, busy.detail, busy.retry_seconds) == (429, "too much", 7)
    raises(Busy, await failure_of(head % (423, 0)))
    raises(Busy, await failure_of(head % (503, 0)))
    raises(Denied, await failure_of(head % (401, len(body)) + body))
    raises(Refused, await failure_of(head % (404, len(body)) + body))
    raises(LinkError, await failure_of(head % (302, 0)))


async def test_an_answer_that_is_too_large_is_refused_and_costs_nothing():
    raises(LinkError, await failure_of(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000))
    raises(LinkError, await failure_of(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000 + b"\r\n\r\n"))


async def test_the_hub_tells_the_time():
    answer = b"HTTP/1.1 200 OK\r\nDate: Sun, 29 Nov 2026 12:00:00 GMT\r\nContent-Length: 2\r\n\r\n{}"
    async with Server([answer]) as server:
        await server.client.call("GET", "/")
        assert 1795953600000 <= server.client.clock.now_ms() < 1795953602000


async def test_files_go_out_and_come_in_piece_by_piece():
    content = bytes(range(256)) * 10
    with open("file", "wb") as file:
        file.write(content)
    got = bytearray()
    answer = b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\n\r\n" % len(content) + content
    async with Server([OK, answer]) as server:
        with open("file", "rb") as file:
            file.seek(100)
            await server.client.request("PATCH", "/a", file, size=1000)
        await server.client.request("GET", "/b", take=lambda answer, piece: got.extend(piece))
    assert server.requests[0].endswith(b"\r\n\r\n" + content[100:1100])
    assert got == content


async def test_a_call_that_is_cancelled_leaves_the_client_usable():
    async with Server([b""], [OK]) as server:
        try:
            await asyncio.wait_for(server.client.call("GET", "/a"), 0.1)
        except asyncio.TimeoutError:
            pass
        assert await server.client.call("GET", "/b") == {}


def test_addresses():
    assert address("http://hub") == (False, "hub", 80)
    assert address("https://hub/") == (True, "hub", 443)
    assert address("http://10.0.0.1:8420") == (False, "10.0.0.1", 8420)
    for wrong in ("hub", "ftp://hub", "http://"):
        try:
            address(wrong)
            raise AssertionError(wrong)
        except ValueError:
            pass


board.run(globals())
