"""When a device renews its tokens and reports, and what each answer means: a pure function from events to actions.

One call is under way at a time. `step(state, now, Tick(…))` says what to do next; the outcome of a call comes back as
`Answered` or `Lost`, and then the next `Tick` goes on from there.
"""

from dataclasses import dataclass, replace

from waystation_agent.backoff import jittered, pause_seconds
from waystation_agent.junctionrelay import times
from waystation_agent.junctionrelay.account import Account, Registration, Token, digest
from waystation_agent.junctionrelay.wire import Call, Words, reason, text

REFRESH_SECONDS = 3_600.0
REFRESH_BEFORE_END_SECONDS = 300.0
ROTATE_BEFORE_END_SECONDS = 86_400.0
ROTATE_AGAIN_SECONDS = 3_600.0
"""How long to live on with a refresh token whose rotation the server refused, while it still refreshes."""
ASSUMED_LIFETIME_SECONDS = 7 * 86_400.0
SHORTEST_LIFETIME_SECONDS = 60.0
SLOW_SECONDS = 600.0
REST_SECONDS = 60.0
PERHAPS_DONE = {502, 504}
"""A proxy lost the server's answer: the same as no answer at all."""


@dataclass(frozen=True)
class Pace:
    refresh_seconds: float = REFRESH_SECONDS
    rotate_before_end_seconds: float = ROTATE_BEFORE_END_SECONDS


PRODUCTION = Pace()
TEST_MODE = Pace(refresh_seconds=300.0, rotate_before_end_seconds=60.0)


@dataclass(frozen=True)
class Now:
    """`monotonic` drives every period; `wall` is None while the time is not known; `luck` is from [0, 1)."""

    monotonic: float
    wall: float | None
    luck: float = 0.5


# Events


@dataclass(frozen=True)
class Tick:
    has_report: bool = False


@dataclass(frozen=True)
class Answered:
    """`said` is None when somebody between us and the server spoke. `at` is the server's own clock (`Date`)."""

    call: Call
    status: int
    said: Words | None
    at: float | None = None
    retry_after_seconds: float = 0.0


@dataclass(frozen=True)
class Lost:
    """Nobody knows whether the server acted on the call."""

    call: Call
    reason: str = ""


Event = Tick | Answered | Lost


# Actions


@dataclass(frozen=True)
class Save:
    """Make the account durable before anything that follows."""

    account: Account


@dataclass(frozen=True)
class Ask:
    call: Call


@dataclass(frozen=True)
class Delivered:
    """The report under way is at the server for good."""


@dataclass(frozen=True)
class SetAside:
    """The server will never take this report."""

    reason: str


@dataclass(frozen=True)
class Trouble:
    sentence: str
    refused: bool = False


@dataclass(frozen=True)
class Renewed:
    call: Call


@dataclass(frozen=True)
class NeedsPairing:
    """Both ways to renew were refused in so many words: the tokens are worth nothing any more (JR-A5)."""

    reason: str


@dataclass(frozen=True)
class Rest:
    seconds: float


Action = Save | Ask | Delivered | SetAside | Trouble | Renewed | NeedsPairing | Rest


@dataclass(frozen=True)
class State:
    """All but the account is forgotten by a restart. Times are monotonic seconds."""

    account: Account
    pace: Pace = PRODUCTION
    ahead_seconds: float | None = None
    """The server's clock, as last heard, less the monotonic clock: steps of our own clock do not move it."""
    refresh_at: float = 0.0
    renewal_from: float = 0.0
    rotation_from: float = 0.0
    renewal_failures: int = 0
    failed: Call | None = None
    """The renewal that the server answered, yet neither granted nor refused, last."""
    refused: frozenset[Call] = frozenset()
    """The renewals that the server has refused since it last granted one."""
    reports_from: float = 0.0
    report_failures: int = 0
    jwt_refused: bool = False
    jwt_untried: bool = False
    """The JWT came because its predecessor was refused: a second refusal is no matter of the JWT."""


