"""Keeps a JunctionRelay account alive and reports to its server: carries out what the protocol says, step by step."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from waystation_agent import identity
from waystation_agent.backoff import CAP_SECONDS, chance, pause_seconds
from waystation_agent.clock import iso
from waystation_agent.delivery import ON_WITH_IT, UNPAIRED, Pause
from waystation_agent.errors import BadInput, Fault, Unreachable
from waystation_agent.identity import IdentityFile
from waystation_agent.junctionrelay import old_config, protocol, report, times, wire
from waystation_agent.junctionrelay.account import Account, hush
from waystation_agent.junctionrelay.protocol import PRODUCTION, Action, Event, Now, Pace, Rest, State, Tick
from waystation_agent.junctionrelay.report import Form
from waystation_agent.junctionrelay.wire import Call
from waystation_agent.link import Link, Server
from waystation_agent.logs import LOG, facts, strike_out
from waystation_agent.spool import Sample, Spool
from waystation_agent.timekeeper import Timekeeper

DISK_PAUSE = Pause(10)


@dataclass(frozen=True)
class Manner:
    """How the owner wants this device to live with its server."""

    pace: Pace = PRODUCTION
    form: Form = Form.OBJECT


class Relay:
    def __init__(
        self,
        spool: Spool,
        identities: IdentityFile,
        timekeeper: Timekeeper,
        manner: Manner,
        *,
        luck: Callable[[], float] = chance,
    ) -> None:
        self._spool = spool
        self._identities = identities
        self._timekeeper = timekeeper
        self._manner = manner
        self._luck = luck
        self._link = Link(Server("http://127.0.0.1"))
        self._state: State | None = None
        self._unsaved: Account | None = None
        self._report: Sample | None = None
        self._newest_sent = 0
        self._troubles = 0

    def step(self) -> Pause:
        """Make at most one call, and return what to wait for before the next step."""
        account = self._identities.current()
        if not isinstance(account, Account):
            return UNPAIRED
        self._timekeeper.observe(self._spool.newest_us())
        if self._state is None or not account.is_same_pairing(self._state.account):
            self._turn_to(account)
        try:
            if self._unsaved:
                self._save(self._unsaved)
            report.check(self._manner.form, account)
            return self._act()
        except (Fault, OSError) as error:
            self._note(f"the tokens cannot be saved: {error}", "retrying")
            return DISK_PAUSE
        except BadInput as error:
            self._note(str(error), "refused")
            return Pause(CAP_SECONDS)

    def close(self) -> None:
        self._link.close()

    def _turn_to(self, account: Account) -> None:
        self._link.close()
        self._link, self._unsaved, self._troubles = Link(account.server), None, 0
        self._state = protocol.start(account, self._manner.pace, self._now())
        server, device = account.server.url, account.device_id
        LOG.info("reporting to %s", facts(server=server, device=device, name=account.name))

    def _act(self) -> Pause:
        self._report = self._next_report()
        pause = self._carry_out(Tick(self._report is not None))
        if self._report is None and pause is not ON_WITH_IT and self._needs_the_time():
            return self._ask_the_time()
        return pause

    def _carry_out(self, event: Event) -> Pause:
        assert self._state
        self._state, actions = protocol.step(self._state, self._now(), event)
        for action in actions:
            match action:
                case protocol.Ask(call):
                    return self._carry_out(self._ask(call))
                case Rest(seconds):
                    return Pause(seconds, until_sample=self._report is None)
                case _:
                    self._do(action)
        return ON_WITH_IT

    def _do(self, action: Action) -> None:
        match action:
            case protocol.Save(account):
                self._save(account)
            case protocol.Delivered():
                self._delivered()
            case protocol.SetAside(reason):
                self._set_aside(reason)
            case protocol.Trouble(sentence, refused):
                self._note(sentence, "refused" if refused else "retrying")
            case protocol.Renewed(call):
                self._tell_of(call)
            case protocol.NeedsPairing(reason):
                self._give_up(reason)
            case _:
                raise AssertionError(action)

    def _now(self) -> Now:
        wall = self._timekeeper.now_us() / 1_000_000 if self._timekeeper.is_known else None
        return Now(self._timekeeper.ticks.monotonic_us() / 1_000_000, wall, self._luck())

    # Calls

    def _ask(self, call: Call) -> Event:
        assert self._state
        account = self._state.account
        headers = {"Content-Type": "application/json"}
        if call is Call.HEALTH:
            headers["Authorization"] = f"Bearer {account.jwt.text}"
        body = self._health() if call is Call.HEALTH else wire.renewal_body(account)
        try:
            answer = self._link.post(f"{account.prefix}/{call}", body, headers)
        except (Unreachable, BadInput) as error:
            return protocol.Lost(call, str(error))
        self._timekeeper.hear(answer.hub_time_us)
        at = None if answer.hub_time_us is None else answer.hub_time_us / 1_000_000
        return protocol.Answered(call, answer.status, wire.words(answer), at, answer.retry_after_seconds)

    def _health(self) -> bytes:
        assert self._state
        assert self._report
        data = report.measurements(self._manner.form, self._state.account, self._report)
        return wire.health_body(data, iso(self._report.at_us))

    # Tokens

    def _save(self, account: Account) -> None:
        """Make the account durable; until that has succeeded, nothing else is done. A newer pairing is left alone."""
        self._unsaved = account
        hush(account)

        def renewed(state: identity.State) -> identity.State:
            return replace(state, identity=account) if account.is_same_pairing(state.identity) else state

        if identity.update(self._identities.path, renewed).identity == account:
            old_config.follow(account)
        self._unsaved = None

    def _tell_of(self, call: Call) -> None:
        assert self._state
        account = self._state.account
        ends = {"jwt_ends": account.jwt.expires_at, "refresh_token_ends": account.refresh.expires_at}
        LOG.info("%s done %s", call, facts(**{name: times.iso(at) for name, at in ends.items() if at}))

    def _give_up(self, reason: str) -> None:
        assert self._state
        account = self._state.account

        def unpaired(state: identity.State) -> identity.State:
            return state.without_identity() if account.is_same_pairing(state.identity) else state

        identity.update(self._identities.path, unpaired)
        old_config.wipe(account)
        self._state = None
        LOG.error("this device needs pairing %s", facts(reason=strike_out(reason)))
        self._spool.note_error(strike_out(reason), "needs pairing", now_us=self._timekeeper.now_us())

    # Reports

    def _next_report(self) -> Sample | None:
        """Return the newest sample until the server has it, then the backlog in order (JR-A14)."""
        newest = self._spool.newest()
        if newest is None or newest.id > self._newest_sent:
            return newest
        return next(iter(self._spool.oldest(1)), None)

    def _delivered(self) -> None:
        assert self._report
        self._spool.delivered([self._report], self._timekeeper.now_us())
        self._newest_sent = max(self._newest_sent, self._report.id)
        if self._troubles:
            LOG.info("server is back %s", facts(after_failures=self._troubles))
        LOG.debug("reported %s", facts(sample=iso(self._report.at_us)))
        self._troubles = 0

    def _set_aside(self, reason: str) -> None:
        assert self._report
        refused = dict.fromkeys(self._report.values, strike_out(reason))
        self._spool.quarantine(self._report, refused, now_us=self._timekeeper.now_us())
        LOG.warning("server refused a report, set aside %s", facts(sample=iso(self._report.at_us), reason=reason))

    def _note(self, sentence: str, state: str) -> None:
        sentence = strike_out(sentence)
        self._troubles += 1
        level = LOG.warning if self._troubles == 1 else LOG.debug
        level("trouble %s", facts(state=state, failures=self._troubles, reason=sentence))
        self._spool.note_error(sentence, state, now_us=self._timekeeper.now_us())

    # The time

    def _needs_the_time(self) -> bool:
        return not self._timekeeper.is_known and self._spool.has_held()

    def _ask_the_time(self) -> Pause:
        """Ask the server for any answer at all: its `Date` header dates the samples that are held."""
        try:
            self._timekeeper.hear(self._link.get("/").hub_time_us)
        except (Unreachable, BadInput) as error:
            self._note(str(error), "retrying")
        return Pause(1 if self._timekeeper.is_known else pause_seconds(max(1, self._troubles), self._luck()))
