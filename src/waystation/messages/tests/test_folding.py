"""However lines arrive and are sent again, what is stored is what a list of them would say."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from waystation.messages.folding import Line, Row, folded
from waystation.messages.tests.house import NOON, line

Said = tuple[int, str]
SAID: st.SearchStrategy[list[Said]] = st.lists(st.tuples(st.integers(1, 3), st.sampled_from("aab")), max_size=40)
CUTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8), st.booleans()), max_size=8)


def lines(said: Sequence[Said], first: int = 0) -> list[Line]:
    """Each later than the one before, as a device with a clock writes them."""
    return [Line.of(1, device, NOON, line(content, second)) for second, (device, content) in enumerate(said, first)]


class Table:
    """Rows as the database would hold them."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.last = 0

    def write(self, given: Sequence[Line]) -> int:
        newest = {row.line.device_id: _copy(row) for row in self.rows.values()}
        alike = [_copy(row) for row in self.rows.values()]
        done = folded(given, newest, alike, first_number=self.last + 1)
        self.last += len(given)
        self.rows |= {row.number: row for row in [*done.new, *done.repeated.values()]}
        return done.stored


def _copy(row: Row) -> Row:
    return Row(row.number, row.line, row.at, row.last_at, row.count)


@given(SAID, CUTS)
def test_sent_in_any_parts_and_again_every_line_counts_once(
    said: list[Said], cuts: list[tuple[int, int, bool]]
) -> None:
    """A device sends in order, and after a lost answer once more from some line on."""
    whole, table, sent, stored = lines(said), Table(), 0, 0
    for length, back, is_lost in [*cuts, (len(whole), 0, False)]:
        begin = max(0, sent - back)
        stored += table.write(whole[begin : begin + length])
        sent = max(sent, begin + length) if not is_lost else sent
    stored += table.write(whole)
    assert stored == len(whole)
    for device in (1, 2, 3):
        mine = [row for _, row in sorted(table.rows.items()) if row.line.device_id == device]
        assert [(row.line.message.content, row.count) for row in mine] == runs([c for d, c in said if d == device])
        assert all(before.last_at < after.at for before, after in pairwise(mine))


def runs(contents: Sequence[str]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for content in contents:
        if found and found[-1][0] == content:
            found[-1] = content, found[-1][1] + 1
        else:
            found.append((content, 1))
    return found
