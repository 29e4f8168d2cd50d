"""Reports to a JunctionRelay server over real HTTP: newest first, nothing lost, tokens renewed on the way."""

import json
import logging
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from agent.tests.conftest import CODE, NOON_US, HandTicks
from agent.tests.relay_server import RelayBench, RelayServer

from waystation_agent import identity, pairing
from waystation_agent.clock import iso
from waystation_agent.errors import Fault
from waystation_agent.folder import Folder
from waystation_agent.identity import State
from waystation_agent.junctionrelay import old_config
from waystation_agent.junctionrelay.account import Account
from waystation_agent.junctionrelay.line import Line
from waystation_agent.junctionrelay.relay import Manner
from waystation_agent.junctionrelay.report import Form
from waystation_agent.link import Server
from waystation_agent.pairing import Invitation, pair, take_over

MINUTE_US = 60_000_000


@pytest.fixture
def ticks() -> HandTicks:
    return HandTicks()


@pytest.fixture
def server(tmp_path: Path, ticks: HandTicks, monkeypatch: pytest.MonkeyPatch) -> Iterator[RelayServer]:
    monkeypatch.setattr(pairing, "LONGEST_PAUSE_SECONDS", 0.0)
    server = RelayServer(tmp_path / "relay.db", lambda: ticks.wall / 1_000_000)
    server.model.open_registration("reg-1")
    yield server
    server.stop()


@pytest.fixture
def bench(folder: Folder, ticks: HandTicks) -> Iterator[RelayBench]:
    bench = RelayBench(folder, ticks)
    yield bench
    bench.close()


@pytest.fixture
def paired(server: RelayServer, folder: Folder) -> Account:
    return register(server, folder)


def register(server: RelayServer, folder: Folder, token: str = "reg-1") -> Account:
    device = pair(folder.identity, Line(server.url, "Porch Pi", token), Server(server.url))
    assert isinstance(device, Account)
    server.model.secrets.append(device.jwt.text)
    return device


