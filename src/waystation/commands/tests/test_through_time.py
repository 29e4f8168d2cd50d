"""Commands in every order of sending, handing out, losing, saying and waiting, beside a naive account of them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from waystation import commands
from waystation.commands import (
    Command,
    CommandFinished,
    NewCommand,
    Outcome,
    State,
    Wanted,
    What,
    model,
    service,
    store,
)
from waystation.commands.sending import AGAIN
from waystation.commands.tests import account
from waystation.commands.tests.account import ENDS, OUT, Asked, Thing
from waystation.commands.tests.site import Site
from waystation.kernel.db import Database, metadata
from waystation.kernel.errors import Conflict, NotFound

PORCH, CELLAR = "porch", "cellar"
ENOUGH = 12  # commands, before one looks what becomes of them all
WHO = st.sampled_from([PORCH, PORCH, CELLAR])
PICK = st.integers(0, 1_000)
LINK = st.sampled_from(["http", "mqtt", "ready", "websocket", "websocket"])
END = st.sampled_from([State.DONE, State.DONE, State.FAILED, State.REJECTED])
FATE = st.sampled_from(["is answered", "is begun", "arrives", "is lost", "comes back", "reaches nobody"])
LEASE, ONCE_LEASE = model.LEASE.total_seconds(), model.ONCE_LEASE.total_seconds()
PAUSE = st.sampled_from([0, 0, 0, 0.001, 20, LEASE - 0.001, LEASE, ONCE_LEASE, 3600])
WISH = st.builds(
    NewCommand,
    name=st.sampled_from(["ping", "ping", "reboot"]),
    priority=st.sampled_from([0, 4, 4, 9]),
    once=st.booleans(),
    idempotency_key=st.sampled_from(["", "", "k1", "k2"]),
)
TIMED = st.tuples(WISH, st.sampled_from([None, None, 30]), st.sampled_from([None, None, 45, 700]))
"""With the seconds after which it may begin, and after which it expires."""


class Commands(RuleBasedStateMachine):
    """Two devices whose answers may be lost, and people who send, cancel and send again."""

    database: Database

    @initialize(wishes=st.lists(TIMED, min_size=4, max_size=8))
    def begin(self, wishes: list[tuple[NewCommand, int | None, int | None]]) -> None:
        self.site = Site(self.database)
        self.things = {who: Thing(self.site.device(who)) for who in (PORCH, CELLAR)}
        self.asked: dict[str, Asked] = {}
        self.keys: dict[tuple[str, str], Asked] = {}
        self.cancelled: set[str] = set()
        self.unheard: list[Command] = []  # handed out, and known to have reached nobody
        self.known: dict[str, Command] = {}
        self.looked_at: datetime | None = None
        self.send(PORCH, wishes)

    def teardown(self) -> None:
        with self.database.write() as tx:
            for thing in self.things.values():
                store.forget_device(tx, thing.device.id)

    # People.

    @rule(who=WHO, wishes=st.lists(TIMED, min_size=1, max_size=4))
    def send(self, who: str, wishes: list[tuple[NewCommand, int | None, int | None]]) -> None:
        for wish, begins, expires in wishes:
            times = {"not_before": begins, "expires_at": expires}
            at = {name: None if seconds is None else self.site.later(seconds) for name, seconds in times.items()}
            self._send(who, wish, **at)

    def _send(self, who: str, wish: NewCommand, **at: datetime | None) -> None:
        before = self.keys.get((who, wish.idempotency_key)) if wish.idempotency_key else None
        if before is not None and not before.is_same(wish):
            with pytest.raises(Conflict):
                self.site.send(self.things[who].device, **{**asdict(wish), **at})
            return
        sent = self.site.send(self.things[who].device, **{**asdict(wish), **at})
        assert before is None or sent.uid == before.uid
        self.keys[who, wish.idempotency_key] = before or self._note(sent, who, wish)

    def _note(self, sent: Command, who: str, wish: NewCommand) -> Asked:
        assert sent.uid not in self.asked
        self.asked[sent.uid] = Asked(sent.uid, who, wish)
        return self.asked[sent.uid]

    @precondition(lambda self: self.asked)
    @rule(pick=PICK, verb=st.sampled_from([commands.cancel, commands.retry]))
    def change_ones_mind(self, pick: int, verb: Callable[..., Command]) -> None:
        one = self.picked(pick)
        if (one.state in ENDS) if verb is commands.cancel else (one.state not in AGAIN):
            with pytest.raises(Conflict):
                self.site.do(verb, one)
        elif verb is commands.cancel:
            assert self.site.do(verb, one).state is State.CANCELLED
            self.cancelled.add(one.uid)
        else:
            self._retry(one)

    def _retry(self, one: Command) -> None:
        again = self.site.do(commands.retry, one)
        assert (again.retry_of, again.device_id, again.is_once) == (one.uid, one.device_id, one.is_once)
        assert self.site.do(commands.retry, one).uid == again.uid
        if again.uid not in self.asked:
            self._note(again, self.asked[one.uid].to, NewCommand(one.name, priority=one.priority, once=one.is_once))

    # Devices.

    @rule(who=WHO, link=LINK, end=END, fates=st.lists(FATE, min_size=1, max_size=4), seconds=PAUSE)
    def take(self, who: str, link: str, end: State, fates: list[str], seconds: float) -> None:
        """One after the other, some time after what was before."""
        self.site.clock.turn(seconds)
        for fate in fates:
            self._take(self.things[who], link, end, fate=fate)

    def _take(self, thing: Thing, link: str, end: State, *, fate: str) -> None:
        found = [one for one in self.rows() if one.device_id == thing.device.id]
        expected = account.next_one(found, self.site.now)
        if link in ("mqtt", "websocket") and account.in_flight(found, link, self.site.now):
            expected = None
        if link == "mqtt" and not thing.is_listening:
            expected = None
        thing.is_listening |= link == "ready"
        given = self._handed(thing, link)
        assert (given and given.uid) == expected
        if given is None:
            return
        assert (given.state, given.device_key) == (State.LEASED, thing.device.key)
        if fate == "comes back":
            self._give_back(given)
        elif fate == "reaches nobody":
            self.unheard.append(given)
        elif fate != "is lost":
            thing.get(given, end)
        if fate in ("is answered", "is begun"):
            self._say(
                thing, given.uid, State.RUNNING if fate == "is begun" else thing.journal[given.uid], link=given.link
            )

    def _handed(self, thing: Thing, link: str) -> Command | None:
        with self.database.write() as tx:
            if link == "mqtt":
                return service.take_listening(tx, thing.device.id, self.site.now, link="mqtt")
            if link == "ready":
                return service.begin_listening(tx, thing.device.id, self.site.now, link="mqtt")
            return commands.take(tx, thing.device.id, self.site.now, link=link, one_by_one=link == "websocket")

    @precondition(lambda self: self.unheard)
    @rule(pick=PICK)
    def give_back(self, pick: int) -> None:
        """Long after, when it may have been handed out again or have ended."""
        self._give_back(self.unheard.pop(pick % len(self.unheard)))

    def _give_back(self, given: Command) -> None:
        before = self.site.seen(given)
        with self.database.write() as tx:
            if given.link == "mqtt":
                self.things[self.asked[given.uid].to].is_listening = False
                moved = service.end_listening(tx, given, self.site.now)
            else:
                moved = service.give_back(tx, given, self.site.now)
        assert moved == (before == given)
        now = self.site.seen(given)
        assert (now.state, now.attempt) == (State.QUEUED, given.attempt - 1) if moved else now == before

    @precondition(lambda self: any(thing.journal for thing in self.things.values()))
    @rule(
        pick=PICK,
        is_running=st.booleans(),
        link=st.sampled_from(["http", "mqtt", "websocket"]),
        seconds=st.sampled_from([None, None, 0.5, 3600]),
    )
    def say(self, pick: int, is_running: bool, link: str, seconds: float | None) -> None:  # noqa: FBT001
        """The device says what its journal has; often again, and often late."""
        mine = [(thing, uid) for thing in self.things.values() for uid in thing.journal]
        thing, uid = mine[pick % len(mine)]
        said = State.RUNNING if is_running else thing.journal[uid]
        self._say(thing, uid, said, link=link, seconds=seconds if is_running else None)

    def _say(self, thing: Thing, uid: str, said: State, *, link: str, seconds: float | None = None) -> None:
        before = self.seen(uid)
        with self.database.write() as tx:
            outcome = Outcome(said, {"by": thing.device.key}, seconds)
            settled = commands.settle(tx, thing.device.id, self.site.now, uid=uid, outcome=outcome, link=link)
        assert settled.command == self.site.seen(before)
        if before.state not in ENDS:
            assert (settled.refusal, settled.command.state) == (None, said)
            thing.said.add((uid, said))
        else:
            assert settled.command == before
            is_known = said is before.state or (said is State.RUNNING and not before.reason)
            assert (settled.refusal is None) == is_known
            if settled.refusal is not None:
                self._check_evidence(settled.command, said)

    def _check_evidence(self, one: Command, said: State) -> None:
        """What came after the end is kept once, however often it is said."""
        with self.database.read() as tx:
            lines = commands.events(tx, one.number)
        account.check_history(one, lines)
        assert [line.detail["state"] for line in lines if line.what is What.LATE].count(said) == 1

    @precondition(lambda self: self.asked)
    @rule(pick=PICK, end=END)
    def say_what_cannot_be(self, pick: int, end: State) -> None:
        """Of another device's command, and of one that never left the hub."""
        one = self.picked(pick)
        stranger = self.things[CELLAR if self.asked[one.uid].to == PORCH else PORCH]
        with pytest.raises(NotFound):
            self.site.finish(stranger.device, one, end)
        if one.state is State.QUEUED and not one.attempt:
            with pytest.raises(Conflict):
                self.site.finish(self.things[self.asked[one.uid].to].device, one, end)
        assert self.site.seen(one) == one

    # Time.

    @rule(seconds=PAUSE)
    def sweep(self, seconds: float) -> None:
        self.site.clock.turn(seconds)
        self.site.sweep()
        for one in self.rows():
            assert one.state not in OUT or (one.leased_until and one.leased_until > self.site.now)
            assert one.state is not State.QUEUED or not one.expires_at or one.expires_at > self.site.now

    @precondition(lambda self: len(self.asked) > ENOUGH)
    @rule(end=END)
    def come_to_an_end(self, end: State) -> None:
        """Devices that ask and do not answer: whatever waits has ended after some leases."""
        for _ in range(model.MOST_ATTEMPTS + 1):
            self.site.clock.turn(3600)
            self.site.sweep()
            for thing in self.things.values():
                while given := self._handed(thing, "http"):
                    thing.get(given, end)
        assert {one.state for one in self.rows()} <= ENDS

    # What holds at every moment.

    @invariant()
    def all_is_well(self) -> None:
        found = {one.uid: one for one in self.rows()}
        if (found, self.site.now) == (self.known, self.looked_at):
            return
        homes = {uid: self.things[one.to].device.id for uid, one in self.asked.items()}
        assert {uid: one.device_id for uid, one in found.items()} == homes
        for uid, one in found.items():
            if one != self.known.get(uid):
                self._check_change(self.known.get(uid), one)
        self.known, self.looked_at = found, self.site.now
        told = Counter(one.command.uid for one in self.site.told if isinstance(one, CommandFinished))
        assert told == Counter(uid for uid, one in found.items() if one.state in ENDS)
        for thing in self.things.values():
            self._check_device(thing, [one for one in found.values() if one.device_id == thing.device.id])

    def _check_change(self, before: Command | None, one: Command) -> None:
        """It has not ended before, and is where its history and its device say."""
        assert before is None or before.state not in ENDS, f"{one.uid} changed after its end"
        with self.database.read() as tx:
            account.check_history(one, commands.events(tx, one.number))
        thing = self.things[self.asked[one.uid].to]
        account.check_end(one, thing.said, is_cancelled=one.uid in self.cancelled)

    def _check_device(self, thing: Thing, found: list[Command]) -> None:
        """What is once-only came once. Polls trust `look`: nothing is due when it says so, nor before it names."""
        for uid, times in Counter(thing.came).items():
            assert times == 1 or not self.known[uid].is_once
        with self.database.read() as tx:
            seen = service.look(tx, [thing.device.id], self.site.now).get(thing.device.id, service.Look(False, None))
        assert seen.is_due or account.next_one(found, self.site.now) is None
        due_at = account.next_change(found, self.site.now)
        assert due_at is None or seen.is_due or (seen.next_at is not None and seen.next_at <= due_at)
        assert seen.next_at is None or seen.next_at > self.site.now

    # Looking.

    def rows(self) -> list[Command]:
        with self.database.read() as tx:
            return commands.newest(tx, Wanted(self.site.home_id), most=1_000)

    def seen(self, uid: str) -> Command:
        return self.site.seen(self.known[uid])

    def picked(self, pick: int) -> Command:
        return self.known[list(self.asked)[pick % len(self.asked)]]


def test_no_order_of_things_loses_doubles_or_invents_anything() -> None:
    database = Database("sqlite://", pool_size=1)
    metadata.create_all(database.engine)
    machine = type("OnThisDatabase", (Commands,), {"database": database})
    run_state_machine_as_test(machine, settings=settings(max_examples=30, stateful_step_count=30, deadline=None))
    database.close()
