"""What others rely on is a file; it changes only when somebody says so."""

import difflib
import os
from itertools import islice

import pytest
from tests.architecture.sources import ROOT
from tests.snapshots.contracts import CONTRACTS

SHOWN_LINES = 40


@pytest.mark.parametrize("place", CONTRACTS)
def test_a_contract_is_as_it_was_written_down(place: str) -> None:
    path, now = ROOT / place, CONTRACTS[place]()
    if os.environ.get("WAYSTATION_WRITE_SNAPSHOTS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(now, encoding="utf-8")
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if now != before:
        changed = difflib.unified_diff(before.splitlines(), now.splitlines(), "written down", "now", n=1, lineterm="")
        pytest.fail(
            f"{place} is no longer what the program does. If that is meant, `make snapshots` and look at the diff:\n"
            + "\n".join(islice(changed, SHOWN_LINES)),
            pytrace=False,
        )