def sent_at(server: RelayServer) -> list[int]:
    """The minutes after noon of the reports that were taken."""
    moments = [datetime.fromisoformat(str(report["timestamp"])) for report in server.model.reports]
    return [int(moment.timestamp() * 1_000_000 - NOON_US) // MINUTE_US for moment in moments]


def test_the_four_calls_are_spoken_in_the_key_case_of_the_contract(
    server: RelayServer, bench: RelayBench, paired: Account
) -> None:
    bench.sample()
    bench.deliver()
    bench.live(hours=1.2)
    bench.ticks.pass_seconds(6 * 86_400)
    bench.deliver()
    spoken = dict(server.spoken)
    assert list(spoken["/cloud/devices/register"]) == ["registrationToken", "actualDeviceId", "deviceName"]
    assert list(spoken["/cloud/devices/refresh"]) == ["RefreshToken", "DeviceId"]
    assert list(spoken["/cloud/devices/refresh-rotate"]) == ["RefreshToken", "DeviceId"]
    assert list(spoken["/cloud/devices/health"]) == ["Status", "SensorData", "Timestamp"]
    assert spoken["/cloud/devices/health"]["SensorData"] == {"uptime": 7, "porch": "dry", "spool_dropped_total": "0"}
    assert server.model.refusals == 0


def test_after_an_outage_the_newest_report_goes_first_and_the_backlog_in_order__JR_A14(
    server: RelayServer, bench: RelayBench, paired: Account
) -> None:
    bench.sample(5)
    bench.deliver()
    assert sent_at(server) == [4, 0, 1, 2, 3]
    bench.sample()
    assert bench.deliver().until_sample
    assert sent_at(server)[5:] == [5]
    assert (bench.spool.depth(), bench.spool.count("delivered_total")) == (0, 6)


def test_a_new_report_overtakes_a_backlog_that_is_being_sent__JR_A14(
    server: RelayServer, bench: RelayBench, paired: Account
) -> None:
    bench.sample(4)
    for _ in range(2):
        bench.relay.step()
    bench.sample()
    bench.deliver()
    assert sent_at(server) == [3, 0, 4, 1, 2]


def test_times_go_forward_though_the_backlog_goes_backward(
    server: RelayServer, bench: RelayBench, paired: Account
) -> None:
    bench.sample(3)
    bench.deliver()
    assert bench.spool.newest_us() == NOON_US + 2 * MINUTE_US


def test_two_hours_of_trouble_lose_nothing_and_change_nobody__JR_A5(
    server: RelayServer, bench: RelayBench, paired: Account
) -> None:
    bench.ticks.pass_seconds(3_000)
    server.fault = lambda: 503
    bench.live(hours=2, every_seconds=60)
    server.fault = lambda: None
    assert bench.spool.depth() == 120
    assert bench.account.refresh == paired.refresh
    bench.ticks.pass_seconds(60)
    bench.deliver()
    assert sent_at(server) == [50 + 119, *range(50, 50 + 119)]


@pytest.mark.parametrize("lost", [1, 3])
def test_a_rotation_whose_answer_was_lost_is_repeated_with_the_old_token__JR_A9(
    server: RelayServer, bench: RelayBench, paired: Account, lost: int
) -> None:
    bench.ticks.pass_seconds(6.5 * 86_400)
    server.faults.extend(["cut"] * lost)
    for _ in range(lost):
        bench.deliver()
        bench.restart()
    assert bench.account.refresh == paired.refresh
    bench.ticks.pass_seconds(10)
    bench.live(hours=2, every_seconds=60)
    assert server.paths().count("refresh-rotate") == lost + 1
    assert (bench.account.previous, bench.spool.depth(), server.model.refusals) == (None, 0, 0)


def test_tokens_that_cannot_be_saved_are_not_used__JR_A3(
    server: RelayServer, bench: RelayBench, paired: Account
) -> None:
    bench.ticks.pass_seconds(6.5 * 86_400)
    lock = bench.folder.identity.with_name("agent.json.lock")
    lock.unlink()
    lock.mkdir()
    assert bench.deliver().seconds == 10
    assert "refresh-rotate" not in server.paths()
    assert "cannot be saved" in str(bench.spool.note("last_error"))
    lock.rmdir()
    bench.live(hours=1)
    assert bench.account.refresh != paired.refresh


def test_a_pair_that_could_not_be_saved_is_saved_before_it_is_used__JR_A3(
    server: RelayServer, bench: RelayBench, paired: Account
) -> None:
    bench.sample()
    bench.ticks.pass_seconds(6.5 * 86_400)
    lock = bench.folder.identity.with_name("agent.json.lock")

    def the_disk_fills_up(path: str) -> None:
        if path.endswith("rotate"):
            lock.unlink()
            lock.mkdir()

    server.before_answering = the_disk_fills_up
    for _ in range(3):
        assert bench.deliver().seconds == 10
    assert server.paths().count("refresh-rotate") == 1
    assert "health" not in server.paths()
    lock.rmdir()
    bench.deliver()
    assert bench.account.refresh != paired.refresh
    assert sent_at(server) == [0]


def test_a_refused_device_is_idle_and_keeps_its_samples_and_its_id__JR_A8(
    server: RelayServer, bench: RelayBench, paired: Account
) -> None:
    server.model.families[0].revoked = True
    bench.sample(3)
    bench.deliver()
    spoken = len(server.spoken)
    bench.live(hours=3)
    assert len(server.spoken) == spoken
    state = identity.load(bench.folder.identity)
    assert (state.identity, state.device_id, bench.spool.note("link_state")) == (
        None,
        paired.device_id,
        "needs pairing",
    )
    server.model.open_registration("reg-2")
    again = register(server, bench.folder, "reg-2")
    bench.deliver()
    assert (again.device_id, bench.spool.depth()) == (paired.device_id, 0)


def test_a_portal_that_says_no_to_everything_costs_no_identity__JR_A5(
    server: RelayServer, bench: RelayBench, paired: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.ticks.pass_seconds(9 * 3_600)
    monkeypatch.setattr("waystation_agent.junctionrelay.wire.words", lambda _answer: None)
    server.fault = lambda: 403
    bench.live(hours=2)
    assert bench.account.refresh == paired.refresh


def test_pairing_anew_with_the_same_line_is_taken_without_a_restart__JR_12(
    server: RelayServer, bench: RelayBench, paired: Account
) -> None:
    bench.sample()
    bench.deliver()
    again = register(server, bench.folder)
    assert again.refresh != paired.refresh
    bench.ticks.pass_seconds(3_700)
    bench.sample()
    bench.deliver()
    assert (server.model.refusals, bench.spool.depth(), len(server.model.families)) == (0, 0, 1)


def test_a_device_may_go_from_a_relay_to_a_hub_and_back(
    server: RelayServer, bench: RelayBench, paired: Account, hub: object
) -> None:
    pair(bench.folder.identity, Invitation(hub.url, CODE), Server(hub.url), name="attic")  # type: ignore[attr-defined]
    bench.sample()
    assert bench.relay.step().seconds == 1
    server.model.open_registration("reg-2")
    assert register(server, bench.folder, "reg-2").device_id == paired.device_id
    bench.deliver()
    assert bench.spool.depth() == 0


def test_one_connection_serves_all_calls__JR_A17(server: RelayServer, bench: RelayBench, paired: Account) -> None:
    connections = server.connections
    bench.live(hours=3)
    assert server.connections - connections == 1


def test_a_report_that_is_too_large_is_set_aside_and_the_others_go_on(
    server: RelayServer, bench: RelayBench, paired: Account
) -> None:
    bench.sample(2)
    server.faults.append(413)
    bench.deliver()
    assert (len(bench.spool.quarantined()), len(server.model.reports)) == (3, 1)


def test_sealed_reports_are_never_sent_in_the_clear(
    server: RelayServer, folder: Folder, ticks: HandTicks, paired: Account
) -> None:
    bench = RelayBench(folder, ticks, Manner(form=Form.SEALED_V2))
    bench.sample()
    assert bench.deliver().seconds == 60
    assert "publicKey" in str(bench.spool.note("last_error"))
    assert server.model.reports == []
    bench.close()


def test_a_clock_in_1970_is_told_the_time_and_the_samples_are_dated(
    server: RelayServer, bench: RelayBench, paired: Account
) -> None:
    server.clock = lambda: NOON_US / 1_000_000
    server.wall = server.clock
    bench.ticks.wall = 0
    bench.sample(3)
    bench.deliver()
    bench.sample()
    bench.deliver()
    assert len(server.model.reports) == 4
    assert server.model.refusals == 0


def test_no_token_is_ever_logged__JR_A4(
    server: RelayServer, bench: RelayBench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "waystation_agent")
    register(server, bench.folder)
    bench.live(hours=9)
    bench.ticks.pass_seconds(6 * 86_400)
    server.faults.extend(["cut", 503])
    bench.live(hours=1, every_seconds=60)
    server.model.families[0].revoked = True
    bench.live(hours=2)
    assert "refresh-rotate done" in caplog.text
    assert "needs pairing" in caplog.text
    used = [secret for secret in server.model.secrets if secret in caplog.text]
    assert (len(server.model.secrets) > 10, used) == (True, [])


# Taking over from the Python client


def python_clients_file(folder: Path, server: RelayServer, *, test_mode: bool = False) -> Path:
    """The file as the Python client writes it: local time with a false `Z`, its own ends in test mode."""
    _, said = server.model.call("/cloud/devices/register", {"registrationToken": "reg-1", "actualDeviceId": "AA:BB"})
    now = server.clock()
    ends = (now + 360, now + 1_080) if test_mode else (now + 8 * 3_600, now + 7 * 86_400)
    local = [datetime.fromtimestamp(end).strftime("%Y-%m-%dT%H:%M:%SZ") for end in ends]  # noqa: DTZ006 as it does
    fields = {"jwt": said["deviceJwt"], "refresh_token": said["refreshToken"], "device_id": "AA:BB"}
    fields |= {"jwt_expires_at": local[0], "refresh_token_expires_at": local[1], "last_token_refresh": now}
    path = folder / old_config.NAME
    path.write_text(json.dumps(fields))
    return path


@pytest.fixture(params=["UTC", "America/Chicago", "Asia/Tokyo", "Pacific/Kiritimati"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("test_mode", "rotations"), [(False, 0), (True, 1)])
def test_an_old_file_leads_to_one_renewal_and_no_storm_in_any_zone__JR_A18(
    server: RelayServer, bench: RelayBench, tmp_path: Path, zone: str, *, test_mode: bool, rotations: int
) -> None:
    server.model.now = server.clock()
    path = python_clients_file(tmp_path, server, test_mode=test_mode)
    taken = take_over(bench.folder.identity, (tmp_path,), Server(server.url))
    assert taken
    assert taken.device_id == "AA:BB"
    bench.live(hours=0.9)
    paths = server.paths()
    assert (paths.count("refresh"), paths.count("refresh-rotate")) == (1 - rotations, rotations)
    assert server.model.refusals == 0
    assert len(server.model.reports) == 5
    fields = json.loads(path.read_text())
    assert fields["jwt"] == bench.account.jwt.text
    read_back = time.mktime(time.strptime(fields["jwt_expires_at"], "%Y-%m-%dT%H:%M:%SZ"))
    assert read_back == bench.account.jwt.expires_at


def test_one_can_go_back_to_the_python_client_and_return(
    server: RelayServer, bench: RelayBench, tmp_path: Path
) -> None:
    server.model.now = server.clock()
    path = python_clients_file(tmp_path, server)
    take_over(bench.folder.identity, (tmp_path,), Server(server.url))
    bench.live(hours=1)
    fields = json.loads(path.read_text())
    sent = {"RefreshToken": fields["refresh_token"], "DeviceId": fields["device_id"]}
    status, said = server.model.call("/cloud/devices/refresh-rotate", sent)
    assert status == 200
    path.write_text(json.dumps(fields | {"jwt": said["token"], "refresh_token": said["refreshToken"]}))
    bench.ticks.pass_seconds(3 * 3_600)
    assert take_over(bench.folder.identity, (tmp_path,), Server(server.url))
    bench.restart()
    bench.live(hours=1)
    assert (server.model.refusals, bench.spool.depth()) == (0, 0)


def test_an_old_file_is_left_alone_by_a_paired_device(
    server: RelayServer, bench: RelayBench, paired: Account, tmp_path: Path
) -> None:
    (tmp_path / old_config.NAME).write_text('{"jwt":"j","refresh_token":"r","device_id":"d"}')
    assert take_over(bench.folder.identity, (tmp_path,), Server(server.url)) is None
    assert bench.account == paired


# Registration


def test_a_lost_registration_is_finished_with_the_same_device__JR_12(server: RelayServer, folder: Folder) -> None:
    server.faults.extend(["cut"] * pairing.ATTEMPTS)
    with pytest.raises(Fault, match="Nothing is lost"):
        register(server, folder)
    assert identity.load(folder.identity).identity is None
    asked = pairing.finish_pending(folder.identity)
    assert asked
    assert isinstance(asked.device, Account)
    assert len(server.model.families) == 1
    assert pairing.finish_pending(folder.identity) is None


def test_a_refused_registration_is_said_and_not_repeated(server: RelayServer, folder: Folder) -> None:
    with pytest.raises(Fault, match="unknown registration token"):
        register(server, folder, "reg-unknown")
    state = identity.load(folder.identity)
    assert (state.claim, state.identity) == (None, None)
    assert state.has_used(next(iter(state.spent)))


def test_a_wrong_prefix_is_named(server: RelayServer, folder: Folder) -> None:
    line = Line(server.url, "Porch Pi", "reg-1")
    with pytest.raises(Fault, match="--prefix"):
        pair(folder.identity, line, Server(server.url), prefix="/cloud-gadgets")


def test_a_device_id_is_made_once_and_looks_like_an_address__JR_A13() -> None:
    state = State().with_device_id()
    assert re.fullmatch(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}", state.device_id)
    assert state.with_device_id() == state


def test_reports_carry_the_time_of_their_sample(server: RelayServer, bench: RelayBench, paired: Account) -> None:
    bench.sample()
    bench.deliver()
    assert server.model.reports[0]["timestamp"] == iso(NOON_US)
    assert datetime.fromtimestamp(NOON_US / 1_000_000, UTC).isoformat() in iso(NOON_US).replace(".000000", "")
