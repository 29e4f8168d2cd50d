"""Devices that ask: poll, long poll, and what they say became of it, through the front door."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from tests.site import standing_site

from waystation import commands
from waystation.commands import Command, State
from waystation.commands.tests.house import NEXT, House
from waystation.commands.tests.site import OWNER
from waystation.kernel.stopping import Stopping


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with standing_site(tmp_path) as site:
        yield House(site)


def test_a_device_takes_its_command_and_says_done(house: House) -> None:
    assert house.poll() is None
    sent = house.send("set-interval", parameters={"seconds": 30}, expires_at=house.site.clock.now().replace(hour=20))
    assert house.poll() == {
        "id": sent.uid,
        "name": "set-interval",
        "parameters": {"seconds": 30},
        "attempt": 1,
        "once": False,
        "lease_seconds": 60,
        "expires_at": "2026-11-21T20:00:00Z",
    }
    assert house.poll() is None
    assert house.say({"id": sent.uid, "state": "done", "result": {"was": 60}}).json == {"id": sent.uid, "state": "done"}
    assert house.say({"id": sent.uid, "state": "done"}).status == 200
    assert house.say({"id": sent.uid, "state": "failed"}).status == 409
    assert house.seen(sent).result == {"was": 60}


def test_an_idle_poll_never_looks_into_the_database(house: House) -> None:
    house.poll()
    asked: list[str] = []
    event.listen(house.site.database.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    for _ in range(20):
        assert house.poll() is None
        assert house.poll("?wait=0") is None
    mine = [statement for statement in asked if "command.device_id =" in statement]
    assert mine == []


def test_a_long_poll_is_answered_when_something_is_queued(house: House) -> None:
    held = house.begin_poll()
    sent = house.send()
    assert held.result(30).json["command"]["id"] == sent.uid


def test_a_long_poll_ends_after_its_time_with_nothing(house: House) -> None:
    assert house.begin_poll(0.05).result(30).json == {"command": None}


def test_a_newer_poll_of_a_device_ends_the_older(house: House) -> None:
    house.poll()  # whoever is known by now keeps its turn
    older = house.begin_poll()
    newer = house.begin_poll()
    assert older.result(30).json == {"command": None}
    sent = house.send("reboot")
    assert newer.result(30).json["command"]["id"] == sent.uid


def test_long_polls_end_when_the_process_stops(house: House) -> None:
    held = house.begin_poll()
    house.poll()  # the other one waits by now
    portal = house.site.client.portal
    assert portal is not None
    portal.call(house.site.parts.get(Stopping).begin)
    assert held.result(30).json == {"command": None}


def test_what_waits_for_its_time_comes_when_it_is_there(house: House) -> None:
    clock = house.site.clock
    sent = house.send(not_before=clock.at.replace(minute=1))
    assert house.poll() is None
    clock.turn(60)
    assert house.poll()["id"] == sent.uid
    clock.turn(60)
    assert house.poll()["attempt"] == 2


@pytest.mark.parametrize("wait", ["61", "-1", "x", "nan", ""])
def test_a_wait_that_cannot_be_is_refused(house: House, wait: str) -> None:
    assert house.site.ask("GET", f"{NEXT}?wait={wait}", house.porch.authorization).status == 400


def test_of_an_array_each_outcome_stands_for_itself(house: House) -> None:
    first, second = house.send("a"), house.send("b")
    assert {house.poll()["name"], house.poll()["name"]} == {"a", "b"}
    told = house.say(
        [
            {"id": first.uid, "state": "done"},
            {"id": "unknown", "state": "done"},
            {"id": second.uid, "state": "well"},
            {"state": "done"},
        ]
    )
    good, *refused = told.json["outcomes"]
    assert (told.status, good) == (200, {"id": first.uid, "state": "done"})
    assert [one["code"] for one in refused] == ["not_found", "invalid", "invalid"]
    assert house.seen(second).state is State.LEASED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"{}",
        b"[1]x",
        b'{"id":"x","state":"queued"}',
        b'{"id":"x","state":"done","result":"' + b"x" * 4096 + b'"}',
        b'{"id":"x","state":"running","lease_seconds":3601}',
        b"[" * 100_000,
        b"[" + b",".join([b'{"id":"x","state":"done"}'] * 101) + b"]",
    ],
)
def test_what_is_no_outcome_is_refused_in_one_sentence(house: House, body: bytes) -> None:
    answer = house.say(body)
    assert (answer.status, answer.json["code"]) == (400, "invalid")


def test_a_device_sees_and_finishes_only_its_own(house: House) -> None:
    cellar = house.site.device(house.home, "Cellar")
    sent = house.send()
    assert house.poll(device=cellar) is None
    assert house.say({"id": sent.uid, "state": "done"}, cellar).status == 404
    assert house.site.ask("GET", NEXT).status == 401
    assert house.poll()["id"] == sent.uid


def test_who_has_hung_up_is_handed_nothing(house: House) -> None:
    sent = house.send("reboot")
    delivery = house.site.parts.get(commands.Delivery)
    portal = house.site.client.portal
    assert portal is not None

    async def take() -> Command | None:
        return await delivery.take(house.porch.id, link="http", is_gone=lambda: True)

    assert portal.call(take) is None
    assert house.seen(sent).attempt == 0


def test_late_evidence_survives_the_refusal(house: House) -> None:
    sent = house.send()
    house.poll()
    with house.site.database.write() as tx:
        commands.cancel(tx, OWNER, sent, house.site.clock.now())
    assert house.say({"id": sent.uid, "state": "done"}).status == 409
    with house.site.database.read() as tx:
        assert commands.events(tx, sent.number)[-1].what is commands.What.LATE
