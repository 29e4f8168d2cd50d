"""What becomes of a happening: an incident is opened or cleared, and people are told, or told later in one digest.

A cool-down runs for each rule and direction (fired, recovered). In it the first few devices that were not told of yet
are told of at once; all else waits for one digest at its end, after which the next one runs.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import msgspec

from waystation.alerts import store
from waystation.alerts.machine import Happening, Point
from waystation.alerts.model import (
    SUBJECT,
    Condition,
    Rule,
    Wish,
    as_text,
    filled,
    in_words,
    span_text,
    threshold_text,
)
from waystation.alerts.notice import Line, Notice, Told, notify
from waystation.alerts.store import Window
from waystation.alerts.watching import Watch, Watched
from waystation.kernel.clock import from_micros, iso
from waystation.kernel.db import Tx

AT_ONCE = 3  # notices of a rule in one cool-down, before devices that are new to it wait for the digest as well
MOST_LINES = 50
MOST_EVIDENCE = 40
Direction = Literal["fired", "recovered"]
FIRED: Direction = "fired"
RECOVERED: Direction = "recovered"


@dataclass(slots=True)
class Teller:
    """Of one transaction. `number` is one that no other transaction of this site has: it names the notices."""

    tx: Tx
    watched: Watched
    now: datetime
    number: int

    def tell(self, happened: Sequence[tuple[Watch, Happening]]) -> None:
        lines: dict[tuple[int, Direction], list[tuple[Watch, Line]]] = {}
        for watch, happening in happened:
            line = self._opened(watch, happening) if happening.what == FIRED else self._cleared(watch, happening)
            if line is not None:
                lines.setdefault((watch.rule.id, happening.what), []).append((watch, line))
        for (_, direction), found in lines.items():
            rule = found[0][0].rule
            if not rule.is_muted(self.now) and (direction == FIRED or rule.wish.tells_recovery):
                self._cool(rule, direction, [(watch.device.id, line) for watch, line in found])

    def end_windows(self) -> None:
        for window in ended(self.watched, self.now):
            rule = next((r for rules in self.watched.rules.values() for r in rules if r.id == window.rule_id), None)
            if rule is not None:
                self._end(rule, window)

    # Incidents

    def _opened(self, watch: Watch, happening: Happening) -> Line:
        rule, value, at = watch.rule, as_shown(watch.rule.wish, happening.value), from_micros(happening.at)
        uid = self._again(watch, at, value, happening.seen)
        if uid is None:
            uid = str(uuid.uuid4())
            watch.incident_id = store.add_incident(
                self.tx,
                uid=uid,
                home_id=rule.home_id,
                rule_id=rule.id,
                rule_uid=rule.uid,
                rule_name=rule.wish.name,
                rule_text=in_words(rule.wish),
                severity=rule.wish.severity,
                device_id=watch.device.id,
                device_key=watch.device.key,
                device_name=watch.device.name,
                metric=rule.wish.metric,
                opened_at=at,
                noticed_at=self.now,
                why_cleared="",
                times=1,
                value=value,
                threshold=threshold_text(rule.wish.when),
                evidence=evidence(rule.wish, happening.seen),
                acked_by="",
                note="",
            )
        watch.cleared_at, watch.is_dirty = None, True
        return _line(watch, uid, word_of(rule.wish), value, at=at)

    def _again(self, watch: Watch, at: datetime, value: str, seen: Sequence[Point]) -> str | None:
        """What fires again within its cool-down is the same incident once more."""
        if watch.incident_id is None or watch.cleared_at is None:
            return None
        if not timedelta() <= at - watch.cleared_at <= watch.rule.cooldown or not watch.rule.cooldown:
            return None
        before = store.evidence_of(self.tx, watch.incident_id)
        new = evidence(watch.rule.wish, seen)
        both, half = [*before, *new], MOST_EVIDENCE // 2
        kept = both if len(both) <= MOST_EVIDENCE else both[:half] + both[-half:]
        return store.reopen(self.tx, watch.incident_id, value=value, evidence=kept)

    def _cleared(self, watch: Watch, happening: Happening) -> Line | None:
        at = from_micros(happening.at)
        if watch.incident_id is None:
            return None
        uid = store.clear(self.tx, watch.incident_id, at, "it is over")
        watch.cleared_at, watch.is_dirty = at, True
        word = "is heard again" if watch.rule.wish.when.kind is Condition.SILENT else "is back to normal"
        return None if uid is None else _line(watch, uid, word, as_shown(watch.rule.wish, happening.value), at=at)

    # Cool-downs

    def _cool(self, rule: Rule, direction: Direction, events: list[tuple[int, Line]]) -> None:
        newest = dict(events)
        if not rule.cooldown:
            self._send(rule, direction, direction, list(newest.values()))
            return
        window = self.watched.windows.get((rule.id, direction))
        told = store.told_devices(self.tx, rule.id, direction) if window else set[int]()
        sent = 0 if window is None else window.sent
        fresh = {of: line for of, line in newest.items() if of not in told} if sent < AT_ONCE else {}
        if fresh:
            self._send(rule, direction, direction, list(fresh.values()))
            sent += 1
        times = Counter(of for of, _ in events)
        held = {of: (times[of] - (of in fresh), msgspec.to_builtins(line)) for of, line in newest.items()}
        store.hold(self.tx, rule.id, direction, held)
        until = self.now + rule.cooldown if window is None else window.until
        self._keep(Window(rule.id, direction, until, sent))

    def _end(self, rule: Rule, window: Window) -> None:
        """One digest of what was held back, and a new cool-down after it; without anything held it is over."""
        rows = store.held(self.tx, rule.id, window.direction)
        store.forget_window(self.tx, rule.id, window.direction)
        del self.watched.windows[rule.id, window.direction]
        if not rows or rule.is_muted(self.now):
            return
        lines = [msgspec.convert(row.line, Line) for row in rows]
        still = store.open_incidents_of(self.tx, [line.incident_uid for line in lines])
        told = [
            replace(line, word=_summed(line.word, row.times, is_open=line.incident_uid in still))
            for line, row in zip(lines, rows, strict=True)
        ]
        about = _digest_subject(rule, window.direction, rows)
        self._send(rule, "digest", cast("Direction", window.direction), told, about=about)
        store.hold(self.tx, rule.id, window.direction, {row.device_id: (0, row.line) for row in rows})
        self._keep(Window(rule.id, window.direction, self.now + rule.cooldown, 1))

    def _keep(self, window: Window) -> None:
        self.watched.windows[window.rule_id, window.direction] = window
        store.keep_window(self.tx, window)

    def _send(self, rule: Rule, kind: Told, direction: Direction, lines: Sequence[Line], *, about: str = "") -> None:
        notice = Notice(
            rule.home_id,
            rule.id,
            kind,
            about or subject(rule, kind, lines),
            lines[:MOST_LINES],
            f"alert:{rule.uid}:{kind}:{direction}:{self.number}",
            rule.wish.severity,
            rule.wish.channels,
            max(0, len(lines) - MOST_LINES),
        )
        notify(self.tx, self.now, notice)


def tell_of_absence(tx: Tx, home_id: int, now: datetime, *, gap: timedelta) -> None:
    """One notice for all that nobody could see while the hub itself was away."""
    about = f"The hub was away for {span_text(round(gap.total_seconds() / 60) * 60)}"
    notify(tx, now, Notice(home_id, None, "away", about, (), f"alert:away:{home_id}:{iso(now)}"))


def ended(watched: Watched, now: datetime) -> list[Window]:
    return [window for window in watched.windows.values() if window.until <= now]


def subject(rule: Rule, kind: str, lines: Sequence[Line]) -> str:
    template = rule.wish.subject or SUBJECT
    if len(lines) > 1:
        about = f"{len(lines)} devices"
        return f"{'Recovered: ' if kind == RECOVERED else ''}{rule.wish.name}: {about}"
    line = lines[0]
    facts = {"device": line.device_name, "metric": line.metric, "value": line.value, "threshold": line.threshold}
    text = filled(template, severity=rule.wish.severity.capitalize(), rule=rule.wish.name, **facts)
    return f"Recovered: {text}" if kind == RECOVERED else text


def _digest_subject(rule: Rule, direction: str, rows: Sequence[Any]) -> str:
    times, devices = sum(row.times for row in rows), len(rows)
    what = "alert" if direction == FIRED else "recovery"
    plural = f"{times} more {what if times == 1 else {'alert': 'alerts', 'recovery': 'recoveries'}[what]}"
    return f"{rule.wish.name}: {plural} of {devices} device{'s' if devices != 1 else ''} in {_cooldown(rule)}"


def _cooldown(rule: Rule) -> str:
    return span_text(rule.wish.cooldown_seconds)


def _summed(word: str, times: int, *, is_open: bool) -> str:
    often = "once more" if times == 1 else f"{times} times more"
    return f"{word}, {often}; {'still so' if is_open else 'over now'}"


def _line(watch: Watch, uid: str, word: str, value: str, *, at: datetime) -> Line:
    wish = watch.rule.wish
    names = (watch.device.name, watch.device.key, wish.metric)
    return Line(uid, wish.name, *names, word, value, watch.unit, threshold_text(wish.when), at)


def word_of(wish: Wish) -> str:
    return in_words(wish).removeprefix(wish.metric).strip() if wish.metric else in_words(wish)


def as_shown(wish: Wish, value: float | str | None) -> str:
    if wish.when.kind is Condition.IS and not isinstance(value, str) and value is not None:
        return as_text(value != 0)
    return as_text(value)


def evidence(wish: Wish, seen: Sequence[Point]) -> list[dict[str, Any]]:
    """The readings that made it, with the threshold of then."""
    threshold = threshold_text(wish.when)
    return [{"at": iso(from_micros(one.at)), "value": one.value, "threshold": threshold} for one in seen]
