"""The wire, where it is not a hub's usual answer."""

import socket
import threading
from collections.abc import Iterator

import pytest

from waystation_agent.backoff import pause_seconds
from waystation_agent.errors import Unreachable
from waystation_agent.link import Answer, Link, Server, http_date_us, retry_after_seconds
from waystation_agent.local_hub import LocalHub


@pytest.fixture
def talker() -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers every connection with the given bytes and hangs up."""
    answers: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            while answers or not started.is_set():
                try:
                    conversation, _ = listening.accept()
                except OSError:
                    return
                started.set()
                with conversation:
                    conversation.recv(65_536)
                    conversation.sendall(answers.pop(0))

        started = threading.Event()
        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", answers
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n" + b"x" * 90_000,
        b"HTTP/1.1 two hundred\r\n\r\n",
    ],
)
def test_what_is_not_a_whole_answer_is_no_answer(talker: tuple[str, list[bytes]], answer: bytes) -> None:
    url, answers = talker
    answers.append(answer)
    link = Link(Server(url))
    with pytest.raises(Unreachable):
        link.get("/health")
    link.close()


def test_an_address_with_a_path_is_kept(hub: LocalHub) -> None:
    link = Link(Server(f"{hub.url}/behind/a/proxy"))
    assert link.post("/api/readings", b"[]", {}).problem() == "There is nothing here."
    link.close()


def test_a_hub_that_closes_idle_connections_is_simply_connected_again(hub: LocalHub) -> None:
    link = Link(Server(hub.url))
    for _ in range(3):
        hub.faults.append("cut")
        with pytest.raises(Unreachable):
            link.post("/api/claim", b'{"code":"C","name":"n","api_key":"k"}', {})
        assert link.get("/health").status == 200
    link.close()


def test_tls_without_trust_is_refused(talker: tuple[str, list[bytes]]) -> None:
    url, answers = talker
    answers.append(b"not TLS")
    link = Link(Server(url.replace("http:", "https:")))
    with pytest.raises(Unreachable):
        link.get("/health")
    link.close()


def test_the_problem_is_the_hubs_sentence_or_the_status() -> None:
    assert Answer(507, b'{"title": "full", "detail": "The disk is full."}').problem() == "The disk is full."
    assert Answer(502, b"<html>").problem() == "the hub answered 502"
    assert Answer(502, b"[1]").problem() == "the hub answered 502"


def test_retry_after_is_seconds_or_a_date_on_the_hubs_clock() -> None:
    noon = http_date_us("Sun, 06 Nov 2050 12:00:00 GMT")
    assert retry_after_seconds("7", None) == 7
    assert retry_after_seconds("Sun, 06 Nov 2050 12:01:30 GMT", noon) == 90
    assert retry_after_seconds("Sun, 06 Nov 2050 11:00:00 GMT", noon) == 0
    assert retry_after_seconds("soon", noon) == 0
    assert retry_after_seconds(None, noon) == 0


def test_an_absurd_wish_to_wait_is_capped() -> None:
    assert pause_seconds(1, 0.0, 10**9) == 3_600


@pytest.mark.parametrize("text", [None, "", "yesterday", "Sun, 99 Nov 2050 12:00:00 GMT"])
def test_a_date_that_is_none_is_none(text: str | None) -> None:
    assert http_date_us(text) is None
