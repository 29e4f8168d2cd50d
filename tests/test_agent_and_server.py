"""The agent's own logic against the real server, through everything that goes wrong: an honest device always recovers,
and of a device and a thief never both go on.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from agent.tests.test_relay_through_time import Device
from agent.tests.test_relay_through_time import _live as live
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.strategies import booleans, floats, integers, lists, sampled_from
from tests.site import Site, standing_site

from waystation import devices
from waystation.devices import Gate, registration
from waystation.devices import store as device_rows
from waystation.dialects.junctionrelay.strangers import Strangers
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import from_micros, micros
from waystation.kernel.limits import Limiter
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing, digest
from waystation.kernel.succession import State
from waystation_agent.junctionrelay.protocol import PRODUCTION, TEST_MODE, Pace
from waystation_agent.junctionrelay.wire import Call

pytestmark = pytest.mark.servers  # whole lives, many seconds

HOUR, DAY = 3_600.0, 86_400.0


class Server:
    """The whole program as the device meets it: paths, bodies and a clock."""

    def __init__(self, site: Site, *, is_on_trial: bool = False) -> None:
        self.site = site
        self.home = site.home()
        self.refusals = 0
        self.heard: Counter[str] = Counter()
        self.secrets: list[str] = []
        wanted = registration.Wanted("Porch Pi", is_on_trial=is_on_trial, is_approved=True)
        with site.database.write() as tx:
            sealing, now = Sealing(site.parts.get(KeyRing)), site.clock.now()
            self.token = registration.offer(tx, sealing, COMMAND_LINE, self.home.id, wanted=wanted, now=now).token

    @property
    def now(self) -> float:
        return micros(self.site.clock.at) / 1e6

    @now.setter
    def now(self, seconds: float) -> None:
        self.site.clock.at = from_micros(round(seconds * 1e6))

    def call(self, path: str, sent: dict[str, Any], bearer: str = "") -> tuple[int, dict[str, Any]]:
        if "registrationToken" in sent:
            sent = {**sent, "registrationToken": self.token}
        answer = self.site.ask("POST", path, f"Bearer {bearer}" if bearer else "", sent)
        self.refusals += answer.status != 200
        self.heard[f"{path.rpartition('/')[2]} {answer.status}"] += 1
        return answer.status, answer.json

    def restart(self) -> None:
        """What a process keeps in memory is gone."""
        self.site.parts.get(Gate).drop_all()

    def device(self) -> devices.Device | None:
        with self.site.database.read() as tx:
            found = devices.search(tx, self.home.id, "", 10)
        assert len(found) <= 1
        return found[0] if found else None

    def revoke(self) -> None:
        found = self.device()
        assert found is not None
        with self.site.database.write() as tx:
            devices.revoke(tx, COMMAND_LINE, found, self.site.clock.now())

    def states(self) -> Counter[str]:
        found = self.device()
        if found is None:
            return Counter()
        of_device = device_rows.credential.c.device_id == found.id
        with self.site.database.read() as tx:
            return Counter(tx.connection.scalars(sa.select(device_rows.credential.c.state).where(of_device)))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with standing_site(tmp_path_factory.mktemp("site")) as made:
        made.parts.put(Strangers, Strangers(wait_seconds=0))
        yield made


def paired(site: Site, pace: Pace = PRODUCTION) -> Device:
    return Device(Server(site, is_on_trial=pace is TEST_MODE), pace)


def test_eight_days_of_production_mode__JR_A26(site: Site) -> None:
    """About 191 refreshes, one rotation, no refusal; every report is there once."""
    device = paired(site)
    live(device, 8 * DAY, report_every=600)
    sys.stdout.write(f"8 days: {dict(device.calls)}, delivered {device.delivered}, refused {device.server.refusals}\n")
    assert (device.calls[Call.REGISTER], device.calls[Call.ROTATE], device.server.refusals) == (1, 1, 0)
    assert 180 <= device.calls[Call.REFRESH] <= 200
    assert device.pending == 0


def test_a_day_of_test_mode__JR_25(site: Site) -> None:
    device = paired(site, TEST_MODE)
    live(device, DAY, report_every=600)
    assert (device.server.refusals, device.stranded) == (0, "")
    assert 80 <= device.calls[Call.ROTATE] <= 90


def test_a_revoked_device_rests_until_it_is_paired_again__JR_23(site: Site) -> None:
    device = paired(site)
    live(device, 120)
    device.server.revoke()
    live(device, 600)
    assert device.stranded
    assert device.server.refusals <= 4


class Life(RuleBasedStateMachine):
    """One device's life, with and without a thief who has copied its file."""

    stack: ClassVar[ExitStack]
    site: ClassVar[Site]
    met: ClassVar[Counter[str]] = Counter()

    @initialize()
    def begin(self) -> None:
        self.site.parts.put(Limiter, Limiter())  # it counts by the wall clock, where a life is a second
        self.server = Server(self.site)
        self.device = Device(self.server)
        self.fates: list[str] = []
        self.device.fate = lambda _call: self.fates.pop(0) if self.fates else "ok"
        self.stolen: list[str] = []
        self.made_by_thief: list[str] = []
        self.stolen_access: list[str] = []
        self.thief_has_used_them = self.revoked = False
        live(self.device, 30)

    @property
    def is_undisturbed(self) -> bool:
        return not (self.thief_has_used_them or self.revoked)

    @rule(fates=lists(sampled_from(["ok", "lost", "cut", "503", "crash"]), max_size=6))
    def the_next_calls_fare_badly(self, fates: list[str]) -> None:
        self.fates = fates
        self.device.pending += 1
        live(self.device, 240)

    @rule(hours=floats(0.1, 170))
    def time_passes(self, hours: float) -> None:
        live(self.device, hours * HOUR, report_every=12 * HOUR)

    @rule(seconds=sampled_from([-40 * 365 * DAY, -13 * HOUR, -60.0, 0.0, 90.0, 9 * HOUR, 800 * DAY]))
    def the_wall_clock_steps(self, seconds: float) -> None:
        self.device.wall_error = seconds

    @rule(reboot=booleans())
    def the_agent_is_killed(self, reboot: bool) -> None:  # noqa: FBT001  hypothesis calls by name
        self.device.crash(reboot=reboot)

    @rule()
    def the_server_restarts(self) -> None:
        self.server.restart()

    @rule(seconds=floats(1, 300))
    def the_server_is_away(self, seconds: float) -> None:
        fate, self.device.fate = self.device.fate, lambda _call: "lost"
        live(self.device, seconds)
        self.device.fate = fate

    @rule()
    def a_thief_copies_the_file(self) -> None:
        if self.device.disk is not None:
            self.stolen.append(self.device.disk.refresh.text)

    @precondition(lambda self: self.stolen)
    @rule(which=integers(0, 99), path=sampled_from(["refresh", "refresh-rotate"]))
    def the_thief_renews(self, which: int, path: str) -> None:
        self.thief_has_used_them = True
        known = self.stolen + self.made_by_thief
        token = known[which % len(known)]
        held = "02:FC:00:00:00:01"
        status, said = self.server.call(f"/cloud/devices/{path}", {"RefreshToken": token, "DeviceId": held})
        if status == 200:
            self.stolen_access.append(said["token"])
            self.made_by_thief += [said["refreshToken"]] if "refreshToken" in said else []

    @precondition(lambda self: self.stolen_access)
    @rule(which=integers(0, 99))
    def the_thief_reports(self, which: int) -> None:
        token = self.stolen_access[which % len(self.stolen_access)]
        self.server.call("/cloud/devices/health", {"Status": "online", "SensorData": ""}, token)

    @precondition(lambda self: self.server.device() is not None and not self.revoked)
    @rule(really=integers(0, 4))
    def the_owner_revokes(self, really: int) -> None:
        if really == 0 and self.server.states()[State.RETIRED] != sum(self.server.states().values()):
            self.revoked = True
            self.server.revoke()

    @invariant()
    def an_honest_device_is_never_stranded(self) -> None:
        assert not (self.device.stranded and self.is_undisturbed), self.device.stranded

    @invariant()
    def at_most_one_is_alive(self) -> None:
        states = self.server.states()
        assert states[State.ACTIVE] <= 1
        assert not self.revoked or set(states) <= {State.RETIRED}

    @invariant()
    def what_a_thief_renewed_and_what_the_device_holds_are_never_both_alive(self) -> None:
        held = self.device.disk.refresh.text if self.device.disk else ""
        with self.site.database.read() as tx:
            thiefs = [device_rows.keys.by_digest(tx, digest(token)) for token in self.made_by_thief]
            mine = device_rows.keys.by_digest(tx, digest(held))
        if any(row is not None and row.state == State.ACTIVE for row in thiefs):
            assert mine is None or mine.state == State.RETIRED

    def teardown(self) -> None:
        self.fates = []
        live(self.device, 400)
        if self.is_undisturbed:
            delivered, self.device.pending = self.device.delivered, 1
            live(self.device, 1_500, 2_000)
            assert self.device.delivered > delivered
        Life.met.update(self.server.heard)
        Life.met["lives"] += 1
        Life.met["lives with a thief"] += self.thief_has_used_them
        Life.met["lives ended by an owner"] += self.revoked


class Lives(Life.TestCase):
    __test__ = False

    @classmethod
    def setUpClass(cls) -> None:
        Life.stack = ExitStack()
        Life.site = Life.stack.enter_context(standing_site(Path(mkdtemp())))
        Life.site.parts.put(Strangers, Strangers(wait_seconds=0))
        Life.met.clear()

    @classmethod
    def tearDownClass(cls) -> None:
        Life.stack.close()
        sys.stdout.write(f"lives of an agent at the real server: {dict(sorted(Life.met.items()))}\n")


COMMON: dict[str, Any] = {"stateful_step_count": 12, "deadline": None, "suppress_health_check": list(HealthCheck)}


class TestSomeLives(Lives):
    __test__ = True
    settings = settings(max_examples=20, **COMMON)


@pytest.mark.faults
class TestManyLives(Lives):
    __test__ = True
    settings = settings(max_examples=400, **COMMON)
