"""Every route is asked by ten callers: each is let in or turned away as the route's caller type promises."""

import os
from collections.abc import Mapping, Sequence

import pytest
from tests.architecture.sources import ROOT
from tests.snapshots import access
from tests.snapshots.access import CALLERS

from waystation.operation.map import Door

pytestmark = pytest.mark.servers  # not for a server: it asks ten times as many questions as there are routes
PAGE = "docs/reference/access.md"
DOORS = access.doors()


@pytest.fixture(scope="module")
def found() -> Mapping[Door, Sequence[str]]:
    return access.matrix()


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door.method} {door.path}")
def test_every_caller_meets_what_the_route_promises(door: Door, found: Mapping[Door, Sequence[str]]) -> None:
    met = dict(zip(CALLERS, found[door], strict=True))
    wrong = {who: cell for who, cell in met.items() if cell not in access.wanted(door, who)}
    assert not wrong, f"for {door.who}: {wrong}"


def test_the_matrix_is_as_it_was_written_down(found: Mapping[Door, Sequence[str]]) -> None:
    """A new route has no row until somebody has looked at it: `make snapshots`, and read the diff."""
    path, now = ROOT / PAGE, access.page(found)
    if os.environ.get("WAYSTATION_WRITE_SNAPSHOTS"):
        path.write_text(now, encoding="utf-8")
    written = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in now.splitlines() if line not in written] == []
    assert [line for line in written if line not in now.splitlines()] == []
