"""Several lists as one: whatever their times are, walking back shows everything once, each source in its own order."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation.dashboard.activity.model import Item, Kind, Placed, Places, cursor_of, merged, places_at
from waystation.kernel.errors import Invalid

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
TIMES: st.SearchStrategy[Mapping[str, list[int]]] = st.fixed_dictionaries(
    {name: st.lists(st.integers(0, 9), max_size=12) for name in ("deeds", "commands", "messages")}
)


def listed(times: Mapping[str, Sequence[int]]) -> Mapping[str, list[Placed]]:
    """Newest first by id, whatever the times say: a clock may have been set."""
    return {
        name: [
            Placed(number, Item(f"{name}-{number}", NOON + timedelta(seconds=ones[number - 1]), Kind.DEVICE, "did"))
            for number in range(len(ones), 0, -1)
        ]
        for name, ones in times.items()
    }


def behind(found: Mapping[str, list[Placed]], places: Places, most: int) -> Mapping[str, list[Placed]]:
    """As sources answer."""
    return {
        name: [one for one in ones if name not in places or int(one.place) < int(places[name])][:most]
        for name, ones in found.items()
    }


@given(TIMES, st.integers(1, 7))
def test_every_item_comes_once_and_each_source_in_its_order(times: Mapping[str, list[int]], most: int) -> None:
    found = listed(times)
    seen: list[Item] = []
    places: Places | None = {}
    while places is not None:
        feed = merged(behind(found, places, most + 1), places, most)
        seen += feed.items
        assert feed.older is None or feed.items, "a page that is not the last has something on it"
        places = None if feed.older is None else places_at(cursor_of(feed.older), tuple(found))
    assert sorted(one.id for one in seen) == sorted(one.item.id for ones in found.values() for one in ones)
    for name, ones in found.items():
        assert [one.id for one in seen if one.id.startswith(name)] == [one.item.id for one in ones]


@given(TIMES)
def test_where_clocks_agree_the_newest_come_first(times: Mapping[str, list[int]]) -> None:
    ascending = {name: sorted(ones) for name, ones in times.items()}
    items = merged(listed(ascending), {}, 100).items
    assert [one.at for one in items] == sorted((one.at for one in items), reverse=True)


@pytest.mark.parametrize("cursor", ["x", "e30x", cursor_of({"nobody": 1}), cursor_of({"deeds": -1}), "W10", "ÄÄÄÄ"])
def test_a_cursor_of_somewhere_else_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid):
        places_at(cursor, ("deeds",))
