"""The real program, met as the firmware in the field meets it: raw sockets, one post each, no TLS, no redirects."""

import http.client
import json
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

import pytest
from tests.hub import Hub

pytestmark = pytest.mark.servers
StartHub = Callable[..., Hub]

SERIAL = "SN-ESP32-THERMO-001"
G2 = (
    '{"mode":"AUTO","temp_inside_c":25.50,"temp_outside_c":25.00,"setpoint_c":22.00,"hysteresis_c":0.50,'
    '"output":"COOL_ON"}'
)
G3 = G2[:-1] + ',"timestamp":"2025-11-20T22:34:00-0800","device_ip":"192.168.1.50"}'
PASSWORD = "Several unrelated words 7"
CLOUD = {"WAYSTATION_PRESET": "cloud", "WAYSTATION_SIGNIN_PER_MINUTE": "100", "WAYSTATION_HTTPS_ONLY": "false"}


@dataclass(frozen=True, slots=True)
class Heard:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Firmware:
    """Looks at the status and nothing else; what it reads here is for the test."""

    port: int
    authorization: str = ""

    def post(self, body: str, path: str = "/api/telemetry/ingest/", *lines: str) -> Heard:
        head = [
            f"POST {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "User-Agent: ESP32 HTTP Client/1.0",
            "Content-Type: application/json",
            *([f"Authorization: {self.authorization}"] if self.authorization else []),
            *lines,
            f"Content-Length: {len(body)}",
        ]
        with socket.create_connection(("127.0.0.1", self.port), 20) as line:
            line.sendall("\r\n".join([*head, "", body]).encode())
            answer = http.client.HTTPResponse(line)
            answer.begin()
            return Heard(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


class Script:
    """As one that follows the original's README, with a cookie jar."""

    def __init__(self, hub: Hub) -> None:
        self.port = hub.port
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = (
            {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), **headers} if self.cookies else headers
        )
        if "csrftoken" in self.cookies and method != "GET":
            sent["X-CSRFToken"] = self.cookies["csrftoken"]
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json", **sent})
        answer = connection.getresponse()
        for line in answer.headers.get_all("set-cookie", []):
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items() if morsel.value}
        read = answer.read()
        connection.close()
        is_json = "json" in (answer.headers.get("content-type") or "")
        return answer.status, json.loads(read) if is_json else read.decode()


@pytest.fixture
def cloud(hub: StartHub) -> Hub:
    return hub(environment=CLOUD)


def test_from_an_account_to_a_chart_as_the_readme_tells__TH_1__TH_2__TH_22(cloud: Hub) -> None:
    script = Script(cloud)
    assert script.ask("GET", "/health/")[1]["message"] == "backend alive"
    status, ann = script.ask("POST", "/api/auth/register/", {"username": "ann", "password": PASSWORD})
    assert (status, ann["username"]) == (201, "ann")
    status, made = script.ask("POST", "/api/devices/register/", {"serial_number": SERIAL, "name": "Hall"})
    assert status == 200
    firmware = Firmware(cloud.port, f"Device {SERIAL}:{made['api_key']}")
    for body in (G2, G3):
        heard = firmware.post(body)
        assert heard.status == 200
        assert set(json.loads(heard.body)) == {"status", "id", "server_ts"}
    status, found = script.ask("GET", f"/api/telemetry/query/?device_id={SERIAL}&range=24h")
    assert [row["output"] for row in found["results"]] == ["COOL_ON", "COOL_ON"]
    assert found["results"][-1]["raw_payload"] == json.loads(G3)
    status, recent = script.ask("GET", "/api/telemetry/recent/")
    assert recent["data"][0]["device_ts"] == "2025-11-20T22:34:00-0800"
    status, table = script.ask("GET", f"/api/telemetry/export/?device_id={SERIAL}&tz=America/Vancouver")
    assert (status, len(table.splitlines())) == (200, 3)
    status, listed = script.ask("GET", "/api/devices/")
    assert (listed["count"], listed["results"][0]["current_temp"]) == (1, 25.5)
    assert script.ask("POST", "/api/auth/logout/", {}) == (200, {"status": "ok"})
    assert script.ask("GET", "/api/devices/")[0] == 401


