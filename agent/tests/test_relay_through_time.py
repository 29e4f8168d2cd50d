"""A JunctionRelay device against the server's rules, through crashes, lost calls, lost answers and wrong clocks."""

import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.tests import relay_model
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from waystation_agent import link
from waystation_agent.junctionrelay import wire
from waystation_agent.junctionrelay.account import Account, Registration
from waystation_agent.junctionrelay.protocol import (
    PRODUCTION,
    TEST_MODE,
    Answered,
    Ask,
    Delivered,
    Lost,
    NeedsPairing,
    Now,
    Pace,
    Rest,
    Save,
    State,
    Tick,
    registered,
    start,
    step,
)
from waystation_agent.junctionrelay.wire import Call

HOUR, DAY = 3_600.0, 86_400.0
LINE = Registration(link.Server("https://relay.example"), "02:FC:00:00:00:01", "Porch Pi", "reg-1")


class Crash(Exception):
    """The power went."""


@dataclass
class Device:
    """The driver's part in memory: `disk` is what a crash leaves. `fate` rules every call: ok, lost, cut or crash."""

    server: relay_model.Server
    pace: Pace = PRODUCTION
    fate: Callable[[Call], str] = lambda _call: "ok"
    luck: Callable[[], float] = random.Random(7).random
    disk: Account | None = None
    monotonic: float = 50.0
    wall_error: float = 0.0
    state: State | None = None
    delivered: int = 0
    pending: int = 0
    stranded: str = ""
    calls: Counter[Call] = field(default_factory=Counter)

    @property
    def now(self) -> Now:
        return Now(self.monotonic, self.server.now + self.wall_error, self.luck())

    def pass_seconds(self, seconds: float) -> None:
        self.monotonic += seconds
        self.server.now += seconds

    def crash(self, *, reboot: bool = False) -> None:
        self.state = None
        if reboot:
            self.monotonic = 5.0

    def act(self) -> float:
        """Do all there is to do, and return how long the device rests then."""
        try:
            return self._act()
        except Crash:
            self.crash()
            return 1.0

    def _act(self) -> float:
        if self.disk is None and not self.stranded:
            return self._register()
        while self.disk:
            self.state = self.state or start(self.disk, self.pace, self.now)
            self.state, actions = step(self.state, self.now, Tick(self.pending > 0))
            for action in actions:
                match action:
                    case Ask(call):
                        self._carry_out(step(self.state, self.now, self._call(call)))
                    case Rest(seconds):
                        return seconds
                    case _:
                        self._carry_out((self.state, (action,)))
        return 60.0

    def _carry_out(self, outcome: tuple[State, tuple[object, ...]]) -> None:
        self.state, actions = outcome
        for action in actions:
            match action:
                case Save(account):
                    if self.fate(Call.REGISTER) == "crash":
                        raise Crash
                    self.disk = account
                case Delivered():
                    self.delivered, self.pending = self.delivered + 1, self.pending - 1
                case NeedsPairing(why):
                    self.disk, self.stranded = None, why
                case _:
                    pass

    def _register(self) -> float:
        found = registered(LINE, self.now, self._call(Call.REGISTER))
        if isinstance(found, Account):
            self.disk = found
        return 5.0

    def _call(self, call: Call) -> Answered | Lost:
        fate = self.fate(call)
        if fate == "lost":
            return Lost(call, "no route")
        if fate == "503":
            return Answered(call, 503, {}, retry_after_seconds=3)
        self.calls[call] += 1
        account = self.state.account if self.state else None
        if call is Call.REGISTER or account is None:
            body = wire.register_body(LINE)
        elif call is Call.HEALTH:
            body = wire.health_body({"uptime": 1}, "2026-11-21T07:19:06+00:00")
        else:
            body = wire.renewal_body(account)
        status, said = self.server.call(f"/cloud/devices/{call}", json.loads(body), account.jwt.text if account else "")
        if fate == "crash":
            raise Crash
        if fate == "cut":
            return Lost(call, "cut off")
        return Answered(call, status, {key.lower(): value for key, value in said.items()}, at=int(self.server.now))


def _device(pace: Pace = PRODUCTION) -> Device:
    server = relay_model.Server()
    server.open_registration("reg-1")
    if pace is TEST_MODE:
        server.jwt_seconds, server.refresh_seconds = 360, 1_080
    return Device(server, pace)


