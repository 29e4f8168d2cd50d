"""What somebody named themselves never runs in a spreadsheet."""

import pytest

from waystation.kernel.csv import plain_cell


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_becomes_text(text: str) -> None:
    assert plain_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-40.5", "+3", "-1e3", "ann@example.org", "", "a=b"])
def test_numbers_and_words_stay(text: str) -> None:
    assert plain_cell(text) == text
