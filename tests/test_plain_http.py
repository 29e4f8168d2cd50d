"""What a cloud says over plain HTTP: people are led to HTTPS or refused, devices are served as ever (TH-3, G-2)."""

import http.client
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.hub import Hub, Registered
from tests.site import Site, standing_site

from waystation import telemetry
from waystation.homes import Role
from waystation.kernel.feature import NOBODY
from waystation.kernel.https import is_for_programs
from waystation.operation import map as site_map
from waystation.operation.map import Door

SAMPLE = b'{"mode":"AUTO","temp_inside_c":25.50,"setpoint_c":22.00}'
DOORS = site_map.survey().routes
INGEST = "/api/telemetry/ingest/"
HSTS = "strict-transport-security"
PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with standing_site(tmp_path_factory.mktemp("cloud"), preset="cloud") as site:
        yield site


def path_of(door: Door) -> str:
    return re.sub(r"{[^}]*}", "1", door.path).replace("…", "x")


def is_for_devices(door: Door) -> bool:
    return door.is_hot or door.who.startswith("device") or door.path.startswith(("/cloud", "/local-devices", "/api/"))


def test_a_page_over_plain_http_leads_to_https__TH_3(cloud: Site) -> None:
    for path in ("/", "/signin", "/devices?page=2", "/dashboard/", "/dashboard/devices/", "/nowhere"):
        answer = cloud.ask("GET", path, host="home.example:8000")
        assert (answer.status, answer.headers["location"]) == (308, f"https://home.example{path}")
        assert not {HSTS, "set-cookie"} & answer.headers.keys()


def test_where_it_leads_is_the_configured_address_whatever_the_request_says__TH_3(tmp_path: Path) -> None:
    with standing_site(tmp_path, https_only=True, public_url="https://home.example/") as site:
        for host in ("evil.example", "evil example", ""):
            assert site.ask("GET", "/devices", host=host).headers["location"] == "https://home.example/devices"


@pytest.mark.parametrize("host", ["", "a b", "evil.example/x", "evil.example:80:80", "user@evil.example", "é"])
def test_a_request_for_no_site_leads_nowhere__TH_3(cloud: Site, host: str) -> None:
    answer = cloud.ask("GET", "/devices", host=host)
    assert (answer.status, "location" in answer.headers) == (400, False)


def test_what_follows_the_address_never_changes_the_site_that_it_leads_to__TH_3(cloud: Site) -> None:
    for path in ("//evil.example/x", "/%5cevil.example", "/@evil.example"):
        assert cloud.ask("GET", path, host="hub").headers["location"].startswith("https://hub/")


def test_every_page_is_led_to_https_and_no_path_of_devices_is__TH_3(cloud: Site) -> None:
    doors = [door for door in DOORS if door.method == "GET" and door.who != NOBODY]
    led = {door.path for door in doors if cloud.ask("GET", path_of(door)).status == 308}
    assert not [door.path for door in doors if is_for_devices(door) and door.path in led]
    pages = {door.path for door in doors if not is_for_devices(door)}
    assert pages - led == {"/health", "/health/healthz", "/health/readyz", "/metrics", "/openapi.json"}


def test_no_post_is_ever_led_elsewhere__TH_3(cloud: Site) -> None:
    for door in DOORS:
        if door.method in ("GET", "HEAD"):
            continue
        answer = cloud.ask(door.method, path_of(door), "", {})
        assert not 300 <= answer.status < 400, door
        assert answer.status < 500, door
        assert not {"location", HSTS, "set-cookie"} & answer.headers.keys(), door
        if not (is_for_programs(door.path) or is_for_devices(door)):
            assert (answer.status, answer.json["code"]) == (403, "plain_http"), door


def test_a_form_over_plain_http_is_refused_in_a_sentence_on_a_page__TH_3(cloud: Site) -> None:
    answer = cloud.ask("POST", "/signin", "", b"email=a&password=b", **PAGE)
    assert (answer.status, b"open it with https://" in answer.body) == (403, True)
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_a_session_is_worth_nothing_over_plain_http__TH_3(cloud: Site) -> None:
    ann = cloud.somebody(cloud.home(), Role.OWNER)
    for method, path in (("GET", "/api/devices/"), ("POST", "/api/devices/register/"), ("POST", "/api/auth/logout/")):
        answer = cloud.ask(method, path, "", {"serial_number": "SN-1"}, **ann.browser)
        assert (answer.status, "HTTPS" in answer.json["detail"]) == (403, True), path
    cookie = {"cookie": f"sessionid={ann.session}"}
    assert cloud.client.get("https://hub/api/devices/", headers=cookie).status_code == 200


@pytest.mark.parametrize("path", ["/api/auth/login/", "/api/auth/register/"])
def test_a_password_is_not_taken_over_plain_http__TH_3(cloud: Site, path: str) -> None:
    answer = cloud.ask("POST", path, "", {"username": "ann", "password": "Several unrelated words 7"})
    assert (answer.status, "HTTPS" in answer.json["detail"]) == (403, True)


