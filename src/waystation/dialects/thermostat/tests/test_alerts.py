"""From a post of the firmware to the mail that its owner gets, on a running hub with a real mail server (5.4)."""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.hub import Hub, Registered, free_port

from waystation.kernel.tests.smtp_site import Mailbox, serving

pytestmark = pytest.mark.servers
ANN = "ann@example.org"
METRIC = "temp_inside_c"
TOO_HIGH = {"name": "Too high", "metric": METRIC, "when": {"kind": "above", "threshold": 30.0}}
TOO_LOW = {"name": "Too low", "metric": METRIC, "when": {"kind": "below", "threshold": 10.0}}
DEFAULTS = (29.9, 30.0, 31, 9.9, 10.0)


@pytest.fixture
def mail_port() -> int:
    return free_port()


@pytest.fixture
def hub(tmp_path: Path, mail_port: int) -> Iterator[Hub]:
    mails = {"SMTP_URL": f"smtp://127.0.0.1:{mail_port}", "WAYSTATION_MAIL_FROM": "Hub <hub@example.org>"}
    made = Hub(tmp_path / "hub", environment=mails)
    made.start()
    yield made
    made.kill_all()


def asked(hub: Hub, method: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
    headers = {"Authorization": f"Bearer {hub.token}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        assert answer.status < 300, told
        return told
    finally:
        connection.close()


def watched(hub: Hub, *rules: dict[str, Any]) -> Registered:
    """A thermostat in a home whose mails go to Ann."""
    asked(hub, "POST", "/api/alerts/channels", {"kind": "mail", "config": {"to": ANN}})
    for rule in rules:
        asked(hub, "POST", "/api/alerts/rules", rule)
    return hub.register_device("Hall")


def post(hub: Hub, device: Registered, celsius: Sequence[float]) -> list[int]:
    bodies = [{"mode": "AUTO", METRIC: value, "setpoint_c": 22.0} for value in celsius]
    return [hub.post("/api/telemetry/ingest/", body, device.authorization)[0] for body in bodies]


def until(is_so: Callable[[], object], words: str) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, f"not within a minute: {words}"
        time.sleep(0.05)


def incidents(hub: Hub) -> list[dict[str, Any]]:
    return hub.get("/api/alerts/incidents")["incidents"]


def subjects(mailbox: Mailbox, word: str = "") -> list[str]:
    return [str(mail["subject"]) for mail in mailbox.taken if word in str(mail["subject"])]


def test_each_crossing_is_one_mail_within_its_cool_down__TH_15(hub: Hub, mail_port: int) -> None:
    mailbox = Mailbox()
    silent_about_recovery = ({**rule, "tells_recovery": False} for rule in (TOO_HIGH, TOO_LOW))
    device = watched(hub, *silent_about_recovery)
    with serving(mailbox, mail_port):
        assert post(hub, device, DEFAULTS) == [200] * 5
        until(lambda: len(mailbox.taken) == 2, "both mails")
        assert post(hub, device, (20, 30, 20, 10)) == [200] * 4
        until(lambda: sum(one["times"] for one in incidents(hub)) >= 4, "the crossings within the cool-down")
        assert post(hub, hub.register_device("Attic"), (31,)) == [200]
        until(lambda: subjects(mailbox, "Attic"), "the mail that nobody holds back")
    assert len(subjects(mailbox, "Hall")) == 2
    assert set(mailbox.recipients) == {ANN}


def test_a_recovery_is_told_as_well__TH_15(hub: Hub, mail_port: int) -> None:
    mailbox = Mailbox()
    device = watched(hub, TOO_HIGH)
    with serving(mailbox, mail_port):
        assert post(hub, device, (20, 31, 29)) == [200] * 3
        until(lambda: len(mailbox.taken) == 2, "the alert and its end")
    assert [("Recovered" in subject) for subject in subjects(mailbox)] == [False, True]


def test_a_mail_server_that_is_away_fails_no_post__TH_15(hub: Hub, mail_port: int) -> None:
    mailbox = Mailbox()
    device = watched(hub, TOO_HIGH)
    assert post(hub, device, (20, 31, 32, 33)) == [200] * 4
    until(lambda: incidents(hub), "the incident")
    assert post(hub, device, (34, 35)) == [200] * 2
    with serving(mailbox, mail_port):
        until(lambda: mailbox.taken, "the mail, once its server is there")
    assert len(subjects(mailbox, "Too high")) == 1
