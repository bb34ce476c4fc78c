"""The number of a cell in the ids of its uploads."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uuid6 import uuid7

from pipeline.core.cells import CELLS, cell_of, in_cell

pytestmark = pytest.mark.unit

_ID = UUID("01999c2e-6f00-7fff-bfff-ffffffffffff")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (0, "01999c2e-6f00-700f-bfff-ffffffffffff"),
        (12, "01999c2e-6f00-70cf-bfff-ffffffffffff"),
        (255, "01999c2e-6f00-7fff-bfff-ffffffffffff"),
    ],
)
def test_two_digits_of_the_text_are_the_number(cell: int, text: str) -> None:
    assert str(in_cell(_ID, cell)) == text
    assert cell_of(text) == cell


@given(st.integers(0, CELLS - 1))
def test_the_rest_of_an_id_is_kept(cell: int) -> None:
    made = uuid7()
    named = in_cell(made, cell)
    assert (named.version, named.variant) == (7, made.variant)
    assert named.int | 0xFF << 68 == made.int | 0xFF << 68
    assert cell_of(str(named)) == cell


@pytest.mark.parametrize("cell", [-1, CELLS])
def test_other_numbers_are_refused(cell: int) -> None:
    with pytest.raises(ValueError, match="0 to 255"):
        in_cell(_ID, cell)


def test_other_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="not a UUIDv7"):
        in_cell(uuid4(), 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "01999c2e-6f00-40cf-bfff-ffffffffffff",
        "01999C2E-6F00-70CF-BFFF-FFFFFFFFFFFF",
        "01999c2e6f0070cfbfffffffffffffff",
        "{01999c2e-6f00-70cf-bfff-ffffffffffff}",
    ],
)
def test_other_texts_name_no_cell(text: str) -> None:
    assert cell_of(text) is None
