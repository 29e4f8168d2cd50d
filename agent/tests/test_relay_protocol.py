"""The JunctionRelay client without a network: events in, actions out, line by line."""

from dataclasses import replace

import pytest

from waystation_agent.junctionrelay.account import Account, Registration, Token
from waystation_agent.junctionrelay.protocol import (
    PRODUCTION,
    TEST_MODE,
    Action,
    Answered,
    Ask,
    Delivered,
    Event,
    Later,
    Lost,
    NeedsPairing,
    Now,
    Pace,
    Refusal,
    Renewed,
    Rest,
    Save,
    SetAside,
    Tick,
    Trouble,
    registered,
    start,
    step,
)
from waystation_agent.junctionrelay.times import iso
from waystation_agent.junctionrelay.wire import Call
from waystation_agent.link import Server

NOON = 1_800_000_000.0
HOUR, DAY = 3_600.0, 86_400.0
SERVER = Server("https://relay.example")
REFUSED = {"success": False, "error": "unknown token"}
TAKEN = {"success": True}


def account(jwt_hours: float = 8, refresh_days: float = 7) -> Account:
    return Account(
        SERVER,
        "02:FC:00:00:00:01",
        "Porch Pi",
        jwt=Token("jwt-1", NOON + jwt_hours * HOUR, 8 * HOUR),
        refresh=Token("refresh-1", NOON + refresh_days * DAY, 7 * DAY),
    )


class Play:
    """A device whose clocks are moved by hand; the machine's wall clock is `wall_error` wrong."""

    def __init__(self, held: Account | None = None, pace: Pace = PRODUCTION) -> None:
        self.mono = 1_000.0
        self.wall_error = 0.0
        self.state = start(held or account(), pace, self.now)

    @property
    def now(self) -> Now:
        return Now(self.mono, NOON - 1_000 + self.mono + self.wall_error, 0.5)

    def __call__(self, event: Event) -> tuple[Action, ...]:
        self.state, actions = step(self.state, self.now, event)
        return actions

    def ask(self, *, has_report: bool = False) -> Call | None:
        """What is asked for now; None if the device rests."""
        last = self(Tick(has_report))[-1]
        return last.call if isinstance(last, Ask) else None

    def answer(self, call: Call, status: int, said: dict[str, object] | None, **more: float) -> tuple[Action, ...]:
        lower = None if said is None else {key.lower(): value for key, value in said.items()}
        return self(Answered(call, status, lower, **more))

    def token(self, n: int, **days: float) -> dict[str, object]:
        time = NOON - 1_000 + self.mono
        said: dict[str, object] = {"success": True, "token": f"jwt-{n}", "expiresAt": iso(time + 8 * HOUR)}
        if days:
            said |= {"refreshToken": f"refresh-{n}", "refreshTokenExpiresAt": iso(time + days["days"] * DAY)}
        return said


def test_a_refresh_comes_after_an_hour_and_not_before() -> None:
    play = Play()
    assert play(Tick()) == (Rest(60),)
    play.mono += HOUR - 1
    assert play.ask() is None
    play.mono += 1
    assert play(Tick()) == (Ask(Call.REFRESH),)
    saved, renewed = play.answer(Call.REFRESH, 200, play.token(2))
    assert isinstance(saved, Save)
    assert saved.account.jwt == Token("jwt-2", play.now.wall and play.now.wall + 8 * HOUR, 8 * HOUR)
    assert saved.account.refresh.text == "refresh-1"
    assert renewed == Renewed(Call.REFRESH)
    assert play.ask() is None


def test_a_short_jwt_is_refreshed_five_minutes_before_its_end__JR_A7() -> None:
    play = Play(replace(account(), jwt=Token("jwt-1", NOON + 1_800, 1_800)))
    play.mono += 1_499
    assert play.ask() is None
    play.mono += 1
    assert play.ask() is Call.REFRESH


def test_a_jwt_that_ended_while_the_device_was_off_is_refreshed_at_once__JR_A7() -> None:
    assert Play(account(jwt_hours=-3)).ask(has_report=True) is Call.REFRESH


