"""Missed health: one alert when a device falls silent, reminders while it stays so, an end when it is back (JR-26)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from waystation.devices import letters, store
from waystation.devices.model import Device
from waystation.devices.service import announce
from waystation.kernel import audit
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Invalid

LEAST_TIMEOUT, LEAST_REMINDER, MOST_MINUTES = 3, 5, 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Wish:
    """What a home wants to hear about its silent devices; pages show it in any case."""

    sends_mail: bool = True
    timeout_minutes: int = 10
    reminder_minutes: int = 60


@dataclass(frozen=True, slots=True)
class Alert:
    """A silence that the owners have been told of."""

    alerted_at: datetime
    reminded_at: datetime | None


class Step(StrEnum):
    NONE = "none"
    ALERT = "alert"
    REMIND = "remind"
    CLEAR = "clear"


def next_step(reported_at: datetime, alert: Alert | None, wish: Wish, now: datetime) -> Step:
    is_silent = now - reported_at > timedelta(minutes=wish.timeout_minutes)
    if alert is None:
        return Step.ALERT if is_silent else Step.NONE
    if not is_silent:
        return Step.CLEAR
    last = alert.reminded_at or alert.alerted_at
    return Step.REMIND if now - last >= timedelta(minutes=wish.reminder_minutes) else Step.NONE


def wish_of(tx: Tx, home_id: int) -> Wish:
    row = store.health_wish_of(tx, home_id)
    return Wish() if row is None else Wish(row.sends_mail, row.timeout_minutes, row.reminder_minutes)


def set_wish(tx: Tx, by: Actor, home_id: int, wish: Wish, *, now: datetime) -> None:
    if not LEAST_TIMEOUT <= wish.timeout_minutes <= MOST_MINUTES:
        raise Invalid(f"a device may be silent for {LEAST_TIMEOUT} to {MOST_MINUTES} minutes before you hear of it")
    if not LEAST_REMINDER <= wish.reminder_minutes <= MOST_MINUTES:
        raise Invalid(f"reminders come every {LEAST_REMINDER} to {MOST_MINUTES} minutes")
    values = {"timeout_minutes": wish.timeout_minutes, "reminder_minutes": wish.reminder_minutes}
    store.set_health_wish(tx, home_id, sends_mail=wish.sends_mail, **values)
    audit.note(tx, by, "set when missed health is told", f"home:{home_id}", now=now, mail=wish.sends_mail, **values)


def alerts_of(tx: Tx, device_ids: list[int]) -> dict[int, Alert]:
    return {key: Alert(row.alerted_at, row.reminded_at) for key, row in store.silences(tx, device_ids).items()}


def take(
    tx: Tx, device: Device, step: Step, wish: Wish, *, alert: Alert | None, since: datetime, now: datetime
) -> bool:
    """Carries the step out, once however many sweeps try; False when another one has."""
    if not _won(tx, device, step, alert, now=now):
        return False
    event = {Step.ALERT: "silent", Step.REMIND: "still silent", Step.CLEAR: "heard again"}[step]
    announce(tx, device, event, now)
    if wish.sends_mail:
        _write(tx, device, event, since, now=now)
    return True


def _won(tx: Tx, device: Device, step: Step, alert: Alert | None, *, now: datetime) -> bool:
    if step is Step.ALERT:
        return store.open_silence(tx, device.id, now)
    if step is Step.CLEAR:
        return store.end_silence(tx, device.id)
    return alert is not None and store.remind_of_silence(tx, device.id, alert.reminded_at, now)


def _write(tx: Tx, device: Device, event: str, since: datetime, *, now: datetime) -> None:
    last = f"{since:%Y-%m-%d %H:%M} UTC"
    text = f"{device.name} ({device.key}) is heard again, since {last}.\n"
    if event != "heard again":
        text = f"{device.name} ({device.key}) has sent no health report since {last}.\n"
    subject = f"{device.name} is {event}"
    mark = f"health:{device.key}:{event}:{now.isoformat()}"
    letters.tell_owners(tx, device.home_id, now, subject=subject, text=text, dedupe=mark)
