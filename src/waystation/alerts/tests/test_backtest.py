"""What a rule would have done: the same as it does, and nothing is stored."""

from dataclasses import replace
from datetime import timedelta

import pytest

from waystation.alerts import backtest
from waystation.alerts.model import Condition, When, Wish
from waystation.alerts.tests.site import HOT, Site
from waystation.kernel.errors import Invalid

SAID = (20.0, 31.0, 35.0, 29.0, 20.0, 40.0)


def tried(site: Site, wish: Wish, days: float = 30) -> backtest.Tested:
    with site.database.read() as tx:
        return backtest.run(tx, site.home_id, site.clock.now(), wish=wish, days=days)


@pytest.mark.parametrize("when", [
    When(Condition.ABOVE, 30.0),
    When(Condition.ABOVE, 30.0, 25.0),
    When(Condition.ABOVE, 30.0, for_seconds=90),
    When(Condition.ABOVE, 30.0, times=2, of=3),
    When(Condition.BELOW, 29.0),
    When(Condition.RISES, 5.0, window_seconds=120),
])  # fmt: skip
def test_it_finds_what_the_evaluator_finds(site: Site, when: When) -> None:
    kitchen = site.add_device()
    wish = replace(HOT, when=when)
    site.add_rule(wish)
    site.step()
    for value in SAID:
        site.clock.turn(60)
        site.say(kitchen, value)
        for _ in range(6):
            site.step()
    site.step(900)
    assert site.seal() == len(SAID)
    days = (site.clock.now() - site.incidents()[0].opened_at + timedelta(minutes=10)).total_seconds() / 86_400
    would = [(one.opened_at, one.cleared_at) for one in tried(site, wish, days).incidents]
    assert would == [(one.opened_at, one.cleared_at) for one in site.incidents()]


def test_it_finds_the_gaps_for_a_rule_about_silence(site: Site) -> None:
    kitchen = site.add_device()
    for minutes in (60, 59, 40, 39, 1):
        site.say(kitchen, 1.0, seconds=-minutes * 60)
    found = tried(site, Wish("Silent", When(Condition.SILENT, seconds=600), metric="temp"), days=1 / 24)
    opened = [(site.clock.now() - one.opened_at).total_seconds() / 60 for one in found.incidents]
    cleared = [(site.clock.now() - one.cleared_at).total_seconds() / 60 for one in found.incidents if one.cleared_at]
    assert (opened, cleared) == ([49, 29], [40, 1])


def test_a_month_of_readings_is_read_in_pages_and_only_the_loud_ones_are_looked_at(site: Site) -> None:
    kitchen = site.add_device()
    for day in range(29):
        site.say(kitchen, 35.0 if day % 10 == 0 else 20.0, seconds=-day * 86_400 - 60)
    found = tried(site, HOT)
    assert (len(found.incidents), found.readings, found.devices, found.is_complete) == (3, 29, 1, True)
    assert site.incidents() == []


def test_faults_of_the_past_are_not_kept(site: Site) -> None:
    with pytest.raises(Invalid, match="cannot be tested"):
        tried(site, Wish("Loose", When(Condition.FAULT, count=3, window_seconds=60)))
