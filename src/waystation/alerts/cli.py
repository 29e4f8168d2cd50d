"""`waystation alert rule|incident …`: rules and incidents from a terminal, beside a running hub or without one."""

import math
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from waystation.alerts import backtest, service, store
from waystation.alerts.model import Condition, Incident, Match, Per, Rule, Scope, Severity, When, Wish, in_words, kept
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.desk import AsJson, Data, desk, say, show_json, show_table
from waystation.kernel.errors import Invalid

MOST_HOURS = 87_600

app = typer.Typer(name="alert", help="Alert rules and the incidents they found.", no_args_is_help=True)
rule_app = typer.Typer(name="rule", help="List, add, test, mute, switch and delete alert rules.", no_args_is_help=True)
incident_app = typer.Typer(name="incident", help="List and acknowledge incidents.", no_args_is_help=True)
app.add_typer(rule_app)
app.add_typer(incident_app)

Uid = Annotated[str, typer.Argument(help="The rule's id, or its name when only one rule has it.")]
Kind = Annotated[Condition, typer.Argument(help="What must be so.")]
Metric = Annotated[str, typer.Option(help="Which metric; silence and faults can be of the whole device.")]
Threshold = Annotated[float | None, typer.Option(help="Fires at this number: a value, or a rate.", show_default=False)]
Clear = Annotated[float | None, typer.Option(help="Ends beyond this one. [default: the same]", show_default=False)]
Minutes = Annotated[float, typer.Option(help="Of silence, of a rate's window, or for how long it must be so.")]
DeviceOf = Annotated[str, typer.Option(help="Only this device, by key or serial.", show_default=False)]
ModelOf = Annotated[str, typer.Option(help="Only devices of this model.", show_default=False)]
TextOf = Annotated[str, typer.Option(help="The text to look for.", show_default=False)]
MatchOf = Annotated[Match, typer.Option(help="How the text is looked for; `like` knows * and ?.")]
IsOn = Annotated[bool, typer.Option("--on/--off", help="Which state a boolean must have.")]
NumberOf = Annotated[int, typer.Option(help="How many of the last --of readings, or refused readings for a fault.")]
Of = Annotated[int, typer.Option(help="Of how many readings.")]
PerOf = Annotated[Per, typer.Option(help="Of a rate.")]


def _wish(  # noqa: PLR0913  the options of two commands
    name: str,
    kind: Condition,
    metric: str,
    *,
    threshold: float | None,
    clear: float | None,
    minutes: float,
    device: str,
    model: str,
    text: str,
    match: Match,
    on: bool,
    number: int,
    of: int,
    per: Per,
    cooldown_minutes: float = 30,
    severity: Severity = Severity.WARNING,
) -> Wish:
    seconds = minutes * 60
    times = number if of else 0
    when = When(kind, threshold, clear, 0 if of else seconds, times, of, seconds, per, match, text, on, seconds, number)
    scope = Scope.DEVICE if device else Scope.MODEL if model else Scope.HOME
    if device and model:
        raise Invalid("a rule is for one device or for a model, not both")
    if not math.isfinite(cooldown_minutes):
        raise Invalid("a cool-down is a number of minutes")
    cooldown = round(cooldown_minutes * 60)
    return Wish(name, when, metric, scope, device or model, severity, cooldown_seconds=cooldown).checked()


