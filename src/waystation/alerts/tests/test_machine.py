"""The state machine against a naive evaluator that looks at all readings anew each time."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from waystation.alerts import machine
from waystation.alerts.machine import Happening, State
from waystation.alerts.model import Condition, When
from waystation.telemetry.model import own

SECOND = 1_000_000
LATER = 2**62

values = st.integers(-3, 8).map(float)
readings = st.lists(st.tuples(st.integers(1, 40), values), max_size=40)
levels = st.builds(
    lambda above, threshold, gap, holding: When(
        Condition.ABOVE if above else Condition.BELOW,
        float(threshold),
        float(threshold - gap if above else threshold + gap),
        **holding,
    ).checked(),
    st.booleans(),
    st.integers(0, 6),
    st.integers(0, 3),
    st.one_of(
        st.just({}),
        st.integers(1, 90).map(lambda seconds: {"for_seconds": seconds}),
        st.tuples(st.integers(1, 4), st.integers(0, 3)).map(lambda n: {"times": n[0], "of": n[0] + n[1]}),
    ),
)


def timed(gaps: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """As (seconds, value), rising."""
    at, found = 0, []
    for gap, value in gaps:
        at += gap
        found.append((at, value))
    return found


def run(when: When, said: list[tuple[int, float]], state: State | None = None) -> tuple[State, list[Happening]]:
    state, happened = state or State(-1), []
    for at, value in said:
        state, more = machine.read(when, state, own(at * SECOND), value, now=LATER)
        happened += more
    return state, happened


def naive(when: When, said: list[tuple[int, float]], end: int) -> list[tuple[str, int]]:
    """Second by second, from the definition: a value counts until the next one."""
    found: list[tuple[str, int]] = []
    sign = -1 if when.kind is Condition.BELOW else 1
    assert when.threshold is not None
    holding_since: int | None = None
    is_open, marks = False, []
    by_second = dict(said)
    for second in range(end + 1):
        if holding_since is not None and not is_open and second - holding_since >= when.for_seconds:
            found.append(("fired", second))
            is_open = True
        if second not in by_second:
            continue
        value = by_second[second] * sign
        marks = [*marks, (value >= when.threshold * sign, value < when.clear_at * sign)][-(when.of or 1) :]
        n = when.times or 1
        holds = sum(held for held, _ in marks) >= n
        over = sum(not gone for _, gone in marks) < n
        if is_open:
            if over:
                found.append(("recovered", second))
                is_open = False
                holding_since = None
            continue
        holding_since = (second if holding_since is None else holding_since) if holds else None
        if holds and holding_since is not None and second - holding_since >= when.for_seconds:
            found.append(("fired", second))
            is_open = True
    return found


@settings(max_examples=150, deadline=None)
@given(levels, readings)
def test_levels_agree_with_the_naive_evaluator(when: When, gaps: list[tuple[int, float]]) -> None:
    said = timed(gaps)
    end = (said[-1][0] if said else 0) + 100
    state, happened = run(when, said)
    _, last = machine.tick(when, state, end * SECOND)
    assert [(one.what, one.at // SECOND) for one in (*happened, *last)] == naive(when, said, end)


@settings(max_examples=80, deadline=None)
@given(levels, readings, st.data())
def test_the_same_readings_again_in_other_portions_change_nothing(
    when: When, gaps: list[tuple[int, float]], data: st.DataObject
) -> None:
    said = timed(gaps)
    whole, happened = run(when, said)
    cut = data.draw(st.integers(0, len(said)))
    back = data.draw(st.integers(0, cut))
    state, first = run(when, said[:cut])
    kept = machine.of_json(
        machine.to_json(state), stamp=state.stamp, phase=state.phase, since=state.since, heard=state.heard
    )
    assert kept == state
    again, second = run(when, said[back:], kept)
    assert (again, first + second) == (whole, happened)


@settings(max_examples=80, deadline=None)
@given(levels, readings)
def test_what_is_called_quiet_changes_nothing_but_the_stamp(when: When, gaps: list[tuple[int, float]]) -> None:
    state = State(-1)
    for at, value in timed(gaps):
        quiet = machine.quiet_between(when, state)
        after, happened = machine.read(when, state, own(at * SECOND), value, now=LATER)
        if quiet is not None and quiet[0] < value < quiet[1]:
            assert happened == []
            assert after == replace(state, stamp=after.stamp, value=value)
        state = after


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), values), min_size=2, max_size=40), st.integers(1, 5))
def test_a_rate_is_the_change_over_its_window(gaps: list[tuple[int, float]], threshold: int) -> None:
    when = When(Condition.RISES, float(threshold), window_seconds=120, per="minute").checked()
    said = timed(gaps)
    is_open, found = False, []
    for number, (at, value) in enumerate(said):
        window = [(a, v) for a, v in said[: number + 1] if a >= at - 120]
        kept = [window[0]]  # thinned to two seconds, as the machine does
        span = at - kept[0][0]
        rate = (value - kept[0][1]) / span * 60 if span >= 60 else None
        if is_open and rate is not None and rate < threshold:
            is_open = False
            found.append(("recovered", at))
        elif not is_open and rate is not None and rate >= threshold:
            is_open = True
            found.append(("fired", at))
    spread = all(b[0] - a[0] >= 2 for a, b in pairwise(said))
    if spread:
        assert [(one.what, one.at // SECOND) for one in run(when, said)[1]] == found


def test_texts_are_matched_without_regard_to_case_and_a_pattern_is_never_slow() -> None:
    when = When(Condition.TEXT, match="like", text="err*")
    assert machine.matches(when, "ERROR 7")
    assert not machine.matches(when, "no error")
    assert machine.matches(replace(when, match="contains", text="ROR"), "no error")
    assert not machine.matches(replace(when, match="equals", text="error"), "no error")
    assert machine.matches(replace(when, text="[x]*"), "[x]yz"), "brackets are themselves"
    assert not machine.matches(replace(when, text="*a" * 50 + "b"), "a" * 100_000)


def test_readings_of_the_future_are_taken_in_their_order() -> None:
    when = When(Condition.ABOVE, 5.0)
    state = State(-1)
    for at, value in ((100, 9.0), (90, 1.0), (50, 2.0)):
        state, happened = machine.read(when, state, own(at * SECOND), value, now=50 * SECOND)
        assert happened == []
    assert machine.due(when, state) == 90 * SECOND
    state, happened = machine.read(when, state, own(101 * SECOND), 9.0, now=101 * SECOND)
    assert [(one.what, one.at) for one in happened] == [("fired", 100 * SECOND)]
    assert not state.ahead
