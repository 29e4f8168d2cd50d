"""A large upload in constant memory, and a download against nginx serving the same file, one core each, in one run.

Both servers send from the page cache to the same client, which throws the bytes away. Needs nginx on this machine.
"""

import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from hub import Site, free_port, running
from load import LOAD_CORE, SERVER_CORE, pin
from report import save

MEBIBYTE = 1 << 20
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
CONFIG = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""


class Rival(NamedTuple):
    pid: int
    port: int


def main() -> int:
    size, rounds = (256 * MEBIBYTE, 3) if "--quick" in sys.argv else (2048 * MEBIBYTE, 7)
    with tempfile.TemporaryDirectory(prefix="waystation-bench-") as folder, running() as site:
        source = Path(folder) / "www" / "file.bin"
        source.parent.mkdir()
        filled(source, size)
        site.get("/api/files")
        pin(LOAD_CORE)
        rows = [uploaded(site, source, size)]
        with nginx(Path(folder)) as rival:
            rows.append(downloads(site, rival, size, rounds))
    save("files", rows, f"{size // MEBIBYTE:,} MiB; server on one core, client on the other; median of {rounds} rounds")
    for row in rows:
        print(row)
    return 0


def filled(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(size // MEBIBYTE):
            file.write(secrets.token_bytes(MEBIBYTE))
    path.parent.parent.chmod(0o755)  # nginx's worker is another user


def uploaded(site: Site, source: Path, size: int) -> dict[str, Any]:
    """In one PATCH of tus; memory is looked at all the time."""
    before = site.resident_bytes()
    most = [before]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            most[0] = max(most[0], site.resident_bytes())

    watching = threading.Thread(target=watch)
    watching.start()
    began = time.perf_counter()
    sent(site, source, size)
    seconds = time.perf_counter() - began
    done.set()
    watching.join()
    raw = written(source, size)
    return {
        "what": "upload, durable",
        "megabytes_per_second": round(size / seconds / 1e6, 1),
        "disk_megabytes_per_second": round(size / raw / 1e6, 1),
        "resident_growth_mb": round((most[0] - before) / 1e6, 1),
    }


def written(source: Path, size: int) -> float:
    """Seconds of the plainest program: copy and fsync."""
    target = source.with_name("copy")
    began = time.perf_counter()
    with source.open("rb") as file, target.open("wb") as copy:
        shutil.copyfileobj(file, copy, MEBIBYTE)
        os.fsync(copy.fileno())
    seconds = time.perf_counter() - began
    target.unlink()
    del size
    return seconds


def sent(site: Site, source: Path, size: int) -> None:
    place = asked(site, "POST", "/api/uploads", {"Upload-Length": str(size), "Tus-Resumable": "1.0.0"})[1]["location"]
    headers = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream", "Content-Length": str(size)}
    status, told = asked(site, "PATCH", place, headers, source=source)
    assert (status, told["upload-offset"]) == (204, str(size)), (status, told)


def asked(
    site: Site, method: str, path: str, headers: dict[str, str], *, source: Path | None = None
) -> tuple[int, dict[str, str]]:
    with socket.create_connection(("127.0.0.1", site.port)) as line, line.makefile("rb") as answer:
        named = {"Host": "hub", "Authorization": f"Bearer {site.token}", "Connection": "close", **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        line.sendall(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode())
        if source is not None:
            with source.open("rb") as file:
                line.sendfile(file)
        status = int(answer.readline().split()[1])
        told = dict(row.decode().strip().lower().split(": ", 1) for row in iter(answer.readline, b"\r\n"))
        return status, told


def downloads(site: Site, rival: Rival, size: int, rounds: int) -> dict[str, Any]:
    file_id = site.get("/api/files")["files"][0]["id"]
    ours_at = f"/api/files/{file_id}/content"
    pairs: list[tuple[float, float]] = []
    spent = [0.0, 0.0]
    for number in range(rounds + 1):
        before = cpu_seconds(site.process.pid), cpu_seconds(rival.pid)
        ours = fetched(site.port, ours_at, size, f"Authorization: Bearer {site.token}\r\n")
        theirs = fetched(rival.port, "/file.bin", size)
        if number:  # the first warms both up
            pairs.append((ours, theirs))
            spent[0] += cpu_seconds(site.process.pid) - before[0]
            spent[1] += cpu_seconds(rival.pid) - before[1]
            print(f"round {number}: {ours:,.0f} MB/s, nginx {theirs:,.0f} MB/s, ratio {ours / theirs:.2f}")
    pairs.sort(key=lambda pair: pair[0] / pair[1])
    ours, theirs = pairs[len(pairs) // 2]
    return {
        "what": "download",
        "megabytes_per_second": round(ours),
        "nginx_megabytes_per_second": round(theirs),
        "ratio_to_nginx": round(statistics.median(ours / theirs for ours, theirs in pairs), 2),
        "cpu_ms_per_gb": round(spent[0] / len(pairs) / size * 1e12),
        "nginx_cpu_ms_per_gb": round(spent[1] / len(pairs) / size * 1e12),
    }


def cpu_seconds(pid: int) -> float:
    """Of the process and its children."""
    used = [one.cpu_times() for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    return sum(one.user + one.system for one in used)


def fetched(port: int, path: str, size: int, more: str = "") -> float:
    """MB a second, into one buffer that nobody looks at."""
    buffer = bytearray(MEBIBYTE)
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n".encode())
        total = 0
        while got := line.recv_into(buffer):
            total += got
    assert total > size, total
    return size / (time.perf_counter() - began) / 1e6


@contextmanager
def nginx(folder: Path) -> Iterator[Rival]:
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port))
    server = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(config)])
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        for process in (psutil.Process(server.pid), *psutil.Process(server.pid).children()):
            pin(SERVER_CORE, process.pid)
        yield Rival(server.pid, port)
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    sys.exit(main())