def test_pages_over_https_are_remembered_by_browsers_and_what_devices_hear_is_not__TH_3(cloud: Site) -> None:
    for path, remembered in (("/signin", True), ("/", True), ("/health/", False), ("/api/ping/", False)):
        answer = cloud.client.get(f"https://hub{path}", headers=PAGE)
        assert answer.status_code < 400
        assert answer.headers.get(HSTS) == ("max-age=31536000" if remembered else None)


def test_a_hub_serves_people_over_plain_http_and_speaks_of_nothing_else__TH_3(tmp_path: Path) -> None:
    with standing_site(tmp_path) as hub:
        for scheme in ("http", "https"):
            answer = hub.client.get(f"{scheme}://hub/signin", headers=PAGE)
            assert (answer.status_code, HSTS in answer.headers) == (200, False)


def test_a_cloud_that_serves_people_over_plain_http_is_told_of_on_the_system_page__TH_3(tmp_path: Path) -> None:
    with standing_site(tmp_path, preset="cloud", https_only=False) as site:
        operator = site.operator()
        shown = site.ask("GET", "/system", **{**operator.browser, **PAGE})
        assert b"passwords and sessions" in shown.body


def test_without_plain_http_no_call_of_a_device_is_taken_over_it__TH_3(tmp_path: Path) -> None:
    with standing_site(tmp_path, plain_http_ingest=False) as site:
        device = site.device(site.home())
        for door in DOORS:
            if not door.is_hot:
                continue
            answer = site.ask(door.method, door.path, device.authorization, SAMPLE)
            assert (answer.status, answer.json["code"]) == (403, "plain_http"), door
        with site.database.read() as tx:
            assert telemetry.extent(tx).values == 0


# The real program, behind a proxy that says what it was asked over, and before a client that pretends to be one.

StartHub = Callable[..., Hub]


def asked(hub: Hub, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], Any]:
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        read = answer.read()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, told, json.loads(read) if "json" in told.get("content-type", "") else read
    finally:
        connection.close()


@pytest.mark.servers
def test_only_a_trusted_proxy_says_what_was_asked_over_https__TH_3(hub: StartHub) -> None:
    behind = hub(environment={"WAYSTATION_PRESET": "cloud", "WAYSTATION_TRUSTED_PROXIES": "127.0.0.1"})
    alone = hub(environment={"WAYSTATION_PRESET": "cloud", "WAYSTATION_PLAIN_HTTP_INGEST": "false"})
    forms = {"X_Forwarded_Proto": "https", "X_Forwarded_For": "192.0.2.9"}
    status, headers, _ = asked(behind, "GET", "/signin", **forms)
    assert (status, HSTS in headers) == (200, True)
    assert asked(behind, "GET", "/signin", X_Forwarded_Proto="http")[0] == 308
    assert asked(behind, "GET", "/signin", X_Forwarded_Proto="https, http")[0] == 308
    assert asked(alone, "GET", "/signin", **forms)[0] == 308
    assert asked(alone, "POST", "/signin", b"email=a", **forms)[0] == 403
    assert "WAYSTATION_TRUSTED_PROXIES" in alone.log
    assert "WAYSTATION_TRUSTED_PROXIES" not in behind.log


def posted(hub: Hub, device: Registered, **headers: str) -> tuple[int, dict[str, str], Any]:
    return asked(hub, "POST", INGEST, SAMPLE, Authorization=device.authorization, **headers)


@pytest.mark.servers
def test_readings_over_plain_http_are_taken_by_switch__TH_3(hub: StartHub) -> None:
    strict = {"WAYSTATION_PLAIN_HTTP_INGEST": "false", "WAYSTATION_TRUSTED_PROXIES": "127.0.0.1"}
    taking, refusing = (hub(environment={"WAYSTATION_PRESET": "cloud", **more}) for more in ({}, strict))
    device = taking.register_device("Hall")
    status, headers, _ = posted(taking, device)
    assert (status, {"location", HSTS, "set-cookie"} & headers.keys()) == (200, set())
    device = refusing.register_device("Hall")
    for headers in ({}, {"X_Forwarded_Proto": "http"}, {"X_Forwarded_Proto": "https,http"}):
        status, told, body = posted(refusing, device, **headers)
        assert (status, "HTTPS only" in body["detail"], "location" in told) == (403, True, False)
    assert asked(refusing, "POST", "/api/readings", b"{}", Authorization=device.authorization)[0] == 403
    status, told, _ = posted(refusing, device, X_Forwarded_Proto="https")
    assert (status, HSTS in told) == (200, False)
    assert [len(points) for points in refusing.readings(device).values()] == [1] * len(refusing.readings(device))
