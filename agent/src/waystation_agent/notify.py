"""Tells systemd how this service is doing: the protocol of sd_notify(3), datagrams to the socket that it names."""

import os
import socket
from collections.abc import Mapping

from waystation_agent.logs import LOG, facts


class Notifier:
    """Says nothing where nobody listens, so that the agent runs the same without systemd."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_seconds = _watchdog_seconds(environment)

    def ready(self) -> None:
        self._say("READY=1", "STATUS=sampling")

    def stopping(self) -> None:
        self._say("STOPPING=1", "STATUS=ending")

    def alive(self) -> None:
        self._say("WATCHDOG=1")

    def _say(self, *lines: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        address = self._address.replace("@", "\0", 1) if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as said:
                said.connect(address)
                said.sendall("\n".join(lines).encode())
        except OSError as error:
            LOG.debug("systemd could not be told %s", facts(said=lines[0], reason=error))


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """Return after how long a silence systemd ends us; None if it does not watch this process."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    meant_for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(microseconds) / 1_000_000 if microseconds.isdigit() and int(microseconds) and meant_for_us else None
