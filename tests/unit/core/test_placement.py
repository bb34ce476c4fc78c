"""Which cell a new upload goes to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.placement import CellRoom, by_room, in_order

pytestmark = pytest.mark.unit

_ROOMS = st.dictionaries(
    st.integers(0, 5), st.builds(CellRoom, st.integers(0, 1000), st.integers(0, 3)), min_size=1, max_size=5
)


@pytest.mark.parametrize(
    ("own", "best", "size", "cell"),
    [
        (CellRoom(100), CellRoom(100), 10, 0),
        (CellRoom(80), CellRoom(100), 10, 0),
        (CellRoom(79), CellRoom(100), 10, 1),
        (CellRoom(90), CellRoom(100), 95, 1),  # it fits only there
        (CellRoom(90), CellRoom(100), 200, 0),  # it fits nowhere: a window
        (CellRoom(79), CellRoom(100), 0, 0),  # it takes no room
        (CellRoom(100, waiting=1), CellRoom(10), 10, 1),
        (CellRoom(100, waiting=1), CellRoom(100, waiting=1), 10, 0),
        (CellRoom(0), CellRoom(0), 10, 0),
        (CellRoom(100), CellRoom(1000, waiting=1), 10, 0),
    ],
)
def test_it_stays_with_four_fifths_of_the_best_room(own: CellRoom, best: CellRoom, size: int, cell: int) -> None:
    assert by_room(0, {0: own, 1: best}, size) == cell


def test_without_any_cell_it_stays() -> None:
    assert by_room(3, {}, 10) == 3


@pytest.mark.parametrize("size", [0, 10])
def test_a_cell_that_takes_nothing_keeps_nothing(size: int) -> None:
    assert by_room(0, {1: CellRoom(0, 7), 2: CellRoom(0, 5), 3: CellRoom(0, 5)}, size) == 2


@given(st.integers(0, 5), _ROOMS, st.integers(0, 1000))
def test_the_chosen_cell_is_no_worse_than_it_may_be(own: int, rooms: dict[int, CellRoom], size: int) -> None:
    cell = by_room(own, rooms, size)
    best = max(room.free_bytes for room in rooms.values())
    assert cell in rooms
    if cell == own:
        assert not size or rooms[own].free_bytes * 5 >= best * 4
    else:
        assert rooms[cell].free_bytes == best


@given(st.integers(0, 5), _ROOMS, st.integers(0, 1000))
def test_the_cell_to_which_it_is_sent_keeps_it(own: int, rooms: dict[int, CellRoom], size: int) -> None:
    """With the same rooms, a second gateway does not send it on."""
    cell = by_room(own, rooms, size)
    assert by_room(cell, rooms, size) == cell


@given(st.text(), st.sets(st.integers(0, 255), min_size=1))
def test_an_order_is_the_same_everywhere_and_a_cell_that_goes_changes_nothing_else(name: str, cells: set[int]) -> None:
    order = list(in_order(name, cells))
    assert sorted(order) == sorted(cells)
    assert in_order(name, sorted(cells, reverse=True)) == order
    for gone in cells:
        assert in_order(name, cells - {gone}) == [cell for cell in order if cell != gone]


def test_names_are_spread_over_the_cells() -> None:
    homes = [in_order(f"key {number}", range(4))[0] for number in range(400)]
    assert all(60 <= homes.count(cell) <= 140 for cell in range(4))