@rule_app.command("list")
def list_rules(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:
    """All alert rules."""
    at = desk(context, data)
    with at.database.read() as tx:
        found = store.rules(tx, at.home_id)
    rows = [_rule(rule) for rule in found]
    if as_json:
        show_json(rows)
    else:
        columns = ("uid", "name", "text", "severity", "is_enabled", "muted_until")
        show_table(columns, [[row[column] for column in columns] for row in rows], empty="No alert rules yet.")


@rule_app.command()
def add(  # noqa: PLR0913  options
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What people call it.")],
    kind: Kind,
    metric: Metric = "",
    threshold: Threshold = None,
    clear: Clear = None,
    minutes: Minutes = 0,
    device: DeviceOf = "",
    model: ModelOf = "",
    text: TextOf = "",
    match: MatchOf = "equals",
    on: IsOn = True,
    number: NumberOf = 0,
    of: Of = 0,
    per: PerOf = "minute",
    cooldown_minutes: Annotated[float, typer.Option(help="Between two notices of the same direction.")] = 30,
    severity: Annotated[Severity, typer.Option(help="How bad it is.")] = Severity.WARNING,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Add an alert rule, as in: add "Too hot" above --metric temp --threshold 30 --minutes 5."""
    wish = _wish(
        name,
        kind,
        metric,
        threshold=threshold,
        clear=clear,
        minutes=minutes,
        device=device,
        model=model,
        text=text,
        match=match,
        on=on,
        number=number,
        of=of,
        per=per,
        cooldown_minutes=cooldown_minutes,
        severity=severity,
    )
    at = desk(context, data)
    with at.database.write() as tx:
        made = service.add(tx, COMMAND_LINE, at.home_id, at.now(), wish=wish)
    if as_json:
        show_json(_rule(made))
    else:
        say(f"{made.wish.name} is on: {in_words(made.wish)}\n{made.uid}")


@rule_app.command("test")
def try_out(
    context: typer.Context,
    rule: Uid,
    days: Annotated[float, typer.Option(help="On how many of the last days.")] = 30,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say what a rule would have done in the last days; nothing is stored."""
    at = desk(context, data)
    with at.database.read() as tx:
        found = backtest.run(tx, at.home_id, at.now(), wish=_find(tx, at.home_id, rule).wish, days=days)
    if as_json:
        show_json(asdict(found))
        return
    rows = [(one.opened_at, one.cleared_at or "", one.device_name, one.value) for one in found.incidents]
    show_table(("opened", "cleared", "device", "value"), rows, empty="Nothing would have happened.")
    say(f"{found.readings} readings of {found.devices} devices{'' if found.is_complete else '; there is more'}")


@rule_app.command()
def mute(
    context: typer.Context,
    rule: Uid,
    hours: Annotated[float, typer.Option(help="For how long; 0 ends it.")] = 8,
    data: Data = None,
) -> None:
    """Tell nobody of a rule's incidents for a while; they are recorded all the same."""
    at = desk(context, data)
    if not 0 <= hours <= MOST_HOURS:
        raise Invalid(f"a rule is muted for at most {MOST_HOURS} hours; 0 ends it")
    until = at.now() + timedelta(hours=hours) if hours else None
    with at.database.write() as tx:
        muted = service.mute(tx, COMMAND_LINE, _find(tx, at.home_id, rule), at.now(), until=until)
    name = muted.wish.name
    say(f"{name} is muted until {until:%Y-%m-%d %H:%M} UTC" if until else f"{name} is heard again")


@rule_app.command()
def enable(context: typer.Context, rule: Uid, data: Data = None) -> None:
    """Switch a rule on; it looks at readings that come from now on."""
    _switch(context, rule, data, is_enabled=True)


@rule_app.command()
def disable(context: typer.Context, rule: Uid, data: Data = None) -> None:
    """Switch a rule off; its open incidents are closed."""
    _switch(context, rule, data, is_enabled=False)


def _switch(context: typer.Context, rule: str, data: Data, *, is_enabled: bool) -> None:
    at = desk(context, data)
    with at.database.write() as tx:
        switched = service.enable(tx, COMMAND_LINE, _find(tx, at.home_id, rule), at.now(), is_enabled=is_enabled)
    say(f"{switched.wish.name} is {'on' if is_enabled else 'off'}")


@rule_app.command()
def delete(context: typer.Context, rule: Uid, data: Data = None) -> None:
    """Delete a rule; its incidents stay as history."""
    at = desk(context, data)
    with at.database.write() as tx:
        found = _find(tx, at.home_id, rule)
        service.delete(tx, COMMAND_LINE, found, at.now())
    say(f"{found.wish.name} is gone")


@incident_app.command("list")
def list_incidents(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 50,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Open incidents, the newest first."""
    at = desk(context, data)
    with at.database.read() as tx:
        found = store.incidents(tx, store.Wanted(at.home_id, None if all_ else True), most=most)
    rows = [_incident(one) for one in found]
    if as_json:
        show_json(rows)
    else:
        columns = ("uid", "rule_name", "device_name", "value", "opened_at", "cleared_at", "times", "acked_by")
        show_table(columns, [[row[column] for column in columns] for row in rows], empty="Nothing is wrong.")


@incident_app.command()
def ack(
    context: typer.Context,
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    note: Annotated[str, typer.Option(help="What was found or done.")] = "",
    data: Data = None,
) -> None:
    """Say that somebody looks after it."""
    at = desk(context, data)
    with at.database.write() as tx:
        found = service.find_incident(tx, at.home_id, incident)
        found = service.acknowledge(tx, COMMAND_LINE, found, at.now(), note=note)
    say(f"acknowledged by {found.acked_by}")


def _find(tx: Any, home_id: int, named: str) -> Rule:
    same = [rule for rule in store.rules(tx, home_id) if rule.wish.name == named]
    return same[0] if len(same) == 1 else service.find(tx, home_id, named)


def _rule(rule: Rule) -> dict[str, Any]:
    facts: dict[str, datetime | bool | str | None] = {
        "uid": rule.uid,
        "text": in_words(rule.wish),
        "is_enabled": rule.is_enabled,
        "muted_until": rule.muted_until,
    }
    return {**facts, **kept(rule.wish)}


def _incident(incident: Incident) -> dict[str, Any]:
    return {name: fact for name, fact in asdict(incident).items() if name not in ("home_id", "rule_id", "device_id")}
