"""Attacks and odd clients, each next to honest requests on the same server."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.sync.client import connect

from waystation.kernel.hot import Hot
from waystation.kernel.tests.served import IMPATIENT, Client, Served, app, served


@pytest.fixture(scope="module")
def site() -> Iterator[Served]:
    with served() as running:
        yield running


def drip(client: Client, start: str, drop: str) -> str:
    """Sends a drop again and again until the server has had enough; what it said."""
    client.send(start)
    try:
        while True:
            client.send(drop)
            time.sleep(0.02)
            client.socket.setblocking(False)
            try:
                if (seen := client.socket.recv(4096)) is not None:
                    return seen.decode()
            except BlockingIOError:
                client.socket.settimeout(20)
    except (BrokenPipeError, ConnectionResetError):
        return ""


def test_headers_that_drip_are_answered_408(site: Served) -> None:
    assert drip(site.client(), "GET /plain HTTP/1.1\r\nhost: x\r\n", "x").startswith("HTTP/1.1 408")
    assert site.is_honest_to_others()


def test_fifty_half_open_clients_do_not_stop_an_honest_one(site: Served) -> None:
    silent = [site.client() for _ in range(50)]
    for client in silent[:25]:
        client.send("POST /hot/ec")
    assert site.is_honest_to_others()
    said = [client.rest() for client in silent]
    assert all(answer.startswith("HTTP/1.1 408") for answer in said[:25])
    assert set(said[25:]) == {""}


@pytest.mark.parametrize("path", ["/hot/echo", "/length"])
def test_a_body_that_drips_is_answered_408(site: Served, path: str) -> None:
    answer = drip(site.client(), f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n", "x")
    assert answer.startswith("HTTP/1.1 408")
    assert "connection: close" in answer
    assert site.is_honest_to_others()


@pytest.mark.parametrize("path", ["/hot/echo", "/length"])
def test_a_steady_body_may_take_longer_than_the_time_out(site: Served, path: str) -> None:
    client = site.client().send(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n")
    for _ in range(10):
        time.sleep(0.08)
        client.send("x" * 500)
    assert client.answer()[0] == 200


def test_the_second_request_has_its_own_deadline(site: Served) -> None:
    client = site.client()
    assert client.post("/hot/echo", "a").answer() == (200, "a")
    assert client.send("POST /hot/ec").rest().startswith("HTTP/1.1 408")


def test_an_idle_connection_is_closed_without_a_word(site: Served) -> None:
    client = site.client()
    client.post("/hot/echo", "a").answer()
    assert client.rest() == ""


@pytest.mark.parametrize("path", ["/hot/echo", "/plain"])
@pytest.mark.parametrize("header", ["x-long: " + "a" * 40_000, "\r\n".join(f"x-{n}: 1" for n in range(200))])
def test_headers_beyond_the_cap_are_answered_431(site: Served, path: str, header: str) -> None:
    assert site.client().post(path, "a", f"{header}\r\n").rest().startswith("HTTP/1.1 431")
    assert site.is_honest_to_others()


def test_an_endless_header_is_answered_431(site: Served) -> None:
    client = site.client().send("GET /plain HTTP/1.1\r\nx-long: ")
    for _ in range(40):
        client.send("a" * 1000)
    assert client.rest().startswith("HTTP/1.1 431")


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(site: Served) -> None:
    for path in ("/hot/echo", "/length"):
        client = site.client().send(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100001\r\n\r\n")
        status, body = client.answer()
        assert (status, json.loads(body)["code"]) == (413, "too_large")
        assert client.rest() == ""


@pytest.mark.parametrize("path", ["/hot/echo", "/length"])
def test_a_chunked_body_beyond_the_cap_is_refused_while_it_is_sent(site: Served, path: str) -> None:
    client = site.client().send(f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(3):
        client.send(f"{50_000:x}\r\n" + "x" * 50_000 + "\r\n")
    assert client.rest().startswith("HTTP/1.1 413")
    assert site.is_honest_to_others()


def test_a_path_may_have_a_larger_cap() -> None:
    with served(replace(IMPATIENT, larger_bodies=((b"/length", 300_000),))) as site:
        assert site.client().post("/length", "x" * 200_000).answer() == (200, "200000")
        assert site.client().post("/hot/echo", "x" * 200_000).rest().startswith("HTTP/1.1 413")


@pytest.mark.parametrize(
    "junk", ["HELO there\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\x00\x01", "GET /a b HTTP/1.1\r\n\r\n"]
)
def test_what_is_not_http_is_answered_400_and_closed(site: Served, junk: str) -> None:
    answer = site.client().send(junk).rest()
    assert answer.startswith("HTTP/1.1 400")
    assert "connection: close" in answer
    assert site.is_honest_to_others()


@pytest.mark.parametrize(
    "framing",
    [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
        "content-length: 3\r\ncontent-length: 4\r\n",
        "content-length: 99999999999999999999999\r\n",
        "transfer-encoding: chunked, identity\r\n",
    ],
)
def test_a_body_with_two_lengths_is_refused(site: Served, framing: str) -> None:
    smuggled = "3\r\nabc\r\n0\r\n\r\nGET /plain HTTP/1.1\r\n\r\n"
    answer = site.client().send(f"POST /hot/echo HTTP/1.1\r\nhost: x\r\n{framing}\r\n{smuggled}").rest()
    assert answer.startswith("HTTP/1.1 400")
    assert "HTTP/1.1 200" not in answer


def test_chunk_headers_without_content_are_refused(site: Served) -> None:
    client = site.client().send("POST /hot/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    client.send(f"1;{'e' * 100}\r\nx\r\n" * 1000)
    assert client.rest().startswith("HTTP/1.1 400")


def test_a_chunked_body_with_trailers_is_one_body(site: Served) -> None:
    client = site.client().send("POST /hot/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    client.send("2\r\nab\r\n3;why=not\r\ncde\r\n0\r\nx-sum: 1\r\n\r\n")
    assert client.answer() == (200, "abcde")


def test_answers_leave_in_the_order_of_the_requests(site: Served) -> None:
    client = site.client()
    for number in range(10):
        client.post("/hot/later", f"{number}").get("/plain").post("/hot/echo", f"{number}!").post("/length", "abc")
    answers = [client.answer()[1] for _ in range(40)]
    assert answers == [text for number in range(10) for text in (f"{number}", '"plain"', f"{number}!", "3")]


def test_too_many_requests_at_once_on_one_connection_are_refused_after_the_first(site: Served) -> None:
    said = site.client().send("POST /hot/later HTTP/1.1\r\ncontent-length: 1\r\n\r\na" * 500).rest()
    assert said.startswith("HTTP/1.1 200")
    assert said.count("HTTP/1.1 429") == 1
    assert site.is_honest_to_others()


def test_a_malformed_second_request_is_refused_after_the_first_is_answered(site: Served) -> None:
    said = site.client().post("/hot/later", "first").send("rubbish\r\n\r\n").rest()
    assert said.index("first") < said.index("HTTP/1.1 400")


def test_a_client_that_asks_first_is_told_to_continue(site: Served) -> None:
    for path in ("/hot/echo", "/length"):
        client = site.client().send(
            f"POST {path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
        )
        assert client.until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n"
        assert client.send("ab").answer()[0] == 200


def test_who_does_not_read_a_large_answer_is_cut(site: Served) -> None:
    small = {"set": [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]}
    greedy = [site.client(**small).get("/big") for _ in range(5)]
    assert site.is_honest_to_others()
    while site.server.edge.traffic.connections:
        time.sleep(0.05)
    assert all(len(client.rest()) < 500 * 65_536 for client in greedy)


def test_who_asks_on_and_on_without_reading_is_cut(site: Served) -> None:
    client = site.client(set=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
    request = f"POST /hot/echo HTTP/1.1\r\ncontent-length: 90000\r\n\r\n{'x' * 90_000}"
    with pytest.raises((ConnectionError, TimeoutError)):
        _send_for_ever(client, request)
    assert site.is_honest_to_others()


def test_one_address_has_only_so_many_connections() -> None:
    with served(replace(IMPATIENT, max_connections_per_address=5, header_timeout_seconds=30)) as site:
        inside = [site.client() for _ in range(5)]
        assert inside[0].get("/plain").answer()[0] == 200
        assert site.client().rest().startswith("HTTP/1.1 429")
        inside.pop().close()
        while site.server.edge.traffic.connections > 4:
            time.sleep(0.01)
        assert site.client().get("/plain").answer()[0] == 200


def test_everybody_together_has_only_so_many_connections() -> None:
    with served(replace(IMPATIENT, max_connections=5, header_timeout_seconds=30)) as site:
        inside = [site.client() for _ in range(5)]
        assert site.client().rest().startswith("HTTP/1.1 503")
        assert inside[0].get("/plain").answer()[0] == 200


def test_a_client_that_closes_its_side_still_gets_its_answer(site: Served) -> None:
    client = site.client().post("/hot/later", "abc")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.rest().endswith("abc")


def test_a_client_that_leaves_does_not_disturb_its_request(site: Served) -> None:
    for _ in range(20):
        site.client().post("/hot/later", "abc").close()
        site.client().post("/length", "abc").close()
    assert site.is_honest_to_others()


def test_old_clients_get_one_answer_and_a_close(site: Served) -> None:
    assert "connection: close" in site.client().send("POST /hot/echo HTTP/1.0\r\ncontent-length: 1\r\n\r\na").rest()
    assert site.client().post("/hot/echo", "a", "connection: close\r\n").rest().endswith("a")


def test_an_upgrade_that_we_do_not_speak_is_answered_as_plain_http_and_closed(site: Served) -> None:
    said = site.client().get("/plain", "connection: upgrade\r\nupgrade: h2c\r\n").get("/plain").rest()
    assert said.count("HTTP/1.1 200") == 1
    assert "connection: close" in said


def test_an_early_answer_leaves_the_connection_usable(site: Served) -> None:
    client = site.client().send("POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 70000\r\n\r\n")
    assert client.answer() == (200, '"early"')
    assert client.send("x" * 70_000).get("/plain").answer() == (200, '"plain"')


def test_a_fault_of_a_hot_endpoint_is_a_500_with_a_reference(site: Served) -> None:
    client = site.client()
    status, body = client.post("/hot/broken").answer()
    told = json.loads(body)
    assert (status, told["status"]) == (500, 500)
    assert told["reference"] in told["detail"]
    assert client.post("/hot/echo", "alive").answer() == (200, "alive")


def test_a_domain_error_of_a_hot_endpoint_says_when_to_come_again(site: Served) -> None:
    head = site.client().post("/hot/refusing").until("\r\n\r\n")
    assert head.startswith("HTTP/1.1 429")
    assert "retry-after: 3" in head


def test_an_endpoint_cannot_add_headers_by_a_line_break(site: Served) -> None:
    assert site.client().post("/hot/splitting").answer()[0] == 500


def test_other_methods_on_a_hot_path_reach_the_framework(site: Served) -> None:
    client = site.client()
    assert client.get("/hot/echo").answer() == (200, '"from the framework"')
    assert client.post("/hot/echo/?a=1", "slash").answer() == (200, "slash")
    assert client.send("PUT /hot/echo HTTP/1.1\r\nhost: x\r\n\r\n").answer()[0] == 405


def test_a_trusted_proxy_names_the_client_and_nobody_else_does(site: Served) -> None:
    forwarded = "x-forwarded-for: 1.1.1.1, 9.9.9.9\r\n"
    assert "x-ip: 127.0.0.1" in site.client().post("/hot/echo", "a", forwarded).until("\r\n\r\n")
    with served(replace(IMPATIENT, trusted_proxies=("127.0.0.1",))) as trusting:
        assert "x-ip: 9.9.9.9" in trusting.client().post("/hot/echo", "a", forwarded).until("\r\n\r\n")


def test_a_web_socket_is_counted_until_it_ends(site: Served) -> None:
    while site.server.edge.traffic.connections:
        time.sleep(0.05)
    with connect(f"ws://127.0.0.1:{site.port}/ws") as socket:
        time.sleep(IMPATIENT.idle_timeout_seconds * 2)  # no deadline of HTTP applies to it
        socket.send("hello")
        assert socket.recv() == "hello"
        assert site.server.edge.traffic.connections == 1
    while site.server.edge.traffic.connections:
        time.sleep(0.05)


def test_under_another_server_the_hot_routes_answer_the_same() -> None:
    hot = app()
    behind = Hot(hot, [], hot.parts, hot.max_body_bytes)  # no hot routes of its own: all of it is an ASGI app
    with served(replace(IMPATIENT, max_body_bytes=1_000_000), behind) as site:
        client = site.client()
        assert client.post("/hot/echo", "abc").answer() == (200, "abc")
        assert client.post("/hot/broken").answer()[0] == 500
        assert client.post("/hot/echo", "x" * 100_001).answer()[0] == 413
        assert client.get("/plain").answer() == (200, '"plain"')


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/hot/words/esp-1", "esp-1 "),
        ("/hot/words/esp-1/?token=a%26b", "esp-1 token=a%26b"),
        ("/hot/words/a%2Fb%ff", "a/b\ufffd "),
        ("/hot/words/esp-1/spelt", "esp-1 "),
        ("/hot/words/esp-1/spelt/?x", "esp-1 x"),
    ],
)
def test_a_hot_path_may_have_an_open_word(path: str, answer: str, site: Served) -> None:
    assert site.client().get(path).answer() == (200, answer)


@pytest.mark.parametrize("path", ["/hot/words", "/hot/words/", "/hot/words/a/b", "/hot/words/a/spelt/b"])
def test_an_open_word_is_one_word(path: str, site: Served) -> None:
    assert site.client().get(path).answer()[0] == 404


STREAM = b"".join(
    b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab%02d" % (path, number)
    for number, path in enumerate([b"/hot/echo", b"/hot/later", b"/length", b"/hot/echo", b"/length", b"/hot/later"])
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_it_does_not_matter_where_the_network_cuts_a_stream(site: Served, cuts: list[int]) -> None:
    client = site.client()
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    edges = [0, *sorted(cuts), len(STREAM)]
    for start, end in itertools.pairwise(edges):
        client.send(STREAM[start:end])
    assert [client.answer()[1] for _ in range(6)] == ["ab00", "ab01", "4", "ab03", "4", "ab05"]
    client.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(
        st.one_of(
            st.binary(max_size=200),
            st.sampled_from(
                [
                    b"POST /hot/echo HTTP/1.1\r\n",
                    b"transfer-encoding: chunked\r\n",
                    b"content-length: 5\r\n",
                    b"\r\n",
                    b"5\r\nhello\r\n",
                    b"0\r\n\r\n",
                    b"connection: upgrade\r\nupgrade: websocket\r\n",
                    b"GET /plain HTTP/1.1\r\n",
                    b"expect: 100-continue\r\n",
                ]
            ),
        ),
        max_size=15,
    )
)
def test_no_bytes_whatever_stop_the_server(site: Served, parts: list[bytes]) -> None:
    client = site.client()
    try:
        for part in parts:
            client.send(part)
        client.socket.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    client.rest()
    client.close()
    assert site.is_honest_to_others()


def test_what_is_being_answered_when_the_server_stops_is_answered() -> None:
    with served() as site:
        hot, plain = site.client().post("/hot/slow"), site.client().get("/slow")
        assert site.gate.entered.wait(20)
        site.stop()
        threading.Timer(0.3, site.gate.opened.set).start()
        assert hot.rest().endswith("late")
        assert plain.rest().endswith('"late"')


def test_a_stop_ends_idle_connections_and_live_streams_at_once() -> None:
    with served(replace(IMPATIENT, idle_timeout_seconds=600)) as site:
        idle = site.client()
        idle.get("/plain").answer()
        live = site.client().get("/live", "accept: text/event-stream\r\n")
        live.until("data: tick")
        site.stop()
        assert idle.rest() == ""
        live.rest()


def _send_for_ever(client: Client, request: str) -> None:
    while True:
        client.send(request)
