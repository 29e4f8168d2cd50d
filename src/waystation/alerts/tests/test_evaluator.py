"""Rules at work: from readings that were committed to incidents and notices."""

from dataclasses import replace
from datetime import timedelta

from waystation.alerts import service, store
from waystation.alerts.model import Condition, Schedule, Scope, When, Window, Wish
from waystation.alerts.tests.site import HOT, OWNER, Site
from waystation.devices import DeviceDeleted
from waystation.kernel.clock import micros
from waystation.telemetry.model import Kind, Stamped, own
from waystation.telemetry.store import append

DOOR = Wish("Door open", When(Condition.IS, state=True, for_seconds=600), metric="door", cooldown_seconds=0)
SILENT = Wish("Silent", When(Condition.SILENT, seconds=300), cooldown_seconds=0)


def test_a_reading_at_the_threshold_opens_an_incident_and_one_below_clears_it(site: Site) -> None:
    kitchen = site.add_device()
    site.add_rule()
    for value in (29.9, 30.0, 31.0, 29.0):
        site.say(kitchen, value)
        site.step(15)
    (found,) = site.incidents()
    assert (found.device_name, found.value, found.threshold, found.times) == ("Kitchen", "30", "30", 1)
    assert found.evidence == [{"at": "2026-01-01T12:00:15.000000Z", "value": 30.0, "threshold": "30"}]
    assert not found.is_open
    assert site.told() == [
        ("fired", "Warning: Too hot – Kitchen"),
        ("recovered", "Recovered: Warning: Too hot – Kitchen"),
    ]


def test_what_was_read_before_the_rule_was_made_does_not_count(site: Site) -> None:
    kitchen = site.add_device()
    site.say(kitchen, 40.0)
    site.clock.turn(1)
    site.add_rule()
    site.say(kitchen, 41.0, seconds=-60)
    site.step()
    assert site.incidents() == []


def test_a_door_that_said_nothing_more_is_open_for_too_long(site: Site) -> None:
    door = site.add_device("Door")
    site.add_rule(DOOR)
    site.say(door, value=True, metric="door")
    site.step(599)
    assert site.incidents() == []
    site.step(1)
    (found,) = site.incidents()
    assert (found.value, found.rule_text) == ("on", "door is on for 10 min")
    site.say(door, value=False, metric="door")
    site.step()
    assert not site.incidents()[0].is_open


def test_late_readings_and_a_year_of_them_make_no_alert(site: Site) -> None:
    kitchen = site.add_device()
    site.add_rule()
    site.say(kitchen, 20.0)
    site.step()
    site.say(kitchen, 50.0, seconds=-30)
    year = [
        ("temp", Kind.NUMBER, own(micros(site.clock.now() - timedelta(hours=hour))), 50.0) for hour in range(1, 8760)
    ]
    with site.database.write() as tx:
        append(tx, site.ids, [Stamped(kitchen.id, year)])
    site.step(1)
    assert site.incidents() == []


def test_a_hub_back_after_days_evaluates_what_it_had_stored(site: Site) -> None:
    kitchen = site.add_device()
    site.add_rule()
    site.step()
    site.say(kitchen, 35.0)
    site.crash()
    site.step(3 * 86_400)
    assert len(site.incidents()) == 1


def test_a_reading_of_the_future_counts_when_it_is_due(site: Site) -> None:
    kitchen = site.add_device()
    site.add_rule()
    site.say(kitchen, 35.0, seconds=3600)
    site.say(kitchen, 20.0)
    site.step()
    assert site.incidents() == []
    site.crash()
    site.step(3599)
    assert site.incidents() == []
    site.step(1)
    assert len(site.incidents(is_open=True)) == 1


def test_silence_is_noticed_and_ends_with_the_next_reading__TH_15(site: Site) -> None:
    kitchen = site.add_device()
    site.add_rule(SILENT)
    site.step(200)
    site.say(kitchen, 1.0)
    site.step(1)
    site.step(298)
    assert site.incidents() == []
    site.step(1)
    (found,) = site.incidents(is_open=True)
    assert (found.rule_text, found.threshold) == ("no reading for 5 min", "5 min")
    site.clock.turn(60)
    site.say(kitchen, 2.0)
    site.step(2)
    assert site.incidents(is_open=True) == []


def test_a_device_that_never_reported_is_silent_from_when_the_rule_was_made(site: Site) -> None:
    site.add_device()
    site.add_rule(SILENT)
    site.step()
    site.step(299)
    assert site.incidents() == []
    site.step(1)
    assert len(site.incidents()) == 1


def test_silence_of_one_metric_while_others_speak(site: Site) -> None:
    kitchen = site.add_device()
    site.add_rule(replace(SILENT, metric="temp"))
    site.step()
    for _ in range(5):
        site.say(kitchen, 40.0, metric="humidity")
        site.step(60)
    assert [one.metric for one in site.incidents()] == ["temp"]
    site.say(kitchen, 20.0)
    site.step(1)
    assert not site.incidents()[0].is_open


