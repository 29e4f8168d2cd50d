"""The contract's own walk against the running program: curl as the README prints it, the tool's calls, the sketch."""

import base64
import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.hub import Hub
from tests.nats import ExternalNats
from tests.servers import required

from waystation.dialects.dropsync.tests.served import Client
from waystation.kernel.secrets import write_private

pytestmark = pytest.mark.servers
StartHub = Callable[..., Hub]
HOST = "127.0.0.1"
SKETCH_HEADERS = (
    "User-Agent: ESP8266HTTPClient\r\nAccept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\nConnection: {keep}\r\n"
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub(tmp_path_factory.mktemp("walk") / "hub", environment={"LOG_LEVEL": "DEBUG"})
    hub.start()
    yield hub
    hub.kill_all()


@pytest.fixture(scope="module")
def client(running: Hub) -> Client:
    return Client(running)


def curl(*words: str) -> Any:
    """Its answer as JSON; -s and -S because a README's reader sees no progress either."""
    required(shutil.which("curl"), "curl")
    ended = subprocess.run(["curl", "-sS", "--max-time", "60", *words], capture_output=True, check=True)
    return json.loads(ended.stdout)


def test_the_lines_of_the_readme_work_as_printed__DS_1(running: Hub, client: Client) -> None:
    """With `-u` for the administrator, as the contract says (4.1)."""
    base, user = running.url, f"{client.user}:{client.password}"
    form = ("-H", "Content-Type: application/x-www-form-urlencoded")
    assert curl(f"{base}/health")["database"] == "ok"
    registered = curl(
        *("-u", user, "-X", "POST", f"{base}/api/v1/admin/devices/register", *form),
        *("-d", "device_id=esp001&name=Test ESP&device_type=esp8266"),
    )
    assert (registered["name"], registered["status"]) == ("Test ESP", "registered")
    token = registered["token"]
    sent = curl(
        *("-u", user, "-X", "POST", f"{base}/api/v1/admin/devices/esp001/command", *form),
        *("-d", "command=reboot&priority=1"),
    )
    assert (sent["command"], sent["priority"], sent["status"]) == ("reboot", 1, "queued")
    beat = curl("-X", "POST", f"{base}/api/v1/device/heartbeat/esp001", *form, "-d", f"status=online&token={token}")
    assert beat["status"] == "acknowledged"
    polled = curl(f"{base}/api/v1/device/commands/esp001?token={token}")
    assert (polled["command"], polled["command_id"]) == ("reboot", sent["command_id"])
    done = f"command_id={sent['command_id']}&result=Restarted, all fine&token={token}"
    assert (
        curl("-X", "POST", f"{base}/api/v1/device/commands/esp001/complete", *form, "-d", done)["status"] == "completed"
    )


def test_files_and_packages_with_curl__DS_17(running: Hub, client: Client, tmp_path: Any) -> None:
    base, user = running.url, f"{client.user}:{client.password}"
    token = client.form("POST", "/api/v1/admin/devices/register", admin=True, device_id="esp010")[1]["token"]
    path = tmp_path / "trace.csv"
    path.write_bytes(b"1,2,3\n" * 50_000)
    sent = curl("-F", f"file=@{path}", "-F", f"token={token}", f"{base}/api/v1/files/upload/esp010")
    assert (sent["status"], sent["size"]) == ("uploaded", 300_000)
    assert curl(f"{base}/api/v1/files/list/esp010?token={token}")["file_count"] == 1
    assert client.bytes(f"/api/v1/files/files/esp010/trace.csv?token={token}") == path.read_bytes()
    fields = ("-F", "package_name=conf", "-F", "target_device_id=esp010", "-F", "package_type=data")
    made = curl("-u", user, *fields, "-F", f"file=@{path}", f"{base}/api/v1/admin/sync-packages")
    listed = curl(f"{base}/api/v1/files/sync-packages/esp010?token={token}")["packages"]
    assert [one["id"] for one in listed] == [made["package_id"]]
    place = f"{base}/api/v1/files/sync-packages/esp010/{made['package_id']}"
    got = tmp_path / "got.csv"
    wanted = f"{place}/files/trace.csv?token={token}"
    subprocess.run(["curl", "-sS", "-r", "0-99999", "-o", str(got), wanted], check=True)
    subprocess.run(["curl", "-sS", "-C", "-", "-o", str(got), wanted], check=True)
    assert got.read_bytes() == path.read_bytes()
    assert curl("-X", "POST", "-d", f"token={token}", f"{place}/download")["status"] == "deployed"
    states = client.get("/api/v1/admin/sync-packages?device_id=esp010")["packages"]
    assert [one["status"] for one in states] == ["deployed"]
    gone = curl("-X", "DELETE", f"{base}/api/v1/files/files/esp010/trace.csv?token={token}")
    assert gone == {"status": "deleted", "filename": "trace.csv"}


def test_the_calls_of_the_command_line_tool__DS_1(running: Hub, client: Client) -> None:
    """`--server http://admin:SECRET@host:8000`: its library makes Basic of that, and its booleans are Python's."""
    connection = http.client.HTTPConnection(HOST, running.port, timeout=60)
    basic = base64.b64encode(f"{client.user}:{client.password}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "User-Agent": "python-requests/2.31.0", "Accept": "*/*"}

    def call(method: str, path: str, body: str = "") -> Any:
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        connection.request(method, f"/api/v1/admin/{path}", body or None, {**headers, **kind})
        answer = connection.getresponse()
        assert answer.status == 200
        return json.load(answer)

    made = call("POST", "devices/register", "device_id=esp020&name=North+field&device_type=esp32")
    assert made.keys() >= {"device_id", "name", "device_type", "token"}
    bare = call("POST", "devices/register", "device_id=esp021&device_type=esp8266")
    assert bare["name"] == "Device esp021"
    for wanted in ("False", "True"):
        found = call("GET", f"devices?include_inactive={wanted}")["devices"]
        mine = next(one for one in found if one["device_id"] == "esp020")
        assert all(isinstance(mine[name], str) for name in ("device_id", "name", "device_type", "status"))
        assert mine["is_online"] is False
    sent = call("POST", "devices/esp020/command", "command=send&priority=1")
    assert sent.keys() >= {"command_id", "device_id", "command", "priority"}
    assert call("GET", "devices/esp020/messages?limit=20")["messages"] == []
    stats = call("GET", "system/stats")
    numbers = [*stats["devices"].values(), *stats["commands"].values(), *stats["messages"].values()]
    assert len(numbers) == 5
    assert all(isinstance(number, int) for number in numbers)
    connection.close()


class Sketch:
    """Its bodies are not escaped, it follows nowhere, and it reads an answer by its length."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.token = token

    def call(
        self, method: str, path: str, body: bytes = b"", *, keep: str = "close"
    ) -> tuple[int, dict[str, str], Any]:
        with socket.create_connection((HOST, self.port), timeout=30) as line:
            line.sendall(self.head(method, path, len(body), keep=keep) + body)
            answer = http.client.HTTPResponse(line)
            answer.begin()
            content = answer.read()
            return answer.status, dict(answer.getheaders()), json.loads(content)

    def head(self, method: str, path: str, length: int, *, keep: str) -> bytes:
        kind = "Content-Type: application/x-www-form-urlencoded\r\n" if method == "POST" else ""
        size = f"Content-Length: {length}\r\n" if method == "POST" else ""
        headers = SKETCH_HEADERS.format(keep=keep)
        return f"{method} {path} HTTP/1.1\r\nHost: {HOST}:{self.port}\r\n{headers}{kind}{size}\r\n".encode()


@pytest.fixture
def sketch(running: Hub, client: Client) -> Sketch:
    made = client.form("POST", "/api/v1/admin/devices/register", admin=True, device_id="esp030")[1]
    return Sketch(running.port, made["token"])


@pytest.mark.parametrize("keep", ["keep-alive", "close"])
def test_a_sketch_lives_its_day__DS_7_DS_8(keep: str, sketch: Sketch, client: Client) -> None:
    token = sketch.token
    beat = f"status=online&firmware_version=1.2.0&ip_address=192.168.1.50&token={token}".encode()
    status, headers, _ = sketch.call("POST", "/api/v1/device/heartbeat/esp030", beat, keep=keep)
    assert status == 200
    assert headers.keys() & {"content-length", "Content-Length"}
    odd = b"msg_type=status&content=ESP8266 boot complete - N\xf6rd [100% + a&b=c]: \t ok&severity=info&token="
    assert sketch.call("POST", "/api/v1/device/messages/esp030", odd + token.encode(), keep=keep)[0] == 200
    client.form("POST", "/api/v1/admin/devices/esp030/command", admin=True, command="ping", priority="3")
    _, _, polled = sketch.call("GET", f"/api/v1/device/commands/esp030?token={token}", keep=keep)
    assert polled["command"] == "ping"
    said = f"command_id={polled['command_id']}&result=Pong from esp030&token={token}".encode()
    assert sketch.call("POST", "/api/v1/device/commands/esp030/complete", said, keep=keep)[2]["status"] == "completed"
    assert sketch.call("GET", f"/api/v1/files/list/esp030?token={token}", keep=keep)[2]["file_count"] == 0


def test_a_poll_whose_client_is_gone_loses_nothing__DS_10(sketch: Sketch, client: Client) -> None:
    number = client.form("POST", "/api/v1/admin/devices/esp030/command", admin=True, command="sync")[1]["command_id"]
    with socket.create_connection((HOST, sketch.port), timeout=30) as line:
        line.sendall(sketch.head("GET", f"/api/v1/device/commands/esp030?token={sketch.token}", 0, keep="close"))
        line.recv(12)  # and no more of the answer
    found = client.get("/api/v1/admin/devices/esp030/commands")["commands"]
    mine = next(one for one in found if one["id"] == number)
    assert mine["status"] in ("pending", "sent")


@pytest.mark.parametrize("is_chunked", [False, True])
def test_too_large_a_file_is_refused_before_all_of_it_has_come__DS_16(
    is_chunked: bool,  # noqa: FBT001
    sketch: Sketch,
) -> None:
    boundary = "xyz"
    head = f"--{boundary}\r\nContent-Disposition: form-data; name=file; filename=a.bin\r\n\r\n".encode()
    length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {51 * 2**20}"
    path = f"/api/v1/files/upload/esp030?token={sketch.token}"
    kind = f"Content-Type: multipart/form-data; boundary={boundary}"
    sent = 0
    with socket.create_connection((HOST, sketch.port), timeout=60) as line:
        line.sendall(f"POST {path} HTTP/1.1\r\nHost: hub\r\n{kind}\r\n{length}\r\n\r\n".encode())
        piece = head.ljust(1 << 20, b"x")
        line.setblocking(False)
        while sent < 80 * 2**20:
            try:
                if line.recv(1, socket.MSG_PEEK):
                    break
            except BlockingIOError:
                pass
            line.setblocking(True)
            line.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
            line.setblocking(False)
            sent += len(piece)
        line.setblocking(True)
        answer = http.client.HTTPResponse(line)
        answer.begin()
        assert answer.status == 413
        assert json.loads(answer.read()) == {"detail": "File too large. Maximum size: 52428800 bytes"}
    assert sent <= 60 * 2**20
    listed = sketch.call("GET", f"/api/v1/files/list/esp030?token={sketch.token}")[2]
    assert listed["file_count"] == 0


def test_no_token_is_in_the_log__DS_20(running: Hub, sketch: Sketch, client: Client) -> None:
    for path in ("/api/v1/device/ping/esp030", "/api/v1/files/sync-packages/esp030", "/message/esp030", "/nowhere"):
        with socket.create_connection((HOST, sketch.port), timeout=30) as line:
            line.sendall(sketch.head("GET", f"{path}?token={sketch.token}&api_key={sketch.token}", 0, keep="close"))
            while line.recv(4096):
                pass
    client.get("/api/v1/admin/devices")
    assert sketch.token not in running.log
    assert client.password not in running.log
    page = http.client.HTTPConnection(HOST, running.port, timeout=30)
    page.request("GET", "/api/v1/docs", headers={"Accept": "text/html"})
    assert page.getresponse().headers["Referrer-Policy"] in ("same-origin", "no-referrer")
    page.close()


def test_what_the_hub_wrote_survives_it__DS_3_DS_29(hub: StartHub) -> None:
    """Tokens of the file, and the hub's own start and end in the log."""
    site = hub(start=False)
    site.data.mkdir(parents=True)
    (site.data / "device_auth.json").write_text('{"esp001": "flashed-long-ago"}')
    site.start()
    client = Client(site)
    assert client.form("POST", "/api/v1/device/heartbeat/esp001", token="flashed-long-ago")[0] == 200
    assert site.stop() == 0
    site.start()
    assert client.form("GET", "/api/v1/device/ping/esp001", token="flashed-long-ago")[0] == 200
    assert client.get("/api/v1/admin/devices")["devices"][0]["is_online"] is True
    events = [one["event_type"] for one in client.get("/api/v1/admin/system/logs?limit=100")["logs"]]
    assert {"system_startup", "system_shutdown", "device_registered"} <= set(events)


def test_two_workers_answer_alike_and_count_together__DS_19_DS_26(
    hub: StartHub, postgres_url: str, nats: ExternalNats, tmp_path: Path
) -> None:
    data = tmp_path / "cloud"
    write_private(data / "keys" / "nats-account.key", nats.account_key)
    plain = postgres_url.replace("+psycopg", "")
    site = hub(data=data, environment={"DATABASE_URL": plain, "NATS_URL": nats.url, "WAYSTATION_WORKERS": "2"})
    client = Client(site)
    token = client.form("POST", "/api/v1/admin/devices/register", admin=True, device_id="esp001")[1]["token"]
    answers = [client.form("GET", "/api/v1/device/ping/esp001", token=token) for _ in range(105)]
    assert [status for status, _ in answers].count(200) == 100
    assert client.form("GET", "/api/v1/device/commands/esp001", token=token)[0] == 200
    assert {client.get("/health")["database"] for _ in range(6)} == {"ok"}
    client.form("POST", "/api/v1/admin/devices/esp001/revoke-token", admin=True)
    refused, until = 0, time.monotonic() + 30
    while refused < 10 and time.monotonic() < until:  # the other process hears of it over the bus
        is_refused = client.form("GET", "/api/v1/device/commands/esp001", token=token)[0] == 403
        refused = refused + 1 if is_refused else 0
    assert refused == 10
