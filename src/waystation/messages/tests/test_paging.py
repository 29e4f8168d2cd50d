"""Pages in both directions show every line once, also within one millisecond and while new ones come and repeat."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from waystation.kernel.errors import Invalid, NotFound
from waystation.messages import Message, Severity, reading
from waystation.messages.store import Wanted
from waystation.messages.tests.house import House, line
from waystation.messages.tests.test_folding import runs

WRITES = st.lists(st.tuples(st.booleans(), st.sampled_from("aab")), max_size=6)
STEPS = st.lists(st.tuples(WRITES, st.integers(1, 4)), min_size=1, max_size=8)


class Reader:
    """Reads on in one direction, a page at a time."""

    def __init__(self, house: House, wanted: Wanted, begin: str = "") -> None:
        self.house = house
        self.wanted = wanted
        self.cursor: str | None = begin
        self.seen: list[Message] = []

    def older(self, most: int) -> None:
        if self.cursor is None:
            return
        with self.house.database.read() as tx:
            page = reading.page(tx, self.wanted, before=self.cursor, most=most)
        self.seen += page.messages
        self.cursor = page.older

    def newer(self, most: int) -> None:
        assert self.cursor is not None
        with self.house.database.read() as tx:
            page = reading.page(tx, self.wanted, after=self.cursor, most=most)
        self.seen += reversed(page.messages)
        self.cursor = page.newer

    @property
    def said(self) -> list[tuple[int, str]]:
        return [(one.device_id, one.content) for one in self.seen]


def newest_cursor(house: House, wanted: Wanted) -> str:
    with house.database.read() as tx:
        return reading.page(tx, wanted, most=1).newer


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=WRITES, steps=STEPS)
def test_nothing_is_left_out_or_shown_twice(
    house: House, before: list[tuple[bool, str]], steps: list[tuple[list[tuple[bool, str]], int]]
) -> None:
    house.move()
    porch, shed = house.porch, house.device("Shed")
    wanted = Wanted(house.home_id)
    written: list[tuple[int, str]] = []

    def write(lines: Sequence[tuple[bool, str]]) -> None:
        for is_porch, content in lines:
            device = porch if is_porch else shed
            house.write(line(content), device=device)
            written.append((device.id, content))

    write(before)
    begun = rows(written)
    back, on = Reader(house, wanted), Reader(house, wanted, newest_cursor(house, wanted))
    for lines, most in steps:
        back.older(most)
        write(lines)
        on.newer(most)
    while back.cursor is not None:
        back.older(2)
    while len(on.seen) < len(rows(written)) - len(begun):
        on.newer(2)
    assert back.said == begun[::-1]
    assert on.said == rows(written)[len(begun) :]


def rows(written: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """A row for every run of the same line of a device, in the order in which they began."""
    last: dict[int, str] = {}
    found: list[tuple[int, str]] = []
    for device, content in written:
        if last.get(device) != content:
            found.append((device, content))
        last[device] = content
    for device in last:
        mine = [content for one, content in written if one == device]
        assert [content for one, content in found if one == device] == [content for content, _ in runs(mine)]
    return found


def test_the_page_that_one_came_from_is_found_again(house: House) -> None:
    house.write(*(line(f"{n}") for n in range(10)))
    wanted = Wanted(house.home_id)
    with house.database.read() as tx:
        first = reading.page(tx, wanted, most=4)
        second = reading.page(tx, wanted, before=first.older or "", most=4)
        back = reading.page(tx, wanted, after=second.newer, most=4)
        empty = reading.page(tx, wanted, after=back.newer, most=4)
        again = reading.page(tx, wanted, before=empty.older or "", most=4)
    assert [one.content for one in second.messages] == ["5", "4", "3", "2"]
    assert [one.content for one in back.messages] == [one.content for one in first.messages]
    assert (back.is_newest, empty.messages) == (True, [])
    assert [one.content for one in again.messages] == ["9", "8", "7", "6"]


def test_what_is_wanted_is_looked_for_in_the_database(house: House) -> None:
    shed = house.device("Shed")
    house.write(
        line("Sensor ÜBERHITZT 100%", None, Severity.ERROR), line("ok_1"), line("okay 100", None, Severity.DEBUG)
    )
    house.write(line("other", None, Severity.WARNING, "status"), device=shed)

    def found(**wanted: str) -> list[str]:
        with house.database.read() as tx:
            asked = reading.asked(tx, house.home_id, **wanted)
            return [one.content for one in reading.page(tx, asked, most=10).messages]

    assert found(words="überhitzt") == ["Sensor ÜBERHITZT 100%"]
    assert found(words="Ü") == ["Sensor ÜBERHITZT 100%"]
    assert found(words="0%") == ["Sensor ÜBERHITZT 100%"]
    assert found(words="k_") == ["ok_1"]
    assert found(severity="warning") == ["other", "Sensor ÜBERHITZT 100%"]
    assert found(severity="Error") == ["Sensor ÜBERHITZT 100%"]
    assert found(severity="info") == ["other", "ok_1", "Sensor ÜBERHITZT 100%"]
    assert found(device=shed.serial) == ["other"]
    assert found(kind="status", severity="critical") == []
    assert found(device=house.porch.key, words="OK") == ["okay 100", "ok_1"]


@pytest.mark.parametrize("cursor", ["x", "AAAAAAAAAA", "AAAAAAAAAAB", "_______-___", "ÄÄÄÄÄÄÄÄÄÄÄ", "//////////8"])
def test_a_cursor_of_somewhere_else_is_refused(house: House, cursor: str) -> None:
    with house.database.read() as tx, pytest.raises(Invalid):
        reading.page(tx, Wanted(house.home_id), before=cursor, most=1)


def test_a_device_of_another_home_is_not_found(house: House) -> None:
    with house.database.read() as tx, pytest.raises(NotFound):
        reading.asked(tx, house.home_id + 1, device=house.porch.key)
