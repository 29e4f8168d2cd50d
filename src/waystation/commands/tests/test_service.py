"""What becomes of commands, on both databases."""

from datetime import datetime

import pytest

from waystation import commands, devices
from waystation.commands import State, Targets
from waystation.commands.model import MOST_ATTEMPTS, MOST_WAITING, NO_OUTCOME, NOT_CONFIRMED
from waystation.commands.tests.site import OWNER, Site
from waystation.kernel import outbox
from waystation.kernel.errors import Conflict, Invalid, NotFound, TooMany
from waystation.kernel.parts import Parts
from waystation.kernel.settings import Settings


def test_a_command_goes_to_its_device_and_comes_back_done(site: Site) -> None:
    porch, cellar = site.device(), site.device("Cellar")
    sent = site.send(porch, "set-interval", parameters={"seconds": 30})
    assert site.take(cellar) is None
    taken = site.given(porch)
    assert (taken.uid, taken.attempt, taken.state) == (sent.uid, 1, State.LEASED)
    assert taken.parameters == {"seconds": 30}
    done = site.finish(porch, taken, result={"was": 60})
    assert (done.state, done.result, done.finished_at) == (State.DONE, {"was": 60}, site.now)
    assert site.history(sent) == ["queued", "leased", "done"]
    assert [told.command.uid for told in site.told] == [sent.uid]


def test_what_is_due_goes_by_priority_then_by_age(site: Site) -> None:
    porch = site.device()
    for name, priority in (("a", 4), ("b", 9), ("c", 4), ("d", 0)):
        site.send(porch, name, priority=priority)
    assert [site.given(porch).name for _ in range(4)] == ["b", "a", "c", "d"]
    assert site.take(porch) is None


def test_a_command_without_outcome_comes_back_and_gives_up_in_the_end(site: Site) -> None:
    porch = site.device()
    sent = site.send(porch)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        assert site.given(porch).attempt == attempt
        assert site.take(porch) is None
        site.clock.turn(60)
    assert site.take(porch) is None
    lost = site.seen(sent)
    assert (lost.state, lost.reason) == (State.FAILED, NO_OUTCOME)


def test_what_is_once_only_is_handed_out_once_and_then_not_confirmed(site: Site) -> None:
    porch = site.device()
    sent = site.send(porch, "reboot")
    assert site.given(porch).is_once
    site.clock.turn(3600)
    assert site.take(porch) is None
    lost = site.seen(sent)
    assert (lost.state, lost.reason) == (State.FAILED, NOT_CONFIRMED)
    with pytest.raises(Conflict):
        site.finish(porch, sent)


def test_a_late_command_is_never_delivered(site: Site) -> None:
    porch = site.device()
    sent = site.send(porch, expires_at=site.later(10))
    site.clock.turn(10)
    assert site.take(porch) is None
    assert site.seen(sent).state is State.EXPIRED


def test_a_command_waits_for_its_time(site: Site) -> None:
    porch = site.device()
    site.send(porch, not_before=site.later(30))
    assert site.take(porch) is None
    site.clock.turn(30)
    assert site.take(porch) is not None


def test_running_renews_the_lease_and_is_one_line_of_history(site: Site) -> None:
    porch = site.device()
    sent = site.send(porch)
    site.given(porch)
    for percent in (10, 50, 90):
        site.clock.turn(50)
        running = site.finish(porch, sent, State.RUNNING, result=percent)
        assert (running.state, running.result) == (State.RUNNING, percent)
    site.clock.turn(59)
    assert site.take(porch) is None
    site.finish(porch, sent)
    assert site.history(sent) == ["queued", "leased", "running", "done"]


def test_the_same_outcome_again_changes_nothing(site: Site) -> None:
    porch = site.device()
    sent = site.send(porch)
    site.given(porch)
    first = site.finish(porch, sent, result=1)
    site.clock.turn(5)
    assert site.finish(porch, sent, result=2) == first
    assert site.finish(porch, sent, State.RUNNING) == first
    with pytest.raises(Conflict):
        site.finish(porch, sent, State.FAILED)


def test_what_comes_late_is_kept_as_evidence(site: Site) -> None:
    porch = site.device()
    sent = site.send(porch)
    site.given(porch)
    site.do(commands.cancel, sent)
    for _ in range(3):
        with site.database.write() as tx:
            said = commands.Outcome(State.DONE, {"it": "was done"})
            settled = commands.settle(tx, porch.id, site.now, uid=sent.uid, outcome=said)
        assert settled.refusal is not None
        assert settled.command.state is State.CANCELLED
    assert site.history(sent) == ["queued", "leased", "cancelled", "late"]


def test_a_command_that_was_never_handed_out_cannot_be_done(site: Site) -> None:
    porch = site.device()
    sent = site.send(porch)
    with pytest.raises(Conflict):
        site.finish(porch, sent)
    assert site.seen(sent).state is State.QUEUED


def test_an_outcome_after_the_lease_counts_while_the_command_waits_again(site: Site) -> None:
    porch = site.device()
    sent = site.send(porch)
    site.given(porch)
    site.clock.turn(61)
    site.sweep()
    assert site.seen(sent).state is State.QUEUED
    assert site.finish(porch, sent).state is State.DONE


def test_a_device_can_finish_only_its_own(site: Site) -> None:
    porch, cellar = site.device(), site.device("Cellar")
    sent = site.send(porch)
    site.given(porch)
    with pytest.raises(NotFound):
        site.finish(cellar, sent)


def test_one_by_one_waits_for_the_outcome_on_its_own_link(site: Site) -> None:
    porch = site.device()
    for name in "abc":
        site.send(porch, name)
    first = site.take(porch, "mqtt", one_by_one=True)
    assert first is not None
    assert site.take(porch, "mqtt", one_by_one=True) is None
    assert site.take(porch, "http") is not None
    site.finish(porch, first)
    assert site.take(porch, "mqtt", one_by_one=True) is not None


