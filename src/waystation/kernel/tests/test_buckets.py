from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation.kernel.buckets import Buckets, Rate

SECOND = 1_000_000
RATES = st.builds(Rate, per_minute=st.integers(1, 100_000), burst=st.integers(1, 500))
CALLS = st.lists(st.tuples(st.integers(0, 20 * SECOND), st.sampled_from("ab")), min_size=1, max_size=300)


class Watch:
    """A clock in microseconds that is turned by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.now


def admitted(rate: Rate, calls: Sequence[tuple[int, str]], most_keys: int = 100) -> list[tuple[int, str, bool]]:
    """When each key called, and whether it was let through."""
    watch = Watch()
    buckets = Buckets(watch, most_keys)
    seen = []
    for pause, key in calls:
        watch.now += pause
        seen.append((watch.now, key, not buckets.take(key, rate).wait))
    return seen


def naive(rate: Rate, calls: Sequence[tuple[int, str]]) -> list[bool]:
    """A bucket as everybody describes it: so many tokens, filled drop by drop."""
    tokens: dict[str, Fraction] = defaultdict(lambda: Fraction(rate.burst))
    at, let_through = 0, []
    for pause, key in calls:
        at += pause
        for held, count in tokens.items():
            tokens[held] = min(Fraction(rate.burst), count + Fraction(pause, rate.step))
        let_through.append(tokens[key] >= 1)
        tokens[key] -= let_through[-1]
    return let_through


@given(rate=RATES, calls=CALLS)
def test_no_interval_has_more_than_the_burst_and_what_flows_in_meanwhile(
    rate: Rate, calls: list[tuple[int, str]]
) -> None:
    passed = [at for at, key, is_in in admitted(rate, calls) if is_in and key == "a"]
    for first, begin in enumerate(passed):
        for number, end in enumerate(passed[first:], 1):
            assert number <= rate.burst + Fraction(end - begin, rate.step)


@given(rate=RATES, calls=CALLS)
def test_nobody_gets_less_than_from_a_naive_bucket_and_nobody_more(rate: Rate, calls: list[tuple[int, str]]) -> None:
    assert [is_in for _, _, is_in in admitted(rate, calls)] == naive(rate, calls)


@given(rate=RATES, before=st.integers(0, 600))
def test_who_waits_as_told_is_let_through_and_no_sooner(rate: Rate, before: int) -> None:
    watch = Watch()
    buckets = Buckets(watch)
    for _ in range(min(rate.burst, before)):
        buckets.take("a", rate)
    while not (allowance := buckets.take("a", rate)).wait:
        pass
    watch.now += allowance.wait - 1
    assert buckets.take("a", rate).wait == 1
    watch.now += 1
    assert not buckets.take("a", rate).wait


@given(old=RATES, new=RATES)
def test_after_a_change_of_the_rate_nobody_waits_for_longer_than_one_call_of_the_new_one(old: Rate, new: Rate) -> None:
    watch = Watch()
    buckets = Buckets(watch)
    for _ in range(old.burst):
        buckets.take("a", old)
    assert buckets.take("a", new).wait <= new.step


def test_a_clock_that_is_set_back_costs_nobody_more_than_a_full_bucket() -> None:
    watch, rate = Watch(), Rate(60, 60)
    buckets = Buckets(watch)
    buckets.take("a", rate)
    watch.now -= 3600 * SECOND
    assert buckets.take("a", rate).wait <= rate.step


def test_as_many_keys_as_come_are_kept_in_bounds_and_the_busy_ones_are_remembered() -> None:
    watch, rate = Watch(), Rate(60, 2)
    buckets = Buckets(watch, most_keys=100)
    assert [bool(buckets.take("busy", rate).wait) for _ in range(3)] == [False, False, True]
    for stranger in range(10_000):
        buckets.take(stranger, rate)
        assert len(buckets) <= 100
        if stranger % 10 == 0:
            assert buckets.take("busy", rate).wait


def test_headers_say_the_policy_and_what_is_left_of_it() -> None:
    """draft-ietf-httpapi-ratelimit-headers-11, sections 3 and 4."""
    watch, rate = Watch(), Rate(30, 10)
    buckets = Buckets(watch)
    policy = (b"ratelimit-policy", b'"device";q=10;w=20')
    assert buckets.take("a", rate).headers == (policy, (b"ratelimit", b'"device";r=9;t=2'))
    for _ in range(9):
        buckets.take("a", rate)
    watch.now += 1_500_000
    refused = buckets.take("a", rate)
    assert refused.wait_seconds == 0.5
    assert refused.headers == (policy, (b"ratelimit", b'"device";r=0;t=1'))


@pytest.mark.parametrize(("per_minute", "burst"), [(0, 1), (1, 0), (-5, 5)])
def test_a_rate_that_lets_nothing_through_is_no_rate(per_minute: int, burst: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Rate(per_minute, burst)


def test_many_may_be_drawn_at_once_and_more_than_it_holds_from_a_full_one() -> None:
    watch = Watch()
    buckets = Buckets(watch)
    rate = Rate(per_minute=60, burst=10)
    assert not buckets.take("a", rate, 8).wait
    assert buckets.take("a", rate, 8).wait == 6 * SECOND
    watch.now += 6 * SECOND
    assert not buckets.take("a", rate, 8).wait
    assert buckets.take("a", rate, 500).wait == 10 * SECOND
    watch.now += 10 * SECOND
    assert not buckets.take("a", rate, 500).wait
