"""Who is refused rests, keeps what it has, and goes on as soon as it may."""

import pytest
from firmware.conformance.house import House

pytestmark = pytest.mark.servers
ASKS_AGAIN_SECONDS = 60  # so long a client rests that was refused


def test_a_claim_is_one_device_although_its_answer_is_lost(house: House) -> None:
    house.link.lose_answer("POST /api/claim", times=2)
    house.start()
    house.until(lambda: len(house.counts()) >= 2, "it is claimed, and readings are at the hub")
    assert sum(one["name"] == house.name for one in house.hub.command("device", "list")) == 1


def test_a_device_that_is_disabled_rests_and_loses_nothing(house: House) -> None:
    house.start()
    house.until(lambda: len(house.counts()) >= 2, "readings are at the hub")
    house.desk.disable(house.key)
    _keeps_at_rest(house)
    house.desk.enable(house.key)
    _all_arrive(house)


def test_a_device_whose_credential_was_revoked_goes_on_with_a_new_one(house: House) -> None:
    house.start()
    house.until(lambda: len(house.counts()) >= 2, "readings are at the hub")
    house.desk.revoke(house.key)
    _keeps_at_rest(house)
    house.pair_anew()
    _all_arrive(house)


def _keeps_at_rest(house: House) -> None:
    _until_taken(house, 5)  # it has heard the refusal by now
    asked = len(house.link.heard)
    _until_taken(house, 30)
    assert len(house.link.heard) - asked < 20, "it does not ask with every reading"


def _until_taken(house: House, more: int) -> None:
    taken = len(house.client.kept())
    house.until(lambda: len(house.client.kept()) >= taken + more, f"{more} more are taken while it is refused")


def _all_arrive(house: House) -> None:
    taken = set(house.client.kept())
    house.until(
        lambda: taken <= set(house.counts()), "all that was taken is at the hub", seconds=ASKS_AGAIN_SECONDS * 3
    )
    counts = house.counts()
    assert len(counts) == len(set(counts)), "none came twice"