def start(account: Account, pace: Pace, now: Now) -> State:
    """Take up an account after a start: a JWT that may have ended, or whose end is uncertain, is renewed at once."""
    state = State(account, pace)
    jwt = account.jwt
    if jwt.expires_at is None or jwt.lifetime_seconds is None:
        return replace(state, refresh_at=now.monotonic)
    left = None if now.wall is None else jwt.expires_at - now.wall
    return replace(state, refresh_at=now.monotonic + max(0.0, _refresh_after(state, jwt, left, now.luck)))


def step(state: State, now: Now, event: Event) -> tuple[State, tuple[Action, ...]]:
    match event:
        case Tick(has_report):
            return _next(state, now, has_report=has_report)
        case Answered(Call.HEALTH):
            return _reported(state, now, event)
        case Answered():
            return _renewed(state, now, event)
        case Lost(Call.HEALTH, why):
            return _report_later(state, now, why)
        case Lost(_, why):
            return _renew_later(replace(state, failed=None), now, why)


# What to do next


def _next(state: State, now: Now, *, has_report: bool) -> tuple[State, tuple[Action, ...]]:
    call = _due(state, now)
    if call is None and not _can_report(state, now) and not state.account.refresh.text:
        return state, (NeedsPairing("there is no refresh token, and the JWT was refused"),)
    if call and now.monotonic >= state.renewal_from:
        return _renew(state, call)
    if has_report and now.monotonic >= state.reports_from and _can_report(state, now):
        return state, (Ask(Call.HEALTH),)
    return state, (Rest(_rest_seconds(state, now, call=call, has_report=has_report)),)


def _renew(state: State, call: Call) -> tuple[State, tuple[Action, ...]]:
    if call is Call.ROTATE and not state.account.rotating:
        state = replace(state, account=replace(state.account, rotating=True))
        return state, (Save(state.account), Ask(call))
    return state, (Ask(call),)


def _due(state: State, now: Now) -> Call | None:
    """Return the renewal that is due. What cannot be had one way is asked for the other way."""
    if not state.account.refresh.text:
        return None
    wants_refresh = _wants_refresh(state, now)
    may_rotate = Call.ROTATE not in state.refused and now.monotonic >= state.rotation_from
    if may_rotate and (_wants_rotation(state, now) or Call.REFRESH in state.refused):
        return Call.REFRESH if wants_refresh and state.failed is Call.ROTATE else Call.ROTATE
    if not wants_refresh:
        return None
    starving = state.failed is Call.REFRESH and not _can_report(state, now)
    return Call.ROTATE if starving and may_rotate else Call.REFRESH


def _wants_refresh(state: State, now: Now) -> bool:
    jwt = state.account.jwt
    if Call.REFRESH in state.refused:
        return False
    if not jwt.text or state.jwt_refused or Call.ROTATE in state.refused or now.monotonic >= state.refresh_at:
        return True
    return _ends_within(state, now, jwt, _refresh_margin(jwt.lifetime_seconds))


def _wants_rotation(state: State, now: Now) -> bool:
    token = state.account.refresh
    before = state.pace.rotate_before_end_seconds
    margin = before if token.lifetime_seconds is None else min(before, token.lifetime_seconds / 2)
    return state.account.rotating or _ends_within(state, now, token, margin)


def _can_report(state: State, now: Now) -> bool:
    jwt = state.account.jwt
    if not jwt.text or state.jwt_refused:
        return False
    # Without a refresh token only the server's refusal ends a JWT: a clock may be wrong.
    return not state.account.refresh.text or not _ends_within(state, now, jwt, 0.0)


def _ends_within(state: State, now: Now, token: Token, seconds: float) -> bool:
    time = _time(state, now)
    if token.expires_at is None or token.lifetime_seconds == 0 or time is None:
        return False
    return time >= token.expires_at - seconds


def _time(state: State, now: Now) -> float | None:
    """Return the time by the server's clock, which made the tokens; by our own clock until it was heard."""
    return now.wall if state.ahead_seconds is None else now.monotonic + state.ahead_seconds


