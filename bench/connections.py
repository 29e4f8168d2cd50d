"""Memory of a connection that says nothing: keep-alive HTTP, a live page's stream, an MQTT client."""

import contextlib
import socket
import sys
import time
from collections.abc import Callable, Iterator

from hub import Site, running
from report import save

SETTLE_SECONDS = 2.0


def main() -> int:
    count = 200 if "--quick" in sys.argv else 1000
    rows = []
    with running(mqtt=True, pinned=False) as site:
        device = site.device("bench")
        token = site.tell("token", "create")["token"]
        kinds: dict[str, Callable[[], socket.socket]] = {
            "keep-alive HTTP": lambda: http(site, "/health/healthz", ""),
            "live stream": lambda: http(site, "/api/live", token),
            "MQTT": lambda: mqtt(site, device),
        }
        for name, connect in kinds.items():
            with opened(connect, 20):  # what is made once is not a connection's
                time.sleep(SETTLE_SECONDS)
            before = site.resident_bytes()
            with opened(connect, count):
                time.sleep(SETTLE_SECONDS)
                each = (site.resident_bytes() - before) / count
            rows.append({"what": name, "connections": count, "kilobytes_each": round(each / 1000, 1)})
            print(rows[-1])
    save("connections", rows, "growth of the resident memory of hub and nats-server together")
    return 0


@contextlib.contextmanager
def opened(connect: Callable[[], socket.socket], count: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(contextlib.closing(connect()))
        yield


def http(site: Site, path: str, token: str) -> socket.socket:
    """Asked once, and left open after the beginning of the answer."""
    line = socket.create_connection(("127.0.0.1", site.port), timeout=20)
    line.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    if not line.recv(4096).startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{path} was refused")
    return line


serial = iter(range(1_000_000))


def mqtt(site: Site, device: dict[str, str]) -> socket.socket:
    """CONNECT (MQTT 3.1.1 §3.1) and its CONNACK."""
    line = socket.create_connection(("127.0.0.1", site.mqtt_port), timeout=20)
    texts = [f"bench-{next(serial)}", device["key"], device["api_key"]]
    payload = b"".join(len(text).to_bytes(2, "big") + text.encode() for text in texts)
    body = b"\x00\x04MQTT\x04\xc2\x02\x58" + payload
    line.sendall(b"\x10" + bytes([len(body) % 128 | 128, len(body) // 128] if len(body) > 127 else [len(body)]) + body)
    if line.recv(4) != b"\x20\x02\x00\x00":
        raise RuntimeError("MQTT connection refused")
    return line


if __name__ == "__main__":
    sys.exit(main())
