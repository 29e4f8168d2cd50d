"""ntfy: what its documentation asks for, as a server gets it."""

from collections.abc import Iterator
from email.header import decode_header, make_header

import pytest

from waystation.alerts.channels.tests.site import LINE, Receiver, Site, receiving
from waystation.kernel.errors import Invalid


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def test_a_notice_has_title_priority_tags_and_a_link(home: Site, receiver: Receiver) -> None:
    home.add("ntfy", server=receiver.url, topic="lake_house", token="tk_secret")
    home.put()
    home.send_all()
    [taken] = receiver.taken
    assert taken.path == "/lake_house"
    assert str(make_header(decode_header(taken.headers["title"]))) == "High Temperature Alert - Küche"
    assert taken.headers["title"].isascii()
    assert taken.headers["priority"] == "5"
    assert taken.headers["tags"] == "rotating_light"
    assert taken.headers["click"] == "https://hub.example/alerts/incidents/inc1"
    assert taken.headers["authorization"] == "Bearer tk_secret"
    assert "is above 30 (31.2 °C)" in taken.body.decode()


def test_a_second_copy_replaces_the_first(home: Site, receiver: Receiver) -> None:
    receiver.answers = [(503, {}, b"")]
    home.add("ntfy", server=receiver.url, topic="t")
    home.put()
    home.send_all()
    home.house.clock.turn(5)
    home.send_all()
    assert len({taken.headers["x-sequence-id"] for taken in receiver.taken}) == 1
    assert len(receiver.taken) == 2
    assert "authorization" not in receiver.taken[0].headers


def test_a_recovery_does_not_wake_anybody(home: Site, receiver: Receiver) -> None:
    home.add("ntfy", server=receiver.url, topic="t")
    home.put(kind="recovered", subject="All is well")
    home.send_all()
    assert (receiver.taken[0].headers["priority"], receiver.taken[0].headers["tags"]) == ("3", "white_check_mark")
    assert receiver.taken[0].headers["title"] == "All is well"


def test_a_digest_of_a_thousand_devices_stays_a_message(home: Site, receiver: Receiver) -> None:
    home.add("ntfy", server=receiver.url, topic="t")
    home.put(kind="digest", lines=(LINE,) * 1000, more=17)
    home.send_all()
    assert len(receiver.taken[0].body) <= 4096


def test_a_server_that_wants_a_token_is_named_as_the_reason(home: Site, receiver: Receiver) -> None:
    receiver.answers = [(403, {}, b"")]
    home.add("ntfy", server=receiver.url, topic="t")
    home.put()
    home.send_all()
    assert "access token" in (home.deliveries()[0].fault or "")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"topic": ""},
        {"topic": "a/b"},
        {"topic": "x" * 65},
        {"topic": "t", "server": "ntfy.sh"},
        {"topic": "t", "token": "two words"},
        {"topic": "t", "colour": "red"},
        {"topic": "t\x00"},
    ],
)
def test_what_no_ntfy_would_take_is_refused(home: Site, given: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        home.add("ntfy", **given)