def test_a_loose_sensor_is_a_fault_until_the_refusals_end__TH_15(site: Site) -> None:
    kitchen = site.add_device()
    site.add_rule(Wish("Loose", When(Condition.FAULT, count=3, window_seconds=60), cooldown_seconds=0))
    site.step()
    for _ in range(3):
        site.evaluator.refused(kitchen.id)
        site.step(15)
    (found,) = site.incidents(is_open=True)
    assert found.rule_text == "sensor fault: 3 refused readings within 1 min"
    site.step(60)
    assert not site.incidents()[0].is_open


def test_a_rule_watches_the_devices_of_its_model_only_also_new_ones(site: Site) -> None:
    site.add_rule(replace(HOT, scope=Scope.MODEL, target="thermo"))
    site.step()
    ours, other = site.add_device("Hall", "thermo"), site.add_device("Bath", "other")
    site.say_all([(ours, 35.0), (other, 35.0)])
    site.step()
    assert [one.device_name for one in site.incidents()] == ["Hall"]


def test_outside_its_schedule_a_rule_does_not_fire_but_recovers(site: Site) -> None:
    kitchen = site.add_device()
    working = Schedule("Europe/Berlin", (Window((0, 1, 2, 3, 4), "08:00", "13:30"),))
    site.add_rule(replace(HOT, schedule=working))  # Thursday, 13:00 in Berlin
    site.say(kitchen, 31.0)
    site.step()
    site.clock.turn(3600)
    site.say(kitchen, 20.0)
    site.step(1)
    site.say(kitchen, 33.0)
    site.step(1)
    assert [one.is_open for one in site.incidents()] == [False]
    site.clock.turn(18 * 3600)
    site.say(kitchen, 33.0)
    site.step(1)
    assert len(site.incidents(is_open=True)) == 1


def test_a_muted_rule_records_and_tells_nobody(site: Site) -> None:
    kitchen = site.add_device()
    rule = site.add_rule()
    with site.database.write() as tx:
        service.mute(tx, OWNER, rule, site.clock.now(), until=site.clock.now() + timedelta(hours=1))
    site.say(kitchen, 31.0)
    site.step(1)
    assert len(site.incidents(is_open=True)) == 1
    assert site.told() == []


def test_a_rule_switched_off_or_changed_closes_its_incidents(site: Site) -> None:
    kitchen = site.add_device()
    rule = site.add_rule()
    site.say(kitchen, 31.0)
    site.step(1)
    with site.database.write() as tx:
        rule = service.change(tx, OWNER, rule, site.clock.now(), wish=replace(HOT, when=When(Condition.ABOVE, 40.0)))
    assert [one.why_cleared for one in site.incidents()] == ["the rule was changed"]
    site.say(kitchen, 35.0)
    site.step(1)
    site.say(kitchen, 45.0)
    site.step(1)
    with site.database.write() as tx:
        service.enable(tx, OWNER, rule, site.clock.now(), is_enabled=False)
    site.say(kitchen, 46.0)
    site.step(1)
    assert [one.why_cleared for one in site.incidents()] == ["the rule was changed", "the rule was switched off"]


def test_the_first_to_acknowledge_stays(site: Site) -> None:
    kitchen = site.add_device()
    site.add_rule()
    site.say(kitchen, 31.0)
    site.step(1)
    (found,) = site.incidents()
    with site.database.write() as tx:
        service.acknowledge(tx, OWNER, found, site.clock.now(), note="window was shut")
        again = service.acknowledge(tx, OWNER, found, site.clock.now(), note="me too")
    assert (again.acked_by, again.note, again.acked_at) == (OWNER.who, "window was shut", site.clock.now())


def test_without_rules_nothing_follows_and_the_sealer_waits_for_nobody(site: Site) -> None:
    kitchen = site.add_device()
    rule = site.add_rule()
    site.say(kitchen, 20.0)
    assert site.seal() == 0, "the evaluator has not read it"
    site.step(10)
    assert site.seal() == 1
    with site.database.write() as tx:
        service.delete(tx, OWNER, rule, site.clock.now())
    site.clock.turn(1000)
    site.say(kitchen, 21.0)
    assert site.seal() == 1


def test_after_the_tail_was_emptied_nothing_is_passed_over(site: Site) -> None:
    kitchen = site.add_device()
    site.add_rule()
    for number in range(5):
        site.say(kitchen, 20.0, seconds=number)
    site.step(10)
    site.clock.turn(1000)
    assert site.seal() == 5
    for number in range(7):
        site.say(kitchen, 35.0 if number == 0 else 20.0, seconds=number)
    site.step(10)
    assert len(site.incidents()) == 1


def test_a_deleted_device_leaves_its_closed_incident(site: Site) -> None:
    kitchen = site.add_device()
    site.add_rule()
    site.say(kitchen, 31.0)
    site.step(1)
    with site.database.write() as tx:
        service.forget_device(tx, DeviceDeleted(kitchen.id, kitchen.key, site.home_id), site.clock.now())
        assert store.states(tx) == {}
    assert [one.why_cleared for one in site.incidents()] == ["the device was deleted"]
