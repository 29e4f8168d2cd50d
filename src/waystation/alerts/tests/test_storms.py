"""However much happens, people get a handful of notices; and one when it was the hub itself that was away."""

from dataclasses import replace

import pytest

from waystation.alerts import service
from waystation.alerts.model import Condition, When
from waystation.alerts.tests.site import HOT, OWNER, Site
from waystation.alerts.tests.test_evaluator import SILENT

HALF_AN_HOUR = replace(HOT, cooldown_seconds=1800)


@pytest.mark.parametrize("devices", [20, pytest.param(1000, marks=pytest.mark.faults)])
def test_flapping_devices_for_an_hour_make_a_handful_of_notices(site: Site, devices: int) -> None:
    flapping = [site.add_device(f"Room {number}") for number in range(devices)]
    site.add_rule(HALF_AN_HOUR)
    site.step()
    for minute in range(60):
        value = 35.0 if minute % 4 == 0 else 20.0
        some = flapping[:10] if minute == 0 else flapping
        site.say_all([(device, value) for device in some])
        site.step(60)
    site.step(3600)
    told = site.told()
    assert len(told) <= 10, told
    assert [kind for kind, _ in told if kind == "digest"], "what was held back is told of once, at the end"
    assert all(one.times == 15 for one in site.incidents() if one.device_name == "Room 0"), "one incident, many times"
    assert len(site.incidents()) == devices


def test_a_digest_counts_what_it_held_back_and_says_what_is_still_so(site: Site) -> None:
    kitchen, bath = site.add_device("Kitchen"), site.add_device("Bath")
    site.add_rule(replace(HALF_AN_HOUR, tells_recovery=False))
    for value in (31.0, 20.0, 32.0, 20.0, 33.0):
        site.say(kitchen, value)
        site.step(60)
    site.say(bath, 31.0)
    site.step(60)
    assert [kind for kind, _ in site.told()] == ["fired", "fired"], "a device that is new to it is told of at once"
    site.step(1800)
    (digest,) = [notice for notice in site.notices() if notice.kind == "digest"]
    assert digest.subject == "Too hot: 2 more alerts of 1 device in 30 min"
    assert [(line.device_name, line.word, line.value) for line in digest.lines] == [
        ("Kitchen", "at or above 30, 2 times more; still so", "33")
    ]
    site.step(1801)
    site.step(1801)
    assert len(site.notices()) == 3, "a cool-down in which nothing happened ends without a word"


def test_each_direction_has_its_own_cool_down__TH_15(site: Site) -> None:
    kitchen = site.add_device()
    site.add_rule(HALF_AN_HOUR)
    site.add_rule(replace(HALF_AN_HOUR, name="Too cold", when=When(Condition.BELOW, 10.0), tells_recovery=False))
    for value in (29.9, 30.0, 31.0, 9.9, 10.0):
        site.say(kitchen, value)
        site.step(15)
    assert [subject for kind, subject in site.told() if kind == "fired"] == [
        "Warning: Too hot – Kitchen",
        "Warning: Too cold – Kitchen",
    ]


def test_a_hub_outage_gives_one_notice_and_no_silence(site: Site) -> None:
    rooms = [site.add_device(f"Room {number}") for number in range(50)]
    site.add_rule(SILENT)
    site.add_rule(replace(SILENT, name="Silent metric", metric="temp"))
    site.say_all([(device, 20.0) for device in rooms])
    site.step(1)
    site.step(15)
    site.crash()
    site.step(3600)
    site.step(60)
    site.say_all([(device, 20.0) for device in rooms[1:]])
    site.step(299)
    assert site.told() == [
        ("away", "The hub was away for 1 h"),
        ("fired", "Warning: Silent – Room 0"),
        ("fired", "Warning: Silent metric – Room 0"),
    ]
    assert [one.device_name for one in site.incidents()] == ["Room 0", "Room 0"], "it did not come back with the hub"


def test_devices_that_fall_silent_together_are_one_notice(site: Site) -> None:
    rooms = [site.add_device(f"Room {number}") for number in range(80)]
    site.add_rule(SILENT)
    site.say_all([(device, 20.0) for device in rooms])
    site.step()
    site.step(301)
    (notice,) = site.notices()
    assert (notice.subject, len(notice.lines), notice.more) == ("Silent: 80 devices", 50, 30)


def test_a_thermostat_at_its_limits_makes_two_mails__TH_15(site: Site) -> None:
    kitchen = site.add_device()
    with site.database.write() as tx:
        site.mail_to_owner(tx)
        for side, kind, threshold in (("high", Condition.ABOVE, 30.0), ("low", Condition.BELOW, 10.0)):
            wish = replace(HALF_AN_HOUR, name=f"Too {side}", when=When(kind, threshold), tells_recovery=False)
            service.put(tx, OWNER, site.home_id, site.clock.now(), origin=f"test:{side}", wish=wish)
    site.step()
    for value in (29.9, 30.0, 31.0, 9.9, 10.0):
        site.say(kitchen, value)
        site.step(15)
    site.step(1800)
    site.step(1800)
    assert [(one.kind, one.subject) for one in site.mails()] == [
        ("fired", "Warning: Too high – Kitchen"),
        ("fired", "Warning: Too low – Kitchen"),
    ]


def test_a_rule_of_an_origin_is_made_once_and_changed_after(site: Site) -> None:
    kitchen = site.add_device()
    wanted = [HOT, HOT, replace(HOT, when=When(Condition.ABOVE, 25.0)), HOT]
    rules = []
    for wish, is_enabled in zip(wanted, (True, True, True, False), strict=True):
        with site.database.write() as tx:
            now = site.clock.now()
            rules.append(service.put(tx, OWNER, site.home_id, now, origin="a", wish=wish, is_enabled=is_enabled))
        site.step(10)
    assert len({rule.uid for rule in rules}) == 1
    assert rules[0] == rules[1], "the same again changes nothing, and the cool-down goes on"
    assert [rule.is_enabled for rule in rules] == [True, True, True, False]
    site.say(kitchen, 40.0)
    site.step(1)
    assert site.incidents() == []
    with site.database.read() as tx:
        assert service.of_origin(tx, site.home_id, "b") is None
