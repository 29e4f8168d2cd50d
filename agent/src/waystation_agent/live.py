"""What a running agent tells those who ask on this machine: one JSON object per connection, and no wear on the card."""

import json
import os
import socket
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from waystation_agent.logs import LOG, facts

PATIENCE_SECONDS = 2.0
MOST_BYTES = 1_000_000


@contextmanager
def told(path: Path, facts_now: Callable[[], Mapping[str, object]]) -> Generator[None]:
    """Answer on a Unix socket until the block ends. Without one the agent works as well, so a failure is only said."""
    try:
        listener = _listen(path)
    except OSError as error:
        LOG.warning("status cannot show the sensors %s", facts(socket=path, reason=error.strerror))
        yield
        return
    threading.Thread(target=_answer, args=(listener, facts_now), name="live", daemon=True).start()
    try:
        yield
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits on it
        listener.close()
        path.unlink(missing_ok=True)


def ask(path: Path) -> dict[str, object] | None:
    """Return what the agent of this folder tells; None if none does."""
    content = b""
    try:
        with _short(path) as address, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(PATIENCE_SECONDS)
            asking.connect(address)
            while len(content) < MOST_BYTES and (part := asking.recv(65_536)):
                content += part
        found: object = json.loads(content)
    except (OSError, ValueError):
        return None
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # the folder's lock is ours, so it is a dead agent's
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as address:
            listener.bind(address)
        path.chmod(0o600)
        listener.listen(4)
    except OSError:
        listener.close()
        raise
    return listener


def _answer(listener: socket.socket, facts_now: Callable[[], Mapping[str, object]]) -> None:
    with suppress(OSError):  # the listener was closed
        while True:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.settimeout(PATIENCE_SECONDS)
                connection.sendall(json.dumps(facts_now()).encode())


@contextmanager
def _short(path: Path) -> Generator[str]:
    """Give the path in a form that fits into the 107 bytes that a socket's address has."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
