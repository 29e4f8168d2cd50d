"""Tiles: what they may hold, and how they change places."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation.dashboard.boards import form, model
from waystation.dashboard.boards.model import Shape, Value
from waystation.dashboard.boards.store import stored_tiles
from waystation.kernel.errors import Invalid

NOTES = model.tiles_of([{"kind": "note", "text": str(n), "id": f"t{n}"} for n in range(5)])


def ids(tiles: model.Tiles) -> list[str]:
    return [tile.id for tile in tiles]


@pytest.mark.parametrize(
    "tile",
    [
        {"kind": "chart", "series": []},
        {"kind": "chart", "series": ["no-colon"]},
        {"kind": "chart", "series": ["a:b"], "range": "2h"},
        {"kind": "chart", "series": ["a:b"] * 21},
        {"kind": "value", "series": "a:b", "warning_above": "hot"},
        {"kind": "value", "series": "a:b,c:d"},
        {"kind": "state"},
        {"kind": "device", "device": ""},
        {"kind": "note", "text": " "},
        {"kind": "note", "text": "x" * 2001},
        {"kind": "note", "text": "x", "width": 5},
        {"kind": "note", "text": "x", "width": True},
        {"kind": "note", "text": "x", "colour": "red"},
        {"kind": "script", "text": "x"},
        {"kind": "note", "text": "x", "id": "../t"},
        {"kind": "note", "text": "x", "title": "a\nb"},
        "note",
        None,
    ],
)
def test_a_tile_that_is_wrong_is_refused_with_a_sentence(tile: Any) -> None:
    with pytest.raises(Invalid) as refused:
        model.tiles_of([tile])
    assert len(str(refused.value)) > 10


def test_ids_are_given_out_once() -> None:
    tiles = model.tiles_of(
        [{"kind": "note", "text": "a", "id": "t1"}, *({"kind": "note", "text": "b", "id": i} for i in ("", "t1", ""))]
    )
    assert ids(tiles) == ["t1", "t2", "t3", "t4"]


@given(st.integers(0, 4), st.integers(-7, 7))
def test_a_tile_that_moves_leaves_the_others_in_their_order(which: int, by: int) -> None:
    moved = model.moved(NOTES, f"t{which}", by)
    assert moved.index(NOTES[which]) == max(0, min(4, which + by))
    assert [tile for tile in moved if tile is not NOTES[which]] == [tile for tile in NOTES if tile is not NOTES[which]]


@given(st.permutations(range(5)), st.lists(st.integers(1, 4), min_size=5, max_size=5))
def test_a_whole_order_is_taken_as_it_is(order: list[int], widths: list[int]) -> None:
    wanted = [Shape(f"t{n}", width) for n, width in zip(order, widths, strict=True)]
    arranged = model.arranged(NOTES, wanted)
    assert [Shape(tile.id, tile.width) for tile in arranged] == wanted
    assert stored_tiles(model.encode(arranged)) == arranged


@pytest.mark.parametrize("order", ["t0", "t0,t0,t1,t2,t3", "t0,t1,t2,t3,t9"])
def test_an_order_names_every_tile_once(order: str) -> None:
    with pytest.raises(Invalid):
        model.arranged(NOTES, [Shape(name, 1) for name in order.split(",")])


@pytest.mark.parametrize(
    ("value", "level"), [(20, "good"), (25, "warning"), (30, "danger"), (5, "warning"), (0, "danger")]
)
def test_a_value_at_a_threshold_is_beyond_it(value: float, level: str) -> None:
    tile = Value(series="a:b", warning_below=5, warning_above=25, danger_below=0, danger_above=30)
    assert tile.level(value) == level


def test_without_thresholds_there_is_no_level() -> None:
    assert Value(series="a:b").level(1e9) == ""
    assert Value(series="a:b", warning_above=1).level("text") == ""


@pytest.mark.parametrize("text", ["nan", "inf", "warm", "1e999", "1.2.3"])
def test_a_threshold_is_a_number(text: str) -> None:
    with pytest.raises(Invalid, match="not a number"):
        form.tile_from({"series": ["a:b"], "warning_above": [text]}, "value")


def test_a_form_becomes_a_tile_and_back() -> None:
    typed = {"series": ["a:b"], "warning_above": ["2,5"], "title": ["Tank"], "width": ["3"]}
    tile = form.tile_from(typed, "value")
    assert tile == Value(series="a:b", warning_above=2.5, title="Tank", width=3)
    assert form.draft_of(tile)["warning_above"] == 2.5
