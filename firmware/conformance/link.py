"""The wire between a client and its hub, which can be cut, and which can lose what the hub answers."""

import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from random import randrange

PIECE_BYTES = 4096
STALL_SECONDS = 1.0  # a line that breaks has been silent before: the hub has read what came
UNHEARD_SECONDS = 4.0


@dataclass(slots=True)
class Fault:
    """Meets the next `times` requests whose first bytes have `path` in them: they are cut after so many bytes."""

    path: bytes
    times: int
    up_bytes: int | None = None  # of the request; None: all of it arrives
    down_bytes: int | None = None  # of the answer
    is_unheard: bool = False  # the client hears of the end at once, the hub only after a while


@dataclass(slots=True)
class Connection:
    client: socket.socket
    hub: socket.socket
    line: str = ""  # of the request that is under way
    fault: Fault | None = None
    up: int = 0
    down: int = 0
    ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def end(self) -> None:
        with self.lock:
            if self.ended:
                return
            self.ended = True
        for side in (self.client, self.hub):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


class Link:
    """A TCP relay on a port of its own. `heard` and `heads` are first lines and heads of requests, as they came."""

    def __init__(self, hub_port: int) -> None:
        self.heard: list[str] = []
        self.heads: list[str] = []
        self._up: Counter[str] = Counter()
        self._down: Counter[str] = Counter()
        self._hub_port = hub_port
        self._from = f"127.{randrange(1, 255)}.{randrange(256)}.{randrange(1, 255)}"  # limits go by address
        self._faults: list[Fault] = []
        self._open: list[Connection] = []
        self._lock = threading.Lock()
        self._is_cut = False
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def cut(self) -> None:
        """From now on nobody gets through; what was open ends."""
        self._is_cut = True
        self._end_all()

    def mend(self) -> None:
        self._is_cut = False

    def lose_answer(self, path: str, times: int = 1) -> None:
        """The hub hears the request and acts; its answer never arrives."""
        self._fault(Fault(path.encode(), times, down_bytes=0))

    def cut_answer(self, path: str, after_bytes: int, times: int = 1) -> None:
        self._fault(Fault(path.encode(), times, down_bytes=after_bytes))

    def cut_request(self, path: str, after_bytes: int, times: int = 1, *, is_unheard: bool = False) -> None:
        """Unheard as where a radio goes: the client comes again while the hub still waits for the rest of it."""
        self._fault(Fault(path.encode(), times, up_bytes=after_bytes, is_unheard=is_unheard))

    def forget_faults(self) -> None:
        with self._lock:
            self._faults.clear()

    @property
    def faults_left(self) -> int:
        """How many faults have not met their request yet."""
        with self._lock:
            return sum(fault.times for fault in self._faults)

    def requests(self, path: str) -> int:
        return sum(path in line for line in self.heard)

    def up_bytes(self, path: str) -> int:
        """Of such requests, heads and bodies, that went through to the hub."""
        return sum(size for line, size in self._up.items() if path in line)

    def down_bytes(self, path: str) -> int:
        """Of answers to such requests that went through to the client."""
        return sum(size for line, size in self._down.items() if path in line)

    def close(self) -> None:
        self._is_cut = True
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._end_all()

    def _fault(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def _end_all(self) -> None:
        with self._lock:
            connections, self._open = self._open, []
        for connection in connections:
            connection.end()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self._is_cut:
                client.close()
                continue
            try:
                hub = socket.create_connection(("127.0.0.1", self._hub_port), 5, (self._from, 0))
            except OSError:
                client.close()
                continue
            hub.settimeout(None)
            connection = Connection(client, hub)
            with self._lock:
                self._open.append(connection)
            for carry in (self._carry_up, self._carry_down):
                threading.Thread(target=self._carried, args=(carry, connection), daemon=True).start()

    def _carried(self, carry: object, connection: Connection) -> None:
        with suppress(OSError):
            carry(connection)  # type: ignore[operator]
        connection.end()
        with self._lock:
            if connection in self._open:
                self._open.remove(connection)
        if carry == self._carry_up:  # the one that reads from the client closes both, once
            connection.client.close()
        else:
            connection.hub.close()

    def _carry_up(self, connection: Connection) -> None:
        while piece := connection.client.recv(PIECE_BYTES):
            self._listen(connection, piece)
            fault = connection.fault
            if fault is not None and fault.up_bytes is not None:
                piece = piece[: max(0, fault.up_bytes - connection.up)]
            connection.up += len(piece)
            self._up[connection.line] += len(piece)
            connection.hub.sendall(piece)
            if fault is not None and fault.up_bytes is not None and connection.up >= fault.up_bytes:
                if fault.is_unheard:
                    connection.client.shutdown(socket.SHUT_RDWR)
                time.sleep(UNHEARD_SECONDS if fault.is_unheard else STALL_SECONDS)
                return

    def _carry_down(self, connection: Connection) -> None:
        while piece := connection.hub.recv(PIECE_BYTES):
            fault = connection.fault
            most = fault.down_bytes if fault is not None else None
            if most is not None:
                piece = piece[: max(0, most - connection.down)]
            connection.down += len(piece)
            self._down[connection.line] += len(piece)
            connection.client.sendall(piece)
            if most is not None and connection.down >= most:
                return

    def _listen(self, connection: Connection, piece: bytes) -> None:
        """A client sends one request at a time, and its head at the beginning of a piece."""
        line = piece.partition(b"\r\n")[0]
        if not line.endswith(b" HTTP/1.1") or len(line) > 1000:
            return
        with self._lock:
            connection.line = line.decode(errors="replace")
            self.heard.append(connection.line)
            self.heads.append(piece.partition(b"\r\n\r\n")[0].decode(errors="replace"))
            for fault in self._faults:
                if fault.times and fault.path in line:
                    fault.times -= 1
                    connection.fault, connection.up, connection.down = fault, 0, 0
                    return