def test_a_device_has_a_hundred_waiting_at_most(site: Site) -> None:
    porch = site.device()
    for _ in range(MOST_WAITING):
        site.send(porch)
    with pytest.raises(TooMany):
        site.send(porch)
    site.finish(porch, site.given(porch))
    site.send(porch)


def test_the_same_idempotency_key_is_the_same_command(site: Site) -> None:
    porch = site.device()
    first = site.send(porch, idempotency_key="k1")
    assert site.send(porch, idempotency_key="k1") == first
    with pytest.raises(Conflict):
        site.send(porch, "other", idempotency_key="k1")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("", {}),
        ("a b", {}),
        ("x" * 65, {}),
        ("ping", {"priority": 10}),
        ("ping", {"parameters": {"a": "x" * 8192}}),
        ("ping", {"idempotency_key": "a b"}),
        ("ping", {"parameters": {"a": "\ud800"}}),
    ],
)
def test_what_cannot_be_sent_is_refused(site: Site, name: str, wanted: dict[str, object]) -> None:
    porch = site.device()
    with pytest.raises(Invalid):
        site.send(porch, name, **wanted)


def test_a_batch_tells_how_far_it_is(site: Site) -> None:
    things = [site.device(f"D{number}") for number in range(5)]
    batch = site.send_to(Targets(home=True))
    for thing in things[:4]:
        site.given(thing)
    site.finish(things[0], _of(site, things[0]))
    site.finish(things[1], _of(site, things[1]), State.FAILED)
    site.finish(things[2], _of(site, things[2]), State.REJECTED)
    assert site.progress(batch) == commands.Progress(5, waiting=1, delivered=1, done=1, failed=2)
    again = site.do(commands.retry_batch, batch)
    assert (again.total, again.retry_of) == (2, batch.uid)
    assert site.do(commands.retry_batch, batch) == again
    assert site.do(commands.cancel_batch, batch) == 2
    assert site.progress(batch).is_over
    with site.database.write() as tx:
        devices.delete(tx, OWNER, things[0], site.now, typed_name=things[0].name)
    assert site.progress(batch).gone == 1


def _of(site: Site, device: devices.Device) -> commands.Command:
    with site.database.read() as tx:
        return commands.of_device(tx, device.id)[0]


def test_a_batch_goes_to_a_tag_or_a_model(site: Site) -> None:
    porch, cellar = site.device("Porch", "esp32"), site.device("Cellar", "pi")
    with site.database.write() as tx:
        devices.tag(tx, OWNER, porch, site.now, tag="Küche")
    assert site.send_to(Targets(tag="küche")).total == 1
    assert site.take(cellar) is None
    assert site.send_to(Targets(model="pi")).total == 1
    assert site.take(cellar) is not None
    for nobody in (Targets(tag="none"), Targets(model="none"), Targets(devices=("none",))):
        with pytest.raises(NotFound):
            site.send_to(nobody)
    for wrong in (Targets(), Targets(home=True, tag="a")):
        with pytest.raises(Invalid):
            site.send_to(wrong)


def test_a_full_queue_does_not_hold_up_the_others(site: Site) -> None:
    porch, cellar = site.device(), site.device("Cellar")
    for _ in range(MOST_WAITING):
        site.send(porch)
    batch = site.send_to(Targets(home=True))
    assert (batch.total, batch.left_out) == (1, [porch.key])
    with pytest.raises(TooMany):
        site.send_to(Targets(devices=(porch.key,)))
    assert site.take(cellar) is not None


def test_a_retry_is_a_new_command_and_pressed_twice_the_same(site: Site) -> None:
    porch = site.device()
    sent = site.send(porch, parameters={"a": 1})
    with pytest.raises(Conflict):
        site.do(commands.retry, sent)
    site.given(porch)
    failed = site.finish(porch, sent, State.FAILED)
    again = site.do(commands.retry, failed)
    assert (again.retry_of, again.parameters) == (sent.uid, {"a": 1})
    assert again.uid != sent.uid
    assert site.do(commands.retry, failed) == again


def test_a_lease_that_reached_nobody_is_given_back(site: Site) -> None:
    porch = site.device()
    sent = site.send(porch, "reboot")
    taken = site.given(porch)
    with site.database.write() as tx:
        assert commands.service.give_back(tx, taken, site.now)
    assert site.given(porch).attempt == 1
    assert site.history(sent) == ["queued", "leased", "returned", "leased"]


def test_finished_commands_and_their_batches_go_after_a_month(site: Site) -> None:
    porch = site.device()
    site.send_to(Targets(home=True))
    site.finish(porch, site.given(porch))
    site.clock.turn(31 * 86400)
    parts = Parts(site.database, Settings(command_days=30))
    assert commands.jobs.forget(parts, site.now) == 2
    with site.database.read() as tx:
        assert commands.of_device(tx, porch.id) == []


def test_a_hub_tells_at_once_and_its_row_waits_while_a_command_line_has_but_the_row(site: Site) -> None:
    def due() -> list[datetime]:
        with site.database.read() as tx:
            return [row.due_at for row in tx.all(outbox.outbox.select().order_by(outbox.outbox.c.id))]

    device = site.device()
    before = len(due())
    site.send(device)
    site.database.listeners = {commands.CommandQueued: [lambda _tx, told, _now: site.told.append(told)]}
    site.send(device)
    assert due()[before:] == [site.now, site.later(1)]
    assert site.told == [commands.CommandQueued(site.home_id, (device.id,))]
