"""Files over the real server: every range of them, slow readers, readers that leave, and what comes behind them."""

import hashlib
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter, Request
from starlette.responses import Response

from waystation.kernel import sending
from waystation.kernel.tests.served import Client, Served, app, served

SIZE = 24 << 20
router = APIRouter()


@router.api_route("/file", methods=["GET", "HEAD"])
async def give(request: Request) -> Response:
    path: Path = request.app.state.file
    kept = sending.Kept(path.open("rb"), SIZE, request.app.state.sha256)
    return sending.answer(request.headers, kept, "application/octet-stream")


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(5).randbytes(SIZE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("file") / "blob"
    path.write_bytes(content)
    hot = app()
    hot.app.include_router(router)  # type: ignore[attr-defined]
    hot.app.state.file, hot.app.state.sha256 = path, hashlib.sha256(content).hexdigest()  # type: ignore[attr-defined]
    with served(hot=hot) as running:
        yield running


def answer(client: Client) -> tuple[int, dict[str, str], bytes]:
    head = client.until("\r\n\r\n")
    lines = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    missing, body = int(lines.get("content-length", 0)), bytearray()
    while len(body) < missing:
        part = client.socket.recv(missing - len(body))
        assert part, f"closed after {len(body)} of {missing} bytes"
        body += part
    return int(head.split()[1]), lines, bytes(body)


def test_a_whole_file_and_parts_of_it_on_one_connection(site: Served, content: bytes) -> None:
    client = site.client()
    for _ in range(2):
        status, lines, body = answer(client.get("/file"))
        assert (status, lines["accept-ranges"], body == content) == (200, "bytes", True)
    status, lines, body = answer(client.get("/file", "range: bytes=1000-5000999\r\n"))
    assert (status, lines["content-range"]) == (206, f"bytes 1000-5000999/{SIZE}")
    assert body == content[1000:5_001_000]
    assert answer(client.get("/file", "range: bytes=-7\r\n"))[2] == content[-7:]
    assert answer(client.get("/file", f"range: bytes={SIZE}-\r\n"))[0] == 416
    assert client.get("/plain").answer() == (200, '"plain"')


def test_answers_behind_a_file_come_in_order(site: Served, content: bytes) -> None:
    client = site.client()
    client.get("/file").get("/plain").post("/hot/echo", "hello").get("/file", "range: bytes=5-9\r\n")
    assert answer(client)[2] == content
    assert client.answer() == (200, '"plain"')
    assert client.answer() == (200, "hello")
    assert answer(client)[2] == content[5:10]


def test_only_the_head_when_only_that_is_asked_for(site: Served) -> None:
    client = site.client()
    client.send("HEAD /file HTTP/1.1\r\nhost: x\r\n\r\n")
    assert f"content-length: {SIZE}" in client.until("\r\n\r\n")
    assert client.get("/plain").answer() == (200, '"plain"')


def test_a_client_that_reads_nothing_is_cut_and_others_are_served(site: Served) -> None:
    small = site.client(set=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)])
    small.get("/file")
    assert site.is_honest_to_others()
    time.sleep(3)
    with pytest.raises(AssertionError):
        answer(small)
    assert site.is_honest_to_others()


def test_a_slow_client_that_goes_on_reading_gets_all_of_it(site: Served, content: bytes) -> None:
    slow = site.client(set=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)])
    slow.get("/file", "range: bytes=0-12582911\r\n")
    slow.until("\r\n\r\n")
    body = bytearray()
    while len(body) < 12_582_912:
        body += slow.socket.recv(262_144)
        time.sleep(0.02)
    assert body == content[:12_582_912]


def test_a_client_that_leaves_in_the_middle_harms_nobody(site: Served) -> None:
    for _ in range(20):
        gone = site.client()
        gone.get("/file")
        gone.socket.recv(100_000)
        gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        gone.close()
    assert site.is_honest_to_others()


def test_a_client_of_http_1_0_reads_until_the_end(site: Served, content: bytes) -> None:
    client = site.client().send("GET /file HTTP/1.0\r\n\r\n")
    client.until("\r\n\r\n")
    body = bytearray()
    while part := client.socket.recv(1 << 20):
        body += part
    assert body == content
