"""What a device is asked to do it does once, and the hub learns what became of it."""

import time

import pytest
from firmware.conformance.client import Manner
from firmware.conformance.house import House

pytestmark = pytest.mark.servers


def test_a_command_is_done_and_its_result_is_known(house: House) -> None:
    house.start()
    ended = house.until_ended(house.do("note", text="hello"))
    assert (ended["state"], ended["result"]) == ("done", {"noted": 1})
    assert house.client.notes() == ["hello"]


def test_a_command_that_is_not_known_is_rejected(house: House) -> None:
    house.start()
    ended = house.until_ended(house.desk.send(house.key, "no-such-thing", {"a": 1}))
    assert ended["state"] == "rejected"


def test_commands_are_done_once_and_in_order_although_answers_are_lost(house: House) -> None:
    house.start()
    house.key  # noqa: B018  waits for it
    house.link.lose_answer("/api/commands/outcome", times=2)
    sent = [house.do("note", text=f"{number}") for number in range(5)]
    assert [house.until_ended(one)["state"] for one in sent] == ["done"] * 5
    assert not house.link.faults_left
    assert house.client.notes() == [f"{number}" for number in range(5)]


@pytest.mark.faults
def test_a_command_whose_delivery_was_lost_comes_again_when_its_lease_is_over(house: House) -> None:
    """A minute: the hub cannot know that nobody heard it."""
    house.start()
    house.key  # noqa: B018  waits for it
    sent = house.do("note", text="once")
    house.link.lose_answer("/api/commands/next", times=3)
    house.until(lambda: house.desk.command(sent)["state"] != "queued", "it is handed out")
    assert house.until_ended(sent, seconds=120)["state"] == "done"
    assert house.client.notes() == ["once"]


def test_a_command_is_done_once_although_the_power_is_cut_and_the_hub_is_away(house: House) -> None:
    house.start()
    house.key  # noqa: B018  waits for it
    house.link.lose_answer("/api/commands/outcome", times=1000)  # as far as the client knows nobody has heard it
    sent = house.do("note", text="once")
    house.until(lambda: house.client.notes() == ["once"], "it is done")
    house.client.kill()
    house.start()
    house.until(lambda: house.client.boots() == 2, "it runs again")
    time.sleep(0.5)
    house.link.forget_faults()
    assert house.until_ended(sent)["state"] == "done"
    assert house.client.notes() == ["once"]


def test_a_reboot_is_done_once_and_said_to_be_done_afterwards(house: House) -> None:
    house.start()
    house.key  # noqa: B018  waits for it
    ended = house.until_ended(house.do("reboot"))
    assert ended["state"] == "done"
    assert house.client.boots() == 2
    house.until_ended(house.do("note", text="still here"))
    assert house.client.boots() == 2


def test_a_command_comes_at_once_where_a_call_is_held_open(house: House) -> None:
    house.start(Manner(long_poll=True))
    house.key  # noqa: B018  waits for it
    house.until(lambda: house.link.requests("/api/commands/next?wait="), "a call is held open")
    asked = house.link.requests("/api/commands/next")
    ended = house.until_ended(house.do("note", text="now"))
    assert ended["state"] == "done"
    assert house.link.requests("/api/commands/next") <= asked + 2, "it did not ask again and again"
