"""Webhooks: signed, bounded, and never led astray."""

import base64
import hashlib
import hmac
import socket
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from waystation.alerts.channels import guard, outward
from waystation.alerts.channels.tests.site import Receiver, Site, receiving
from waystation.alerts.channels.webhook import signing
from waystation.kernel.errors import Invalid
from waystation.kernel.outbox import NotSent


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def test_the_signature_is_that_of_the_specification() -> None:
    """The vector that libraries of Standard Webhooks are tested with."""
    secret, uid, body = (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
    )
    made = signing.headers(secret, uid, 1614265330, body)
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["", "secret", "whsec_", "whsec_AAAA", "whsec_not base64!", f"whsec_{'A' * 120}"])
def test_a_secret_that_no_library_would_take_is_refused(secret: str) -> None:
    with pytest.raises(Invalid):
        signing.check_secret(secret)


def test_a_notice_is_posted_with_a_signature_that_its_receiver_can_check(home: Site, receiver: Receiver) -> None:
    made = home.add("webhook", url=f"{receiver.url}/hook?a=b c".replace(" ", "+"))
    home.put()
    home.send_all()
    [taken] = receiver.taken
    assert taken.path == "/hook?a=b+c"
    message = msgspec.json.decode(taken.body)
    assert message["type"] == "alert.fired"
    assert message["data"]["lines"][0]["device_name"] == "Küche"
    assert message["data"]["url"] == "https://hub.example/alerts/incidents/inc1"
    assert taken.headers["content-type"] == "application/json"
    signed = f"{taken.headers['webhook-id']}.{taken.headers['webhook-timestamp']}.".encode() + taken.body
    key = base64.b64decode(made.shown_once["secret"].removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert taken.headers["webhook-signature"] == f"v1,{expected}"
    assert [one.state for one in home.deliveries()] == ["sent"]
    assert home.channel(made).sent_at == home.house.clock.now()


def test_the_same_notice_comes_again_under_the_same_id_with_a_new_signature(home: Site, receiver: Receiver) -> None:
    receiver.answers = [(500, {}, b"not now")]
    made = home.add("webhook", url=receiver.url)
    home.put()
    home.send_all()
    [failed] = home.deliveries()
    assert failed.state == "waiting"
    assert "answered 500" in (failed.fault or "")
    assert home.channel(made).fault == failed.fault
    home.house.clock.turn(5)
    home.send_all()
    first, second = receiver.taken
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert [(one.state, one.tries) for one in home.deliveries()] == [("sent", 2)]
    assert home.channel(made).fault is None


def test_a_redirect_is_not_followed(home: Site, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.answers = [(307, {"location": f"{elsewhere.url}/in"}, b"")]
        home.add("webhook", url=receiver.url)
        home.put()
        home.send_all()
        assert elsewhere.taken == []
    assert "redirects are not followed" in (home.deliveries()[0].fault or "")


def test_a_receiver_that_is_gone_is_asked_no_more(home: Site, receiver: Receiver) -> None:
    receiver.answers = [(410, {}, b"")]
    home.add("webhook", url=receiver.url)
    home.put()
    home.send_all()
    assert [one.state for one in home.deliveries()] == ["given up"]
    home.house.clock.turn(86400)
    home.send_all()
    assert len(receiver.taken) == 1


def test_an_address_that_comes_to_mean_this_machine_is_not_connected_to(
    home: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name pointed to the internet when it was typed: what counts is where it points when we connect."""
    cloud = home.with_(webhook_private_networks=())
    cloud.add("webhook", url=f"http://rebound.example:{receiver.port}/")
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", receiver.port))]
    monkeypatch.setattr(guard.socket, "getaddrinfo", lambda *_a, **_k: here)
    cloud.put()
    cloud.send_all()
    assert receiver.taken == []
    assert [one.state for one in cloud.deliveries()] == ["given up"]


def test_a_name_is_looked_up_once_and_connected_to_as_it_was_checked(
    home: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    there = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", receiver.port))
    real = socket.getaddrinfo

    def answer(host: str, *more: Any, **named: Any) -> Any:
        if host != "hook.example":
            return real(host, *more, **named)
        asked.append(host)
        return [there]

    monkeypatch.setattr(guard.socket, "getaddrinfo", answer)
    home.add("webhook", url=f"http://hook.example:{receiver.port}/")
    home.put()
    home.send_all()
    assert asked == ["hook.example"]
    assert receiver.taken[0].headers["host"] == f"hook.example:{receiver.port}"


def test_an_endless_answer_is_read_to_its_cap_only(home: Site, receiver: Receiver) -> None:
    receiver.answers = [(200, {}, b"x" * 1_000_000)]
    assert len(outward.post(receiver.url, b"{}", {}, home.settings.webhook_private_networks).body) <= 65536


def test_an_answer_that_drips_is_broken_off(home: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outward, "WHOLE_SECONDS", 0.3)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            taken, _ = server.accept()
            with taken:
                taken.sendall(b"HTTP/1.1 200 OK\r\n")
                while not over.wait(0.05):
                    try:
                        taken.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(NotSent):
                outward.post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", {}, ("127.0.0.0/8",))
        finally:
            over.set()
            thread.join()


def test_the_address_and_the_secret_are_sealed_and_never_shown_again(home: Site, receiver: Receiver) -> None:
    made = home.add("webhook", url=f"{receiver.url}/T0P/SECRET")
    row = home.kept(made)
    assert b"SECRET" not in row.sealed
    assert "SECRET" not in str(row.config)
    assert made.shown_once["secret"].startswith("whsec_")
    assert made.channel.where == f"{receiver.url}/…"
    assert made.channel.secrets == {"url", "secret"}
    assert made.channel.config == {}
    receiver.answers = [(500, {}, b"")]
    home.put()
    home.send_all()
    assert "SECRET" not in (home.deliveries()[0].fault or "")