def test_rotation_comes_in_the_last_day_and_is_noted_before_it_is_asked_for__JR_A9() -> None:
    play = Play(account(refresh_days=1.01))
    assert play.ask() is None
    play.mono += 0.01 * DAY
    noted, asked = play(Tick())
    assert isinstance(noted, Save)
    assert noted.account.rotating
    assert asked == Ask(Call.ROTATE)
    saved, renewed = play.answer(Call.ROTATE, 200, play.token(2, days=7))
    assert isinstance(saved, Save)
    assert (saved.account.refresh.text, saved.account.rotating) == ("refresh-2", False)
    assert saved.account.previous == account(refresh_days=1.01).refresh
    assert renewed == Renewed(Call.ROTATE)


def test_the_old_refresh_token_is_kept_until_the_new_pair_was_taken__JR_A3() -> None:
    play = Play(account(refresh_days=0.5))
    play.ask()
    play.answer(Call.ROTATE, 200, play.token(2, days=7))
    assert play.ask(has_report=True) is Call.HEALTH
    delivered, saved = play.answer(Call.HEALTH, 200, TAKEN)
    assert delivered == Delivered()
    assert isinstance(saved, Save)
    assert saved.account.previous is None


def test_a_lost_rotation_is_repeated_with_the_old_token_before_anything_else__JR_A9() -> None:
    play = Play(account(refresh_days=0.5))
    assert play.ask() is Call.ROTATE
    assert isinstance(play(Lost(Call.ROTATE, "timeout"))[0], Trouble)
    restarted = Play(play.state.account)
    assert restarted.ask() is Call.ROTATE
    play.mono += 60
    assert play(Tick()) == (Ask(Call.ROTATE),)


@pytest.mark.parametrize("status", [502, 504])
def test_an_answer_that_a_proxy_lost_counts_as_lost(status: int) -> None:
    play = Play(account(jwt_hours=-1, refresh_days=0.5))
    play.ask()
    play.answer(Call.ROTATE, status, {})
    play.mono += 60
    assert play.ask() is Call.ROTATE


@pytest.mark.parametrize("order", [(Call.REFRESH, Call.ROTATE), (Call.ROTATE, Call.REFRESH)])
def test_only_a_refusal_of_both_renewals_ends_the_pairing__JR_A5(order: tuple[Call, Call]) -> None:
    play = Play(account(jwt_hours=-1, refresh_days=7 if order[0] is Call.REFRESH else 0.5))
    assert play.ask() is order[0]
    assert isinstance(play.answer(order[0], 401, REFUSED)[-1], Trouble)
    assert play.ask() is order[1]
    (end,) = play.answer(order[1], 403, REFUSED)
    assert end == NeedsPairing(f"{order[1]} was refused: unknown token")


def test_an_ended_refresh_token_is_still_tried__JR_A8() -> None:
    play = Play(account(jwt_hours=-90, refresh_days=-3))
    assert play.ask() is Call.ROTATE
    play.answer(Call.ROTATE, 401, REFUSED)
    assert play.ask() is Call.REFRESH


@pytest.mark.parametrize(
    ("status", "said"),
    [(408, {}), (429, {}), (500, {}), (503, REFUSED), (404, {}), (302, {}), (200, {}), (200, REFUSED), (200, None),
     (401, None), (403, None), (204, {})],
)  # fmt: skip
def test_nothing_but_a_clear_no_costs_the_identity__JR_A5(status: int, said: dict[str, object] | None) -> None:
    play = Play(account(jwt_hours=-1))
    for _ in range(500):
        call = play.ask()
        if call:
            assert not [a for a in play.answer(call, status, said) if isinstance(a, NeedsPairing)]
        play.mono += 30
    assert play.state.account.refresh.text == "refresh-1"


def test_a_rotation_refused_while_refresh_works_is_tried_again_an_hour_later() -> None:
    play = Play(account(refresh_days=0.5))
    assert play.ask() is Call.ROTATE
    play.answer(Call.ROTATE, 401, REFUSED)
    assert play.ask() is Call.REFRESH
    play.answer(Call.REFRESH, 200, play.token(2))
    assert play.ask() is None
    play.mono += HOUR
    assert play.ask() is Call.ROTATE


