"""The reader of answers, under CPython: whatever comes over the wire, it ends with an answer or with `LinkError`."""

import asyncio
import importlib.util
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from firmware.micropython.tests.interpreter import FOLDER
from hypothesis import given
from hypothesis import strategies as st

BUFFER_BYTES = 64
MOST_BYTES = 200
TOKENS = [
    *(
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 \r\n",
        b"HTTP/1.0 404\r\n",
        b"HTTP/2 200\r\n",
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
    ),
    *(b"Content-Length: 5\r\n", b"content-length:-1\r\n", b"Content-Length: 99999999999999999999\r\n", b"hello", b"0"),
    *(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"fffffff\r\n", b"0\r\n\r\n", b"-1\r\n", b";", b":", b" "),
    *(b"Connection: close\r\n", b"Retry-After: x\r\n", b"\xff\xfe: \xff\r\n", b"x" * 63, b"x" * 64, b"\x00"),
]


def _client() -> ModuleType:
    """The package `waystation` of this folder, by another name than the hub's."""
    where = FOLDER / "waystation"
    spec = importlib.util.spec_from_file_location(
        "waystation_micropython", where / "__init__.py", submodule_search_locations=[str(where)]
    )
    assert spec
    assert spec.loader
    sys.modules[spec.name] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    return package


_client()
answer = importlib.import_module("waystation_micropython.answer")
errors = importlib.import_module("waystation_micropython.errors")


@dataclass
class Wire:
    """A stream that gives what it has in pieces of these sizes, then ends."""

    content: bytes
    sizes: list[int]

    async def readinto(self, buffer: memoryview) -> int:
        size = min(self.sizes.pop(0) if self.sizes else 1000, len(buffer), len(self.content))
        buffer[:size] = self.content[:size]
        self.content = self.content[size:]
        return size


def read(content: bytes, sizes: list[int], method: str = "GET", take: Any = None) -> Any:
    reader = answer.Reader(Wire(content, sizes), bytearray(BUFFER_BYTES))
    return asyncio.run(answer.read(reader, method, take, MOST_BYTES))


sizes = st.lists(st.integers(1, 70), max_size=30)
bodies = st.binary(max_size=MOST_BYTES)


@given(st.one_of(st.binary(max_size=500), st.lists(st.sampled_from(TOKENS), max_size=25).map(b"".join)), sizes)
def test_any_bytes_are_an_answer_or_a_link_error(content: bytes, sizes: list[int]) -> None:
    pieces: list[int] = []
    try:
        found = read(content, sizes, take=lambda answer, piece: pieces.append(len(piece)))
    except errors.LinkError:
        return
    assert 200 <= found.status <= 999
    assert len(found.body) <= MOST_BYTES
    assert sum(pieces) <= len(content)


@given(bodies, sizes, st.integers(200, 599).filter(lambda status: status not in (204, 304)))
def test_a_body_with_a_length_comes_whole(body: bytes, sizes: list[int], status: int) -> None:
    found = read(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%brest" % (status, len(body), body), sizes)
    assert (found.status, found.body) == (status, body)


@given(bodies, sizes, st.lists(st.integers(1, 50), max_size=20))
def test_a_body_in_chunks_comes_whole(body: bytes, sizes: list[int], cuts: list[int]) -> None:
    chunks, left = b"", body
    while left:
        size = cuts.pop() if cuts else len(left)
        piece, left = left[:size], left[size:]
        chunks += b"%x;q\r\n%b\r\n" % (len(piece), piece)
    found = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\nT: t\r\n\r\n" % chunks, sizes)
    assert found.body == body


@given(bodies, sizes)
def test_a_body_without_a_length_ends_with_the_connection(body: bytes, sizes: list[int]) -> None:
    found = read(b"HTTP/1.1 200 OK\r\n\r\n" + body, sizes)
    assert found.body == body
    assert found.headers["connection"] == "close"


@given(bodies, sizes, st.data())
def test_an_answer_that_is_cut_is_never_taken_for_a_whole_one(
    body: bytes, sizes: list[int], data: st.DataObject
) -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(errors.LinkError):
        read(whole[:cut], sizes)


@pytest.mark.parametrize("method", ["HEAD"])
def test_the_answer_to_head_has_no_body(method: str) -> None:
    found = read(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nUpload-Offset: 7\r\n\r\n", [], method)
    assert found.number("upload-offset") == 7


@pytest.mark.parametrize("size", ["-5", "+5", "0x5", "5_0", "", " ", "g", "123456789"])
def test_a_chunk_without_a_plain_size_is_refused(size: str) -> None:
    with pytest.raises(errors.LinkError):
        read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b\r\nhello\r\n" % size.encode(), [])