def _live(device: Device, seconds: float, report_every: float = 60.0) -> None:
    end, report_at = device.server.now + seconds, device.server.now
    while device.server.now < end:
        if device.server.now >= report_at:
            device.pending += 1
            report_at = device.server.now + report_every
        device.pass_seconds(min(device.act(), max(0.05, report_at - device.server.now)))


def test_eight_days_of_production_mode_need_one_rotation_and_meet_no_refusal() -> None:
    device = _device()
    _live(device, 8 * DAY)
    calls, server = device.calls, device.server
    sys.stdout.write(f"8 days: {dict(calls)}, refused {server.refusals}, delivered {device.delivered}\n")
    assert (calls[Call.REGISTER], calls[Call.ROTATE], server.refusals, device.stranded) == (1, 1, 0, "")
    assert 180 <= calls[Call.REFRESH] <= 200
    assert 11_300 <= device.delivered == len(server.reports) <= 11_600


def test_a_day_of_test_mode_rotates_every_seventeen_minutes_and_meets_no_refusal__JR_25() -> None:
    device = _device(TEST_MODE)
    _live(device, DAY)
    assert (device.server.refusals, device.stranded) == (0, "")
    assert 80 <= device.calls[Call.ROTATE] <= 86


def test_two_hours_of_503_leave_the_identity_and_the_reports__JR_A5() -> None:
    device = _device()
    _live(device, 60)
    held = device.disk
    device.fate = lambda _call: "503"
    _live(device, 2 * HOUR)
    assert held
    assert device.disk
    assert device.disk.refresh == held.refresh
    device.fate = lambda _call: "ok"
    _live(device, HOUR)
    assert (device.pending, device.stranded, device.server.refusals) == (0, "", 0)


def test_a_revoked_device_comes_to_rest_and_asks_for_pairing__JR_23() -> None:
    device = _device()
    _live(device, 60)
    device.server.families[0].revoked = True
    _live(device, 600)
    assert "unknown refresh token" in device.stranded
    assert device.server.refusals == 3


class Life(RuleBasedStateMachine):
    """Any life of an honest device. The network is gone for less than the grace window at a time (JR-13)."""

    def __init__(self) -> None:
        super().__init__()
        self.device = _device()
        self.fates: list[str] = []
        self.device.fate = lambda _call: self.fates.pop(0) if self.fates else "ok"

    @rule(fates=st.lists(st.sampled_from(["ok", "lost", "cut", "503", "crash"]), max_size=6))
    def the_next_calls_fare_badly(self, fates: list[str]) -> None:
        self.fates = fates
        self.device.pending += 1
        _live(self.device, 240)

    @rule(hours=st.floats(0.1, 30))
    def time_passes(self, hours: float) -> None:
        _live(self.device, hours * HOUR, 1_800)

    @rule(share=st.floats(0.01, 0.99))
    def the_machine_is_off(self, share: float) -> None:
        self._settle()
        self.device.crash(reboot=True)
        (family,) = self.device.server.families
        self.device.pass_seconds(share * (family.refresh_ends_at - self.device.server.now))
        self.device.monotonic = 5.0

    @rule(seconds=st.sampled_from([-40 * 365 * DAY, -13 * HOUR, -60.0, 0.0, 90.0, 9 * HOUR, 800 * DAY]))
    def the_wall_clock_steps(self, seconds: float) -> None:
        self.device.wall_error = seconds

    @rule(reboot=st.booleans())
    def the_agent_is_killed(self, reboot: bool) -> None:  # noqa: FBT001 hypothesis calls by name
        self.device.crash(reboot=reboot)

    @rule(seconds=st.floats(1, 300))
    def the_server_is_away(self, seconds: float) -> None:
        fate, self.device.fate = self.device.fate, lambda _call: "lost"
        _live(self.device, seconds)
        self.device.fate = fate

    def _settle(self) -> None:
        """Let a rotation whose answer was lost be repeated: switched off for days in that very second, it could not."""
        self.fates = []
        _live(self.device, 300)

    @invariant()
    def the_identity_is_never_lost(self) -> None:
        assert not self.device.stranded
        assert len(self.device.server.families) <= 1

    def teardown(self) -> None:
        self._settle()
        delivered = self.device.delivered
        self.device.pending = 1
        _live(self.device, 1_500, 2_000)
        assert self.device.delivered > delivered


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