def test_what_refresh_cannot_give_is_asked_from_rotation__JR_11() -> None:
    play = Play(account(jwt_hours=-1))
    assert play.ask() is Call.REFRESH
    play.answer(Call.REFRESH, 500, {})
    play.mono += 2
    assert play.ask() is Call.ROTATE
    play.answer(Call.ROTATE, 500, {})
    play.mono += 4
    assert play.ask() is Call.REFRESH


def test_a_new_pair_that_is_refused_leads_back_to_the_one_before() -> None:
    held = replace(account(jwt_hours=-1), previous=Token("refresh-0", NOON + DAY, 7 * DAY))
    play = Play(held)
    for call in (Call.REFRESH, Call.ROTATE):
        assert play.ask() is call
        actions = play.answer(call, 401, REFUSED)
    assert isinstance(actions[0], Save)
    assert (play.state.account.refresh.text, play.ask()) == ("refresh-0", Call.ROTATE)


def test_the_servers_wish_to_wait_is_honoured__JR_A5() -> None:
    play = Play(account(jwt_hours=-1))
    play.ask()
    play.answer(Call.REFRESH, 429, {}, retry_after_seconds=120)
    play.mono += 119
    assert play.ask() is None
    play.mono += 1
    assert play.ask() is Call.ROTATE


def test_a_401_at_health_is_one_refresh_and_the_report_again__JR_A6() -> None:
    play = Play()
    assert play.ask(has_report=True) is Call.HEALTH
    play.answer(Call.HEALTH, 401, REFUSED)
    assert play.ask(has_report=True) is Call.REFRESH
    play.answer(Call.REFRESH, 200, play.token(2))
    assert play.ask(has_report=True) is Call.HEALTH
    assert play.answer(Call.HEALTH, 401, REFUSED) == (Trouble("health: unknown token", refused=True),)
    assert play.ask(has_report=True) is None
    play.mono += 601
    assert play.ask(has_report=True) is Call.HEALTH


def test_a_403_at_health_slows_down_and_says_so__JR_A6() -> None:
    play = Play()
    play.ask(has_report=True)
    assert play.answer(Call.HEALTH, 403, REFUSED) == (Trouble("health: unknown token", refused=True),)
    play.mono += 599
    assert play.ask(has_report=True) is None


def test_a_report_that_fails_waits_and_goes_again__JR_A14() -> None:
    play = Play()
    for status, said in ((503, {}), (200, None), (302, {}), (404, {}), (200, REFUSED)):
        assert play.ask(has_report=True) is Call.HEALTH
        actions = play.answer(Call.HEALTH, status, said)
        assert not [a for a in actions if isinstance(a, Delivered | SetAside)]
        play.mono += 61
    play.ask(has_report=True)
    play(Lost(Call.HEALTH, "timeout"))
    play.mono += 61
    play.ask(has_report=True)
    assert play.answer(Call.HEALTH, 200, {}) == (Delivered(),)


def test_a_report_that_the_server_cannot_read_is_set_aside() -> None:
    play = Play()
    play.ask(has_report=True)
    assert play.answer(Call.HEALTH, 413, {"error": "too large"}) == (SetAside("too large"),)


def test_a_servers_end_in_the_past_causes_no_storm() -> None:
    play = Play(account(jwt_hours=-1))
    calls = 0
    for _ in range(600):
        call = play.ask(has_report=True)
        if call is Call.HEALTH:
            play.answer(call, 200, TAKEN)
        elif call:
            calls += 1
            play.answer(call, 200, {"success": True, "token": "j", "expiresAt": iso(NOON - DAY)})
        play.mono += 60
    assert calls <= 11


@pytest.mark.parametrize("error", [-40 * 365 * DAY, -9 * HOUR, 9 * HOUR, 400 * DAY])
def test_steps_of_the_own_clock_do_no_harm_once_the_server_was_heard__JR_A20(error: float) -> None:
    play = Play()
    play.mono += HOUR
    assert play.ask() is Call.REFRESH
    play.answer(Call.REFRESH, 200, play.token(2), at=play.now.wall or 0)
    play.wall_error = error
    assert play.ask() is None
    play.mono += HOUR
    assert play.ask() is Call.REFRESH


