"""All sensors of this machine, each read in a thread of its own: one that hangs or fails costs its own values only."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from waystation_agent.logs import LOG, facts, strike_out
from waystation_agent.sensors import Unreadable, Value, Values
from waystation_agent.sensors.config import Configured
from waystation_agent.sensors.values import sound

PATIENCE_SECONDS = 3.0
"""How long a sample waits for its sensors. Who needs longer comes with the next sample."""
LONGEST_FAULT = 500


@dataclass
class Slot:
    """What is known about one sensor; changed under the board's lock."""

    configured: Configured
    asked_at: float | None = None
    """When the reading under way began, by the monotonic clock; None while none is."""
    values: dict[str, Value] = field(default_factory=dict[str, Value])
    read_at: float | None = None
    fault: str | None = None
    clash: str | None = None
    """Why some of its values are not sent although they could be read."""
    is_fresh: bool = False


@dataclass(frozen=True)
class Report:
    """One sensor for a person's eye: its last values, their age, and what is wrong now."""

    name: str
    kind: str
    values: dict[str, Value]
    seconds_ago: float | None
    fault: str | None


class Board:
    def __init__(self, sensors: Sequence[Configured], patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._slots = [Slot(configured) for configured in sensors]
        self._patience_seconds = patience_seconds
        self._changed = threading.Condition()
        self._has_started = False

    def __call__(self) -> dict[str, Value]:
        """Ask every sensor that is free, and return what has come in, each value once."""
        self._start()
        with self._changed:
            waited_for = [slot for slot in self._slots if slot.asked_at is None]
            for slot in waited_for:
                slot.asked_at = time.monotonic()
            self._changed.notify_all()
            self._changed.wait_for(lambda: all(slot.asked_at is None for slot in waited_for), self._patience_seconds)
            return self._collect()

    def report(self) -> list[Report]:
        with self._changed:
            now = time.monotonic()
            return [
                Report(
                    slot.configured.name,
                    slot.configured.kind,
                    dict(slot.values),
                    None if slot.read_at is None else round(now - slot.read_at, 1),
                    slot.fault or slot.clash,
                )
                for slot in self._slots
            ]

    def _collect(self) -> dict[str, Value]:
        sample: dict[str, Value] = {}
        for slot in self._slots:
            if slot.is_fresh:
                slot.is_fresh = False
                self._add(slot, sample)
            elif slot.asked_at is not None:
                self._note_silence(slot, time.monotonic() - slot.asked_at)
        return sample

    def _add(self, slot: Slot, sample: dict[str, Value]) -> None:
        twice = slot.values.keys() & sample.keys()
        slot.clash = f"another sensor gives {', '.join(sorted(twice))} too; give this one a prefix" if twice else None
        sample |= {metric: value for metric, value in slot.values.items() if metric not in twice}

    def _note_silence(self, slot: Slot, seconds: float) -> None:
        if seconds > slot.configured.answer_seconds:
            _note(slot, f"no answer for more than {slot.configured.answer_seconds:g} s", repeats="no answer")

    def _start(self) -> None:
        if not self._has_started:
            self._has_started = True
            for slot in self._slots:
                name = f"sensor {slot.configured.name}"
                threading.Thread(target=self._serve, args=(slot,), name=name, daemon=True).start()

    def _serve(self, slot: Slot) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: slot.asked_at is not None)
            values, fault = read(slot.configured)
            with self._changed:
                slot.asked_at = None
                slot.is_fresh = bool(values)
                if values:
                    slot.values, slot.read_at = values, time.monotonic()
                _note(slot, fault)
                self._changed.notify_all()


def read_all(sensors: Sequence[Configured]) -> list[Report]:
    """Read each once, all at the same time, for a person who waits: as long as the slowest may take."""
    board = Board(sensors, max((sensor.answer_seconds for sensor in sensors), default=0.0) + 0.1)
    board()
    return board.report()


def read(configured: Configured) -> tuple[dict[str, Value], str | None]:
    """Read a sensor once. Whatever goes wrong in it ends here, as a sentence."""
    found: Values = {}
    fault: str | None = None
    try:
        found = configured.sensor.read()
    except Unreadable as error:
        found, fault = error.values, str(error)
    except Exception as error:  # noqa: BLE001 a sensor may be anybody's code
        LOG.debug("sensor failed %s", facts(sensor=configured.name), exc_info=True)
        fault = f"{type(error).__name__}: {error}"
    prefix = f"{configured.prefix}_" if configured.prefix else ""
    try:
        kept, unsound = sound({f"{prefix}{metric}": value for metric, value in found.items()})
    except (TypeError, AttributeError) as error:
        return {}, f"the sensor answers something that is no reading: {error}"
    fault = "; ".join([*([fault] if fault else []), *unsound]) or None
    return kept, strike_out(fault)[:LONGEST_FAULT] if fault else None


def _note(slot: Slot, fault: str | None, repeats: str = "") -> None:
    """Keep a fault for `status`, and log only what is news."""
    if fault == slot.fault or (repeats and slot.fault and slot.fault.startswith(repeats)):
        return
    if fault:
        LOG.warning("sensor %s", facts(sensor=slot.configured.name, fault=fault))
    else:
        LOG.info("sensor %s", facts(sensor=slot.configured.name, state="well again"))
    slot.fault = fault