def test_plain_http_is_never_redirected_and_answers_stay_small__TH_3(cloud: Hub) -> None:
    made = cloud.command("device", "register", "Hall")
    good = Firmware(cloud.port, f"Device {made['serial']}:{made['api_key']}")
    wrong = Firmware(cloud.port, f"Device {made['serial']}:wrong")
    for heard in (
        good.post(G3),
        good.post("{"),
        wrong.post(G3),
        Firmware(cloud.port).post(G3),
        good.post(G3, "/nowhere"),
    ):
        assert not 300 <= heard.status < 400
        assert not {"location", "set-cookie", "strict-transport-security"} & heard.headers.keys()
        assert len(heard.body) < 1024
        assert int(heard.headers["content-length"]) == len(heard.body)


def test_one_device_twice_a_second_is_429_and_forged_headers_change_nothing__TH_5(cloud: Hub) -> None:
    made = [cloud.command("device", "register", name) for name in ("Hall", "Attic")]
    busy, calm = (Firmware(cloud.port, f"Device {one['serial']}:{one['api_key']}") for one in made)
    statuses = [busy.post(G2).status for _ in range(70)]
    assert statuses[:60] == [200] * 60
    assert 429 in statuses[60:]
    while (
        forged := busy.post(G2, "/api/telemetry/ingest/", "X-Forwarded-For: 10.0.0.1", "X-Device-Key: x")
    ).status == 200:
        pass
    assert forged.status == 429
    assert json.loads(forged.body)["error"] == "rate_limit_exceeded"
    assert int(forged.headers["retry-after"]) > 0
    assert calm.post(G2).status == 200


def test_wrong_credentials_cannot_be_told_apart__TH_4(cloud: Hub) -> None:
    one, two = (cloud.command("device", "register", name) for name in ("Hall", "Attic"))
    told = set()
    for authorization in (
        f"Device {one['serial']}:wrong",
        f"Device nobody:{one['api_key']}",
        f"Device {one['serial']}:{two['api_key']}",
        f"Device {one['serial']}:{one['api_key']}x",
    ):
        heard = Firmware(cloud.port, authorization).post(G2)
        told.add(
            (heard.status, heard.body, tuple(sorted(heard.headers.items() - {("date", heard.headers.get("date"))})))
        )
    assert len(told) == 1
    ((status, body, _),) = told
    assert (status, body) == (403, b'{"detail":"Invalid device credentials"}')


def test_no_secret_is_in_the_log_or_in_the_data_folder__TH_11__TH_24(cloud: Hub) -> None:
    script = Script(cloud)
    script.ask("POST", "/api/auth/register/", {"username": "ann", "password": PASSWORD})
    _, made = script.ask("POST", "/api/devices/register/", {"serial_number": SERIAL})
    Firmware(cloud.port, f"Device {SERIAL}:{made['api_key']}").post(G3)
    Firmware(cloud.port, f"Device {SERIAL}:{made['api_key']}x").post(G3)
    secrets = [made["api_key"], PASSWORD, *(value for name, value in script.cookies.items() if name != "csrftoken")]
    cloud.stop()
    kept = b"".join(path.read_bytes() for path in cloud.data.rglob("*") if path.is_file())
    assert not [secret for secret in secrets if secret in cloud.log]
    assert not [secret for secret in secrets if secret.encode() in kept]


def test_a_restart_forgets_no_key_session_or_repeat__TH_12(cloud: Hub) -> None:
    script = Script(cloud)
    script.ask("POST", "/api/auth/register/", {"username": "ann", "password": PASSWORD})
    _, made = script.ask("POST", "/api/devices/register/", {"serial_number": SERIAL})
    firmware = Firmware(cloud.port, f"Device {SERIAL}:{made['api_key']}")
    first = firmware.post(G2, "/api/telemetry/ingest/", "Idempotency-Key: a")
    cloud.kill_all()
    cloud.start()
    again = firmware.post(G2, "/api/telemetry/ingest/", "Idempotency-Key: a")
    assert (again.status, again.body) == (first.status, first.body)
    assert script.ask("GET", "/api/telemetry/query/")[1]["count"] == 1


def test_the_shared_key_of_the_first_firmware_is_announced_at_start__TH_9(hub: StartHub) -> None:
    mapped = {
        "WAYSTATION_THERMOSTAT_SHARED_KEY": "one-key-for-all",
        "WAYSTATION_THERMOSTAT_SHARED_DEVICES": "esp32-thermostat-1=SN-1",
    }
    site = hub(environment=mapped)
    assert re.search("weakens security.*thermostat_shared_key", site.log)
    assert "one-key-for-all" not in site.log
    Firmware(site.port).post('{"device_id":"esp32-thermostat-1"}')