def test_without_the_time_the_tokens_are_used_until_they_are_refused() -> None:
    state = start(account(jwt_hours=-90), PRODUCTION, Now(5, None))
    state, actions = step(state, Now(5, None), Tick(has_report=True))
    assert actions == (Ask(Call.HEALTH),)


def test_test_mode_follows_the_five_minute_cycle_and_keeps_the_servers_ends__JR_A1() -> None:
    held = replace(account(), jwt=Token("j", NOON + 360, 360), refresh=Token("r", NOON + 1_080, 1_080))
    play = Play(held, TEST_MODE)
    moments: list[tuple[int, Call]] = []
    for _ in range(1_100):
        call = play.ask()
        if call:
            time = play.now.wall or 0
            said: dict[str, object] = {"success": True, "token": "j", "expiresAt": iso(time + 360)}
            if call is Call.ROTATE:
                said |= {"refreshToken": "r2", "refreshTokenExpiresAt": iso(time + 1_080)}
            play.answer(call, 200, said)
            moments.append((int(play.mono - 1_000), call))
        play.mono += 1
    assert moments == [(300, Call.REFRESH), (600, Call.REFRESH), (900, Call.REFRESH), (1_020, Call.ROTATE)]
    assert play.state.account.jwt.expires_at == NOON + 1_020 + 360


def test_short_tokens_in_production_mode_cause_no_rotation_storm() -> None:
    held = replace(account(), jwt=Token("j", NOON + 360, 360), refresh=Token("r", NOON + 1_080, 1_080))
    play = Play(held)
    rotations = 0
    for _ in range(3_240):
        call = play.ask()
        if call:
            time = play.now.wall or 0
            said: dict[str, object] = {"success": True, "token": "j", "expiresAt": iso(time + 360)}
            if call is Call.ROTATE:
                rotations += 1
                said |= {"refreshToken": "r", "refreshTokenExpiresAt": iso(time + 1_080)}
            play.answer(call, 200, said)
        play.mono += 1
    assert 5 <= rotations <= 6


def test_periods_are_spread_by_ten_per_cent__JR_A17() -> None:
    ends = [start(account(), PRODUCTION, Now(0, NOON, luck)).refresh_at for luck in (0.0, 0.5, 0.999)]
    assert [round(end) for end in ends] == [3_240, 3_600, 3_959]


# Registration

LINE = Registration(SERVER, "02:FC:00:00:00:01", "Porch Pi", "reg-abc", public_key="A/Y6")


def _registered(status: int, said: dict[str, object] | None) -> Account | Refusal | Later:
    lower = None if said is None else {key.lower(): value for key, value in said.items()}
    return registered(LINE, Now(5, NOON), Answered(Call.REGISTER, status, lower))


def test_a_registration_takes_whatever_the_server_answered__JR_A12() -> None:
    whole = _registered(200, {"deviceJwt": "j", "refreshToken": "r", "expiresAt": iso(NOON + 99)})
    assert isinstance(whole, Account)
    assert (whole.jwt, whole.refresh.text) == (Token("j", NOON + 99, 99), "r")
    only_jwt = _registered(200, {"DeviceJwt": "j"})
    assert isinstance(only_jwt, Account)
    assert (only_jwt.jwt.text, only_jwt.refresh.text) == ("j", "")
    assert isinstance(_registered(200, {"hello": "world"}), Refusal)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_registration_is_refused_by_the_servers_own_words_only(status: int) -> None:
    assert _registered(status, {"error": "used up"}) == Refusal("used up")
    assert isinstance(_registered(status, None), Later)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_registration_that_was_put_off_is_asked_again(status: int) -> None:
    assert isinstance(_registered(status, {}), Later)
    assert isinstance(registered(LINE, Now(5, NOON), Lost(Call.REGISTER, "timeout")), Later)


def test_a_device_without_a_refresh_token_lives_until_its_jwt_is_refused() -> None:
    held = replace(account(jwt_hours=-5), refresh=Token())
    play = Play(held)
    assert play.ask(has_report=True) is Call.HEALTH
    play.answer(Call.HEALTH, 401, REFUSED)
    assert play(Tick()) == (NeedsPairing("there is no refresh token, and the JWT was refused"),)
