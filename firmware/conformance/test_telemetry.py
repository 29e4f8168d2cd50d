"""What a client has taken for delivery arrives once, whatever happens to the wire, the program and the hub."""

import time

import pytest
from firmware.conformance.client import Manner
from firmware.conformance.house import House

pytestmark = pytest.mark.servers


def test_a_claim_code_becomes_a_device_that_stays_itself(house: House) -> None:
    house.start()
    key = house.key
    house.until(lambda: len(house.counts()) >= 3, "three readings are at the hub")
    house.client.stop()
    before = len(house.counts())
    house.start()
    house.until(lambda: len(house.counts()) > before, "it goes on after a restart")
    assert house.key == key


def test_readings_arrive_once_and_in_order(house: House) -> None:
    house.start()
    house.until(lambda: len(house.counts()) >= 10, "ten readings are at the hub")
    house.client.stop()
    counts = house.counts()
    assert counts == sorted(set(counts))
    assert set(counts) <= set(range(1, max(counts) + 1))


def test_readings_of_an_outage_arrive_afterwards_although_the_power_was_cut(house: House) -> None:
    house.start()
    house.until(lambda: len(house.counts()) >= 2, "readings are at the hub")
    house.link.cut()
    taken = len(house.client.kept())
    house.until(lambda: len(house.client.kept()) >= taken + 10, "ten more are taken while the hub is away")
    house.client.kill()
    house.start()
    house.until(lambda: len(house.client.kept()) >= taken + 20, "and ten more after the power was cut")
    house.link.mend()
    _all_arrive_once(house)


def test_readings_arrive_once_although_answers_are_lost(house: House) -> None:
    house.start()
    house.key  # noqa: B018  waits for it
    for _ in range(3):
        house.link.lose_answer("POST /api/readings")
        house.until(lambda: not house.link.faults_left, "an answer is lost")
    _all_arrive_once(house)


def test_readings_arrive_once_although_the_hub_is_killed(house: House) -> None:
    house.start()
    house.until(lambda: len(house.counts()) >= 2, "readings are at the hub")
    house.hub.kill_all()
    taken = len(house.client.kept())
    house.until(lambda: len(house.client.kept()) >= taken + 5, "five more are taken while the hub is down")
    house.hub.start()
    _all_arrive_once(house)


def test_without_a_clock_readings_have_the_time_they_were_taken(house: House) -> None:
    house.start(Manner(period_seconds=0.5, knows_time=False))
    house.until(house.counts, "the client has its credential")
    house.client.stop()
    house.link.cut()
    began_at = time.time()
    before = len(house.client.kept())
    house.start(Manner(period_seconds=0.5, knows_time=False))
    house.until(lambda: len(house.client.kept()) >= before + 6, "six are taken while nobody tells the time")
    taken = house.client.kept()[before:]
    mended_at = time.time()
    house.link.mend()
    house.until(lambda: set(taken) <= set(house.counts()), "they are at the hub")
    at = {value: ms / 1000 for value, ms in house.points()}
    assert began_at - 3 < at[taken[0]] < at[taken[5]] < mended_at + 2, "not the time of their arrival"
    assert at[taken[5]] - at[taken[0]] > 1, "half a second apart, or more on a busy machine"
    counts = house.counts()
    assert len(counts) == len(set(counts))


def test_readings_arrive_once_although_the_hub_restarts(house: House) -> None:
    house.start()
    house.until(lambda: len(house.counts()) >= 2, "readings are at the hub")
    house.hub.stop()
    house.hub.start()
    _all_arrive_once(house)


def _all_arrive_once(house: House) -> None:
    taken = set(house.client.kept())
    house.until(lambda: taken <= set(house.counts()), "all that was taken is at the hub")
    counts = house.counts()
    assert len(counts) == len(set(counts)), "none came twice"
