"""A thermostat's own high and low alert (contract section 5.4), as two ordinary alert rules of its home."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from waystation import alerts
from waystation.alerts import Condition, Rule, Scope, When, Wish
from waystation.devices import Device
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Invalid

METRIC = "temp_inside_c"
COOLDOWN_MINUTES = (15, 30, 60, 120, 360)
SIDES = {"high": Condition.ABOVE, "low": Condition.BELOW}
COLDEST, HOTTEST = -60.0, 120.0
ON = {"1", "true", "on", "yes"}


@dataclass(frozen=True, slots=True)
class Alerts:
    """As a person sets them. `email` empty: by the home's own channels, at first mail to its owners."""

    enabled: bool = False
    high: float = 30.0
    low: float = 10.0
    high_minutes: int = 30
    low_minutes: int = 30
    email: str = ""

    def threshold(self, side: str) -> float:
        return self.high if side == "high" else self.low

    def minutes(self, side: str) -> int:
        return self.high_minutes if side == "high" else self.low_minutes


def typed(given: Mapping[str, str]) -> Alerts:
    """Names are the form's; what a script leaves out is as at first."""
    found = Alerts(
        enabled=given.get("alerts_enabled", "").lower() in ON,
        high=_degrees(given, "temp_high", 30.0),
        low=_degrees(given, "temp_low", 10.0),
        high_minutes=_minutes(given, "high_cooldown"),
        low_minutes=_minutes(given, "low_cooldown"),
        email=given.get("alert_email", "").strip(),
    )
    if found.low >= found.high:
        raise Invalid("the low threshold must be below the high one")
    return found


def of_device(tx: Tx, device: Device) -> Alerts:
    """As they are now; the usual values where there is no such rule."""
    rules = _rules(tx, device)
    if not rules:
        return Alerts()
    high, low = rules.get("high"), rules.get("low")
    return Alerts(
        enabled=any(rule.is_enabled for rule in rules.values()),
        high=_threshold(high, 30.0),
        low=_threshold(low, 10.0),
        high_minutes=high.wish.cooldown_seconds // 60 if high else 30,
        low_minutes=low.wish.cooldown_seconds // 60 if low else 30,
        email=_address(tx, device, next(iter(rules.values()))),
    )


def update(tx: Tx, desk: alerts.channels.Desk, by: Actor, device: Device, *, wanted: Alerts, now: datetime) -> None:
    """Makes the rules that are missing; switched off they stay, with what was set."""
    channels = _channels(tx, desk, by, device, address=wanted.email, now=now)
    for side, kind in SIDES.items():
        wish = Wish(
            name=title(side),
            when=When(kind, threshold=wanted.threshold(side)),
            metric=METRIC,
            scope=Scope.DEVICE,
            target=device.key,
            cooldown_seconds=60 * wanted.minutes(side),
            subject=f"{title(side)} - {{device}}",
            channels=channels,
        )
        origin = _origin(device, side)
        alerts.service.put(tx, by, device.home_id, now, origin=origin, wish=wish, is_enabled=wanted.enabled)


def title(side: str) -> str:
    return f"{side.capitalize()} Temperature Alert"


def _rules(tx: Tx, device: Device) -> dict[str, Rule]:
    """Those of the two that were ever made, whatever people called them since."""
    found = {side: alerts.service.of_origin(tx, device.home_id, _origin(device, side)) for side in SIDES}
    return {side: rule for side, rule in found.items() if rule is not None}


def _origin(device: Device, side: str) -> str:
    return f"thermostat:{device.key}:{side}"


def _channels(
    tx: Tx, desk: alerts.channels.Desk, by: Actor, device: Device, *, address: str, now: datetime
) -> tuple[int, ...]:
    """Of an address of its own the mail channel that has it; none is all of the home."""
    if not address:
        return ()
    for channel in alerts.channels.channels(tx, device.home_id):
        if channel.kind == "mail" and channel.config.get("to", "").lower() == address.lower():
            return (channel.id,)
    made = desk.add(tx, by, now, kind="mail", name=f"Mail to {address}"[:60], given={"to": address})
    return (made.channel.id,)


def _address(tx: Tx, device: Device, rule: Rule) -> str:
    chosen = {channel.id: channel for channel in alerts.channels.channels(tx, device.home_id)}
    found = [chosen[number].config.get("to", "") for number in rule.wish.channels if number in chosen]
    return found[0] if found else ""


def _threshold(rule: Rule | None, usual: float) -> float:
    return usual if rule is None or rule.wish.when.threshold is None else rule.wish.when.threshold


def _degrees(given: Mapping[str, str], name: str, usual: float) -> float:
    text = given.get(name, "").strip().replace(",", ".")
    try:
        found = float(text) if text else usual
    except ValueError:
        found = math.nan
    if not COLDEST <= found <= HOTTEST:
        raise Invalid(f"a threshold is a temperature from {COLDEST:g} to {HOTTEST:g} °C")
    return found


def _minutes(given: Mapping[str, str], name: str) -> int:
    text = (given.get(name) or "30").strip()
    if text not in {str(minutes) for minutes in COOLDOWN_MINUTES}:
        raise Invalid(f"a cool-down is one of {', '.join(map(str, COOLDOWN_MINUTES))} minutes")
    return int(text)