def _rest_seconds(state: State, now: Now, *, call: Call | None, has_report: bool) -> float:
    wakings = [now.monotonic + REST_SECONDS]
    if state.account.refresh.text:
        wakings.append(max(state.renewal_from, now.monotonic if call else state.refresh_at))
    if has_report:
        wakings.append(state.reports_from)
    return max(0.05, min(waking for waking in wakings if waking > now.monotonic) - now.monotonic)


# Renewals


def _renewed(state: State, now: Now, answer: Answered) -> tuple[State, tuple[Action, ...]]:
    if answer.said is not None and answer.status in {401, 403}:
        return _refused(state, now, answer)
    granted = _granted(state, now, answer)
    if granted is None:
        failed = None if answer.status in PERHAPS_DONE or answer.said is None else answer.call
        why = f"{answer.call}: {reason(answer.said, answer.status)}"
        return _renew_later(replace(state, failed=failed), now, why, answer.retry_after_seconds)
    left = granted.jwt.lifetime_seconds or None
    rotation_refused = answer.call is Call.REFRESH and Call.ROTATE in state.refused
    state = replace(
        _in_step(state, now, answer),
        account=granted,
        refresh_at=now.monotonic + _refresh_after(state, granted.jwt, left, now.luck),
        renewal_from=now.monotonic,
        rotation_from=now.monotonic + jittered(ROTATE_AGAIN_SECONDS, now.luck) if rotation_refused else 0.0,
        renewal_failures=0,
        failed=None,
        refused=frozenset(),
        jwt_untried=state.jwt_refused,
        jwt_refused=False,
    )
    return state, (Save(granted), Renewed(answer.call))


def _granted(state: State, now: Now, answer: Answered) -> Account | None:
    """Return the account with what the server granted; None if the answer grants nothing."""
    said = answer.said
    if answer.status != 200 or not said or said.get("success") is False or not text(said, "token"):
        return None
    heard = _in_step(state, now, answer)
    time = _time(heard, now)
    jwt = token(text(said, "token"), said.get("expiresat"), time)
    at = time or state.account.refreshed_at
    if answer.call is Call.REFRESH:
        rotating = state.account.rotating and Call.ROTATE not in state.refused
        return replace(state.account, jwt=jwt, previous=None, rotating=rotating, refreshed_at=at)
    if not text(said, "refreshToken"):
        return None
    refresh = lasting(token(text(said, "refreshToken"), said.get("refreshtokenexpiresat"), time), time)
    return state.account.with_pair(jwt, refresh, at=at)


def _refused(state: State, now: Now, answer: Answered) -> tuple[State, tuple[Action, ...]]:
    state = replace(state, refused=state.refused | {answer.call}, failed=None, renewal_from=now.monotonic)
    why = f"{answer.call} was refused: {reason(answer.said, answer.status)}"
    if len(state.refused) < 2:
        return state, (Trouble(why),)
    if state.account.previous is None:
        return state, (NeedsPairing(why),)
    # The pair of the last rotation was never taken. Its predecessor may still live (JR-13).
    account = replace(state.account, refresh=state.account.previous, previous=None, rotating=True)
    return replace(state, account=account, refused=frozenset()), (Save(account), Trouble(why))


def _renew_later(state: State, now: Now, why: str, asked_seconds: float = 0.0) -> tuple[State, tuple[Action, ...]]:
    failures = state.renewal_failures + 1
    wait = pause_seconds(failures, now.luck, asked_seconds)
    return replace(state, renewal_failures=failures, renewal_from=now.monotonic + wait), (Trouble(why),)


def _in_step(state: State, now: Now, answer: Answered) -> State:
    return state if answer.at is None else replace(state, ahead_seconds=answer.at - now.monotonic)


def _refresh_after(state: State, jwt: Token, left: float | None, luck: float) -> float:
    period = jittered(state.pace.refresh_seconds, luck)
    return period if left is None else min(period, left - _refresh_margin(jwt.lifetime_seconds))


def _refresh_margin(lifetime_seconds: float | None) -> float:
    return min(REFRESH_BEFORE_END_SECONDS, (lifetime_seconds or ASSUMED_LIFETIME_SECONDS) / 6)


