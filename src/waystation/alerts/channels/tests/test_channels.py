"""Channels and what is put for them: once, to whom it is for, and visible afterwards."""

from datetime import timedelta

import pytest

from waystation.alerts import channels
from waystation.alerts.channels.model import MOST_CHANNELS, Delivery
from waystation.alerts.channels.tests.site import LINE, Site, receiving
from waystation.kernel.audit import Actor
from waystation.kernel.errors import Conflict, Invalid, NotFound


def test_a_notice_goes_to_every_channel_or_to_those_that_its_rule_names(home: Site) -> None:
    one, two = home.add("console", "One"), home.add("console", "Two")
    assert home.put() == 2
    assert home.put(dedupe="second", channels=(two.channel.id,)) == 1
    home.send_all()
    assert sorted(sent.channel_name for sent in home.deliveries()) == ["One", "Two", "Two"]
    assert home.channel(one).sent_at is not None


def test_the_same_notice_twice_is_one_notice_also_after_it_has_been_sent(home: Site) -> None:
    home.add("console")
    assert [home.put(), home.put()] == [1, 0]
    home.send_all()
    assert home.put() == 0


def test_a_notice_whose_transaction_fails_is_not_sent(home: Site) -> None:
    home.add("console")

    class Undone(Exception):
        pass

    def put_and_fail() -> None:
        with home.house.database.write() as tx:
            channels.put(tx, home.house.clock.now(), home.notice())
            raise Undone

    with pytest.raises(Undone):
        put_and_fail()
    home.send_all()
    assert home.deliveries() == []


def test_what_was_sent_is_told_of_its_incident_and_of_no_other_homes(home: Site) -> None:
    home.add("console")
    home.put()
    home.put(dedupe="other", lines=())
    stranger = home.house.fresh()
    with home.house.database.read() as tx:
        assert len(channels.deliveries_of_incident(tx, home.house.home.id, LINE.incident_uid)) == 1
        assert channels.deliveries_of_incident(tx, stranger.home.id, LINE.incident_uid) == []


def test_a_channel_that_is_switched_off_or_removed_sends_nothing_more(home: Site) -> None:
    off, gone = home.add("console", "Off"), home.add("console", "Gone")
    home.put()
    with home.house.database.write() as tx:
        desk = channels.Desk(home.sealing, home.settings)
        desk.change(tx, home.actor, home.house.clock.now(), channel_id=off.channel.id, is_enabled=False)
        channels.remove(tx, home.actor, home.house.clock.now(), channel_id=gone.channel.id)
    assert home.put(dedupe="second") == 0
    home.send_all()
    assert {one.channel_name: one.state for one in home.deliveries()} == {"Off": "given up", "Gone": "given up"}
    assert home.waiting() == [] or all(row.given_up_at is not None for row in home.waiting())


def test_a_secret_stays_until_it_is_replaced_or_given_empty(home: Site) -> None:
    made = home.add("ntfy", topic="t", token="tk_one")
    desk = channels.Desk(home.sealing, home.settings)

    def change(**given: str) -> dict[str, str]:
        with home.house.database.write() as tx:
            desk.change(tx, home.actor, home.house.clock.now(), channel_id=made.channel.id, given=given)
        row = home.kept(made)
        return {**row.config, **desk.secrets_of(row)}

    assert change(topic="other")["token"] == "tk_one"
    assert change(token="tk_two")["token"] == "tk_two"
    assert "token" not in change(token="")
    with home.house.database.write() as tx:
        assert channels.reseal(tx, home.sealing) == 0


def test_sealed_secrets_move_to_a_new_key(home: Site) -> None:
    made = home.add("ntfy", topic="t", token="tk_one")
    before = home.kept(made).sealed
    home.sealing.replace_key()
    with home.house.database.write() as tx:
        assert channels.reseal(tx, home.sealing) == 1
    assert home.kept(made).sealed != before
    assert channels.Desk(home.sealing, home.settings).secrets_of(home.kept(made)) == {"token": "tk_one"}


def test_a_home_has_so_many_channels_and_no_more(home: Site) -> None:
    for number in range(MOST_CHANNELS):
        home.add("console", f"Number {number}")
    with pytest.raises(Conflict):
        home.add("console")


@pytest.mark.parametrize(("kind", "name"), [("pigeon", ""), ("console", "x" * 81), ("console", "a\x00b"), ("", "")])
def test_a_channel_that_makes_no_sense_is_refused(home: Site, kind: str, name: str) -> None:
    with pytest.raises(Invalid):
        home.add(kind, name)


def test_a_foreign_channel_is_not_found(home: Site) -> None:
    made = home.add("console")
    stranger = home.house.fresh()
    with home.house.database.read() as tx, pytest.raises(NotFound):
        channels.find(tx, stranger.home.id, made.channel.id)


def test_what_went_out_is_forgotten_after_three_months(home: Site) -> None:
    home.add("console")
    home.put()
    home.send_all()
    now = home.house.clock.now()
    with home.house.database.write() as tx:
        assert channels.forget_deliveries(tx, now + timedelta(days=89)) == 0
        assert channels.forget_deliveries(tx, now + timedelta(days=91)) == 1


def test_one_channel_that_is_away_holds_no_other_back(home: Site) -> None:
    home.add("webhook", "Away", url="http://127.0.0.1:9/")
    home.add("console", "Here")
    for number in range(3):
        home.put(dedupe=str(number))
    home.send_all()
    states = [(one.channel_name, one.state) for one in home.deliveries()]
    assert states.count(("Here", "sent")) == 3
    assert states.count(("Away", "waiting")) == 3
    assert sum(one.tries for one in home.deliveries() if one.channel_name == "Away") == 1


def test_a_rule_whose_channels_were_all_removed_goes_by_those_of_the_home(home: Site) -> None:
    home.add("console", "Home")
    gone, off = home.add("console", "Gone"), home.add("console", "Off")
    with home.house.database.write() as tx:
        now = home.house.clock.now()
        channels.remove(tx, home.actor, now, channel_id=gone.channel.id)
        desk = channels.Desk(home.sealing, home.settings)
        desk.change(tx, home.actor, now, channel_id=off.channel.id, is_enabled=False)
    assert home.put(channels=(gone.channel.id,)) == 1
    assert home.put(dedupe="second", channels=(off.channel.id,)) == 0, "what is switched off stays silent"
    assert [sent.channel_name for sent in home.deliveries()] == ["Home"]


def test_what_was_given_up_is_sent_again_when_somebody_asks_for_it(home: Site) -> None:
    stranger = home.house.fresh()
    with receiving() as receiver:
        receiver.answers = [(410, {}, b"")]
        made = home.add("webhook", url=receiver.url)
        home.put()
        home.send_all()
        (given_up,) = home.deliveries()
        assert given_up.state == "given up"
        foreign = Actor("person:stranger@example.org", home_id=stranger.home.id)
        with home.house.database.write() as tx, pytest.raises(NotFound):
            channels.send_again(tx, foreign, home.house.clock.now(), delivery_id=given_up.id)
        assert again(home, given_up.id).state == "waiting"
        home.send_all()
        (sent,) = home.deliveries()
    assert sent.state == "sent"
    assert len({one.headers["webhook-id"] for one in receiver.taken}) == 1, "it is the same notice"
    with pytest.raises(Conflict):
        again(home, sent.id)
    assert home.channel(made).fault is None


def again(home: Site, delivery_id: int) -> Delivery:
    with home.house.database.write() as tx:
        return channels.send_again(tx, home.actor, home.house.clock.now(), delivery_id=delivery_id)
