"""What files state about how a picture is turned."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.media.inside.orientation import (
    UPRIGHT,
    Matrix,
    Orientation,
    of_degrees,
    of_exif,
    of_exif_value,
    of_heif,
    of_matrix,
    of_roll,
    of_tiff,
)
from tests.harness.media_corpus_images import EXIF_TURNS, exif

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("number", range(1, 9))
def test_exif(order: str, number: int) -> None:
    assert of_exif(b"Exif\0\0" + exif(number, order)) == EXIF_TURNS[number]
    assert of_tiff(exif(number, order)) == EXIF_TURNS[number]


@pytest.mark.parametrize("data", [b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"xx" + bytes(30), exif(0), exif(9)])
def test_exif_that_states_nothing(data: bytes) -> None:
    assert of_exif(data) is None


def test_a_value_of_four_bytes() -> None:
    entry = struct.pack("<HHII", 0x0112, 4, 1, 8)
    assert of_tiff(b"II*\0" + struct.pack("<IH", 8, 1) + entry) == (270, False)


def test_an_unknown_number_is_upright() -> None:
    assert of_exif_value(0) == of_exif_value(77) == UPRIGHT


@pytest.mark.parametrize(
    ("matrix", "turned"),
    [
        ((1, 0, 0, 1), (0, False)),
        ((0, 1, -1, 0), (90, False)),
        ((-1, 0, 0, -1), (180, False)),
        ((0, -1, 1, 0), (270, False)),
        ((-1, 0, 0, 1), (0, True)),
        ((1, 0, 0, -1), (180, True)),
        ((0, 1, 1, 0), (270, True)),
        ((0, -1, -1, 0), (90, True)),
        ((0.9, 0.1, -0.1, 0.9), (0, False)),
        ((0, 0, 0, 0), (0, False)),
    ],
)
def test_a_display_matrix(matrix: Matrix, turned: tuple[int, bool]) -> None:
    assert of_matrix(matrix) == turned


@pytest.mark.parametrize(
    ("transforms", "turned"),
    [
        ([], (0, False)),
        ([(b"irot", 1)], (270, False)),
        ([(b"irot", 3)], (90, False)),
        ([(b"imir", 1)], (0, True)),
        ([(b"imir", 0)], (180, True)),
        ([(b"irot", 1), (b"imir", 1)], (90, True)),
        ([(b"imir", 1), (b"irot", 1)], (270, True)),
        ([(b"irot", 2), (b"imir", 0)], (0, True)),
        ([(b"imir", 1), (b"imir", 1)], (0, False)),
        ([(b"ispe", 3)], (0, False)),
    ],
)
def test_the_properties_of_heif_apply_in_their_order(
    transforms: list[tuple[bytes, int]], turned: tuple[int, bool]
) -> None:
    assert of_heif(transforms) == turned


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll", "turned"),
    [
        (0, 0, 0, (0, False)),
        (0, 0, 90, (270, False)),
        (0, 0, -90, (90, False)),
        (0, 0, 180, (180, False)),
        (180, 0, 0, (0, True)),
        (-180, 0, 90, (270, True)),
        (180, 0, -90, (90, True)),
        (45, 0, 90, (0, False)),  # not flat
        (0, 30, 90, (0, False)),
        (0, 0, float("nan"), (0, False)),
        (0, 0, float("inf"), (0, False)),
    ],
)
def test_the_projection_of_matroska(yaw: float, pitch: float, roll: float, turned: tuple[int, bool]) -> None:
    assert of_roll(yaw, pitch, roll) == turned


@given(st.floats())
def test_any_angle_is_a_quarter(degrees: float) -> None:
    assert of_degrees(degrees).rotation in (0, 90, 180, 270)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_as_exif(data: bytes) -> None:
    assert isinstance(of_exif(b"II*\0" + data), Orientation | None)
