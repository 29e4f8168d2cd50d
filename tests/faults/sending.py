"""A program that sends commands through crashes, each under a key of its own until the hub has answered it."""

import contextlib
import http.client
import json
import random
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.faults.cables import Cable, Moment, Trap, Way
from tests.faults.deliveries import whole_answer
from tests.hub import Hub, Registered

PAUSE_SECONDS = 0.05
PATIENCE_SECONDS = 60
STOP_SECONDS = 60
FULL = 429
QUEUED_EACH, MOST_LISTED, LOOK_EVERY = 6, 500, 8
CUTS = [Trap(Moment(way), keep) for way in Way for keep in (0.0, 0.5)]
ONE_IN_CUT, ONE_IN_CANCELLED, ONE_IN_SHARED = 12, 25, 6


@dataclass
class Sent:
    """The device of every command that the hub has acknowledged, and what somebody has asked to cancel."""

    device: dict[str, str] = field(default_factory=dict[str, str])
    cancelled: set[str] = field(default_factory=set[str])
    repeated: int = 0
    faults: list[str] = field(default_factory=list[str])


class Sender:
    """Sends at least so many commands, until it may end; in a thread, and no faster than they are taken."""

    def __init__(self, hub: Hub, cable: Cable, devices: Sequence[Registered], *, many: int, seed: int) -> None:
        self.sent = Sent()
        self._hub, self._cable, self._devices = hub, cable, devices
        self._many = many
        self._most_queued = min(MOST_LISTED - 1, QUEUED_EACH * len(devices))
        self._luck = random.Random(seed)
        self._seed = seed
        self._may_end, self._stopping = threading.Event(), threading.Event()
        self._authorization = f"Bearer {hub.token}"
        self._connection: http.client.HTTPConnection | None = None
        self._thread = threading.Thread(target=self._run, name=f"sender {seed}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _fault: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(STOP_SECONDS)
        assert not self._thread.is_alive()

    def end(self) -> None:
        """When it has sent enough."""
        self._may_end.set()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def _run(self) -> None:
        number = 0
        try:
            while len(self.sent.device) < self._many or not self._may_end.is_set():
                number += 1
                self._send(number)
                while number % LOOK_EVERY == 0 and self._queued() > self._most_queued:
                    self._stopping.wait(PAUSE_SECONDS)
        except Exception:  # noqa: BLE001  the test tells of it
            self.sent.faults.append(traceback.format_exc())
        finally:
            self._hang_up()

    def _send(self, number: int) -> None:
        status, made = self._until_answered("POST", "/api/commands", self._wish(number))
        if status == FULL:
            self._stopping.wait(PAUSE_SECONDS)
            return
        assert status == 201, made
        for one in made["commands"]:
            self.sent.device[one["id"]] = one["device"]
        if self._luck.randrange(ONE_IN_CANCELLED) == 0:
            self._cancel(made["commands"][0]["id"])

    def _queued(self) -> int:
        _, answer = self._until_answered("GET", f"/api/commands?state=queued&limit={MOST_LISTED}")
        return len(answer["commands"])

    def _cancel(self, uid: str) -> None:
        self.sent.cancelled.add(uid)
        status, answer = self._until_answered("POST", f"/api/commands/{uid}/cancel", {})
        assert status in (200, 409), answer

    def _wish(self, number: int) -> Mapping[str, Any]:
        """Three of eight are once-only, a third has little time, some take a while or fail."""
        luck = self._luck
        first = number % len(self._devices)
        shared = 3 if luck.randrange(ONE_IN_SHARED) == 0 else 1
        to = [self._devices[(first + more) % len(self._devices)].key for more in range(shared)]
        name = luck.choice(("set", "set", "act", "reboot"))
        parameters = {"end": luck.choice(("done",) * 8 + ("failed", "rejected")), "takes": luck.choice((0, 0, 0, 0.1))}
        wish = {"to": {"devices": to}, "name": name, "parameters": parameters, "priority": luck.randrange(10)}
        wish |= {"once": name == "act" and luck.random() < 0.5, "idempotency_key": f"{self._seed}-{number}"}
        expires = luck.choice((None, None, None, 60, 3, 0.5))
        return wish if expires is None else {**wish, "expires_in_seconds": expires}

    def _until_answered(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """The same again and again, through cuts and crashes."""
        while not self._stopping.is_set():
            if self._luck.randrange(ONE_IN_CUT) == 0:
                self._cable.set_trap(self._luck.choice(CUTS))
            with contextlib.suppress(OSError, http.client.HTTPException):
                answered = self._ask(method, path, None if body is None else json.dumps(body))
                if answered[0] < 500:
                    return answered
            self.sent.repeated += 1
            self._hang_up()
            self._stopping.wait(PAUSE_SECONDS)
        raise TimeoutError(f"{path} was not answered while there was time")

    def _ask(self, method: str, path: str, body: str | None) -> tuple[int, Any]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._cable.port, timeout=PATIENCE_SECONDS)
        headers = {"Authorization": self._authorization, "Content-Type": "application/json"}
        self._connection.request(method, path, body, headers)
        return whole_answer(self._connection)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
