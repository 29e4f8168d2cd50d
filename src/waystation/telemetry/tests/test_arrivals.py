from hypothesis import given
from hypothesis import strategies as st

from waystation.kernel.clock import ManualClock, micros
from waystation.telemetry.ingest import Arrivals

STEPS = st.lists(st.tuples(st.floats(-0.9, 5), st.integers(1, 3000)), max_size=60)


@given(STEPS, st.integers(1, 16))
def test_arrival_times_ascend_however_the_clock_stutters(steps: list[tuple[float, int]], slot: int) -> None:
    clock = ManualClock()
    arrivals = Arrivals(clock, slot)
    end = 0
    for seconds, count in steps:
        clock.turn(seconds)
        first = arrivals.take(count)
        assert first >= end
        assert first % 16 == slot % 16
        end = first + count


def test_a_clock_that_was_set_back_is_followed() -> None:
    clock = ManualClock()
    arrivals = Arrivals(clock)
    arrivals.take(1)
    clock.turn(-3600)
    assert abs(arrivals.take(1) - micros(clock.now())) < 100


def test_calls_faster_than_the_clock_do_not_look_like_a_clock_set_back() -> None:
    clock = ManualClock()
    arrivals = Arrivals(clock)
    firsts = [arrivals.take(10_000) for _ in range(300)]
    assert firsts == sorted(set(firsts))
    assert firsts[-1] - micros(clock.now()) > 2_000_000


def test_two_processes_never_give_the_same_arrival() -> None:
    clock = ManualClock()
    one, other = Arrivals(clock, 1), Arrivals(clock, 2)
    assert not {one.take(1) for _ in range(500)} & {other.take(1) for _ in range(500)}
