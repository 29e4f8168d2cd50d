"""The guarded clock: no step of the wall clock shows in the order of the samples."""

from hypothesis import given
from hypothesis import strategies as st

from waystation_agent.clock import SANE_FROM_US, STALE_US, GuardedClock, iso, next_at_us

SECOND = 1_000_000
NOON = 1_800_000_000 * SECOND
times = st.integers(0, 4_000_000_000 * SECOND)
sane_times = st.integers(SANE_FROM_US, 4_000_000_000 * SECOND)
spans = st.integers(0, 10_000 * SECOND)


@given(believed=times, newest=times, elapsed=spans)
def test_a_sample_is_always_later_than_the_newest(believed: int, newest: int, elapsed: int) -> None:
    assert next_at_us(believed, newest, elapsed) > newest


@given(newest=times, elapsed=spans)
def test_after_a_step_backwards_time_goes_on_at_half_speed(newest: int, elapsed: int) -> None:
    assert next_at_us(0, newest, elapsed) == newest + max(1, elapsed // 2)


@given(wall=sane_times, monotonic=spans, later=spans)
def test_a_sane_wall_clock_is_the_time_and_monotonic_progress_is_added(wall: int, monotonic: int, later: int) -> None:
    clock = GuardedClock().observe(wall, monotonic, newest_us=0)
    assert clock.time_us(monotonic + later) == wall + later


@given(wall=st.integers(0, SANE_FROM_US - 1), monotonic=spans, newest=times)
def test_a_wall_clock_in_1970_is_never_believed(wall: int, monotonic: int, newest: int) -> None:
    known = GuardedClock(NOON)
    assert GuardedClock().observe(wall, monotonic, newest).offset_us is None
    assert known.observe(wall, monotonic, newest) == known


@given(newest=sane_times, behind=spans, monotonic=spans)
def test_after_a_start_a_wall_clock_before_the_newest_sample_is_not_believed(
    newest: int, behind: int, monotonic: int
) -> None:
    assert GuardedClock().observe(newest - behind, monotonic, newest).offset_us is None
    assert GuardedClock().observe(newest + 1, monotonic, newest).time_us(monotonic) == newest + 1


@given(hub=sane_times.map(lambda at: at + STALE_US), monotonic=spans, stale=spans)
def test_the_hubs_time_holds_until_the_wall_clock_has_caught_up(hub: int, monotonic: int, stale: int) -> None:
    told = GuardedClock().hear(hub, monotonic)
    assert told.time_us(monotonic) == hub
    assert told.observe(hub - STALE_US - 1 - stale, monotonic, 0) == told
    assert told.observe(hub - STALE_US + stale, monotonic, 0) == GuardedClock(hub - STALE_US + stale - monotonic)


@given(wall=sane_times, hub=times)
def test_a_machine_that_knows_the_time_does_not_ask_the_hub(wall: int, hub: int) -> None:
    clock = GuardedClock().observe(wall, 0, 0)
    assert clock.hear(hub, 0) == clock


def test_a_hub_that_is_in_1970_itself_is_not_believed() -> None:
    assert GuardedClock().hear(5 * SECOND, 0) == GuardedClock()


def test_times_are_written_with_microseconds_and_offset() -> None:
    assert iso(NOON) == "2027-01-15T08:00:00.000000+00:00"
    assert iso(NOON + 1) == "2027-01-15T08:00:00.000001+00:00"