def token(secret: str, expires_at: object, time: float | None) -> Token:
    """Take a token as the server gave it, at the server's `time`."""
    end = times.parse(expires_at)
    if end is None or time is None:
        return Token(secret, end)
    lifetime_seconds = end - time
    return Token(secret, end, lifetime_seconds if lifetime_seconds >= SHORTEST_LIFETIME_SECONDS else 0.0)


def lasting(refresh: Token, time: float | None) -> Token:
    """Give a refresh token, of whose end the server said nothing, the usual one."""
    if refresh.expires_at is not None or time is None:
        return refresh
    return replace(refresh, expires_at=time + ASSUMED_LIFETIME_SECONDS, lifetime_seconds=ASSUMED_LIFETIME_SECONDS)


# Reports


def _reported(state: State, now: Now, answer: Answered) -> tuple[State, tuple[Action, ...]]:
    said = answer.said
    why = f"health: {reason(said, answer.status)}"
    if said is None or answer.status >= 500 or answer.status in {408, 425, 429}:
        return _report_later(state, now, why, answer.retry_after_seconds)
    if 200 <= answer.status < 300 and said.get("success") is not False:
        return _taken(_in_step(state, now, answer), now)
    if answer.status in {400, 413, 422}:
        return replace(state, report_failures=0), (SetAside(reason(said, answer.status)),)
    if answer.status == 401 and not state.jwt_untried:
        return replace(state, jwt_refused=True, renewal_from=_soon(state, now)), (Trouble(why),)
    if answer.status in {401, 403}:
        slow = now.monotonic + max(jittered(SLOW_SECONDS, now.luck), answer.retry_after_seconds)
        return replace(state, reports_from=slow, jwt_untried=False), (Trouble(why, refused=True),)
    return _report_later(state, now, why, answer.retry_after_seconds)


def _taken(state: State, now: Now) -> tuple[State, tuple[Action, ...]]:
    state = replace(state, report_failures=0, reports_from=now.monotonic, jwt_untried=False)
    if state.account.previous is None:
        return state, (Delivered(),)
    state = replace(state, account=replace(state.account, previous=None))
    return state, (Delivered(), Save(state.account))


def _report_later(state: State, now: Now, why: str, asked_seconds: float = 0.0) -> tuple[State, tuple[Action, ...]]:
    failures = state.report_failures + 1
    wait = pause_seconds(failures, now.luck, asked_seconds)
    return replace(state, report_failures=failures, reports_from=now.monotonic + wait), (Trouble(why),)


def _soon(state: State, now: Now) -> float:
    """A renewal that has not failed lately may come at once; one that has keeps its pause."""
    return max(state.renewal_from, now.monotonic)


# Registration


@dataclass(frozen=True)
class Refusal:
    reason: str


@dataclass(frozen=True)
class Later:
    reason: str
    asked_seconds: float = 0.0


def registered(registration: Registration, now: Now, event: Answered | Lost) -> Account | Refusal | Later:
    """Return what a registration came to. Whatever tokens the server answered are taken, also when some are missing."""
    if isinstance(event, Lost):
        return Later(event.reason)
    said = event.said
    why = reason(said, event.status)
    if said is None or event.status >= 500 or event.status in {408, 425, 429}:
        return Later(why, event.retry_after_seconds)
    if not 200 <= event.status < 300 or said.get("success") is False:
        return Refusal(why)
    time = now.wall if event.at is None else event.at
    jwt = token(text(said, "deviceJwt"), said.get("expiresat"), time)
    refresh = token(text(said, "refreshToken"), said.get("refreshtokenexpiresat"), time)
    if not jwt.text and not refresh.text:
        return Refusal("it does not answer like a JunctionRelay server; check the address and the prefix")
    return Account(
        registration.server,
        registration.device_id,
        registration.name,
        code_sha256=registration.code_sha256,
        public_key=registration.public_key,
        prefix=registration.prefix,
        jwt=jwt,
        refresh=lasting(refresh, time) if refresh.text else refresh,
        refreshed_at=time or 0.0,
        origin=digest(refresh.text or jwt.text),
    )
