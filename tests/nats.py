"""A NATS server beside the hub, configured as our guide tells owners of one to configure it."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.hub import free_port

from waystation.kernel.nats_config import USER, NatsOptions, configuration
from waystation.kernel.nats_keys import AccountKey
from waystation.kernel.nats_server import find_binary
from waystation.kernel.secrets import new_secret

START_SECONDS = 20


@dataclass(frozen=True, slots=True)
class ExternalNats:
    """`account_key` is what a hub's key ring must hold as `nats-account`, so that the server trusts it."""

    url: str
    mqtt_port: int
    account_key: bytes


@contextmanager
def running_nats(folder: Path) -> Iterator[ExternalNats]:
    folder.mkdir()
    password, account_key = new_secret(), new_secret().encode()
    port, mqtt_port = free_port(), free_port()
    issuer = AccountKey(account_key).public
    config = configuration(folder, NatsOptions(mqtt_port=mqtt_port), password=password, issuer=issuer)
    (folder / "server.conf").write_text(json.dumps({**config, "listen": f"127.0.0.1:{port}"}))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([str(find_binary()), "-c", folder / "server.conf"], stdout=log, stderr=log)
    try:
        _until_ready(folder / "log", server)
        yield ExternalNats(f"nats://{USER}:{password}@127.0.0.1:{port}", mqtt_port, account_key)
    finally:
        server.kill()
        server.wait()


def _until_ready(log: Path, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while "Server is ready" not in log.read_text():
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError(log.read_text())
        time.sleep(0.05)
