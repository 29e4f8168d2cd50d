"""Listening sockets: bound here, given by systemd, or handed from one life of the program to the next."""

import fcntl
import os
import resource
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from waystation.kernel.errors import Conflict

BACKLOG = 2048
PROBE_AFTER_SECONDS = 60
PROBE_EVERY_SECONDS = 15
DEAD_AFTER_MILLISECONDS = 60_000
FIRST_GIVEN = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)
SPARE_FILES = 512  # beside the connections
ASIDE = 100  # out of the way of the numbers that they must have


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """Those that this process was given, else new ones."""
    return given() or listen(host, port)


def given() -> list[socket.socket]:
    """What systemd or our own last life left open for us (sd_listen_fds(3)); nothing when it was meant for another."""
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()):
        return []
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    sockets = [socket.socket(fileno=FIRST_GIVEN + number) for number in range(count)]
    for one in sockets:
        one.set_inheritable(False)
    return sockets


def begin_again(sockets: Sequence[socket.socket]) -> None:
    """This process becomes the program's next life, with the same sockets: who connects meanwhile waits in their queue.

    Every other file is closed by the system. Does not return.
    """
    sys.stdout.flush()
    copies = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD_CLOEXEC, ASIDE) for one in sockets]
    for number, copy in enumerate(copies):
        os.dup2(copy, FIRST_GIVEN + number, inheritable=True)
    ours = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(copies))}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **ours})  # noqa: S606  ourselves


def listen(host: str, port: int) -> list[socket.socket]:
    """Bound sockets. An empty host or `::` means IPv4, and IPv6 where the machine has it; port 0 means one free port.

    Raises Conflict with the sentence for the person who typed the port.
    """
    hosts = ("0.0.0.0", "::") if host in ("", "::") else (host,)  # noqa: S104  the owner asked for it
    sockets: list[socket.socket] = []
    try:
        for one in hosts:
            if one == "::" and not socket.has_dualstack_ipv6():
                continue
            sockets.append(_bound(one, port))
            port = sockets[0].getsockname()[1]
    except OSError as fault:
        for opened in sockets:
            opened.close()
        raise Conflict(f"cannot listen on port {port}: {_why(fault)}") from fault
    return sockets


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _notice_dead_peers(listening)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _notice_dead_peers(listening: socket.socket) -> None:
    """Accepted connections inherit this: a peer that went without a word is found by probes and unread answers."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", PROBE_AFTER_SECONDS),
        ("TCP_KEEPINTVL", PROBE_EVERY_SECONDS),
        ("TCP_KEEPCNT", 4),
        ("TCP_USER_TIMEOUT", DEAD_AFTER_MILLISECONDS),
    ):
        if hasattr(socket, name):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def allow_connections(most: int) -> None:
    """Each is an open file, of which many systems give a process 1,024 until it asks for more, as it may."""
    given, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + SPARE_FILES if limit == resource.RLIM_INFINITY else min(most + SPARE_FILES, limit)
    if given == resource.RLIM_INFINITY or given >= wanted:
        return
    with suppress(OSError, ValueError):  # a system with one more limit than it tells of
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, limit))


def _why(fault: OSError) -> str:
    if isinstance(fault, PermissionError):
        return "ports below 1024 belong to the administrator; choose another with --port"
    if fault.strerror and "in use" in fault.strerror:
        return "another program uses it; stop that one or choose another with --port"
    return fault.strerror or str(fault)
