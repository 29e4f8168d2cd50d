"""Nothing that is secret is found where it does not belong: logs, pages, figures, files, commands, errors."""

import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests import commands
from tests.hub import Hub

from waystation.operation import map as site
from waystation.operation.map import SiteMap

PASSWORD = "canary birds sing unrelated words"
NEW_PASSWORD = "other canary birds sing as well"
SMTP_PASSWORD = "canary-smtp-2b7e151628aed2a6"
CLIENT_SECRET = "canary-oidc-3c4fcf098815f7ab"
GUESS = "canary-guess-9d84f21bd2a8c3e7"
PAGE = {"accept": "text/html", "sec-fetch-site": "same-origin"}


class Browser:
    """Keeps cookies and the form token; keeps every body that it was shown."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.cookies: dict[str, str] = {}
        self.shown: dict[str, str] = {}

    def ask(self, method: str, path: str, body: str | bytes = b"", **headers: str) -> tuple[int, str]:
        named = {**PAGE, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.cookies:
            named["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = HTTPConnection("127.0.0.1", self.hub.port, timeout=60)
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        text = (
            answer.read().decode(errors="replace")
            if "event-stream" not in str(answer.getheader("content-type"))
            else ""
        )
        for cookie in answer.headers.get_all("set-cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        connection.close()
        self.shown[f"{method} {path}"] = text
        return answer.status, text

    def send(self, path: str, **fields: str) -> str:
        """A form, as its page sends it."""
        found = re.search(r'name="csrf" value="([^"]+)"', "".join(reversed(self.shown.values())))
        form = urlencode({"csrf": found[1] if found else "", **fields})
        status, text = self.ask("POST", path, form, content_type="application/x-www-form-urlencoded")
        assert status < 400, (path, status, text[:500])
        return text


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    environment = {
        "SMTP_URL": f"smtp://hub:{SMTP_PASSWORD}@127.0.0.1:9",
        "DEFAULT_FROM_EMAIL": "hub@example.org",
        "WAYSTATION_OIDC_ISSUER": "http://127.0.0.1:9/",
        "WAYSTATION_OIDC_CLIENT_ID": "waystation",
        "WAYSTATION_OIDC_CLIENT_SECRET": CLIENT_SECRET,
        "WAYSTATION_SIGNIN_PER_MINUTE": "100",
        "LOG_LEVEL": "debug",
    }
    made = Hub(tmp_path_factory.mktemp("canary") / "hub", environment=environment)
    made.start()
    yield made
    made.kill_all()


@pytest.fixture(scope="module")
def secrets(hub: Hub) -> Mapping[str, str]:
    """Every kind of secret, made, shown once and used, rightly and wrongly."""
    found = dict(passwords_and_settings(hub))
    found |= devices(hub)
    found["API token"] = hub.token
    for path in ("/api/readings", "/api/last-values", "/devices", "/cloud/devices/refresh", "/nothing-here"):
        wrongly(hub, path, found)
    return found


def passwords_and_settings(hub: Hub) -> Iterator[tuple[str, str]]:
    browser = Browser(hub)
    browser.ask("GET", hub.setup_path)
    browser.send(hub.setup_path, email="ann@example.org", password=PASSWORD)
    browser.ask("GET", "/account")
    browser.send("/account/password", old_password=PASSWORD, new_password=NEW_PASSWORD, elsewhere="on")
    yield "password", PASSWORD
    yield "new password", NEW_PASSWORD
    yield "wrong password", GUESS
    body = json.dumps({"email": "ann@example.org", "password": GUESS})
    browser.ask("POST", "/api/auth/login", body, content_type="application/json", accept="application/json")
    body = json.dumps({"email": "ann@example.org", "password": NEW_PASSWORD})
    status, text = browser.ask(
        "POST", "/api/auth/login", body, content_type="application/json", accept="application/json"
    )
    assert status == 200, text
    yield from ((name, json.loads(text)[name]) for name in ("access", "refresh"))
    yield from (("cookie", value) for name, value in browser.cookies.items() if len(value) > 20)
    yield "SMTP password", SMTP_PASSWORD
    yield "client secret", CLIENT_SECRET
    for name in ("access-tokens", "forms"):
        yield f"key {name}", (hub.data / "keys" / f"{name}.key").read_text().strip()
    reset = hub.command("person", "reset-password", "ann@example.org")
    yield "reset link", re.search(r"/reset/([\w-]{43})", json.dumps(reset))[1]  # type: ignore[index]


def devices(hub: Hub) -> dict[str, str]:
    thing = hub.register_device("Porch")
    claim = hub.command("device", "claim", "Shed")["code"]
    line = hub.command("device", "registration-token", "Pi")
    hub.post("/api/readings", {"values": {"temperature": 1.5}}, thing.authorization)
    held = {"registrationToken": line["token"], "actualDeviceId": "02:FC:00:00:00:01", "deviceName": "Pi"}
    _, made = hub.post("/cloud/devices/register", held, "")
    renewal = {"RefreshToken": made["refreshToken"], "DeviceId": "02:FC:00:00:00:01"}
    _, renewed = hub.post("/cloud/devices/refresh-rotate", renewal, "")
    hub.post("/cloud/devices/health", {"Status": "online", "SensorData": ""}, f"Bearer {renewed['token']}")
    hub.post("/cloud/devices/refresh-rotate", renewal, "")
    return {
        "API key": thing.api_key,
        "claim code": claim,
        "registration token": line["token"],
        "device access token": made["deviceJwt"],
        "device refresh token": made["refreshToken"],
        "renewed access token": renewed["token"],
        "renewed refresh token": renewed["refreshToken"],
    }


def wrongly(hub: Hub, path: str, found: Mapping[str, str]) -> None:
    """In the address, in broken bodies, as the wrong kind of credential."""
    browser = Browser(hub)
    for name, secret in found.items():
        field = re.sub(r"\W", "_", name)
        browser.ask("GET", f"{path}?{urlencode({'token': secret, 'password': secret, 'code': secret})}")
        browser.ask(
            "POST", path, f'{{"{field}": "{secret}"', content_type="application/json", accept="application/json"
        )
        browser.ask("POST", path, b"{}", authorization=f"Bearer {secret}")


def crawled(hub: Hub) -> Browser:
    """Every page and answer that an owner can open."""
    browser = Browser(hub)
    browser.send("/signin", email="ann@example.org", password=NEW_PASSWORD)
    keys = [one["key"] for one in hub.command("device", "list")]
    found: SiteMap = site.survey()
    for door in found.routes:
        if door.method == "GET" and "{secret}" not in door.path and not door.path.startswith("/signin/oidc"):
            for key in keys if "{key}" in door.path else [""]:
                browser.ask("GET", re.sub(r"\{\w+\}", key or "1", door.path).replace("…", "app.css"))
    return browser


def leaks(text: str, secrets: Mapping[str, str]) -> list[str]:
    return sorted({name for name, secret in secrets.items() if secret in text})


@pytest.mark.servers
def test_no_secret_is_in_the_log(hub: Hub, secrets: Mapping[str, str]) -> None:
    assert "ann@example.org" in hub.log or "refused" in hub.log or len(hub.log) > 1000
    assert leaks(hub.log, secrets) == []


@pytest.mark.servers
def test_no_secret_is_on_a_page(hub: Hub, secrets: Mapping[str, str]) -> None:
    browser = crawled(hub)
    assert len(browser.shown) > 30
    shown = {place: leaks(text, secrets) for place, text in browser.shown.items()}
    assert {place: found for place, found in shown.items() if found} == {}


@pytest.mark.servers
def test_no_secret_is_in_clear_in_the_database(hub: Hub, secrets: Mapping[str, str]) -> None:
    """Of the outbox's mails too: a link that is still to be sent is sealed until then."""
    files = [path for path in hub.data.rglob("*") if path.is_file() and "keys" not in path.parts]
    found = {path.name: leaks(path.read_bytes().decode("latin-1"), secrets) for path in files}
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.servers
def test_no_secret_is_in_what_commands_say(hub: Hub, secrets: Mapping[str, str], tmp_path: Path) -> None:
    for words in (
        ["settings"],
        ["doctor"],
        ["token", "list"],
        ["device", "list"],
        ["mail", "list"],
        ["member", "list"],
    ):
        ended = commands.run([*words, "--data", str(hub.data)], hub.environment)
        assert leaks(ended.stdout + ended.stderr, secrets) == [], words


@pytest.mark.servers
def test_no_secret_is_in_a_backup(hub: Hub, secrets: Mapping[str, str], tmp_path: Path) -> None:
    """Neither in its bytes nor in what any archive program unpacks; beside them, the code that opens it."""
    made = [hub.command("backup", str(tmp_path / name)) for name in ("b.tar", "b.tar.gz")]
    keys = {f"key {path.name}": path.read_text().strip() for path in (hub.data / "keys").glob("*.key")}
    assert made[0]["new_code"] == keys["key backup.key"]
    for name in ("b.tar", "b.tar.gz"):
        with tarfile.open(tmp_path / name) as tar:
            unpacked = {one.name: (tar.extractfile(one) or pytest.fail(one.name)).read() for one in tar}
        assert b"ann@example.org" in unpacked["waystation.db"]
        found = {place: leaks(text.decode("latin-1"), {**secrets, **keys}) for place, text in unpacked.items()}
        found["the file"] = leaks((tmp_path / name).read_bytes().decode("latin-1"), {**secrets, **keys})
        assert {place: names for place, names in found.items() if names} == {}
