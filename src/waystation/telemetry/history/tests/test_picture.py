"""A picture is the same, whether its points are found among the readings or among their hours."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from waystation.telemetry import hours
from waystation.telemetry.codec import Run
from waystation.telemetry.history import picture
from waystation.telemetry.hours import HOUR

GAPS = st.lists(st.integers(1, HOUR // 3) | st.integers(HOUR, 9 * HOUR), min_size=1, max_size=80)


@given(GAPS, st.data(), st.integers(2, 7), st.integers(-5 * HOUR, 5 * HOUR))
def test_it_is_the_same_from_readings_and_from_hours(gaps: list[int], data: st.DataObject, wide: int, at: int) -> None:
    values = data.draw(st.lists(st.integers(-3, 3), min_size=len(gaps), max_size=len(gaps)))
    whole = Run((np.cumsum(np.array(gaps, np.int64)) + at) << 8, np.array(values, np.float64))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(gaps)))) | {0, len(gaps)})
    chunks = [whole.part(slice(start, end)) for start, end in pairwise(cuts)]
    told = [data.draw(st.booleans()) for _ in chunks]
    by_hours = [hours.of_run(chunk) for chunk, is_told in zip(chunks, told, strict=True) if is_told]
    opened = np.repeat(~np.array(told), [len(chunk) for chunk in chunks])
    seen = picture.by_stretch([*by_hours, picture.of_stretches(whole.part(opened), wide * HOUR)], wide * HOUR)
    wanted = picture.by_stretch([hours.each_alone(whole)], wide * HOUR)
    assert seen.stamps.tolist() == wanted.stamps.tolist()
    assert seen.values.tolist() == wanted.values.tolist()
    assert (seen.stamps[0], seen.stamps[-1]) == (whole.stamps[0], whole.stamps[-1])
    assert (seen.values.min(), seen.values.max()) == (min(values), max(values))
